"""Files that are whole or not there: written under another name, flushed, then renamed."""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_exp.errors import RunError

_DRAFT = ".draft-"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name in the same folder to write to, and moves it to `path` when all went well.

    Args:
        path: The file to make or replace.

    Yields:
        A path with the same ending, which does not exist yet.

    Raises:
        RunError: The file could not be written; `path` is as it was before.
    """
    draft = path.with_name(f"{_DRAFT}{secrets.token_hex(4)}.{path.name}")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}.", _advice(error)) from error
    finally:
        with suppress(OSError):  # of a folder that cannot be written to any more
            draft.unlink(missing_ok=True)


_new_folders: list[Path] = []
_new_files: list[Path] = []


def note_new_folders(path: Path) -> None:
    """Notes a folder and those above it that are not there yet, before someone makes them."""
    missing = [place for place in (path, *path.parents) if not os.path.exists(place)]  # noqa: PTH110 - a name too long is none
    _new_folders.extend(reversed(missing))


def note_new_file(path: Path) -> None:
    """Notes a file that is not there yet, before someone writes it."""
    if not os.path.lexists(path):
        _new_files.append(path)


def note_made_folder(path: Path) -> None:
    """Notes a folder that was just made."""
    _new_folders.append(path)


def remove_new() -> None:
    """Removes noted files, and noted folders that are empty: a refused request leaves nothing behind."""
    while _new_files:
        with suppress(OSError):
            _new_files.pop().unlink()
    while _new_folders:
        with suppress(OSError):
            _new_folders.pop().rmdir()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file; see `whole_file`."""
    write_with(path, lambda draft: draft.write_bytes(content))


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Lets a function that takes a path write a whole file; see `whole_file`."""
    with whole_file(path) as draft:
        write(draft)


def remove_drafts(folder: Path) -> None:
    """Removes what was being written below a folder when its writer ended."""
    for draft in folder.rglob(f"{_DRAFT}*"):
        draft.unlink(missing_ok=True)


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "Free some space, or set runs_dir to another disk."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "Make the folder writable, or set runs_dir to another one."
        case _:
            return ""
