"""A folder of pictures, one folder a class, as arrays: made once, then kept among the user's other caches.

Links are followed to files of the same folder only; hidden files are passed over.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from mnist_exp import environment
from mnist_exp.data.found import (
    MAX_BYTES,
    MAX_PIXELS,
    MIN_PIXELS,
    PART_WORDS,
    PARTS,
    FoundData,
    ReadArray,
    read_only,
)
from mnist_exp.data.pictures import UnreadableImage, is_called_picture, look_at, read_square
from mnist_exp.errors import RunError
from mnist_exp.runs import files
from mnist_exp.runs.archives import ArrayKind, FormatError, explained, read_npz
from mnist_exp.runs.folder import DamagedRun, RunFolder
from mnist_exp.words import name_some, plural, shortened

_MOST_CLASSES, _MOST_NAMED, _MOST_NOTES = 256, 3, 10_000
_ACCEPTED = "accepted: one folder a class, or folders train, val and test with one folder a class each"
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Listing:
    """The pictures of a folder, by part, class and name; equal to another as long as nothing has changed.

    Attributes:
        counts: Of each part and class; in the order of `paths`.
    """

    folder: Path
    digest: str
    counts: Mapping[tuple[str, str], int] = field(compare=False)
    paths: Sequence[str] = field(compare=False)
    num_passed_over: int = field(compare=False)


class _Squares(NamedTuple):
    """What pictures were made into: uint8 (N, side, side), read-only, and sentences on that."""

    images: NDArray[np.uint8]
    notes: list[str]


def open_picture_folder(folder: Path, size: int | None) -> FoundData:
    """Reads pictures as squares of `size` pixels a side, by default of the commonest size.

    Raises:
        FormatError: There are no folders of classes, a picture is damaged, or a link leads elsewhere.
    """
    with explained("it"):
        listing = _list_pictures(folder.resolve())
    if (num_classes := len({name for _, name in listing.counts})) > _MOST_CLASSES:
        raise FormatError(f"it has {num_classes:,} classes; accepted: {_MOST_CLASSES} at most")
    return _describe(listing, _read_squares(listing, size))


@lru_cache(maxsize=1)
def _read_squares(listing: _Listing, size: int | None) -> _Squares:
    return _read_kept(listing, size) or _make(listing, size)


def _describe(listing: _Listing, squares: _Squares) -> FoundData:
    names = sorted({name for _, name in listing.counts}, key=_natural)
    arrays: dict[str, ReadArray] = {}
    first = 0
    for part in PARTS:
        counts = {name: count for (other, name), count in listing.counts.items() if other == part}
        labels = np.repeat(np.array([names.index(name) for name in counts], np.uint8), list(counts.values()))
        if len(labels):
            images = squares.images[first : first + len(labels)]
            arrays |= {f"x_{part}": ReadArray(images), f"y_{part}": ReadArray(labels)}
            first += len(labels)
    notes = list(squares.notes)
    if listing.num_passed_over:
        notes.append(f"{plural(listing.num_passed_over, 'file')} that are no pictures were passed over.")
    return FoundData("a folder of pictures", arrays, tuple(names), notes)


def _list_pictures(root: Path) -> _Listing:
    paths: list[str] = []
    counts: dict[tuple[str, str], int] = {}
    states, num_passed_over = hashlib.sha256(), 0
    for part, place in _part_folders(root).items():
        for folder in _folders(place):
            before = len(paths)
            for entry in sorted(_files(folder.path), key=attrgetter("path")):
                if entry.name.startswith(".") or not is_called_picture(entry.name):
                    num_passed_over += 1
                    continue
                if entry.is_symlink():
                    _refuse_link_out(entry, root)
                found = entry.stat()
                state = entry.path, found.st_size, found.st_mtime_ns, found.st_ctime_ns
                states.update(repr(state).encode())
                paths.append(entry.path)
            if len(paths) > before:
                counts[part, folder.name] = len(paths) - before
    if not any(part == "train" for part, _ in counts):
        raise FormatError(f"has no folder of a class to train on; {_ACCEPTED}")
    return _Listing(root, states.hexdigest(), counts, paths, num_passed_over)


def _part_folders(root: Path) -> dict[str, str]:
    """Finds the folders that are called after parts; without any, everything is to train on."""
    found: dict[str, str] = {}
    for entry in _folders(root):
        part = PART_WORDS.get(entry.name.lower())
        if part is not None and found.setdefault(part, entry.path) != entry.path:
            raise FormatError(f"has {Path(found[part]).name} and {entry.name}; accepted: one folder a part")
    if found and "train" not in found:
        raise FormatError(
            f"has the folder {Path(min(found.values())).name}, and none called train; {_ACCEPTED}"
        )
    return {part: found[part] for part in PARTS if part in found} or {"train": str(root)}


def _folders(place: str | Path) -> "list[os.DirEntry[str]]":
    """Lists folders that are not hidden, in natural order."""
    with os.scandir(place) as entries:
        found = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    for entry in found:
        if entry.is_symlink():
            raise FormatError(f"has the folder {entry.name} by a link, which is not followed")
    return sorted(found, key=lambda entry: _natural(entry.name))


def _files(folder: str) -> "Iterator[os.DirEntry[str]]":
    """Yields what is in a folder and those below it, hidden ones left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif not entry.name.startswith("."):
                yield from _files(entry.path)


