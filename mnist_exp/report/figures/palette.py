"""What the figures of a comparison share: groups told apart by colour, line and number."""

from typing import Any

from mnist_exp.report.figures.style import BLUE, VERMILION

# Okabe and Ito's (https://jfly.uni-koeln.de/color/), without their yellow, too pale on white.
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8c8c8c")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MOST_COLOURS = len(COLOURS)
LONGEST_LABEL = 46


def line_style(place: int) -> dict[str, Any]:
    """Returns colour and dashes of the group at a place, 0 for the best on validation."""
    return {"color": COLOURS[place % MOST_COLOURS], "linestyle": _DASHES[place % len(_DASHES)]}
