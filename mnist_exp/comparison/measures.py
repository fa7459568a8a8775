"""What is measured of runs and groups of runs, by the names of `results.csv`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from mnist_exp.comparison.grouping import SeedGroup, by_fold
from mnist_exp.runs.run import Run
from mnist_exp.statistics import corrected_t_test, mean_interval, wilson_interval
from mnist_exp.words import duration, loss_text, percent, size


@dataclass(frozen=True)
class Measure:
    """One number of a run, by its name in `summary.json`; `value` gives None where there is none."""

    name: str
    heading: str
    value: Callable[[Run], float | int | None]
    text: Callable[[float], str]
    better: Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over a group's seeds, or folds; the standard deviation is null with fewer than two."""

    mean: float
    sd: float | None
    count: int


_count, _milliseconds = "{:,.0f}".format, "{:.3g} ms".format

MEASURES = {
    measure.name: measure
    for measure in (
        Measure("val_accuracy", "validation", lambda run: run.result.val_accuracy, percent, "max"),
        Measure("test_accuracy", "test accuracy", lambda run: run.result.test_accuracy, percent, "max"),
        Measure(
            "balanced_accuracy", "balanced",
            lambda run: getattr(run.balance, "balanced_accuracy", None), percent, "max",
        ),
        Measure(
            "majority_share", "majority class",
            lambda run: getattr(run.balance, "majority_share", None), percent, "max",
        ),
        Measure("test_loss", "test loss", lambda run: run.result.test_loss, loss_text, "min"),
        Measure("best_epoch", "best epoch", lambda run: run.result.best_epoch, _count, "min"),
        Measure("epochs", "epochs", lambda run: run.result.epochs, _count, "min"),
        Measure("num_params", "parameters", lambda run: run.result.num_params, _count, "min"),
        Measure("train_s", "training", lambda run: run.result.train_s, duration, "min"),
        Measure("seconds_per_epoch", "per epoch", lambda run: run.result.seconds_per_epoch, duration, "min"),
        Measure("ms_per_image", "per image", lambda run: run.result.ms_per_image, _milliseconds, "min"),
        Measure(
            "best_checkpoint_bytes", "file",
            lambda run: run.best_checkpoint_bytes, lambda value: size(round(value)), "min",
        ),
    )
}  # fmt: skip


def spread_of(measure: Measure, runs: Sequence[Run]) -> Spread | None:
    """Sums up a measure over seeds, or over folds (a mean over seeds each); None where no run has it."""
    values = []
    for part in by_fold(runs):
        known = [value for run in part if (value := measure.value(run)) is not None]
        values += [fmean(known)] if known else []
    if not values:
        return None
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def group_interval(group: SeedGroup) -> tuple[float, float]:
    """Bounds test accuracy at 95%, within [0, 1]: t interval of several seeds' mean; Wilson's of one.

    Over folds, the corrected t interval.
    """
    interval = mean_interval([run.result.test_accuracy for run in group.runs])
    if len(group.folds) > 1:
        scores = fold_accuracies(group.runs)
        interval = corrected_t_test(scores, [0.0] * len(scores), test_ratio(group.runs)).interval
    if interval is None:
        return run_interval(group.runs[0])
    return max(interval[0], 0.0), min(interval[1], 1.0)


def fold_accuracies(runs: Sequence[Run]) -> list[float]:
    """Gives the test accuracy on each fold: a mean over seeds, which share images as no two folds do."""
    return [fmean(run.result.test_accuracy for run in part) for part in by_fold(runs)]


def test_ratio(runs: Sequence[Run]) -> float:
    """Gives the number of images tested on by that of images trained on, the mean over runs."""
    return fmean(run.data.num_test / max(run.data.num_train, 1) for run in runs)


def run_interval(run: Run) -> tuple[float, float]:
    """Bounds one run's test accuracy, at 95% (Wilson)."""
    num_test = run.data.num_test
    return wilson_interval(round(run.result.test_accuracy * num_test), num_test)
