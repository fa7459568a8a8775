"""Pages: one self-contained HTML file about a run or a comparison, which opens from disk."""
