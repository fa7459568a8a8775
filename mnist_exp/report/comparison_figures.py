"""Which figures and digits stand in the page of a comparison."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.comparison import Examined
from mnist_exp.comparison.grouping import ComparableSet
from mnist_exp.comparison.report import SetReport
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report import comparison_plots
from mnist_exp.report.document import Digit, Digits, Figures, Heading, Part, Words
from mnist_exp.report.figures.classes import class_rows
from mnist_exp.report.figures.costs import COSTS, describe_costs, plot_page_costs
from mnist_exp.report.figures.curves import (
    describe_curves,
    group_curves,
    panels_of,
    plot_page_curves,
)
from mnist_exp.report.figures.decisions import MOST_PAIRS, describe_decision, plot_page_decision
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
from mnist_exp.words import visible

_MOST_ROWS = 24
_LONGEST_LABEL = 60
# As many as stand side by side on a wide screen.
_DIGITS_A_ROW = 9


def interval_parts(report: SetReport, found: ComparableSet) -> list[Part]:
    """Draws a set's test accuracies and says what the marks mean."""
    marks = "Dot: the network’s accuracy, with its interval."
    if any(group.num_runs > 1 for group in report.groups):
        marks = f"Large dot: mean over {report.samples}, with its interval. Small dots: single runs."
    if report.leader is not None:
        images = "test" if report.is_chosen_on_test else "validation"
        where = f"on {images} images" if report.data.fold is None else "in cross-validation"
        marks = f"{marks} Dashed line: {report.leader}, the best {where}."
    return [Figures(interval_figures(report, found)), Words(marks, "quiet")]


def figure_parts(examined: Examined) -> list[Part]:
    """Draws learning curves, costs, classes and digits of the largest set, section by section."""
    found, report = examined.sets[0], examined.comparison.sets[0]
    parts: list[Part] = _course_of_decisions(report)
    if curves := _curves(found):
        parts.append(Heading("Learning curves"))
        if any(group.num_runs > 1 for group in report.groups):
            hint = f"Means over {report.samples}; bands are one standard deviation to either side."
            parts.append(Words(hint, "quiet"))
        parts.append(Figures(curves))
    names = [visible(group.label, _LONGEST_LABEL) for group in found.groups[:MOST_COLOURS]]
    numbered = "; ".join(f"{number}: {name}" for number, name in enumerate(names, 1))
    ringed = "Ringed: Pareto-optimal, nothing cheaper is as accurate."
    hint = f"Higher is better, further left is cheaper. {ringed} {numbered}."
    parts += [Heading("Accuracy against cost"), Words(hint, "quiet"), Figures(_costs(found), "three")]
    if len(found.groups) > 1 and found.data.fold is None:
        parts += _first_against_second(found, names[0], names[1])
    return parts


def _course_of_decisions(report: SetReport) -> list[Part]:
    decisions = report.decisions
    pairs = [pair for pair in decisions.pairs if pair.looks][:MOST_PAIRS] if decisions else []
    if decisions is None or not pairs:
        return []
    precision = decisions.until.precision
    drawings = [
        Drawing(
            " minus ".join(visible(label, _LONGEST_LABEL) for label in pair.labels) + ", in points",
            partial(plot_page_decision, pair, precision, PAGE_INCHES),
            describe_decision(pair),
        )
        for pair in pairs
    ]
    hint = (
        "Mean difference and repeated interval after each seed. A pair is decided when the band leaves zero, "
        f"or lies between the dashed lines at {precision:g} points to either side."
    )
    return [Heading("Seed by seed"), Words(hint, "quiet"), Figures(embed(drawings))]


def _first_against_second(found: ComparableSet, first: str, second: str) -> list[Part]:
    one, other = map(comparison_plots.correct_predictions, found.groups[:2])
    title = Heading("Class by class")
    if one is None or other is None:
        words = "Not known, nor digit by digit: a run has no predictions.npz."
        return [title, Words(words, "quiet")]
    hint = (
        f"How many points {first} is ahead of {second} on the images of each class (in brackets: how many "
        "images). An interval that crosses the dashed line means that the two cannot be told apart "
        "there; intervals are not corrected for their number, so about one in twenty misleads."
    )
    differences = comparison_plots.class_differences(found.groups[0], found.groups[1], one, other)
    rows = class_rows(differences)[:_MOST_ROWS]
    classes = embed([_intervals(f"{first} minus {second}", rows, 0.0, "", in_points=True)])
    return [title, Words(hint, "quiet"), Figures(classes, "single"), *_digits(found, one, other)]


def _digits(found: ComparableSet, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> list[Part]:
    """Shows the images that tell the two apart, and those that all runs miss."""
    title = Heading("Digits that tell them apart")
    images = load_test_images([run for group in found.groups for run in group.runs])
    if images is None:
        return [title, Words("Not shown: the test images are not available.", "quiet")]
    hint = "Below each: its class, then (→) the most common wrong prediction. A click enlarges."
    parts: list[Part] = [title, Words(hint, "quiet")]
    for section in comparison_plots.atlas_sections(found, one, other):
        parts += _section(section, images)
    return parts


def _section(section: AtlasSection, images: NDArray[np.uint8]) -> list[Part]:
    """Shows a section's images: whole rows, where there is at least one."""
    whole = len(section.tiles) // _DIGITS_A_ROW * _DIGITS_A_ROW
    digits = [
        Digit(
            images[tile.index],
            [f"true {tile.true}", tile.caption],
            f"Test image {tile.index:,} is {tile.true}. {tile.caption}",
        )
        for tile in section.tiles[: whole or None]
    ]
    heading = Heading(f"{section.title}: {section.count:,}", 3)
    return [heading, Digits(digits) if digits else Words("None.", "quiet")]


def interval_figures(report: SetReport, found: ComparableSet) -> list[EmbeddedFigure]:
    """Draws a set's test accuracies and, where groups were tested, how far the leader is ahead of each."""
    forest = comparison_plots.forest_rows(found, report)[:_MOST_ROWS]
    leading = next((row.mean for row in forest if row.label == report.leader), None)
    more = f"The first {len(forest)} of {len(report.groups):,}." if len(forest) < len(report.groups) else ""
    title = f"{report.accuracy.capitalize()}, 95% intervals"
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
