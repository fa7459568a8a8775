"""Which runs are meant: patterns, folders, `latest`, `best`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.config.commands import command, resume_command, with_runs_dir
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.runs.files import is_new_folder
from mnist_exp.runs.folder import MANIFEST, SWEEP, RunFolder
from mnist_exp.runs.index import select
from mnist_exp.runs.run import DamagedRun, Run, parse_config, read_run, read_tree, refused
from mnist_exp.words import name_some, shortened

_EARLIER = "earlier"
# A run lies in its sweep's folder, or in an experiment's in there; `runs` holds sweeps.
_DEPTH = 3
_MOST_NAMED = 5
_ANY_DEPTH = "**"
LATEST, BEST = "latest", "best"
WHERE = "where:"
_MAX_SWEEP_BYTES = 500_000_000
Patterns = str | Path | Sequence[str | Path]
_ACCEPTED = f"Accepted: {LATEST}, {BEST}, or a run's directory."


class _Created(Struct):
    """What says when a sweep was begun, of all that is in its `sweep.json`."""

    created_at: str


def find_runs(patterns: Patterns, runs_dir: Path | None = None) -> list[Path]:
    """Lists the run directories that patterns, or one, mean, each once, in the order of their paths.

    Patterns are run directories, folders of runs, and globs of either, `**` included. Of what a glob
    matches, only runs and folders of sweeps count. Given `runs_dir`, `where: status=completed` means
    those in there that the expression means.

    Raises:
        ConfigError: A path is not there, a pattern means no run, or an expression is none.
    """
    if not patterns:
        raise ConfigError("runs: got none.", "Name run directories, such as runs='runs/study/*'.")
    found: dict[tuple[int, int], Path] = {}
    for pattern in [patterns] if isinstance(patterns, str | Path) else patterns:
        matched = sorted(_match(str(pattern), runs_dir), key=_parts)
        if not matched:
            raise ConfigError(
                f"runs: {pattern} holds no run.",
                "A run is a directory with a manifest.json; `**` looks at any depth.",
            )
        for path in matched:
            with suppress(FileNotFoundError):  # removed meanwhile
                status = path.stat()
                found.setdefault((status.st_dev, status.st_ino), path)
    return sorted(found.values(), key=_parts)


def _parts(path: Path) -> tuple[str, ...]:
    return path.parts  # which are compared faster than paths


def _match(pattern: str, runs_dir: Path | None) -> Iterator[Path]:
    if runs_dir is not None and pattern.startswith(WHERE):
        yield from _runs_where(pattern, runs_dir, "runs")
        return
    try:
        path = Path(pattern).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"runs: {pattern}: {str(error).rstrip('.')}.") from error
    if os.path.lexists(path):
        yield from _runs_named(path)
    elif has_magic(pattern):
        yield from _runs_matched(path)
    else:
        raise _missing(path)


def _runs_named(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        hint = f"Name the directory {path.parent}." if _is_run(path.parent) else "A run is a directory."
        raise ConfigError(f"runs: {path} is not a run's directory.", hint)
    yield from _runs_below(path, _DEPTH)


def _runs_matched(path: Path) -> Iterator[Path]:
    if _ANY_DEPTH in path.parts:
        place = path.parts.index(_ANY_DEPTH)
        wanted = path.parts[place:]
        for start in glob(str(Path(*path.parts[:place]))):  # noqa: PTH207 - takes absolute ones too
            for run in _runs_below(Path(start), None):
                if _parts_match(run.relative_to(start).parts, wanted):
                    yield run
        return
    for name in glob(str(path)):  # noqa: PTH207
        matched = Path(name)
        if _is_run(matched):
            yield matched
        elif os.path.lexists(matched / SWEEP):
            yield from _runs_below(matched, _DEPTH)


def _runs_where(pattern: str, runs_dir: Path, key: str) -> list[Path]:
    expression = pattern.partition(WHERE)[2]
    found = select(runs_in(runs_dir), expression, runs_dir, key)
    if not found:
        see = command("mode=list", *with_runs_dir([], {"runs_dir": str(runs_dir)}, Path.cwd()))
        raise ConfigError(f"{key}: no run in {runs_dir} is one where {expression.strip()}.", f"See {see}")
    return found


def _runs_below(folder: Path, depth: int | None) -> Iterator[Path]:
    """Yields the runs in a folder, itself included, links to folders not followed."""
    waiting = [(str(folder), depth)]
    while waiting:
        place, left = waiting.pop()
        if os.path.lexists(os.path.join(place, MANIFEST)):  # noqa: PTH118 - of ten thousand runs
            yield Path(place)
        elif left != 0:
            waiting += [(inner, None if left is None else left - 1) for inner in _folders_in(place)]


def _folders_in(place: str) -> list[str]:
    """Lists what may hold runs that count: not those whose place others took in a sweep."""
    try:
        with os.scandir(place) as entries:
            found = {entry.name: entry for entry in entries}
    except OSError:
        return []
    if SWEEP in found:
        found.pop(_EARLIER, None)
    names = [name for name in found if not name.startswith(".")]
    return [found[name].path for name in names if found[name].is_dir(follow_symlinks=False)]


def _parts_match(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Says whether a path's parts match a glob's, `**` standing for any number of them."""
    if not patterns:
        return not parts
    if patterns[0] == _ANY_DEPTH:
        rest = patterns[1:]
        return not rest or any(_parts_match(parts[start:], rest) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _parts_match(parts[1:], patterns[1:])


def _is_run(path: Path) -> bool:
    return os.path.lexists(path / MANIFEST)


def _missing(path: Path) -> ConfigError:
    known, name = path.parent, path.name
    while not known.is_dir() and known != known.parent:
        known, name = known.parent, known.name
    try:
        siblings = [entry.name for entry in known.iterdir() if entry.is_dir() and not is_new_folder(entry)]
    except OSError:
        siblings = []
    hint = nearest(name, siblings) if siblings else f"{known} holds no folders."
    return ConfigError(f"runs: {path} does not exist.", hint)


def choose_run(text: str, runs_dir: Path) -> Path:
    """Finds the run that is meant; raises ConfigError where there is none.

    `best` compares validation accuracies, and so looks only at trainings on the same images and the
    same validation split as the latest one, and at none whose epochs were chosen on test images.

    Args:
        text: `latest` (the completed training that was started last, those in sweeps and experiments
            included), `best` (the one of highest validation accuracy, the later of equals), a run's
            directory, or its name in `runs_dir`; or `where: …`, of one run alone, also after
            `latest` and `best` for one of those that it means.
    """
    word, is_condition, _ = text.partition(WHERE)
    if (word := word.strip()) in (LATEST, BEST):
        meant = _runs_where(text, runs_dir, "run") if is_condition else None
        return _choose_training(word, runs_dir, meant)
    if is_condition and not word:
        return _one_of(_runs_where(text, runs_dir, "run"))
    if not text:
        raise ConfigError("run: got an empty name.", _ACCEPTED)
    try:
        path = Path(text).expanduser()
        for place in (path, runs_dir / text):
            if place.exists():
                return _only_run(place)
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, no such user's home folder
        problem = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"run: {shortened(text)}: {problem.rstrip('.')}.", _ACCEPTED) from error
    if has_magic(text):
        raise ConfigError(f"run: {text} may be several runs, and one is needed.", _ACCEPTED)
    raise ConfigError(f"run: {text} does not exist.", _hint(path, runs_dir))


