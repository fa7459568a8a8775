"""What people note about a run later: a file beside the record, which stays as it was written."""

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from mnist_exp.runs import files
from mnist_exp.runs.folder import NOTES, RunFolder

TAG = r"^[^\W\d_][\w.:/+-]{0,63}\Z"
Note = Annotated[str, Meta(max_length=10_000)]
_MAX_BYTES = 1_000_000


class Notes(Struct, frozen=True, kw_only=True):
    """`notes.json`; a run without one has none of it.

    Attributes:
        tags: Each once, in the order in which they were added.
        star: Whether it is one of those that matter.
    """

    note: Note = ""
    tags: list[Annotated[str, Meta(pattern=TAG)]] = []
    star: bool = False

    @property
    def marks(self) -> str:
        """Star and tags in a line: `★ paper, good`; empty without any."""
        return f"{'★ ' if self.star else ''}{', '.join(self.tags)}".strip()


def read_notes(run_path: Path) -> Notes:
    """Reads what was noted about a run; raises DamagedRun where the file is damaged, too large or a link."""
    with RunFolder(run_path) as folder:
        return folder.read_json(NOTES, Notes, _MAX_BYTES) if folder.has(NOTES) else Notes()


def write_notes(run_path: Path, notes: Notes) -> None:
    """Writes `notes.json`; raises RunError where that fails."""
    files.write_json(run_path / NOTES, notes)


def change_notes(run_path: Path, change: Callable[[Notes], Notes]) -> Notes:
    """Reads, changes and writes a run's notes, with other commands that do so waiting; returns them.

    Raises:
        DamagedRun: What is there cannot be read.
        RunError: They could not be written.
    """
    # The lock is on the directory itself: a running run holds its log, and no file is left behind.
    descriptor = os.open(run_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = read_notes(run_path)
        after = change(before)
        if after != before:
            write_notes(run_path, after)
        return after
    finally:
        os.close(descriptor)


def changed_tags(tags: Sequence[str], words: Sequence[str]) -> list[str]:
    """Applies words to tags: all plain ones together replace them, then `+x` adds and `-x` removes, in order.

    No words at all leave no tags.
    """
    plain = [word for word in words if word[0] not in "+-"]
    kept = dict.fromkeys(plain if plain or not words else tags)
    for word in words:
        if word[0] == "+":
            kept[word[1:]] = None
        elif word[0] == "-":
            kept.pop(word[1:], None)
    return list(kept)
