"""The trash of a folder of runs: each piece moved there by one rename, until it is put back or deleted."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from mnist_exp.errors import ConfigError, RunError, nearest
from mnist_exp.runs import files
from mnist_exp.runs.folder import LOG, RunFolder
from mnist_exp.runs.index import size_of
from mnist_exp.runs.run import DamagedRun, Run, refused
from mnist_exp.runs.writer import claim_folder

TRASH, LATEST = ".trash", "latest"
# Where pieces 0, 1, … were, below the folder of runs: written before the first is moved.
_LIST = "trash.json"
_LOCK, _EMPTIED = "lock", ".emptied"
_MAX_BYTES = 100_000_000


class Piece(NamedTuple):
    """A run, or a file of it; `status` is what its manifest said."""

    path: Path
    run: Path
    status: str
    num_bytes: int


def put_away(runs_dir: Path, pieces: Sequence[Piece], label: str) -> tuple[Path, list[Piece]]:
    """Moves pieces to a new folder of the trash; returns it, and what was moved.

    A run that is at work by now, or has another status than it had, stays as it is.

    Raises:
        ConfigError: The trash is in use, or cannot be written to.
        RunError: Something could not be moved; what was moved before can be put back.
    """
    with _held(runs_dir):
        folder = claim_folder(runs_dir / TRASH, label)
        places = [piece.path.relative_to(runs_dir).as_posix() for piece in pieces]
        files.write_bytes(folder / _LIST, msgspec.json.format(msgspec.json.encode(places), indent=1))
        numbered = list(enumerate(pieces))
        moved = [piece for number, piece in numbered if _put_away(piece, folder / str(number))]
        if not moved:
            (folder / _LIST).unlink()
            folder.rmdir()
        return folder, moved


def _put_away(piece: Piece, place: Path) -> bool:
    try:
        lock = files.take(piece.run / LOG)  # nobody resumes it meanwhile
    except (files.Taken, OSError):
        return False
    try:
        is_same = Run(piece.run).manifest.status == piece.status
        if is_same:
            _rename(piece.path, place, f"mode=clean restore={place.parent.name} puts the others back.")
        return is_same
    except DamagedRun:
        return False
    finally:
        os.close(lock)


def put_back(runs_dir: Path, name: str) -> int:
    """Moves all pieces in a folder of the trash, or the `latest`, back to where they were; counts them.

    Raises:
        ConfigError: There is no such folder, or a place is taken or gone; nothing was moved.
        RunError: Something could not be moved; the same command goes on.
    """
    folder = _choose(runs_dir, name, "restore")
    with _held(runs_dir):
        with refused("restore: "), RunFolder(folder) as listed:
            places = listed.read_json(_LIST, list[str], _MAX_BYTES)
        numbered = [(folder / str(number), runs_dir / place) for number, place in enumerate(places)]
        # The others were never moved, or are back already.
        moves = [(there, back) for there, back in numbered if os.path.lexists(there)]
        for _, back in moves:
            _check_place(back, runs_dir)
        for there, back in moves:
            _rename(there, back)
        (folder / _LIST).unlink()
        with suppress(OSError):  # someone has put something else there
            folder.rmdir()
    return len(moves)


def _check_place(back: Path, runs_dir: Path) -> None:
    if "\0" in str(back) or not back.parent.resolve().is_relative_to(runs_dir.resolve()):
        raise ConfigError(f"restore: {back} is not below {runs_dir}.")
    if os.path.lexists(back):
        raise ConfigError(f"restore: {back} is there already.", "Move it away first.")
    if not back.parent.is_dir():
        raise ConfigError(f"restore: {back.parent} is gone.", "Restore it first.")


def empty(runs_dir: Path, name: str) -> int:
    """Deletes a folder of the trash, and says of how many bytes; raises ConfigError where there is none."""
    folder = _choose(runs_dir, name, "empty")
    doomed = folder.with_name(folder.name.removesuffix(_EMPTIED) + _EMPTIED)
    with _held(runs_dir):
        _rename(folder, doomed)  # what is no longer whole cannot be put back
        num_bytes = size_of(doomed)
        shutil.rmtree(doomed)
    return num_bytes


def _choose(runs_dir: Path, name: str, key: str) -> Path:
    trash = runs_dir / TRASH
    doomed = sorted(path.name for path in trash.glob(f"*{_EMPTIED}"))
    names = sorted({path.parent.name for path in trash.glob(f"*/{_LIST}")}.difference(doomed))
    if key == "empty":
        names += doomed
    elif name == LATEST and names:
        return trash / names[-1]
    if name not in names:
        hint = nearest(name, names) if names else "The trash is empty."
        raise ConfigError(f"{key}: there is no {name} in {trash}.", hint)
    return trash / name


@contextmanager
def _held(runs_dir: Path) -> Iterator[None]:
    """Keeps other commands out of the trash."""
    trash = runs_dir / TRASH
    try:
        trash.mkdir(exist_ok=True)
        lock = files.take(trash / _LOCK)
    except files.Taken:
        raise ConfigError(f"mode=clean: another one is at work in {trash}.", "Wait for it.") from None
    except OSError as error:
        raise ConfigError(f"runs_dir: {trash}: {error.strerror}.") from error
    try:
        yield
    finally:
        os.close(lock)


def _rename(path: Path, to: Path, hint: str = "") -> None:
    try:
        path.rename(to)
    except OSError as error:
        raise RunError(f"{path}: cannot be moved to {to}: {error.strerror}.", hint) from error
