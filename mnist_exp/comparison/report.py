"""A comparison's result in words: the verdict on a set, and what it must be read with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mnist_exp.comparison.decisions import Decisions, has_added_seeds
from mnist_exp.comparison.grouping import ComparableSet, SeedGroup
from mnist_exp.comparison.measures import Spread
from mnist_exp.comparison.pairs import Pair
from mnist_exp.runs.provenance import differences
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.run import Run, RunStatus
from mnist_exp.words import name_some, one_line, percent, plural

_MOST_NAMED = 3
_LONGEST_VALUES = 80
RowStatus = RunStatus | Literal["damaged"]


def verdict(pairs: Sequence[Pair], chosen_on_test: bool) -> str:
    """Says in a sentence whether the leading group is better than the others."""
    if len(pairs) < 2:
        return "".join(pair.sentence for pair in pairs)
    leader = pairs[0].first
    beaten = [pair.second for pair in pairs if pair.is_decided and pair.difference > 0]
    beating = [pair.second for pair in pairs if pair.is_decided and pair.difference < 0]
    equal = [pair.second for pair in pairs if not pair.is_decided]
    parts = [f"is better than {name_some(beaten, _MOST_NAMED)}"] if beaten else []
    parts += [f"is worse than {name_some(beating, _MOST_NAMED)}"] if beating else []
    parts += [f"cannot be told from {name_some(equal, _MOST_NAMED)}"] if equal else []
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if pairs[0].num_folds is not None:
        return f"{leader} leads in cross-validation, and was chosen by that: it {words}"
    if chosen_on_test:
        return f"{leader} leads on the test images, and was chosen by that: it {words}"
    return f"{leader} leads on validation images; on the test images it {words}"


def notes(found: ComparableSet, decisions: Decisions | None, sort: str) -> list[str]:
    """Says what a reader of a set's table must know."""
    runs = [run for group in found.groups for run in group.runs]
    notices = dict.fromkeys(one_line(run.result.data_notice) for run in runs if run.result.data_notice)
    sentences = list(notices)[:_MOST_NAMED]  # runs on the same images say much the same
    sentences += _word_until(decisions, runs)
    sentences += _word_choice(found.groups, runs, sort)
    sentences += _word_balance(found.groups, runs)
    sentences += _word_duplicates(found.groups)
    sentences += _word_folds(found)
    sentences += _word_surroundings(runs)
    return sentences


def _word_until(decisions: Decisions | None, runs: Sequence[Run]) -> list[str]:
    """Says what it means that seeds were added until pairs were decided."""
    if decisions is None:
        words = (
            "Seeds were added until pairs were decided (until=decided): p values, which take their number as "
        )
        return [f"{words}fixed, are too small here."] if has_added_seeds(runs) else []
    found = [
        "Decisions are about these images; intervals of single groups take the number of seeds as fixed."
    ]
    if decisions.until.by == "test_accuracy":
        found.append(
            "Test images decided how many seeds were trained: test accuracy is no independent check."
        )
    if decisions.failed:
        failed = name_some(decisions.failed, _MOST_NAMED)
        found.append(
            f"Without a result: {failed}. Pairs leave such a seed out, which is held against nobody."
        )
    return found


def _word_choice(groups: Sequence[SeedGroup], runs: Sequence[Run], sort: str) -> list[str]:
    found = []
    optimistic = [group.label for group in groups if group.is_optimistic]
    if optimistic:
        verb, whose = ("stands", "its") if len(optimistic) == 1 else ("stand", "their")
        why = f"test images were used to choose {whose} epochs"
        found.append(f"Optimistic: {name_some(optimistic, _MOST_NAMED)} {verb} below the others: {why}.")
    if len(groups) > 1 and all(run.result.val_accuracy is None for run in runs):
        found.append(
            "No images were held out for validation: the leader is the best on test images, which favours it."
        )
    if len(groups) > 1 and sort in ("test_accuracy", "test_loss", "balanced_accuracy"):
        found.append("Sorted by test images: choosing a run by that is a look at them.")
    return found


def _word_balance(groups: Sequence[SeedGroup], runs: Sequence[Run]) -> list[str]:
    """Says how test classes differ in size, and which groups are as accurate without looking at any image."""
    balance = next((run.balance for run in runs if run.balance), None)
    if balance is None:
        return []
    found = []
    smallest, largest = percent(balance.minority_share), percent(balance.majority_share)
    if balance.is_uneven:
        found.append(
            f"Classes are {smallest} to {largest} of the test images each: accuracy counts the large ones "
            "most, balanced accuracy all alike."
        )
    poor = [group.label for group in groups if all(map(_predicts_no_better, group.runs))]
    if poor:
        always = f"always predicting the majority class ({largest})"
        found.append(f"No more accurate than {always}: {name_some(poor, _MOST_NAMED)}.")
    return found


def _predicts_no_better(run: Run) -> bool:
    """Says whether always predicting the largest class is as accurate as a run's network."""
    return run.balance is not None and run.balance.majority_suffices(run.result.test_accuracy)


def _word_duplicates(groups: Sequence[SeedGroup]) -> list[str]:
    repeated = []
    for group in groups:
        seeds = sorted({run.manifest.seed for run in group.duplicates})
        repeated += [f"{group.label} seed {seed}" for seed in seeds]
    return [f"Run more than once, the latest counts: {name_some(repeated, _MOST_NAMED)}."] if repeated else []


