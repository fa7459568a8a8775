"""Figures, drawn by Matplotlib from plain arrays and records."""
