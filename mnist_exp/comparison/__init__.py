"""What finished runs say side by side, read from their files alone."""