def choose_work(text: str, runs_dir: Path) -> Path:
    """Finds the run, search or sweep that is meant; raises ConfigError where there is none.

    Args:
        text: `latest` (begun or resumed last, finished or not), a directory, or a name in `runs_dir`.
    """
    if text != LATEST:
        return _sweep_named(text, runs_dir) or choose_run(text, runs_dir)
    begun = list(_begun(runs_dir))
    if not begun:
        raise ConfigError(f"run: {runs_dir} holds no run.", "Begin one: mnist-exp")
    return max(begun)[1]


def _sweep_named(text: str, runs_dir: Path) -> Path | None:
    with suppress(OSError, RuntimeError, ValueError):  # no name of anything: `choose_run` says so
        for place in (Path(text).expanduser(), runs_dir / text):
            if text and os.path.lexists(place / SWEEP):
                return place
    return None


def _begun(runs_dir: Path) -> Iterator[tuple[str, Path]]:
    """Yields when each run and sweep was begun or resumed, and where it is; a job stands for its sweep."""
    for path in runs_in(runs_dir):
        with suppress(DamagedRun):
            manifest = Run(path).manifest
            at = max([manifest.started_at, *(resumed.at for resumed in manifest.resumed)])
            yield at, path.parent if manifest.sweep and os.path.lexists(path.parent / SWEEP) else path
    for path in runs_dir.glob(f"*/{SWEEP}"):
        with suppress(DamagedRun), RunFolder(path.parent) as folder:
            yield folder.read_json(SWEEP, _Created, _MAX_SWEEP_BYTES).created_at, path.parent


