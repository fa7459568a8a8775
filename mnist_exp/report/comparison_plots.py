"""Every figure of a comparison, drawn from its largest set of runs."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.comparison.bootstrap import bootstrap_interval
from mnist_exp.comparison.comparison import Examined
from mnist_exp.comparison.grouping import ComparableSet, SeedGroup
from mnist_exp.comparison.measures import MEASURES, Spread, group_interval, spread_of
from mnist_exp.comparison.report import SetReport
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report.figures.classes import ClassDifference, plot_class_differences
from mnist_exp.report.figures.costs import CostPoint, plot_costs
from mnist_exp.report.figures.curves import GroupCurves, plot_group_curves
from mnist_exp.report.figures.decisions import plot_decisions
from mnist_exp.report.figures.images import AtlasSection, AtlasTile, plot_atlas
from mnist_exp.report.figures.intervals import ForestRow, plot_forest
from mnist_exp.report.figures.style import MOST_COLOURS, Plot, shorten
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.runs.run import DamagedRun, Run, class_names
from mnist_exp.statistics import count_discordance, paired_difference_interval

_MOST_ROWS = 20
_TILES_A_SECTION = 10
_MANY_TILES = 20
_LONGEST_CLASS = 9
_COSTS = ("num_params", "train_s", "ms_per_image")


def comparison_plots(examined: Examined) -> tuple[dict[str, Plot], list[str]]:
    """Maps the names of pictures of the largest set to what draws each; there is one set at least.

    Also returns a sentence where images or predictions are not at hand.
    """
    found, report = examined.sets[0], examined.comparison.sets[0]
    figures: dict[str, Plot] = {
        "learning_curves": partial(_draw_curves, found),
        "forest": partial(_draw_forest, found, report),
        "cost": partial(_draw_costs, found),
    }
    decided = [pair for pair in report.decisions.pairs if pair.looks] if report.decisions else []
    if report.decisions and decided:
        figures["decisions"] = partial(plot_decisions, decided, report.decisions.until.precision)
    if len(found.groups) < 2 or found.data.fold is not None:  # folds are no images that runs have in common
        return figures, []
    first, second = found.groups[:2]
    scored = [correct_predictions(group) for group in (first, second)]
    if scored[0] is None or scored[1] is None:
        return figures, ["per_class, atlas: not drawn, a run has no predictions.npz"]
    differences = class_differences(first, second, scored[0], scored[1])
    figures["per_class"] = partial(plot_class_differences, differences, first.label, second.label)
    images = load_test_images([run for group in found.groups for run in group.runs])
    if images is None:
        return figures, ["atlas: not drawn, the test images are not available (their fingerprint is known)"]
    sections = atlas_sections(found, scored[0], scored[1])
    figures["atlas"] = partial(plot_atlas, sections, images)
    return figures, []


def _draw_curves(found: ComparableSet) -> Figure:
    return plot_group_curves(curves_of(found), len(found.groups))


def curves_of(found: ComparableSet) -> list[GroupCurves]:
    """Reads the learning curves of the groups that have a colour."""
    return [GroupCurves(group.label, read_curves(group.runs)) for group in found.groups[:MOST_COLOURS]]


def read_curves(runs: Sequence[Run]) -> list[list[EpochMetrics]]:
    """Reads learning curves, leaving out what has been damaged since the comparison began."""
    found = []
    for run in runs:
        try:
            found.append(run.read_metrics())
        except DamagedRun:
            continue
    return found


def _draw_forest(found: ComparableSet, report: SetReport) -> Figure:
    return plot_forest(forest_rows(found, report)[:_MOST_ROWS], report.leader, len(report.groups))


def forest_rows(found: ComparableSet, report: SetReport) -> list[ForestRow]:
    """Gives each group's test accuracies, and how it compares with the leader."""
    groups = {group.label: group for group in found.groups}
    pairs = {pair.second: pair for pair in report.pairs}
    return [
        ForestRow(
            label=row.label,
            scores=[run.result.test_accuracy for run in groups[row.label].runs],
            mean=_mean(groups[row.label], "test_accuracy"),
            interval=row.test_interval,
            pair=pairs.get(row.label),
            is_optimistic=row.is_optimistic,
        )
        for row in report.groups
    ]


def cost_points(found: ComparableSet) -> list[CostPoint]:
    """Gives each group's test accuracy and costs."""
    return [
        CostPoint(
            label=group.label,
            accuracy=_mean(group, "test_accuracy"),
            interval=group_interval(group),
            costs=(_mean(group, _COSTS[0]), _mean(group, _COSTS[1]), _mean(group, _COSTS[2])),
        )
        for group in found.groups
    ]


