"""Text from strangers in a table that spreadsheets open."""

from mnist_exp.trial_words import one_line

# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@")


def cell(text: str) -> str:
    """Puts a text on one line, and keeps spreadsheets from computing it."""
    plain = one_line(text)
    return f"'{plain}" if plain.startswith(_FORMULA) else plain
