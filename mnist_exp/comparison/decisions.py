"""What a sweep with `until=decided` has found out, from its folder."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
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
        rule: Of one pair; all share the level (Bonferroni).
        failed: The seeds that count for nobody, such as `ann seed 4`.
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
    num_pairs = len(groups) * (len(groups) - 1) // 2
    step = max((_step(run, until.by) for run in runs.values()), default=0.0)
    rule = Rule(until.level / num_pairs, until.first_seeds, record.boundaries, until.precision / 100, step)
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
    score: float | None = None
    with suppress(DamagedRun):
        if run is None or run.status not in ("completed", "failed"):
            return None
        score = nan
        if run.summary is not None:
            score = MEASURES[by].value(run)
    return score


def _step(run: Run, by: str) -> float:
    """Gives what a run's score is rounded to; 0 where it has none."""
    try:
        num_images = run.data.num_test if by == "test_accuracy" else run.data.num_validation
    except DamagedRun:
        return 0.0
    return 1 / num_images if num_images else 0.0


def read_decisions(groups: Sequence[SeedGroup]) -> Decisions | None:
    """Reads what the sweep that groups are from says of them, in their words.

    Returns:
        None unless all are from one with `until=decided`.
    """
    runs = [run for group in groups for run in group.runs]
    folders = {run.path.parent for run in runs}
    try:
        with RunFolder(folders.pop()) as folder:
            record = folder.read_json(SWEEP, SweepRecord, _MAX_SWEEP_BYTES)
        found = decide(folder.path, record) if record.until is not None and not folders else None
    except (DamagedRun, LookupError, ValueError):  # no sweep, or one that was changed by hand
        return None
    if found is None or not found.labels.keys() >= {run.path.name for run in runs}:
        return None
    names = {found.labels[group.runs[0].path.name]: group.label for group in groups}
    pairs = [pair for pair in found.pairs if pair.first in names and pair.second in names]
    for pair in pairs:
        pair.first, pair.second = names[pair.first], names[pair.second]
    return replace(found, pairs=pairs)


def word_decision(pair: Decision, until: DecidedConfig) -> str:
    """Says what is known of a pair in a sentence."""
    better, worse = pair.labels
    if not pair.looks:
        return f"{better} and {worse} have not been compared yet"
    look = pair.looks[-1]
    difference, low, high = pair.ahead(look)
    what = "validation" if until.by == "val_accuracy" else "test"
    interval = f"repeated interval {points(low)} to {points(high)}, {plural(look.num_seeds, 'seed')}"
    size = f"{points(difference)} points of {what} accuracy ({interval})"
    if pair.outcome == "better":
        return f"{better} is better than {worse} by {size}"
    if pair.outcome == "as good":
        return f"{better} and {worse} are as good, within {until.precision:g} points: they differ by {size}"
    yet = " yet" if pair.outcome == "in question" else ""
    return f"cannot tell {better} from {worse}{yet}: they differ by {size}"


def word_decisions(decisions: Decisions) -> str:
    """Says in a sentence what is known of all pairs."""
    pairs = decisions.pairs
    if len(pairs) == 1:
        return word_decision(pairs[0], decisions.until)
    parts = []
    for label in dict.fromkeys(label for pair in pairs for label in (pair.first, pair.second)):
        beaten = [pair.labels[1] for pair in pairs if pair.outcome == "better" and pair.labels[0] == label]
        parts += [f"{label} is better than {', '.join(beaten)}"] if beaten else []
    equal = [" and ".join(pair.labels) for pair in pairs if pair.outcome == "as good"]
    parts += [f"{names} are as good, within {decisions.until.precision:g} points" for names in equal]
    num_open = sum(pair.outcome in ("in question", "open") for pair in pairs)
    parts += [f"{plural(num_open, 'pair')} cannot be told apart"] if num_open else []
    return "; ".join(parts)
