"""What people note about a run later: a file beside the record, which stays as it was written."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mnist_exp.runs import files
from mnist_exp.runs.folder import NOTES, RunFolder

Tag = Annotated[str, Meta(pattern=r"^\w[\w.:/+-]{0,63}\Z")]
_MAX_BYTES = 1_000_000


class Notes(Struct, frozen=True, kw_only=True):
    """`notes.json`; a run without one has none of it.

    Attributes:
        tags: Each once, in the order in which they were added.
        star: Whether it is marked as one of the best.
    """

    note: Annotated[str, Meta(max_length=10_000)] = ""
    tags: Annotated[list[Tag], Meta(max_length=100)] = []
    star: bool = False


def read_notes(run_path: Path) -> Notes:
    """Reads what was noted about a run; raises DamagedRun where the file is damaged, too large or a link."""
    with RunFolder(run_path) as folder:
        return folder.read_json(NOTES, Notes, _MAX_BYTES) if folder.has(NOTES) else Notes()


def write_notes(run_path: Path, notes: Notes) -> None:
    """Writes `notes.json`; who changes what is there holds `noting` from reading to writing."""
    content = msgspec.json.format(msgspec.json.encode(notes), indent=2)
    files.write_bytes(run_path / NOTES, content + b"\n")


@contextmanager
def noting(run_path: Path) -> Iterator[None]:
    """Keeps other commands from changing a run's notes meanwhile: they wait."""
    # On the directory itself: a running run holds its log, and a file of its own would be left behind.
    descriptor = os.open(run_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
