"""On which classes two groups differ: accuracy class by class, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mnist_exp.comparison.pairs import points
from mnist_exp.plot_style import (
    BLUE,
    INK,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    shorten,
    style_axes,
)

_ROW_INCHES = 0.3
_LONGEST_LABEL = 40
_COLUMN_POINTS = (60, 118, 178)


@dataclass(frozen=True)
class ClassDifference:
    """One class.

    Attributes:
        name: The class's.
        count: Number of its test images.
        accuracies: Shares of them that each group gets right, means over seeds.
        interval: 95% interval of the first share minus the second.
    """

    name: str
    count: int
    accuracies: tuple[float, float]
    interval: tuple[float, float]


def plot_class_differences(classes: Sequence[ClassDifference], first: str, second: str) -> Figure:
    """Draws how far one group is ahead of another on each class.

    Args:
        classes: One or more, in order.
        first: Label of the group whose lead is drawn.
        second: Label of the other one.
    """
    height = _ROW_INCHES * len(classes)
    total = height + 1.7
    figure = new_figure(total)
    axes = figure.add_axes((0.13, 0.75 / total, 0.52, height / total))
    for place, each in enumerate(classes):
        difference = each.accuracies[0] - each.accuracies[1]
        low, high = each.interval
        colour = QUIET if low <= 0 <= high else BLUE if difference > 0 else VERMILION
        axes.plot([low, high], [place, place], color=colour, linewidth=1.8, marker="|", markersize=7)
        face = "white" if low <= 0 <= high else colour
        axes.plot([difference], [place], "D", color=colour, markersize=6, markerfacecolor=face)
        shares = (f"{100 * share:.2f}%" for share in each.accuracies)
        _write_columns(axes, (1, place), (*shares, points(difference)), 9.0, INK)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 2)), zorder=1)
    style_axes(axes, f"points of accuracy; right of 0: {shorten(first, _LONGEST_LABEL)} is ahead")
    axes.set_yticks(range(len(classes)), [f"{shorten(each.name, 14)}" for each in classes], parse_math=False)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}".replace("-", "−")))
    add_title(figure, "Class by class", "95% intervals, each for itself")
    words = f"{shorten(first, _LONGEST_LABEL)} against {shorten(second, _LONGEST_LABEL)}"
    figure.text(0.02, 1 - 0.45 / total, words, ha="left", va="top", size=10, color=INK, parse_math=False)
    _write_columns(axes, (1, -0.75), ("first", "second", "difference"), 8.5, QUIET)
    return figure


def _write_columns(
    axes: Axes, place: tuple[float, float], texts: Sequence[str], size: float, colour: str
) -> None:
    """Writes texts in columns at the right of the axes, set to the right."""
    for text, points_right in zip(texts, _COLUMN_POINTS, strict=True):
        axes.annotate(
            text, place, (points_right, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="center", size=size, color=colour, annotation_clip=False,
        )  # fmt: skip
