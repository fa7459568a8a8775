"""What the entrypoint can be asked to do, one module each."""
