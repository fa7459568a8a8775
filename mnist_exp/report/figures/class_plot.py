"""On which classes two groups differ: accuracy class by class, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mnist_exp.comparison.pairs import points
from mnist_exp.report.figures.class_rows import head_columns, style_class_rows, write_columns
from mnist_exp.report.figures.fonts import drawable_name
from mnist_exp.report.figures.style import (
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
        label: Its number, which stands for a name that no font can write.
    """

    name: str
    count: int
    accuracies: tuple[float, float]
    interval: tuple[float, float]
    label: int


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
        colour = face = BLUE if difference > 0 else VERMILION
        if low <= 0 <= high:
            colour, face = QUIET, "white"
        axes.plot([low, high], [place, place], color=colour, linewidth=1.8, marker="|", markersize=7)
        axes.plot([difference], [place], "D", color=colour, markersize=6, markerfacecolor=face)
        shares = (f"{100 * share:.2f}%" for share in each.accuracies)
        write_columns(axes, place, _COLUMN_POINTS, (*shares, points(difference)))
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 2)), zorder=1)
    style_axes(axes, f"points of accuracy; right of 0: {shorten(first, _LONGEST_LABEL)} is ahead")
    style_class_rows(axes, [drawable_name(each.name, each.label) for each in classes])
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}".replace("-", "−")))
    add_title(figure, "Class by class", "95% intervals, each for itself")
    words = f"{shorten(first, _LONGEST_LABEL)} against {shorten(second, _LONGEST_LABEL)}"
    figure.text(0.02, 1 - 0.45 / total, words, ha="left", va="top", size=10, color=INK, parse_math=False)
    head_columns(axes, _COLUMN_POINTS, ("first", "second", "difference"))
    return figure
