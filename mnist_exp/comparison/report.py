"""A comparison as plain data: what `comparison.json` holds and tables and pages are made from.

Accuracies are fractions, durations seconds, sizes bytes; labels and reasons are single lines.
"""

from dataclasses import dataclass
from typing import Any, Literal

from mnist_exp.comparison.measures import Spread
from mnist_exp.comparison.pairs import Pair
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.run import RunStatus

RowStatus = RunStatus | Literal["damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run: a line of `results.csv`.

    Attributes:
        run: Its directory.
        mode: What it did; empty where its manifest is damaged.
        status: How it ended.
        set: Number of its comparable set, 1 for the first; null outside of any.
        group: Label of its group; empty outside of any.
        settings: Value of each key that differs between groups of its set.
        seed: Its seed; null where its manifest is damaged.
        is_counted: Whether statistics count it: false for an earlier run of the same seed.
        measures: Name to value; see `measures.MEASURES`. Empty unless completed.
        test_interval: 95% Wilson interval of the test accuracy.
        selected_on_test: Whether test images had a part in choosing its best epoch or its teacher.
        jobs_at_once: How many jobs of its sweep may have run at the same time; null outside of one.
        error: Why it is not compared; empty where it is.
    """

    run: str
    mode: str
    status: RowStatus
    set: int | None = None
    group: str = ""
    settings: dict[str, Any]
    seed: int | None
    is_counted: bool = False
    measures: dict[str, float | int | None]
    test_interval: tuple[float, float] | None = None
    selected_on_test: bool | None = None
    jobs_at_once: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """Runs that differ by their seed alone: a line of the table.

    Attributes:
        label: What tells it from the other groups of its set.
        settings: Value of each key that differs between the groups; a key it lacks is left out.
        seeds: Ascending, each once.
        num_duplicates: Number of earlier runs of the same seeds, which are not counted.
        is_optimistic: Whether test images had a part in choosing its epochs or its teacher.
        measures: Name to mean and spread over its seeds; null where it has none.
        test_interval: 95% interval of the test accuracy: of the mean (t) with several seeds, of the
            network (Wilson) with one.
    """

    label: str
    settings: dict[str, Any]
    seeds: list[int]
    num_duplicates: int
    is_optimistic: bool
    measures: dict[str, Spread | None]
    test_interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReport:
    """Groups that saw the same images, and which of them is better.

    Attributes:
        title: Which images.
        reason: Why it is not ranked with the first set; empty for the first.
        data: The images, as of one run.
        keys: What differs between its groups, dotted.
        groups: As the table has them.
        sort: The column that sorts them: that of test accuracy where validation was asked for and
            nothing was set apart for it.
        leader: Label of the group with the best validation accuracy, which was tested against the
            others; null with a single group.
        is_chosen_on_test: Whether test images chose the leader.
        verdict: Whether it is better, in a sentence; empty with a single group.
        pairs: The leader against each other group, best on validation first.
        notes: What a reader must know, a sentence each.
    """

    title: str
    reason: str
    data: DataRecord
    keys: list[str]
    groups: list[GroupRow]
    sort: str
    leader: str | None
    is_chosen_on_test: bool
    verdict: str
    pairs: list[Pair]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """A search (`mode=tune`), which is listed apart: its accuracy is that of the best of many.

    Attributes:
        run: Its directory.
        winner: The candidate that won.
        val_accuracy: The winner's best network's; null without one.
        test_accuracies: The winner's, one for each fresh seed.
        num_trials: Number of trials.
        verdict: Its own, in a sentence.
    """

    run: str
    winner: str
    val_accuracy: float | None
    test_accuracies: list[float]
    num_trials: int
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What runs say side by side.

    Attributes:
        runs: Every run that was named, in the order of their paths.
        sets: Sets of runs on the same images, the largest first.
        searches: Completed searches.
        left_out: Runs that failed, were interrupted or lost, still run, are damaged, or did
            something else than train.
        ledger: How often the test images were looked at, a sentence for each set of them.
        sort: The column that was asked to sort groups; each set has the one that did.
        columns: The columns that were asked for; null for those that say most.
    """

    runs: list[RunRow]
    sets: list[SetReport]
    searches: list[SearchRow]
    left_out: list[RunRow]
    ledger: list[str]
    sort: str
    columns: list[str] | None
