"""Networks and how they learn: TensorFlow's home."""