def _refuse_link_out(entry: "os.DirEntry[str]", root: Path) -> None:
    if not Path(entry.path).resolve().is_relative_to(root):
        raise FormatError(f"has {entry.name}, a link out of the folder, which is not followed")


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts class2 before class10."""
    words = re.split(r"(\d+)", name.casefold(), flags=re.ASCII)
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in [*words, name]]


def _make(listing: _Listing, size: int | None) -> _Squares:
    paths = list(map(Path, listing.paths))
    looks = _each(look_at, paths, "looking at")
    side = size or _common_side([size for size, _ in looks])
    if len(paths) * side**2 > MAX_BYTES:
        raise FormatError(
            f"{len(paths):,} pictures of {side} × {side} pixels are more than {MAX_BYTES:,} bytes; "
            "accepted: a smaller data.size"
        )
    images = read_only(np.stack(_each(lambda path: read_square(path, side), paths, "reading")))
    squares = _Squares(images, _word_changes(looks, side))
    _keep(_kept_path(listing, size), squares)
    return squares


def _each(read: Callable[[Path], _Result], paths: Sequence[Path], verb: str) -> list[_Result]:
    """Reads all pictures, with a bar on a terminal; raises FormatError that names those that could not be."""
    results, problems = [], []
    console = Console(stderr=True)
    what = f"{verb} {plural(len(paths), 'picture')}"
    for path in track(paths, what, console=console, transient=True, disable=not console.is_terminal):
        try:
            results.append(read(path))
        except UnreadableImage as error:
            problems.append(f"{shortened(path.name)} ({error})")
    if problems:
        raise FormatError(f"it has pictures that cannot be read: {name_some(problems, _MOST_NAMED)}")
    return results


def _common_side(sizes: Sequence[tuple[int, int]]) -> int:
    """Takes the commonest longer side, within the sizes that are accepted."""
    ((side, _),) = Counter(map(max, sizes)).most_common(1)
    return min(max(side, MIN_PIXELS), MAX_PIXELS)


def _word_changes(looks: Sequence[tuple[tuple[int, int], bool]], side: int) -> list[str]:
    others = sum(size != (side, side) for size, _ in looks)
    colours = sum(is_coloured for _, is_coloured in looks)
    notes = []
    if others:
        notes.append(
            f"{others:,} of {plural(len(looks), 'picture')} were scaled to {side} × {side} pixels "
            "(data.size), their ratio kept, centred on the level of their edge."
        )
    if colours:
        notes.append(
            f"{plural(colours, 'picture')} with colours or a palette became grey, by Pillow's weights."
        )
    return notes


def _kept_path(listing: _Listing, size: int | None) -> Path:
    """Says where squares are kept: by folder and size, then by what is in it."""
    place = hashlib.sha256(f"{listing.folder} {size}".encode("utf-8", "surrogateescape")).hexdigest()
    return environment.cache_folder("pictures") / f"{place[:16]}-{listing.digest[:32]}.npz"


def _read_kept(listing: _Listing, size: int | None) -> _Squares | None:
    path, count = _kept_path(listing, size), len(listing.paths)
    kinds = {
        "images": ArrayKind(np.uint8, (count, MAX_PIXELS, MAX_PIXELS)),
        "notes": ArrayKind(np.uint8, (_MOST_NOTES,)),
    }
    try:
        with RunFolder(path.parent) as folder, folder.open(path.name, 2 * MAX_BYTES) as file:
            kept = read_npz(file, kinds, 2 * MAX_BYTES)
    except (DamagedRun, FormatError):
        return None
    images = kept["images"]
    if images.shape != (count, images.shape[1], size or images.shape[1]):
        return None
    return _Squares(read_only(images), kept["notes"].tobytes().decode("utf-8", "replace").splitlines())


def _keep(path: Path, squares: _Squares) -> None:
    """Keeps squares in place of the folder's earlier ones; without room, the next start takes longer."""
    text = "".join(f"{note}\n" for note in squares.notes) or "\n"
    notes = np.frombuffer(text.encode(), np.uint8)
    with suppress(OSError, RunError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_with(path, lambda draft: np.savez(draft, images=squares.images, notes=notes))
        for other in path.parent.glob(f"{path.name.partition('-')[0]}-*"):
            if other != path:
                other.unlink()
