"""Config-driven experiments with small image classifiers."""
