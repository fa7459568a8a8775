"""Charts, classes and digits of a comparison, from the runs of its largest set."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.grouping import ComparableSet, SeedGroup
from mnist_exp.comparison.measures import MEASURES, spread_of
from mnist_exp.comparison.pairs import points
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report import comparison_plots
from mnist_exp.report.charts.charts import (
    Chart,
    Point,
    Series,
    line_chart,
    number_tick,
    percent_tick,
    point_chart,
)
from mnist_exp.report.comparison_views import Forest, difference_forest
from mnist_exp.report.figures.cost_plot import pareto_front
from mnist_exp.report.figures.curves_plot import mean_curve
from mnist_exp.report.figures.images import AtlasSection
from mnist_exp.report.figures.style import MOST_COLOURS
from mnist_exp.report.html import image_uri
from mnist_exp.report.result_views import Digit
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import loss_text, percent, visible

_LONGEST_LABEL = 60
# As many as stand side by side on a wide screen.
_DIGITS_A_ROW = 9
_COSTS = {
    "num_params": "Parameters",
    "train_s": "Training (seconds)",
    "ms_per_image": "Milliseconds an image",
}


@dataclass(frozen=True)
class DigitSection:
    """Images that have something in common: what, how many there are, and the clearest of them."""

    title: str
    count: int
    digits: list[Digit]


@dataclass(frozen=True)
class ComparisonFigures:
    """What is drawn of a set.

    Attributes:
        curves: Learning curves with bands.
        costs: Accuracy against what it costs.
        names: Of the groups that have a colour, in the colours' order.
        classes: The first group minus the second, class by class; null where it is not known.
        sides: Those two.
        atlas: Digits that tell the two apart, and those that all runs miss.
        notes: What could not be drawn.
    """

    curves: list[Chart] = field(default_factory=list)
    costs: list[Chart] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    classes: Forest | None = None
    sides: tuple[str, str] = ("", "")
    atlas: list[DigitSection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draw_figures(found: ComparableSet) -> ComparisonFigures:
    """Lays out everything that is drawn of a set.

    Args:
        found: Its groups in the order of their validation accuracy.
    """
    curves, costs = _curves(found), _costs(found)
    names = [visible(group.label, _LONGEST_LABEL) for group in found.groups[:MOST_COLOURS]]
    if len(found.groups) < 2:
        return ComparisonFigures(curves, costs, names)
    first, second = found.groups[:2]
    one, other = (comparison_plots.correct_predictions(group) for group in (first, second))
    sides = (names[0], names[1])
    if one is None or other is None:
        notes = ["Class by class, digit by digit: not known, a run has no predictions.npz."]
        return ComparisonFigures(curves, costs, names, sides=sides, notes=notes)
    classes = _classes(first, second, one, other)
    images = load_test_images([run for group in found.groups for run in group.runs])
    if images is None:
        notes = ["Digits are not shown: the test images are not at hand."]
        return ComparisonFigures(curves, costs, names, classes, sides, notes=notes)
    sections = comparison_plots.atlas_sections(found, one, other)
    atlas = [_section(section, images) for section in sections]
    return ComparisonFigures(curves, costs, names, classes, sides, atlas)


def _curves(found: ComparableSet) -> list[Chart]:
    """Lays out means over seeds, with bands of one standard deviation, on validation images if any."""
    groups = [
        (group.label, comparison_plots.read_curves(group.runs)) for group in found.groups[:MOST_COLOURS]
    ]
    has_validation = any(row.val_accuracy is not None for _, runs in groups for rows in runs for row in rows)
    prefix, what = ("val_", "validation") if has_validation else ("", "training")
    charts = []
    for name, is_accuracy in (("accuracy", True), ("loss", False)):
        series = [_mean(label, runs, prefix + name, place) for place, (label, runs) in enumerate(groups)]
        known = [each for each in series if each is not None]
        chart = line_chart(
            f"{what.capitalize()} {name}",
            known,
            text=percent if is_accuracy else loss_text,
            tick_text=percent_tick if is_accuracy else lambda value: f"{value:.6g}",
            rising=is_accuracy,
        ) if known else None  # fmt: skip
        charts += [chart] if chart is not None else []
    return charts


def _mean(label: str, runs: Sequence[Sequence[EpochMetrics]], name: str, place: int) -> Series | None:
    """Sums a metric up over seeds; None where no run has an epoch."""
    epochs, mean, sd = mean_curve(runs, name)
    if not epochs.size:
        return None
    return Series(visible(label, _LONGEST_LABEL), epochs.astype(np.float64), mean, sd, place)


def _costs(found: ComparableSet) -> list[Chart]:
    """Lays out accuracy against each cost; ringed is what nothing cheaper beats."""
    groups = found.groups[:MOST_COLOURS]
    accuracies = [_value(group, "test_accuracy") for group in groups]
    charts = []
    for name, title in _COSTS.items():
        costs = [_value(group, name) for group in groups]
        front = {int(place) for place in pareto_front(np.array(costs), np.array(accuracies))}
        points_drawn = [
            Point(cost, accuracy, str(place + 1), place, place in front)
            for place, (cost, accuracy) in enumerate(zip(costs, accuracies, strict=True))
        ]
        charts.append(point_chart(title, points_drawn, x_text=number_tick, y_text=percent_tick))
    return charts


def _value(group: SeedGroup, name: str) -> float:
    spread = spread_of(MEASURES[name], group.runs)
    assert spread is not None
    return spread.mean


def _classes(first: SeedGroup, second: SeedGroup, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Forest:
    """Puts the first group's lead on each class on a common scale."""
    rows = []
    for each in comparison_plots.class_differences(first, second, one, other):
        difference = each.accuracies[0] - each.accuracies[1]
        shares = " against ".join(f"{100 * share:.1f}" for share in each.accuracies)
        label = f"{visible(each.name, 30)} ({each.count:,})"
        rows.append((label, difference, each.interval, f"{points(difference)} ({shares})"))
    return difference_forest(rows)


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
