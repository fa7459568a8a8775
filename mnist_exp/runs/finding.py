"""Which run directories a request means: paths, globs, a sweep's folder, lists of all these."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path

from mnist_exp.errors import ConfigError, nearest

_MANIFEST, _SWEEP, _EARLIER = "manifest.json", "sweep.json", "earlier"
# A run lies in its sweep's folder, or in an experiment's in there; `runs` holds sweeps.
_DEPTH = 3
_ANY_DEPTH = "**"


def find_runs(patterns: Sequence[str | Path]) -> list[Path]:
    """Lists the run directories that patterns mean, each once, in the order of their paths.

    Args:
        patterns: Run directories, folders of runs, and globs of either, `**` included. Of what a
            glob matches, only runs and folders of sweeps count.

    Raises:
        ConfigError: A path is not there, or a pattern means no run.
    """
    if not patterns:
        raise ConfigError("runs: got none.", "Name run directories, such as runs='runs/study/*'.")
    found: dict[tuple[int, int], Path] = {}
    for pattern in patterns:
        matched = sorted(_match(str(pattern)))
        if not matched:
            raise ConfigError(
                f"runs: {pattern} holds no run.",
                "A run is a directory with a manifest.json; `**` looks at any depth.",
            )
        for path in matched:
            status = path.stat()
            found.setdefault((status.st_dev, status.st_ino), path)
    return sorted(found.values())


def _match(pattern: str) -> Iterator[Path]:
    """Yields the runs that one pattern means."""
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
    """Yields the runs in a folder that was named, at any place where a run can be."""
    if not path.is_dir():
        hint = f"Name the directory {path.parent}." if _is_run(path.parent) else "A run is a directory."
        raise ConfigError(f"runs: {path} is no run's directory.", hint)
    yield from _runs_below(path, _DEPTH)


def _runs_matched(path: Path) -> Iterator[Path]:
    """Yields the runs and the runs of sweeps that a glob matches."""
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
        elif os.path.lexists(matched / _SWEEP):
            yield from _runs_below(matched, _DEPTH)


def _runs_below(folder: Path, depth: int | None) -> Iterator[Path]:
    """Yields the runs in a folder, itself included, links to folders not followed."""
    for place, folders, files in os.walk(folder):
        if _MANIFEST in files or _is_run(Path(place)):
            folders.clear()
            yield Path(place)
            continue
        if _SWEEP in files and _EARLIER in folders:
            # Attempts that a sweep has put aside: the runs that count have taken their place.
            folders.remove(_EARLIER)
        if depth is not None and len(Path(place).relative_to(folder).parts) >= depth:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _parts_match(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Says whether a path's parts match a glob's, `**` standing for any number of them."""
    if not patterns:
        return not parts
    if patterns[0] == _ANY_DEPTH:
        rest = patterns[1:]
        return not rest or any(_parts_match(parts[start:], rest) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _parts_match(parts[1:], patterns[1:])


def _is_run(path: Path) -> bool:
    return os.path.lexists(path / _MANIFEST)


def _missing(path: Path) -> ConfigError:
    """Says which part of a path is missing, and what comes nearest."""
    known, name = path.parent, path.name
    while not known.is_dir() and known != known.parent:
        known, name = known.parent, known.name
    try:
        siblings = [entry.name for entry in known.iterdir() if entry.is_dir()]
    except OSError:
        siblings = []
    hint = nearest(name, siblings) if siblings else f"{known} holds no folders."
    return ConfigError(f"runs: {path} does not exist.", hint)
