"""Many runs at once, each value by its name: from their directories, or from an index of those read before.

The index, a file in a folder of runs, may be deleted at any time. What it says of a run counts while the
run's directory and files have the very times and sizes that they had when they were read.
"""

import gc
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from mnist_exp.config.trees import leaves
from mnist_exp.errors import ConfigError, RunError, nearest
from mnist_exp.runs import files
from mnist_exp.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    MANIFEST,
    MAX_CONFIG_BYTES,
    NOTES,
    PLOTS,
    SUMMARY,
    DamagedRun,
    RunFolder,
    parse_yaml,
)
from mnist_exp.runs.notes import Notes
from mnist_exp.runs.records import Manifest, Summary
from mnist_exp.runs.run import Run
from mnist_exp.runs.where import Where, parse_where
from mnist_exp.words import one_line, shortened

INDEX = ".index.msgpack"
DAMAGED = "damaged"
_MAX_INDEX_BYTES = 200_000_000
_STAMPED = ("", MANIFEST, SUMMARY, CONFIG, NOTES, CHECKPOINTS, PLOTS)
_SETTLED_NS = 2 * 10**9
"""What changed less long ago may have changed again within the same tick of a clock."""

_SECTION = re.compile(rb"^(?=[^\s#-])", re.MULTILINE)
_LONGEST_IN_SECTIONS = 100_000
_SHARED = ("versions", "environment", "git", "data")
_OF_ALL = [
    name
    for name in (*Manifest.__struct_fields__, *Summary.__struct_fields__)
    if name not in (*_SHARED, "resumed")
]
_FORMAT = " ".join(("1", *_OF_ALL))
"""Of the index; another one, and one of records with other fields, is not read."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Values = dict[str, Any]


class RunRow(Struct, frozen=True):
    """What is known of a run.

    Attributes:
        num_bytes: Of all files in its directory.
        record: What its JSON files say, by name.
        sections: What many runs have in common, by the first part of its dotted names: the configuration.
    """

    path: Path
    num_bytes: int
    record: Values
    sections: dict[str, Values]

    @property
    def status(self) -> str:
        """As of `Run`; or `damaged`, with the reason as its `error`."""
        return str(self.record.get("status", DAMAGED))

    @property
    def when(self) -> datetime | None:
        """When it was started, in local time; None where that cannot be known."""
        try:
            return datetime.fromisoformat(self.record["started_at"]).astimezone()
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None

    @property
    def values(self) -> Values:
        """All values by their names."""
        names = [name for section in self.sections.values() for name in section]
        return {name: self.get(name) for name in [*names, *self.record, *_MADE]}

    def get(self, name: str) -> Any:
        """Looks a value up, for `model` that of `model.name`; None where there is none."""
        if name in _MADE:
            return _MADE[name](self)
        if (value := self.record.get(name)) is not None:
            return value
        section = self.sections.get(name.partition(".")[0], {})
        return section[name] if name in section else section.get(f"{name}.name")

    def has(self, name: str) -> bool:
        """Says whether it has such a name, be it without a value."""
        section = self.sections.get(name.partition(".")[0], {})
        return name in _MADE or name in self.record or name in section or f"{name}.name" in section


_MADE: dict[str, Callable[[RunRow], Any]] = {
    "name": lambda row: row.path.name,
    "path": lambda row: str(row.path),
    "bytes": lambda row: row.num_bytes,
    "date": lambda row: row.when and f"{row.when:%Y-%m-%d}",
    "weekday": lambda row: row.when and _WEEKDAYS[row.when.weekday()],
    "age": lambda row: row.when and (time.time() - row.when.timestamp()) / 86_400,
}
"""Values that are made when they are asked for; `age` is in days."""


def select(paths: Sequence[Path], where: str, runs_dir: Path | None = None, key: str = "where") -> list[Path]:
    """Picks the runs that an expression means; see `read_rows`, `select_rows` and `parse_where`."""
    condition = parse_where(where, key)
    return [row.path for row in select_rows(read_rows(paths, runs_dir), condition)]


def select_rows(rows: Sequence[RunRow], where: Where) -> list[RunRow]:
    """Picks the runs that an expression means; raises ConfigError for a name that no run has."""
    for name in where.names:
        check_name(rows, name, where.key)
    return [row for row in rows if where.matches(row.get)]


def check_name(rows: Sequence[RunRow], name: str, key: str) -> None:
    """Raises ConfigError for a name that no run has."""
    if not rows or any(row.has(name) for row in rows):
        return
    known = {known for row in rows for known in row.values}
    longer = sorted(other for other in known if other.endswith(f".{name}"))
    hint = f'Did you mean "{longer[0]}"?' if longer else nearest(name, known)
    raise ConfigError(f'{key}: no run has "{shortened(name)}".', hint)


def sort_rows(rows: Sequence[RunRow], sort: str) -> list[RunRow]:
    """Sorts by a value, downwards after a `-`, numbers before texts; those without one come last."""
    name = sort.removeprefix("-")
    check_name(rows, name, "sort")
    having = [row for row in rows if row.get(name) is not None]
    others = [row for row in rows if row.get(name) is None]
    having.sort(key=lambda row: _order(row.get(name)), reverse=sort.startswith("-"))
    return having + others


def _order(value: Any) -> tuple[bool, Any]:
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else str(value).casefold()


class _Entry(Struct, frozen=True, array_like=True):
    """A run in the index; `sections` are numbers of those in the index, which are there once."""

    stamp: list[int]
    num_bytes: int
    record: Values
    sections: dict[str, Annotated[int, Meta(ge=0)]]


class _Index(Struct, frozen=True, array_like=True):
    """The file; `entries` are by their path in the folder."""

    format: str = _FORMAT
    sections: list[Values] = []
    entries: dict[str, _Entry] = {}


def read_rows(paths: Sequence[Path], runs_dir: Path | None = None) -> list[RunRow]:
    """Reads runs, damaged ones included, in the order of their paths.

    Args:
        runs_dir: The folder with the index that is used and renewed, unless it cannot be written to; None
            for neither.
    """
    index = _Index() if runs_dir is None else _read_index(runs_dir)
    rows: list[RunRow] = []
    fresh: dict[str, tuple[list[int], RunRow]] = {}
    with _without_collection():
        for path in paths:
            place, stamp = _place(path, runs_dir), _stamp(path)
            entry = index.entries.get(place)
            if entry is not None and entry.stamp == stamp:
                sections = {root: index.sections[number] for root, number in entry.sections.items()}
                rows.append(RunRow(path, entry.num_bytes, entry.record, sections))
                continue
            rows.append(_read_row(path))
            if place and _is_settled(rows[-1], stamp):
                fresh[place] = stamp, rows[-1]
        if runs_dir is not None and fresh:
            _write_index(runs_dir, index, fresh)
    return rows


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keeps Python from looking for circles among a million values, which are none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _place(path: Path, runs_dir: Path | None) -> str:
    """Names a run in a folder by its path in there; empty for one elsewhere, or that no text names."""
    text, above = str(path), f"{runs_dir}/"
    # A name that is not UTF-8 cannot be printed.
    return text.removeprefix(above) if text.startswith(above) and text.isprintable() else ""


def _read_index(runs_dir: Path) -> _Index:
    """Reads the index; an empty one where there is none, or another program's."""
    try:
        with RunFolder(runs_dir) as folder:
            index = msgspec.msgpack.decode(folder.read(INDEX, _MAX_INDEX_BYTES), type=_Index)
    except (DamagedRun, msgspec.DecodeError, ValueError, RecursionError):
        return _Index()
    numbers = [max(entry.sections.values(), default=0) for entry in index.entries.values()]
    is_whole = max(numbers, default=0) < max(len(index.sections), 1)
    return index if index.format == _FORMAT and is_whole else _Index()


