"""Precision and recall, class by class."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_exp.evaluation.results import ClassScores
from mnist_exp.report.figures.class_rows import head_columns, style_class_rows, write_columns
from mnist_exp.report.figures.fonts import drawable_names, write_note
from mnist_exp.report.figures.style import (
    BLUE,
    PALE_BLUE,
    VERMILION,
    add_title,
    new_figure,
    set_round_ticks,
    style_axes,
)

_ROW_INCHES = 0.34
_COLUMN_POINTS = (52, 104, 156)


def plot_class_scores(classes: Sequence[ClassScores]) -> Figure:
    """Draws recall with its interval and precision beside it, numbers at the right.

    Args:
        classes: One or more, in order.
    """
    height = _ROW_INCHES * len(classes)
    total = height + 1.5
    figure = new_figure(total)
    axes = figure.add_axes((0.14, 0.6 / total, 0.55, height / total))
    for place, each in enumerate(classes):
        _draw(axes, place, each)
    style_axes(axes, "share")
    names = [each.name for each in classes]
    style_class_rows(axes, drawable_names(names))
    write_note(figure, names)
    low, _ = axes.get_xlim()
    axes.set_xlim(max(low, -0.02), 1 + 0.02 * (1 - max(low, -0.02)))
    set_round_ticks(axes.xaxis, in_percent=True)
    head_columns(axes, _COLUMN_POINTS, ("recall", "precision", "F1"))
    _explain(figure, axes)
    num_images = sum(each.num_images for each in classes)
    add_title(figure, "Class by class", f"{num_images:,} images; bars are 95% intervals of the recall")
    return figure


def _draw(axes: Axes, place: int, each: ClassScores) -> None:
    """Draws one class."""
    if each.recall is not None and each.recall_interval is not None:
        axes.plot(each.recall_interval, [place] * 2, color=PALE_BLUE, linewidth=5, solid_capstyle="butt")
        axes.plot([each.recall], [place], "o", color=BLUE, markersize=7)
    if each.precision is not None:
        axes.plot([each.precision], [place], "D", color=VERMILION, markersize=6, markerfacecolor="none",
                  markeredgewidth=1.5)  # fmt: skip
    values = (each.recall, each.precision, each.f1)
    texts = ["–" if value is None else f"{100 * value:.1f}%" for value in values]
    write_columns(axes, place, _COLUMN_POINTS, texts)


def _explain(figure: Figure, axes: Axes) -> None:
    """Says which mark is which, once."""
    axes.plot([], [], "o", color=BLUE, markersize=7, label="recall: share of the class's images found")
    axes.plot([], [], "D", color=VERMILION, markersize=6, markerfacecolor="none", markeredgewidth=1.5,
              label="precision: share of its predictions right")  # fmt: skip
    top = 1 - 0.4 / figure.get_figheight()
    figure.legend(loc="upper left", ncols=2, frameon=False, bbox_to_anchor=(0.01, top), fontsize=9)
