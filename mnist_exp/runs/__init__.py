"""A run's directory: the only place that knows its file names."""