def _write_index(runs_dir: Path, index: _Index, fresh: Mapping[str, tuple[list[int], RunRow]]) -> None:
    """Adds runs to the index, and leaves out those that are gone."""
    entries: dict[str, Any] = {}
    for place, entry in index.entries.items():
        if os.path.lexists(runs_dir / place):
            entries[place] = entry
    sections = list(index.sections)
    numbers = {msgspec.msgpack.encode(section): number for number, section in enumerate(sections)}
    for place, (stamp, row) in fresh.items():
        own: dict[str, int] = {}
        with suppress(OverflowError, ValueError):  # a number or a text that the format has no room for
            for root, section in row.sections.items():
                own[root] = numbers.setdefault(msgspec.msgpack.encode(section), len(sections))
                if own[root] == len(sections):
                    sections.append(section)
            entry = _Entry(stamp, row.num_bytes, row.record, own)
            entries[place] = msgspec.Raw(msgspec.msgpack.encode(entry))
    with suppress(RunError):  # of a folder that can only be read
        files.write_bytes(runs_dir / INDEX, msgspec.msgpack.encode((_FORMAT, sections, entries)))


def _stamp(path: Path) -> list[int]:
    """Lists size and times of a run's directory and of what is read of it; -1 for what is not there."""
    stamp = []
    for name in _STAMPED:
        try:
            found = os.lstat(f"{path}/{name}")
        except OSError:
            stamp.append(-1)
        else:
            stamp += (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return stamp


def _is_settled(row: RunRow, stamp: Sequence[int]) -> bool:
    is_at_work = row.status in ("running", "lost")
    return not is_at_work and max(stamp) < time.time_ns() - _SETTLED_NS


def _read_row(path: Path) -> RunRow:
    run = Run(path)
    record = dict.fromkeys(_OF_ALL) | asdict(Notes())
    sections: dict[str, Values] = {}
    try:
        record |= _read_manifest(run, sections)
        if run.summary is not None:
            record |= msgspec.json.decode(msgspec.json.encode(run.summary))  # as the index has it
        for root, section in _read_config(path).items():
            sections[root] = section | sections.get(root, {})
    except DamagedRun as error:
        record |= {"status": DAMAGED, "error": one_line(error.reason)}
    record.pop("candidates", None)
    with suppress(DamagedRun):
        record |= asdict(run.notes)
    return RunRow(path, size_of(path), record, sections)


def _read_manifest(run: Run, sections: dict[str, Values]) -> Values:
    """Flattens the manifest; puts what other runs have, too, in sections."""
    status = run.status
    record = asdict(run.manifest) | {"status": status}
    del record["resumed"]
    for root in _SHARED:
        sections[root] = _section(root, msgspec.json.encode(record.pop(root)))
    for name, part in (("error", "message"), ("sweep", "name"), ("engine", "name")):
        if record[name] is not None:
            record |= {f"{name}.{field}": value for field, value in asdict(record[name]).items()}
            record[name] = record.pop(f"{name}.{part}")
    return record


@lru_cache(maxsize=50_000)
def _section(root: str, content: bytes) -> Values:
    """Flattens a part of a manifest, as JSON."""
    return dict(leaves(msgspec.json.decode(content), root))


def _read_config(path: Path) -> dict[str, Values]:
    """Reads a configuration, flattened, in sections by first key: most of them are those of other runs."""
    with RunFolder(path) as folder:
        content = folder.read(CONFIG, MAX_CONFIG_BYTES)
    if len(content) <= _LONGEST_IN_SECTIONS:
        with suppress(ValueError):  # written in another way
            return dict(_read_section(section) for section in _SECTION.split(content) if section)
    try:
        tree = parse_yaml(content)
    except ValueError as error:
        raise DamagedRun(path, f"{CONFIG}: {error}") from error
    return {root: dict(leaves(value, root)) for root, value in tree.items()}


@lru_cache(maxsize=50_000)
def _read_section(content: bytes) -> tuple[str, Values]:
    """Reads the lines of one first key; raises ValueError where they are no YAML by themselves."""
    ((root, value),) = parse_yaml(content).items()
    return root, dict(leaves(value, root))


def size_of(path: Path) -> int:
    """Sums up the bytes of all files below a folder; links are not followed."""
    num_bytes, folders = 0, [str(path)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    num_bytes += entry.stat(follow_symlinks=False).st_size
    return num_bytes
