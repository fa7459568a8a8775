"""Images: found, read, split, told apart."""
