"""Classes in rows: on which of them two groups differ, and how well one network knows each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_exp.comparison.pairs import points
from mnist_exp.evaluation.results import ClassScores
from mnist_exp.report.figures.fonts import drawable_name, drawable_names, write_note
from mnist_exp.report.figures.intervals import RING, IntervalRow, draw_rows, name_rows
from mnist_exp.report.figures.scales import Interval, set_point_ticks, set_round_ticks
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
from mnist_exp.words import percent

_ROW_INCHES = 0.32
_LONGEST_NAME, _LONGEST_LABEL = 14, 40


@dataclass(frozen=True)
class ClassDifference:
    """One class: number of its test images, shares that each group gets right, means over seeds.

    Attributes:
        interval: 95% interval of the first share minus the second.
        label: Its number, which stands for a name that no font can write.
    """

    name: str
    count: int
    accuracies: tuple[float, float]
    interval: Interval
    label: int


def plot_class_differences(classes: Sequence[ClassDifference], first: str, second: str) -> Figure:
    """Draws how far the first group is ahead of the second on each class, one or more, in order."""
    total = _ROW_INCHES * len(classes) + 1.7
    figure = new_figure(total)
    axes = figure.add_axes((0.13, 0.75 / total, 0.52, _ROW_INCHES * len(classes) / total))
    rows = class_rows(classes)
    draw_rows(axes, rows, "D", reference=0.0)
    shares = [[f"{100 * share:.2f}%" for share in each.accuracies] for each in classes]
    leads = [points(each.accuracies[0] - each.accuracies[1]) for each in classes]
    style_axes(axes, f"points of accuracy; right of 0: {shorten(first, _LONGEST_LABEL)} is ahead")
    set_point_ticks(axes.xaxis, 6)
    name_rows(axes, [shorten(drawable_name(each.name, each.label), _LONGEST_NAME) for each in classes])
    _write_columns(axes, ("first", "second", "difference"), (60, 118, 178),
                   [[*share, lead] for share, lead in zip(shares, leads, strict=True)])  # fmt: skip
    add_title(figure, "Class by class", "95% intervals, uncorrected")
    words = f"{shorten(first, _LONGEST_LABEL)} against {shorten(second, _LONGEST_LABEL)}"
    figure.text(0.02, 1 - 0.45 / total, words, ha="left", va="top", size=10, color=INK, parse_math=False)
    return figure


def class_rows(classes: Sequence[ClassDifference]) -> list[IntervalRow]:
    """Gives the first group's lead on each class; grey and hollow where it may be none."""
    found = []
    for each in classes:
        first, second = each.accuracies
        is_sure = not each.interval[0] <= 0 <= each.interval[1]
        colour = BLUE if first > second else VERMILION
        text = f"{points(first - second)} ({100 * first:.1f} against {100 * second:.1f})"
        label = f"{each.name} ({each.count:,})"
        row = IntervalRow(label, first - second, each.interval, text, colour if is_sure else QUIET, is_sure)
        found.append(row)
    return found


def plot_class_scores(classes: Sequence[ClassScores]) -> Figure:
    """Draws recall with its interval and precision beside it, of one class or more, numbers at the right."""
    total = _ROW_INCHES * len(classes) + 1.5
    figure = new_figure(total)
    axes = figure.add_axes((0.14, 0.6 / total, 0.55, _ROW_INCHES * len(classes) / total))
    precision: dict[str, Any] = {"color": VERMILION, "markersize": 6, **RING}
    known = [each.precision for each in classes if each.precision is not None]
    draw_rows(axes, [IntervalRow("", each.recall, each.recall_interval, "") for each in classes], "o", known)
    for place, each in enumerate(classes):
        if each.precision is not None:
            axes.plot([each.precision], [place], "D", **precision)
    axes.set_xlim(right=min(axes.get_xlim()[1], 1.02))
    style_axes(axes, "share")
    set_round_ticks(axes.xaxis, in_percent=True)
    names = [each.name for each in classes]
    name_rows(axes, [shorten(name, _LONGEST_NAME) for name in drawable_names(names)])
    write_note(figure, names)
    shares = [(each.recall, each.precision, each.f1) for each in classes]
    texts = [["–" if share is None else percent(share, 1) for share in row] for row in shares]
    _write_columns(axes, ("recall", "precision", "F1"), (52, 104, 156), texts)
    axes.plot([], [], "o", color=BLUE, markersize=7, label="recall: share of the class's images found")
    axes.plot([], [], "D", label="precision: share of its predictions right", **precision)
    figure.legend(
        loc="upper left", ncols=2, frameon=False, bbox_to_anchor=(0.01, 1 - 0.4 / total), fontsize=9
    )
    num_images = sum(each.num_images for each in classes)
    add_title(figure, "Class by class", f"{num_images:,} images; bars are 95% intervals of the recall")
    return figure


def _write_columns(
    axes: Axes, headings: Sequence[str], ends: Sequence[int], texts: Sequence[Sequence[str]]
) -> None:
    """Writes rows' figures in columns at the right of the axes, which end so many points right of them."""
    rows = {-0.8: headings} | dict(enumerate(texts))
    for height, row in rows.items():
        size, colour = (8.5, QUIET) if row is headings else (9, INK)
        for text, points_right in zip(row, ends, strict=True):
            axes.annotate(
                text, (1, height), (points_right, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="center", size=size, color=colour,
                annotation_clip=False,
            )  # fmt: skip
