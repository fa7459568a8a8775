"""Hyperparameters proposed, trials trained, winners confirmed."""
