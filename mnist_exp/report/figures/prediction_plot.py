"""Pictures beside what the network saw of them and the likeliest classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mnist_exp.evaluation.pictures import Picture
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.report.figures.style import (
    BLUE,
    DARK_VERMILION,
    FAINT,
    INK,
    PALE_BLUE,
    QUIET,
    add_title,
    new_figure,
    shorten,
)
from mnist_exp.report.prediction_table import Choice, file_name
from mnist_exp.trial_words import one_line
from mnist_exp.words import confidence

PICTURES_A_FIGURE = 12
_ROW_INCHES, _TILE = 1.5, 1.08
_COLUMN_INCHES = 3.95


def plot_predictions(
    pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]], remark: str = ""
) -> Figure:
    """Draws pictures in two columns: the original, what the network saw, and bars of probability.

    Args:
        pictures: One to twelve, with thumbnails.
        choices: The likeliest classes of each.
        remark: What stands at the upper right.
    """
    rows = -(-len(pictures) // 2)
    total = 0.5 + _ROW_INCHES * rows
    figure = new_figure(total)
    for place, (picture, found) in enumerate(zip(pictures, choices, strict=True)):
        row, column = divmod(place, 2)
        corner = (0.16 + _COLUMN_INCHES * column, total - 0.5 - _ROW_INCHES * (row + 1) + 0.12)
        _draw_picture(figure, total, corner, picture)
        _draw_choices(_axes(figure, total, (corner[0] + 2.36, corner[1]), 1.35), found)
    add_title(figure, "Predictions", remark)
    return figure


def _axes(figure: Figure, total: float, corner: tuple[float, float], width: float) -> Axes:
    """Adds axes without ticks, their place in inches."""
    axes = figure.add_axes((corner[0] / 8, corner[1] / total, width / 8, _TILE / total))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=FAINT, linewidth=0.8)
    return axes


def _draw_picture(figure: Figure, total: float, corner: tuple[float, float], picture: Picture) -> None:
    """Draws the original and, as dark ink, what the network saw."""
    original = _axes(figure, total, corner, _TILE)
    if picture.thumbnail is not None:
        original.imshow(picture.thumbnail, cmap="gray", vmin=0, vmax=1)
    seen = _axes(figure, total, (corner[0] + _TILE + 0.1, corner[1]), _TILE)
    seen.imshow(colormaps["Greys"](Normalize(-12, 255)(picture.image)), interpolation="nearest")
    is_doubtful = shows_several(picture.image) or picture.has_surroundings
    name = shorten(one_line(file_name(picture.path).rpartition("/")[2]), 18 if is_doubtful else 34)
    doubt = "several?" if shows_several(picture.image) else "something else?"
    words, colour = (f"{name}: {doubt}", DARK_VERMILION) if is_doubtful else (name, QUIET)
    top = (corner[1] + _TILE + 0.05) / total
    figure.text(corner[0] / 8, top, words, size=8.5, color=colour, parse_math=False, va="bottom")


def _draw_choices(axes: Axes, choices: Sequence[Choice]) -> None:
    """Draws a bar for each class, its name and probability on it."""
    places = np.arange(len(choices))
    shares = [choice.probability for choice in choices]
    axes.barh(places, shares, 0.78, color=[BLUE, *[PALE_BLUE] * (len(choices) - 1)], alpha=0.45)
    for place, choice in enumerate(choices):
        style: dict[str, Any] = {"va": "center", "size": 10 if place == 0 else 9, "color": INK}
        weight = "bold" if place == 0 else "normal"
        name = shorten(one_line(choice.name), 11)
        axes.text(0.03, place, name, parse_math=False, weight=weight, **style)
        axes.text(0.98, place, confidence(choice.probability), ha="right", weight=weight, **style)
    axes.set(xlim=(0, 1), ylim=(2.5, -0.5))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(QUIET)