def _word_folds(found: ComparableSet) -> list[str]:
    """Names the cross-validations that lack folds."""
    lacking = []
    num_folds = 0 if found.data.fold is None else found.data.fold.folds
    for group in found.groups:
        if len(group.folds) < num_folds:
            lacking.append(f"{group.label} has fold {', '.join(map(str, group.folds))} of {num_folds}")
    words = "Incomplete cross-validations are compared on the folds that both have"
    return [f"{words}: {name_some(lacking, _MOST_NAMED)}."] if lacking else []


def _word_values(what: str, values: Sequence[str]) -> str:
    words = " or ".join(values)
    return one_line(f"{what} ({words})" if len(words) <= _LONGEST_VALUES else what)


def _word_surroundings(runs: Sequence[Run]) -> list[str]:
    found = []
    beside = sum(1 for run in runs if run.manifest.sweep and run.manifest.sweep.jobs_at_once > 1)
    if beside:
        found.append(f"{plural(beside, 'run')} ran beside other jobs of a sweep: their times are longer.")
    if circumstances := differences([run.manifest for run in runs]):
        words = ", ".join(_word_values(what, values) for what, values in circumstances.items())
        found.append(f"Not the same for all runs: {words}. The same seed gives slightly different numbers.")
    commits = {run.manifest.git.commit for run in runs if run.manifest.git}
    if len(commits) > 1:
        found.append(f"The runs come from {len(commits)} commits of the code.")
    untold = sum(1 for run in runs if not run.has_predictions)
    if untold:
        found.append(f"{plural(untold, 'run')} without predictions.npz: nothing is known image by image.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run: a line of `results.csv`.

    Attributes:
        mode: What it did; empty where its manifest is damaged.
        set: Number of its comparable set, 1 for the first; null outside of any, its `group` then empty.
        settings: Value of each key that differs between groups of its set.
        seed: Its seed; null where its manifest is damaged.
        fold: The fold that was left out to test on; null without cross-validation.
        is_counted: Whether statistics count it: false for an earlier run of the same seed.
        measures: Name to value; see `measures.MEASURES`. Empty unless completed.
        test_interval: 95% Wilson interval of the test accuracy.
        jobs_at_once: How many jobs of its sweep may have run at the same time; null outside of one.
        error: Why it is not compared; empty where it is.
        tags: Star and tags, as of `mode=note`; like `note`, empty without.
    """

    run: str
    mode: str
    status: RowStatus
    set: int | None = None
    group: str = ""
    settings: dict[str, Any]
    seed: int | None
    fold: int | None = None
    is_counted: bool = False
    measures: dict[str, float | int | None]
    test_interval: tuple[float, float] | None = None
    selected_on_test: bool | None = None
    jobs_at_once: int | None = None
    error: str = ""
    tags: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """Runs that differ by their seed alone, or by the fold left out: a line of the table.

    Attributes:
        settings: Value of each key that differs between the groups; a key it lacks is left out.
        seeds: Ascending, each once; so are `folds`, empty without cross-validation.
        num_duplicates: Number of earlier runs of the same seeds, which are not counted.
        measures: Name to mean and spread over its seeds; null where it has none.
        test_interval: 95% interval of the test accuracy: of the mean (t) with several seeds, of the
            network (Wilson) with one; over folds, corrected for what they share.
        tags: What its runs have, each once; so has `note`.
    """

    label: str
    settings: dict[str, Any]
    seeds: list[int]
    folds: list[int]
    num_runs: int
    num_duplicates: int
    is_optimistic: bool
    measures: dict[str, Spread | None]
    test_interval: tuple[float, float]
    tags: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReport:
    """Groups that saw the same images, and which of them is better.

    Attributes:
        reason: Why it is not ranked with the first set; empty for the first.
        keys: What differs between its groups, dotted.
        sort: The column that sorts them: that of test accuracy where validation was asked for and
            nothing was set apart for it.
        leader: Label of the group with the best validation accuracy, which was tested against the
            others; null with a single group.
        verdict: Whether it is better, in a sentence; empty with a single group.
        pairs: The leader against each other group, best on validation first.
        notes: What a reader must know, a sentence each.
        decisions: Where seeds were trained until pairs are decided, of these pairs, instead of `pairs`.
        is_uneven: Whether test classes differ in size; see `statistics.ClassBalance`.
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
    decisions: Decisions | None
    is_uneven: bool

    @property
    def accuracy(self) -> str:
        """What its accuracies are called."""
        return "test accuracy" if self.data.fold is None else "cross-validated accuracy"

    @property
    def samples(self) -> str:
        """What its means are taken over."""
        return "seeds" if self.data.fold is None else "folds"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """A search (`mode=tune`), listed apart as the best of many; its winner's accuracies, one a fresh seed."""

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
        left_out: Runs that failed, were interrupted or lost, still run, are damaged, or did
            something else than train.
        ledger: How often the test images were looked at, a sentence for each set of them.
        sort: The column requested to sort groups; each set has the one that did.
        columns: The columns that were asked for; null for those that say most.
    """

    runs: list[RunRow]
    sets: list[SetReport]
    searches: list[SearchRow]
    left_out: list[RunRow]
    ledger: list[str]
    sort: str
    columns: list[str] | None
