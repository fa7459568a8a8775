"""Which jobs of a sweep run next: all of them, or one more seed of each pair that is not decided yet."""

from collections.abc import Sequence

import msgspec

from mnist_exp.comparison.decisions import Decisions, configurations, decide, level_of_pair
from mnist_exp.comparison.sequential import simulate_boundaries
from mnist_exp.config.requests import DecidedConfig
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.sweeps.directory import SweepDirectory, find_unfinished
from mnist_exp.words import name_some

_LEAST_LEVEL = 0.0005  # of a pair: boundaries are simulated, and rarer ones are hit too seldom
_MOST_NAMED = 3


class Rounds:
    """The jobs of a sweep in the rounds that one command runs them in.

    Args:
        sweep: Held by this process.
        rerun: As for `find_unfinished`.
    """

    def __init__(self, sweep: SweepDirectory, rerun: str) -> None:
        self._sweep, self._rerun = sweep, rerun
        self._begun: set[int] = set()
        self.decisions: Decisions | None = None
        """Before the round that `next` gave; None for a sweep that runs all its jobs."""

    def next(self) -> list[SweepJob]:
        """Gives the jobs of the next round; none when there are no more, or one still runs.

        Raises:
            ConfigError: Jobs are running that this process has not begun.
        """
        sweep, is_first = self._sweep, not self._begun
        if not is_first and (sweep.record.until is None or self._still_runs()):
            return []
        jobs = [job for job in find_unfinished(sweep, self._rerun) if job.number not in self._begun]
        if sweep.record.until is not None:
            if is_first and self._rerun == "all":
                for job in jobs:
                    sweep.put_aside(job)
            # A failed seed runs again where that is asked for, and counts for nobody otherwise.
            again = {job.number for job in jobs} if self._rerun == "failed" else set()
            self.decisions = decide(sweep.path, sweep.record, again)
            jobs = [job for job in jobs if job.number in self.decisions.wanted]
        self._begun |= {job.number for job in jobs}
        return jobs

    def _still_runs(self) -> bool:
        begun = (job for job in self._sweep.record.jobs if job.number in self._begun)
        return any(self._sweep.state(job).status == "running" for job in begun)


def largest_round(record: SweepRecord) -> int:
    """Counts the jobs of a sweep's largest round, its first."""
    until, num_jobs = record.until, len(record.jobs)
    return num_jobs if until is None else num_jobs // until.most_seeds * until.first_seeds


def boundaries_of(until: DecidedConfig, jobs: Sequence[SweepJob]) -> list[float]:
    """Gives the boundaries of a new sweep's looks."""
    level = level_of_pair(until, len(jobs) // until.most_seeds)
    return simulate_boundaries(level, until.first_seeds, until.most_seeds)


def needed_jobs(sweep: SweepDirectory) -> list[SweepJob]:
    """Lists the jobs of a sweep, but for those that have no result and that no decision needs."""
    if sweep.record.until is None:
        return sweep.record.jobs
    wanted = decide(sweep.path, sweep.record).wanted
    has_ended = ("completed", "failed")
    jobs = sweep.record.jobs
    return [job for job in jobs if job.number in wanted or sweep.state(job).status in has_ended]


def check_until(until: DecidedConfig, jobs: Sequence[tuple[dict[str, object], Config]]) -> None:
    """Makes sure that the configurations of a sweep can be compared seed by seed.

    Args:
        until: When pairs are decided.
        jobs: Each job's configuration, resolved and typed.

    Raises:
        ConfigError: They cannot.
    """
    if until.first_seeds > until.most_seeds:
        raise ConfigError(
            f"until.first_seeds: got {until.first_seeds}, more than until.most_seeds, {until.most_seeds}."
        )
    if any(config.tuner is not None for _, config in jobs):
        raise ConfigError(
            "until: mode=tune confirms its winner on fresh seeds itself; only trainings are compared.",
            "Leave until or mode=tune out.",
        )
    _check_data(until, [config for _, config in jobs])
    groups = configurations([tree for tree, _ in jobs])
    if len(groups) == 1:
        raise ConfigError(
            "until: this sweep has one configuration, and nothing to compare it with.",
            "Sweep over what is in question, such as model=ann,bn_dnn, or leave until out.",
        )
    if level_of_pair(until, len(groups)) < _LEAST_LEVEL:
        raise ConfigError(
            f"until.level: got {until.level:g} for all pairs of {len(groups)} configurations together; "
            f"{_LEAST_LEVEL:g} for each pair is needed.",
            "Compare fewer configurations at a time.",
        )
    if {len(places) for places in groups} != {until.most_seeds}:
        raise ConfigError(
            "until: each configuration needs the same seeds, and nothing else may differ within it.",
            "Leave out what excludes seeds, and training.threads.",
        )


def _check_data(until: DecidedConfig, configs: Sequence[Config]) -> None:
    """Refuses configurations that see other images, or are compared by images that there are not."""
    first, *others = (msgspec.structs.asdict(config.data) for config in configs)
    if any(data["folds"] is not None for data in (first, *others)):
        raise ConfigError(
            "data.folds: until=decided takes seeds for independent of each other, which folds are not.",
            "Leave out until or data.folds.",
        )
    for key, value in first.items():
        if key != "preprocessing" and any(other[key] != value for other in others):
            raise ConfigError(
                f"data.{key}: until=decided compares configurations on the same images.",
                "Give it one value, typed.",
            )
    validation = first["validation"]
    if until.by == "val_accuracy" and validation in (0, "test"):
        raise ConfigError(
            f"until.by: got val_accuracy, and data.validation={validation} sets no images apart for it.",
            "Set data.validation, or until.by=test_accuracy: then test images decide.",
        )


def word_question(decisions: Decisions) -> str:
    """Says which pairs are in question."""
    names = [" against ".join(pair.labels) for pair in decisions.pairs if pair.outcome == "in question"]
    return f"in question: {name_some(names, _MOST_NAMED)}"
