"""Which finished run is meant: a path, `latest`, or `best`."""

from collections.abc import Iterator
from contextlib import suppress
from glob import has_magic
from pathlib import Path
from typing import Any

from mnist_exp.config.commands import resume_command
from mnist_exp.config.parsing import parse_tree, read_tree
from mnist_exp.config.plain_values import shortened
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.runs.finding import find_runs
from mnist_exp.runs.run import DamagedRun, RunResult, read_run

LATEST, BEST = "latest", "best"
_MANIFEST = "manifest.json"
_ACCEPTED = f"Accepted: {LATEST}, {BEST}, or a run's directory."


def choose_run(text: str, runs_dir: Path) -> Path:
    """Finds the run that is meant.

    `best` compares validation accuracies, and so looks only at trainings on the same images and the
    same validation split as the latest one, and at none whose epochs were chosen on test images.

    Args:
        text: `latest` (the completed training that was started last, those in sweeps and experiments
            included), `best` (the one of highest validation accuracy, the later of equals), a run's
            directory, or its name in `runs_dir`.
        runs_dir: Where runs are made.

    Returns:
        The run's directory.

    Raises:
        ConfigError: There is no such run.
    """
    if text in (LATEST, BEST):
        return _choose_training(text, runs_dir)
    if not text:
        raise ConfigError("run: got an empty name.", _ACCEPTED)
    try:
        path = Path(text).expanduser()
        for place in (path, runs_dir / text):
            if place.exists():
                return _only_run(place)
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, nobody's home folder
        problem = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"run: {shortened(text)}: {problem.rstrip('.')}.", _ACCEPTED) from error
    if has_magic(text):
        raise ConfigError(f"run: {text} may be several runs, and one is needed.", _ACCEPTED)
    raise ConfigError(f"run: {text} does not exist.", _hint(path, runs_dir))


def choose_stopped(text: str, runs_dir: Path) -> Path:
    """Finds the run to go on with.

    Args:
        text: `latest` (the run that was begun last, of those that have not come to their end, are not
            going on and are no part of a sweep), or a run's directory.
        runs_dir: Where runs are made.

    Raises:
        ConfigError: There is none.
    """
    if text != LATEST:
        return Path(text)
    stopped = [run for run in _readable_runs(runs_dir) if _can_go_on(run)]
    if not stopped:
        hint = "Name one by its path; a sweep goes on by the command that began it."
        raise ConfigError(f"resume: {runs_dir} holds no run that was stopped.", hint)
    return max(stopped, key=lambda run: run.manifest.started_at).path


def _can_go_on(run: RunResult) -> bool:
    manifest = run.manifest
    return (
        run.status in ("interrupted", "lost", "failed")
        and manifest.mode in ("train", "tune")
        and manifest.sweep is None
    )


def read_finished(path: Path) -> tuple[RunResult, Config]:
    """Reads a completed training or search, which may be anybody's.

    Args:
        path: The run's directory.

    Returns:
        Its records and its configuration.

    Raises:
        ConfigError: It is not completed, or a file is missing, damaged or not accepted any more.
    """
    try:
        run = read_run(path)
    except DamagedRun as error:
        raise ConfigError(f"run: {error}.") from error
    if run.summary is None:
        raise ConfigError(
            f"run: {path} is {run.status} (mode={run.manifest.mode}).",
            f"A completed training or search is needed.{_way_on(run)}",
        )
    try:
        return run, parse_tree(run.config)
    except ConfigError as error:
        raise ConfigError(f"run: {path / 'config.yaml'}: {error.message}", error.hint) from error


def _way_on(run: RunResult) -> str:
    """Says how a run that was stopped comes to its end."""
    if run.manifest.mode == "verify" or run.status not in ("interrupted", "lost"):
        return ""
    tree: dict[str, Any] = {}
    with suppress(ConfigError):
        tree = read_tree(run.path / "config.yaml")
    return f" Go on with it: {resume_command(run.path, tree, run.manifest.folder)}"


def _choose_training(text: str, runs_dir: Path) -> Path:
    """Chooses among the completed trainings."""
    trainings = sorted(_completed_trainings(runs_dir), key=lambda run: run.manifest.started_at)
    if not trainings:
        raise ConfigError(f"run: {runs_dir} holds no completed training.", "Train one: mnist-exp")
    latest = trainings[-1]
    if text == LATEST:
        return latest.path
    scored = [
        run
        for run in reversed(trainings)
        if _images(run) == _images(latest)
        and not run.result.selected_on_test
        and run.result.val_accuracy is not None
    ]
    if not scored:
        raise ConfigError(
            f"run: no training on the images of {latest.path} was scored on validation images.",
            "Name one by its path, or take run=latest.",
        )
    return max(scored, key=lambda run: run.result.val_accuracy or 0.0).path


def _images(run: RunResult) -> tuple[str, str | None]:
    return run.data.train_sha256, run.data.split_sha256


def _completed_trainings(runs_dir: Path) -> Iterator[RunResult]:
    """Yields the trainings in a folder that can be asked."""
    for run in _readable_runs(runs_dir):
        if run.is_training and run.best_checkpoint_bytes is not None:
            yield run


def _readable_runs(runs_dir: Path) -> Iterator[RunResult]:
    """Yields what is readable in a folder; damaged runs are passed over."""
    if not runs_dir.is_dir():
        return
    for path in _runs_in(runs_dir):
        with suppress(DamagedRun):
            yield read_run(path)


def _runs_in(folder: Path) -> list[Path]:
    """Lists the runs in a folder; none where there are none."""
    try:
        return find_runs([folder])
    except ConfigError:
        return []


def _only_run(place: Path) -> Path:
    """Returns the run that a folder is or holds."""
    found = _runs_in(place)
    if len(found) == 1:
        return found[0]
    if not found:
        run = next((parent for parent in place.parents if (parent / _MANIFEST).exists()), None)
        hint = f"Name the directory {run}." if run else f"A run's directory has a {_MANIFEST}."
        raise ConfigError(f"run: {place} is no run's directory.", hint)
    raise ConfigError(f"run: {place} holds {len(found):,} runs.", f"Name one, such as {found[0]}.")


def _hint(path: Path, runs_dir: Path) -> str:
    """Names the nearest run."""
    folder = path.parent if path.parent.is_dir() and path.parent != Path() else runs_dir
    runs = {run.name: run for run in _runs_in(folder)}
    if not runs:
        return _ACCEPTED
    answer = nearest(path.name, [*runs, LATEST, BEST])
    if not answer.startswith("Did you mean"):
        return f"Accepted: {LATEST}, {BEST}, or a run's directory such as {runs[max(runs)]}."
    name = answer.partition('"')[2].partition('"')[0]
    return f'Did you mean "{runs.get(name, name)}"?'