def _draw_costs(found: ComparableSet) -> Figure:
    runs = [run for group in found.groups for run in group.runs]
    is_shared = any(run.manifest.sweep and run.manifest.sweep.jobs_at_once > 1 for run in runs)
    return plot_costs(cost_points(found), "seconds were taken beside other jobs" if is_shared else "")


def _mean(group: SeedGroup, name: str) -> float:
    spread: Spread | None = spread_of(MEASURES[name], group.runs)
    assert spread is not None
    return spread.mean


def correct_predictions(group: SeedGroup) -> NDArray[np.bool_] | None:
    """Returns whether each seed's network is right on each image (seeds, images); None if unknown."""
    found = [run.predicted_classes for run in group.runs]
    rows = [each.correct for each in found if each is not None]
    return np.stack(rows) if len(rows) == len(found) else None


def class_differences(
    first: SeedGroup, second: SeedGroup, one: NDArray[np.bool_], other: NDArray[np.bool_]
) -> list[ClassDifference]:
    """Compares two groups on the images of each class."""
    predictions = first.runs[0].predicted_classes
    assert predictions is not None
    names = class_names(first.runs[0].config, predictions.num_classes)
    found = []
    for label in np.unique(predictions.labels):
        chosen = predictions.labels == label
        sides = one[:, chosen], other[:, chosen]
        interval = bootstrap_interval(*sides, paired=first.seeds == second.seeds)
        # Where all networks agree on every image, nothing that is drawn again differs.
        if len(one) == len(other) == 1 or interval[0] == interval[1]:
            interval = paired_difference_interval(count_discordance(sides[0][0], sides[1][0]))
        accuracies = float(sides[0].mean()), float(sides[1].mean())
        found.append(ClassDifference(names[label], int(chosen.sum()), accuracies, interval, int(label)))
    return found


def atlas_sections(
    found: ComparableSet, one: NDArray[np.bool_], other: NDArray[np.bool_]
) -> list[AtlasSection]:
    """Picks the images that tell two groups apart most clearly, and those that every run misses."""
    first, second = found.groups[:2]
    ahead = one.mean(axis=0) - other.mean(axis=0)
    return [
        _section(_title(first, second), ahead, second),
        _section(_title(second, first), -ahead, first),
        _missed_section(found),
    ]


def _title(winner: SeedGroup, loser: SeedGroup) -> str:
    if len(winner.runs) == len(loser.runs) == 1:
        return f"{winner.label} right, {loser.label} wrong"
    return f"More seeds of {winner.label} right than of {loser.label}"


def _section(title: str, ahead: NDArray[np.float64], loser: SeedGroup) -> AtlasSection:
    """Picks images on which one group is ahead of the other, by the share of seeds."""
    chosen = np.flatnonzero(ahead > 0)
    chosen = chosen[np.argsort(-ahead[chosen], kind="stable")]
    return AtlasSection(title, len(chosen), _tiles(loser.runs, chosen[:_TILES_A_SECTION]))


def _missed_section(found: ComparableSet) -> AtlasSection:
    """Picks the images that every run misses, those first on whose class most agree."""
    runs = [run for group in found.groups for run in group.runs if run.predicted_classes is not None]
    correct = np.zeros(runs[0].data.num_test, bool)
    for run in runs:
        assert run.predicted_classes is not None
        correct |= run.predicted_classes.correct
    chosen = np.flatnonzero(~correct)
    agreed = np.array([_choices(runs, int(index))[0][1] for index in chosen], dtype=np.int64)
    chosen = chosen[np.argsort(-agreed, kind="stable")] if len(chosen) else chosen
    title = "Missed by every run, perhaps labelled wrongly"
    return AtlasSection(title, len(chosen), _tiles(runs, chosen[:_MANY_TILES]))


def _choices(runs: Sequence[Run], index: int) -> list[tuple[int, int]]:
    """Counts which wrong classes runs take an image for, the most common first."""
    wrong = Counter[int]()
    for run in runs:
        found = run.predicted_classes
        if found is not None and found.predicted[index] != found.labels[index]:
            wrong[int(found.predicted[index])] += 1
    return wrong.most_common()


def _word_share(count: int, num_runs: int) -> str:
    if num_runs == 1:
        return ""
    return f" (all {num_runs})" if count == num_runs else f" ({count} of {num_runs})"


def _tiles(runs: Sequence[Run], chosen: NDArray[np.int64]) -> list[AtlasTile]:
    """Captions images by what most of the runs that miss them take them for."""
    predictions = runs[0].predicted_classes
    assert predictions is not None
    names = class_names(runs[0].config, predictions.num_classes)
    tiles = []
    for index in chosen:
        choice, count = _choices(runs, int(index))[0]
        caption = f"→ {shorten(names[choice], _LONGEST_CLASS)}{_word_share(count, len(runs))}"
        tiles.append(AtlasTile(int(index), names[predictions.labels[index]], caption))
    return tiles
