"""Many runs as one thing: planned, frozen, launched, watched, resumed."""
