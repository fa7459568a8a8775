"""Copies of runs in the trackers that people use; a run's own files stay the record."""
