"""What a sweep with `until=decided` has found out, from its folder."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from mnist_exp.comparison.grouping import SeedGroup
from mnist_exp.comparison.labels import fingerprint, label_recipes, recipe
from mnist_exp.comparison.measures import MEASURES
from mnist_exp.comparison.pairs import points
from mnist_exp.comparison.sequential import Decision, Rule, follow
from mnist_exp.config.requests import DecidedConfig
from mnist_exp.runs.folder import SWEEP, RunFolder
from mnist_exp.runs.records import SweepRecord
from mnist_exp.runs.run import DamagedRun, Run
from mnist_exp.words import plural

_MAX_SWEEP_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What is known of all pairs of configurations.

    Attributes:
        rule: Of one pair.
        failed: The seeds without a result, such as `ann seed 4`.
        wanted: Numbers of the jobs that the next look waits for.
        labels: By the name of a job, that of its configuration.
    """

    until: DecidedConfig
    rule: Rule
    pairs: list[Decision]
    failed: list[str]
    wanted: list[int]
    labels: dict[str, str]


def configurations(trees: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Puts the places of resolved configurations together that differ by their seed alone."""
    by_recipe: dict[str, list[int]] = {}
    for place, tree in enumerate(trees):
        by_recipe.setdefault(fingerprint(recipe(tree)), []).append(place)
    return list(by_recipe.values())


def level_of_pair(until: DecidedConfig, num_configurations: int) -> float:
    """Gives a pair's share of the level: all have the same (Bonferroni)."""
    return until.level / (num_configurations * (num_configurations - 1) / 2)


def decide(sweep_path: Path, record: SweepRecord, again: Collection[int] = ()) -> Decisions:
    """Decides what can be decided; the same results always lead to the same decisions.

    Args:
        record: The frozen plan, with `until`.
        again: Numbers of jobs that are going to run again: what they left counts for nothing.
    """
    until, jobs = record.until, record.jobs
    assert until is not None
    groups = configurations([job.config for job in jobs])
    labels = label_recipes([recipe(jobs[places[0]].config) for places in groups])
    runs = {number: Run(sweep_path / job.name) for number, job in enumerate(jobs) if number not in again}
    scores = {
        label: [_score(runs.get(number), until.by) for number in places]
        for label, places in zip(labels, groups, strict=True)
    }
    step = max((_step(run, until.by) for run in runs.values()), default=0.0)
    rule = Rule(
        level_of_pair(until, len(groups)), until.first_seeds, record.boundaries, until.precision / 100, step
    )
    pairs, wanted = follow(scores, rule)
    for pair in pairs:
        pair.count_fixed_seeds(rule)
    numbers = dict(zip(labels, groups, strict=True))
    return Decisions(
        until=until,
        rule=rule,
        pairs=pairs,
        failed=[
            f"{label} seed {jobs[number].config['seed']}"
            for label, places in numbers.items()
            for number, score in zip(places, scores[label], strict=True)
            if score is not None and isnan(score)
        ],
        wanted=[numbers[label][seed] for label, seed in wanted],
        labels={jobs[number].name: label for label, places in numbers.items() for number in places},
    )


def _score(run: Run | None, by: str) -> float | None:
    """Reads a seed's score; NaN where it has none, None where it has not ended."""
    try:
        if run is None or run.status not in ("completed", "failed"):
            return None
    except DamagedRun:
        return None
    try:
        score = MEASURES[by].value(run) if run.summary is not None else None
    except DamagedRun:
        return nan
    return nan if score is None else score


def _step(run: Run, by: str) -> float:
    """Gives what a run's score is rounded to; 0 where it has none."""
    try:
        data = run.manifest.data
    except DamagedRun:
        return 0.0
    if data is None:
        return 0.0
    num_images = data.num_test if by == "test_accuracy" else data.num_validation
    return 1 / num_images if num_images else 0.0


def _plan_of(folder: Path) -> SweepRecord | None:
    """Reads the plan of a sweep with `until=decided` in a folder of unknown origin; None if it is none."""
    try:
        with RunFolder(folder) as files:
            record = files.read_json(SWEEP, SweepRecord, _MAX_SWEEP_BYTES)
    except DamagedRun:
        return None
    return record if record.until is not None else None


def has_added_seeds(runs: Sequence[Run]) -> bool:
    """Says whether some runs are from a sweep with `until=decided`."""
    folders = {run.path.parent for run in runs if run.manifest.sweep is not None}
    return any(_plan_of(folder) is not None for folder in folders)


def read_decisions(groups: Sequence[SeedGroup]) -> Decisions | None:
    """Reads what the sweep that groups are from says of them, in their words.

    Returns:
        None unless all are from one with `until=decided`.
    """
    runs = [run for group in groups for run in group.runs]
    folder = runs[0].path.parent
    record = _plan_of(folder) if all(run.path.parent == folder for run in runs) else None
    if record is None:
        return None
    try:
        found = decide(folder, record)
    except (LookupError, ValueError):  # changed by hand
        return None
    if not found.labels.keys() >= {run.path.name for run in runs}:
        return None
    names = {found.labels[group.runs[0].path.name]: group.label for group in groups}
    pairs = [
        pair for pair in found.pairs if {pair.first, pair.second} <= names.keys() or _has_no_result(pair)
    ]
    for pair in pairs:
        pair.first, pair.second = names.get(pair.first, pair.first), names.get(pair.second, pair.second)
    return replace(found, pairs=pairs)


def _has_no_result(pair: Decision) -> bool:
    return pair.outcome == "dropped" and not pair.looks


def word_decision(pair: Decision, until: DecidedConfig) -> str:
    """Says what is known of a pair in a sentence."""
    better, worse = pair.labels
    if not pair.looks:
        return f"{better} and {worse} have no seeds to be compared by"
    difference, low, high = pair.ahead(pair.looks[-1])
    what = "validation" if until.by == "val_accuracy" else "test"
    seeds = plural(pair.looks[-1].num_seeds, "seed")
    interval = f"repeated interval {points(low)} to {points(high)}, {seeds}"
    size = f"{points(difference)} points of {what} accuracy ({interval})"
    if pair.outcome == "better":
        return f"{better} is better than {worse} by {size}"
    if pair.outcome == "as good":
        return f"{better} and {worse} are equally good, within {until.precision:g} points: difference {size}"
    yet = " yet" if pair.outcome == "in question" else ""
    return f"cannot tell {better} from {worse}{yet}: difference {size}"


def word_decisions(decisions: Decisions) -> str:
    """Says in a sentence what is known of all pairs."""
    pairs = decisions.pairs
    if len(pairs) == 1:
        return word_decision(pairs[0], decisions.until)
    parts = []
    for label in dict.fromkeys(label for pair in pairs for label in (pair.first, pair.second)):
        beaten = [pair.labels[1] for pair in pairs if pair.outcome == "better" and pair.labels[0] == label]
        parts += [f"{label} is better than {' and '.join(beaten)}"] if beaten else []
    equal = [" and ".join(pair.labels) for pair in pairs if pair.outcome == "as good"]
    parts += [f"{names} are equally good, within {decisions.until.precision:g} points" for names in equal]
    for outcome, words in (("open", "cannot be told apart"), ("in question", "not decided yet")):
        count = sum(pair.outcome == outcome for pair in pairs)
        parts += [f"{plural(count, 'pair')} {words}"] if count else []
    return "; ".join(parts)