def choose_stopped(text: str, runs_dir: Path) -> Path:
    """Finds the run to resume, by its directory or as `latest`; raises ConfigError where there is none.

    `latest` is the run that was begun last, of those not completed, not running and no part of a sweep.
    """
    if text != LATEST:
        return Path(text)
    stopped = [run for run in _readable_runs(runs_in(runs_dir)) if _can_resume(run)]
    if not stopped:
        hint = "Name one by its path; a sweep is resumed by the command that began it."
        raise ConfigError(f"resume: {runs_dir} holds no run that was stopped.", hint)
    return max(stopped, key=lambda run: run.manifest.started_at).path


def _can_resume(run: Run) -> bool:
    is_own = run.manifest.mode in ("train", "tune") and run.manifest.sweep is None
    return is_own and run.status in ("interrupted", "lost", "failed")


def read_finished(path: Path) -> tuple[Run, Config]:
    """Reads a completed training or search, of unknown origin.

    Raises:
        ConfigError: It is not completed, or a file is missing, damaged or not accepted any more.
    """
    with refused("run: "):
        run = read_run(path)
    if run.summary is None:
        raise ConfigError(
            f"run: {path} is {run.status} (mode={run.manifest.mode}).",
            f"A completed training or search is needed.{how_to_resume(run)}",
        )
    return run, parse_config(run, "run: ", is_trained=True)


def how_to_resume(run: Run) -> str:
    """Ends a message with the command that resumes a run; empty where none does."""
    if run.manifest.mode == "verify" or run.status not in ("interrupted", "lost"):
        return ""
    tree: dict[str, Any] = {}
    with suppress(ConfigError):
        tree = read_tree(run.path)
    return f" Resume it: {resume_command(run.path, tree, run.manifest.folder, run.manifest.argv)}"


def _one_of(found: Sequence[Path]) -> Path:
    if len(found) == 1:
        return found[0]
    names = name_some([str(path) for path in found], _MOST_NAMED)
    raise ConfigError(f"run: {len(found):,} runs are meant: {names}.", f"Say more, or {BEST} {WHERE} …")


def _choose_training(text: str, runs_dir: Path, meant: Sequence[Path] | None) -> Path:
    """Chooses among the runs that are meant; None for all in `runs_dir`."""
    readable = _readable_runs(runs_in(runs_dir) if meant is None else meant)
    trainings = [run for run in readable if run.is_training and run.best_checkpoint_bytes is not None]
    if not trainings:
        raise ConfigError(f"run: {runs_dir} holds no completed training.", "Train one: mnist-exp")
    trainings.sort(key=lambda run: run.manifest.started_at)
    latest = trainings[-1]
    if text == LATEST:
        return latest.path
    scored = [run for run in trainings if _images(run) == _images(latest) and _is_validated(run)]
    if not scored:
        raise ConfigError(
            f"run: no training on the images of {latest.path} was scored on validation images.",
            "Name one by its path, or use run=latest.",
        )
    # Of equals the later one.
    return max(reversed(scored), key=lambda run: run.result.val_accuracy or 0.0).path


def _images(run: Run) -> tuple[str, str | None]:
    return run.data.train_sha256, run.data.split_sha256


def _is_validated(run: Run) -> bool:
    return run.result.val_accuracy is not None and not run.result.selected_on_test


def _readable_runs(paths: Sequence[Path]) -> Iterator[Run]:
    """Yields what is readable; damaged runs are passed over."""
    for path in paths:
        with suppress(DamagedRun):
            yield read_run(path)


def runs_in(folder: Path) -> list[Path]:
    """Lists the runs in a folder, in the order of their paths; none where there is no such folder."""
    try:
        return find_runs([folder])
    except ConfigError:
        return []


def _only_run(place: Path) -> Path:
    found = runs_in(place)
    if len(found) == 1:
        return found[0]
    if not found:
        run = next((parent for parent in place.parents if (parent / MANIFEST).exists()), None)
        hint = f"Name the directory {run}." if run else f"A run's directory has a {MANIFEST}."
        raise ConfigError(f"run: {place} is not a run's directory.", hint)
    raise ConfigError(f"run: {place} holds {len(found):,} runs.", f"Name one, such as {found[0]}.")


def _hint(path: Path, runs_dir: Path) -> str:
    folder = path.parent if path.parent.is_dir() and path.parent != Path() else runs_dir
    runs = {run.name: run for run in runs_in(folder)}
    if not runs:
        return _ACCEPTED
    guess = nearest(path.name, [*runs, LATEST, BEST])
    if not guess.startswith("Did you mean"):
        return f"Accepted: {LATEST}, {BEST}, or a run's directory such as {runs[max(runs)]}."
    name = guess.partition('"')[2].partition('"')[0]
    return f'Did you mean "{runs.get(name, name)}"?'
