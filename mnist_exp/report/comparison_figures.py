"""Which figures and digits stand in the page of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.comparison import Examined
from mnist_exp.comparison.grouping import ComparableSet
from mnist_exp.comparison.report import SetReport
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report import comparison_plots
from mnist_exp.report.figures.classes import class_rows
from mnist_exp.report.figures.costs import COSTS, describe_costs, plot_page_costs
from mnist_exp.report.figures.curves import (
    describe_curves,
    group_curves,
    panels_of,
    plot_page_curves,
)
from mnist_exp.report.figures.embedding import (
    PAGE_INCHES,
    SMALL_PAGE_INCHES,
    Drawing,
    EmbeddedFigure,
    embed,
)
from mnist_exp.report.figures.images import AtlasSection
from mnist_exp.report.figures.intervals import (
    IntervalRow,
    accuracy_rows,
    describe_rows,
    difference_rows,
    plot_page_intervals,
)
from mnist_exp.report.figures.style import MOST_COLOURS
from mnist_exp.report.html import image_uri
from mnist_exp.report.result_views import Digit
from mnist_exp.words import visible

_MOST_ROWS = 24
_LONGEST_LABEL = 60
# As many as stand side by side on a wide screen.
_DIGITS_A_ROW = 9


def comparison_figures(examined: Examined) -> list[EmbeddedFigure]:
    """Draws the largest set: intervals, learning curves, costs, classes; nothing without a set."""
    if not examined.sets:
        return []
    found = examined.sets[0]
    drawn = draw_set(found)
    return interval_figures(examined.comparison.sets[0], found) + drawn.curves + drawn.costs + drawn.classes


def interval_figures(report: SetReport, found: ComparableSet) -> list[EmbeddedFigure]:
    """Draws a set's test accuracies and, where groups were tested, how far the leader is ahead of each."""
    forest = comparison_plots.forest_rows(found, report)[:_MOST_ROWS]
    leading = next((row.mean for row in forest if row.label == report.leader), None)
    more = f"The first {len(forest)} of {len(report.groups):,}." if len(forest) < len(report.groups) else ""
    title = "Test accuracy, 95% intervals"
    drawings = [_intervals(title, accuracy_rows(forest), leading, more, in_points=False)]
    tested = [row for row in difference_rows(forest) if row.value is not None]
    if tested:
        title = f"How far {visible(report.leader or '', _LONGEST_LABEL)} is ahead"
        drawings.append(_intervals(title, tested, 0.0, more, in_points=True))
    return embed(drawings)


def _intervals(
    title: str, rows: Sequence[IntervalRow], reference: float | None, caption: str, in_points: bool
) -> Drawing:
    plot = partial(plot_page_intervals, rows, PAGE_INCHES, reference, in_points)
    return Drawing(title, plot, describe_rows(rows), caption)


@dataclass(frozen=True)
class DigitSection:
    """Images that have something in common: what, how many there are, and the clearest of them."""

    title: str
    count: int
    digits: list[Digit]


@dataclass(frozen=True)
class SetFigures:
    """What is drawn of a set, but for its intervals.

    Attributes:
        curves: Learning curves with bands.
        costs: Accuracy against what it costs.
        names: Of the groups that have a colour, in the colours' order.
        classes: The first group minus the second, class by class; empty where it is not known.
        sides: Those two.
        atlas: Digits that tell the two apart, and those that all runs miss.
        notes: What could not be drawn.
    """

    curves: list[EmbeddedFigure]
    costs: list[EmbeddedFigure]
    names: list[str]
    classes: list[EmbeddedFigure] = field(default_factory=list)
    sides: tuple[str, str] = ("", "")
    atlas: list[DigitSection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draw_set(found: ComparableSet) -> SetFigures:
    """Draws everything of a set, but for its intervals.

    Args:
        found: Its groups in the order of their validation accuracy.
    """
    curves, costs = _curves(found), _costs(found)
    names = [visible(group.label, _LONGEST_LABEL) for group in found.groups[:MOST_COLOURS]]
    if len(found.groups) < 2:
        return SetFigures(curves, costs, names)
    first, second = found.groups[:2]
    one, other = (comparison_plots.correct_predictions(group) for group in (first, second))
    sides = (names[0], names[1])
    if one is None or other is None:
        notes = ["Class by class, digit by digit: not known, a run has no predictions.npz."]
        return SetFigures(curves, costs, names, sides=sides, notes=notes)
    rows = class_rows(comparison_plots.class_differences(first, second, one, other))[:_MOST_ROWS]
    classes = embed([_intervals(f"{sides[0]} minus {sides[1]}", rows, 0.0, "", in_points=True)])
    images = load_test_images([run for group in found.groups for run in group.runs])
    if images is None:
        notes = ["Digits are not shown: the test images are not at hand."]
        return SetFigures(curves, costs, names, classes, sides, notes=notes)
    sections = comparison_plots.atlas_sections(found, one, other)
    atlas = [_section(section, images) for section in sections]
    return SetFigures(curves, costs, names, classes, sides, atlas)


def _curves(found: ComparableSet) -> list[EmbeddedFigure]:
    groups = comparison_plots.curves_of(found)
    drawings = []
    for objective in panels_of(groups):
        curves = group_curves(groups, objective.name)
        if any(np.isfinite(curve.values).any() for curve in curves):
            plot = partial(plot_page_curves, curves, objective, PAGE_INCHES)
            drawings.append(Drawing(objective.label, plot, describe_curves(curves, objective)))
    return embed(drawings)


def _costs(found: ComparableSet) -> list[EmbeddedFigure]:
    groups = comparison_plots.cost_points(found)[:MOST_COLOURS]
    return embed(
        [
            Drawing(
                name,
                partial(plot_page_costs, groups, place, SMALL_PAGE_INCHES),
                describe_costs(groups, place),
            )
            for place, name in enumerate(COSTS)
        ]
    )


def _section(section: AtlasSection, images: NDArray[np.uint8]) -> DigitSection:
    """Puts a section's images in the page: whole rows, where there is at least one."""
    whole = len(section.tiles) // _DIGITS_A_ROW * _DIGITS_A_ROW
    digits = [
        Digit(
            uri=image_uri(images[tile.index]),
            heading=f"true {visible(tile.true, 30)}",
            caption=visible(tile.caption, 60),
            words=f"Test image {tile.index:,} is {visible(tile.true, 30)}. {visible(tile.caption, 60)}",
        )
        for tile in section.tiles[: whole or None]
    ]
    return DigitSection(visible(section.title, 200), section.count, digits)
