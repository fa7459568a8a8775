"""Whole files: written beside, flushed and renamed; and locks on them."""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from mnist_exp.errors import RunError
from mnist_exp.words import one_line

_DRAFT = ".draft-"
_new_folders: list[Path] = []
_new_files: list[Path] = []
_PAUSES_S = (0.05, 0.1, 0.2)
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a new path in the same folder, of the same ending; moves it to `path` when all went well.

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


def note_new_folders(path: Path) -> None:
    """Notes a folder and those above it that are not there yet, before they are made."""
    missing = [place for place in (path, *path.parents) if not os.path.exists(place)]  # noqa: PTH110 - a name too long is none
    _new_folders.extend(reversed(missing))


def note_new_file(path: Path) -> None:
    """Notes a file that is not there yet, before it is written."""
    if not os.path.lexists(path):
        _new_files.append(path)


def is_new_folder(path: Path) -> bool:
    """Says whether a folder is there only since this request was made."""
    return path.absolute() in [noted.absolute() for noted in _new_folders]


def note_made_folder(path: Path) -> None:
    """Notes a folder that was just made."""
    _new_folders.append(path)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, where it is missing; raises RunError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror or error}.", _advice(error)) from error


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


def write_json(path: Path, record: object, indent: int = 2) -> None:
    """Writes a record as a whole file of JSON; see `whole_file`."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(record), indent=indent) + b"\n")


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


class Taken(Exception):  # noqa: N818 - not an error by itself
    """Another process holds the lock."""


def take(path: Path) -> int:
    """Takes the lock on a log, made where it is missing; returns the descriptor to close.

    Raises:
        Taken: Another process holds it.
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    for pause_s in (*_PAUSES_S, None):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if pause_s is None:
                os.close(descriptor)
                raise Taken from None
            # Another process may just be testing whether it is taken.
            time.sleep(pause_s)
        except OSError:
            # Some network file systems have no locks; the work is worth more than its lock.
            break
    return descriptor


def is_taken(path: Path) -> bool:
    """Says whether a process holds a log's lock: yes where that cannot be known, no where there is no log."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def csv_cell(text: str) -> str:
    """Puts a text on one line, and keeps spreadsheets from computing it."""
    plain = one_line(text)
    return f"'{plain}" if plain.startswith(_FORMULA) else plain
