"""Which finished runs are meant by `run=`, and whether several of them can predict as one."""

from collections.abc import Sequence
from glob import has_magic
from pathlib import Path

from mnist_exp.config.schema import Config, SplitName
from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import WHERE, choose_run, find_runs, read_finished
from mnist_exp.runs.run import Run

Member = tuple[Run, Config]


def read_members(named: str | Sequence[str], runs_dir: Path) -> list[Member]:
    """Reads the runs that are meant, one or several that differ, in the order in which they were named.

    Each is named as for `choose_run`, or several at once as for `find_runs`, by a glob or a condition.

    Raises:
        ConfigError: There is no such run, one is not finished, or one is named twice.
    """
    members = [read_finished(path) for path in find_named(named, runs_dir)]
    if len(members) > 1:
        _refuse_twice([run for run, _ in members])
        _refuse_repetitions([run for run, _ in members])
    return members


def find_named(named: str | Sequence[str], runs_dir: Path) -> list[Path]:
    """Finds the runs that are meant, whatever their status; see `read_members`."""
    words = [named] if isinstance(named, str) else named
    return [path for word in words for path in _paths(word, runs_dir)]


def _paths(word: str, runs_dir: Path) -> list[Path]:
    if not word.startswith(WHERE) and (not has_magic(word) or WHERE in word or Path(word).exists()):
        return [choose_run(word, runs_dir)]
    try:
        return find_runs([word], runs_dir)
    except ConfigError as error:
        raise ConfigError(f"run: {error.message.removeprefix('runs: ')}", error.hint) from error


def _refuse_twice(runs: Sequence[Run]) -> None:
    """Refuses a run that is named twice, or a copy of one: it would count twice."""
    seen: dict[tuple[str, str], Run] = {}
    for run in runs:
        other = seen.setdefault((run.manifest.run_id, run.manifest.started_at), run)
        if other is not run:
            also = "" if other.path.resolve() == run.path.resolve() else f", also as {other.path}"
            raise ConfigError(f"run: {run.path} is named twice{also}.", "Name each run once.")


def _refuse_repetitions(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.manifest.mode == "verify":
            raise ConfigError(
                f"run: {run.path} repeats another run (mode=verify), and adds nothing to it.",
                "Name trainings and searches.",
            )


def check_members(members: Sequence[Member], split: SplitName, has_other_data: bool) -> None:
    """Refuses, by a ConfigError, runs that know other classes, or have other images of their own."""
    check_classes(members)
    first, _ = members[0]
    name = "test_sha256" if split == "test" else "train_sha256"
    for run, _ in members[1:]:
        if not has_other_data and getattr(run.data, name) != getattr(first.data, name):
            raise ConfigError(
                f"run: {run.path} has different {split} images from {first.path}.",
                "Say on which data all of them are scored: data=…",
            )


def check_classes(members: Sequence[Member]) -> None:
    """Refuses, by a ConfigError, runs that know different classes."""
    first, own = members[0]
    for run, config in members[1:]:
        if config.data.class_names != own.data.class_names:
            raise ConfigError(
                f"run: {run.path} has different classes from {first.path}: "
                f"{_listed(config.data.class_names)} instead of {_listed(own.data.class_names)}."
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")
