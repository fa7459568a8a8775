"""Child processes, signals, native output; knows nothing of digits."""
