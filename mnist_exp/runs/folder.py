"""A run's directory, of unknown origin: files of bounded size, reached without links."""

import fcntl
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import msgspec.yaml
import yaml

from mnist_exp.config.trees import DEEPEST, MOST_LETTERS, MOST_NODES, find_odd
from mnist_exp.errors import ExperimentError
from mnist_exp.words import shortened

_Record = TypeVar("_Record")

MANIFEST, CONFIG, OVERRIDES, LOG = "manifest.json", "config.yaml", "overrides.yaml", "train.log"
METRICS, SUMMARY, PREDICTIONS, TRIALS = "metrics.jsonl", "summary.json", "predictions.npz", "trials.jsonl"
CHECKPOINTS, PLOTS, PAGE = "checkpoints", "plots", "report.html"
TENSORBOARD, PUBLISHED, NOTES = "tensorboard", "published.json", "notes.json"
BEST, LAST = f"{CHECKPOINTS}/best.keras", f"{CHECKPOINTS}/last.keras"
"""What is in a run's directory."""

SWEEP, SWEEP_LOG = "sweep.json", "sweep.log"
"""What is in a sweep's folder."""

OUT_OF_FOLD, LABEL_ERRORS, LABEL_ERRORS_PAGE = "out_of_fold.npz", "label_errors.csv", "label_errors.html"
"""What is there, or in a comparison's, of a cross-validation."""

MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES = 5_000_000, 1_000_000

_SHARED = ("nfs", "cifs", "smb", "fuse", "9p", "lustre", "ceph", "gpfs", "beegfs", "afs")
_FRESH_S = 300.0

_MOST_EVENTS = 3 * MOST_NODES
_PIECE_BYTES = 2**22


class DamagedRun(ExperimentError):  # noqa: N818 - says what the run is, not that the reader failed
    """A run's directory that cannot be believed; says which file, and what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class RunFolder:
    """An open run directory; its files are named by their path in it, such as `checkpoints/best.keras`.

    Raises:
        DamagedRun: It cannot be opened. So do all methods, with a file that is no plain file, too
            large, or not what it should be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self.damaged(".", error.strerror or str(error)) from error

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def damaged(self, name: str, reason: str) -> DamagedRun:
        """Makes the error that says what is wrong with a file."""
        return DamagedRun(self.path, reason if name == "." else f"{name}: {reason}")

    @contextmanager
    def open(self, name: str, max_bytes: int) -> Iterator[BinaryIO]:
        """Opens a file of this directory, not one that a link leads to."""
        # A link is not followed, and a pipe without a writer must not block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            with self._parent(name) as (parent, last):
                descriptor = os.open(last, flags, dir_fd=parent)
        except OSError as error:
            known = self._stat(name)
            is_link = known is not None and stat.S_ISLNK(known.st_mode)
            reason = "a link, which is not followed" if is_link else error.strerror or str(error)
            raise self.damaged(name, reason) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise self.damaged(name, "not a plain file")
        with os.fdopen(descriptor, "rb") as file:
            if found.st_size > max_bytes:
                reason = f"{found.st_size:,} bytes; {max_bytes:,} at most are read"
                raise self.damaged(name, reason)
            yield file

    def read(self, name: str, max_bytes: int) -> bytes:
        """Reads a file, which may be growing, up to so many bytes."""
        # In pieces: reading more than there is would allocate memory for all of it.
        pieces: list[bytes] = []
        num_bytes = 0
        with self.open(name, max_bytes) as file:
            try:
                while num_bytes <= max_bytes and (piece := file.read(_PIECE_BYTES)):
                    pieces.append(piece)
                    num_bytes += len(piece)
            except OSError as error:
                raise self.damaged(name, error.strerror or str(error)) from error
        if num_bytes > max_bytes:
            raise self.damaged(name, f"more than {max_bytes:,} bytes")
        return b"".join(pieces)

    def read_json(self, name: str, kind: type[_Record], max_bytes: int) -> _Record:
        """Reads a record from a JSON file."""
        return self._decoded(name, max_bytes, msgspec.json.Decoder(kind).decode)

    def read_lines(self, name: str, kind: type[_Record], max_bytes: int) -> list[_Record]:
        """Reads records from a file with one JSON object a line."""
        return self._decoded(name, max_bytes, msgspec.json.Decoder(kind).decode_lines)

    def _decoded(self, name: str, max_bytes: int, decode: Callable[[bytes], _Record]) -> _Record:
        try:
            return decode(self.read(name, max_bytes))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self.damaged(name, shortened(str(error), 300)) from error

    def read_yaml(self, name: str, max_bytes: int) -> dict[str, Any]:
        """Reads a mapping from a YAML file; see `parse_yaml`."""
        try:
            return parse_yaml(self.read(name, max_bytes))
        except ValueError as error:
            raise self.damaged(name, str(error)) from error

    def size_of(self, name: str) -> int | None:
        """Says how many bytes a file has; None for no plain file."""
        found = self._stat(name)
        return found.st_size if found is not None and stat.S_ISREG(found.st_mode) else None

    def refuse_links(self) -> None:
        """Makes sure that nothing in this directory leads out of it, before anyone writes in it."""
        with os.scandir(self._descriptor) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise self.damaged(entry.name, "a link, which is not followed")

    def has(self, name: str) -> bool:
        """Says whether there is anything of that name."""
        return self._stat(name) is not None

    def is_locked(self, name: str) -> bool:
        """Says whether some process holds the lock on a file, as `files.is_taken` does for one of its own.

        Where locks are unknown, or not told to other machines, a file that changed in the last five
        minutes stands for one.
        """
        if not self.has(name):
            return False
        with self.open(name, sys.maxsize) as file:
            try:
                # Shared, so that two tests at once do not take each other for a run.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:
                return self._is_fresh()
        return _is_shared(self.path) and self._is_fresh()

    def _is_fresh(self) -> bool:
        with os.scandir(self._descriptor) as entries:
            newest = max(entry.stat(follow_symlinks=False).st_mtime for entry in entries)
        return time.time() - newest < _FRESH_S

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            with self._parent(name) as (parent, last):
                return os.stat(last, dir_fd=parent, follow_symlinks=False)
        except OSError:
            return None

    @contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """Opens the folder that a file is in, unless it is a link; yields it and the file's own name."""
        folder, _, last = name.rpartition("/")
        if not folder:
            yield self._descriptor, last
            return
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY
        inner = os.open(folder, flags, dir_fd=self._descriptor)
        try:
            yield inner, last
        finally:
            os.close(inner)


def parse_yaml(content: bytes) -> dict[str, Any]:
    """Reads a mapping from YAML, without links within it and not nested deeply; raises ValueError."""
    try:
        problem = _find_unsafe(content)
        tree = {} if problem else msgspec.yaml.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"not readable as YAML: {shortened(words, 300)}") from error
    if problem := problem or find_odd(tree):
        raise ValueError(problem.rstrip("."))
    return tree


def _find_unsafe(content: bytes) -> str | None:
    """Says what would end the reader or fill the memory: the parser itself would not."""
    depth = 0
    for number, event in enumerate(yaml.parse(content, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            return "has aliases, which a run does not write"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MOST_LETTERS:
            return f"has a value of more than {MOST_LETTERS:,} letters"
        if depth > DEEPEST or number > _MOST_EVENTS:
            return "larger or nested deeper than any configuration"
    return None


def _is_shared(path: Path) -> bool:
    """Says whether a file system may be another machine's; no where there is no /proc to tell."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    mounted = [line.partition(" - ") for line in lines]
    return any(kind.startswith(_SHARED) for place, _, kind in mounted if place.split()[2] == number)
