"""Users' pictures: found, and made into what a network was trained on."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.pictures import PICTURE_NAMES, Grey, UnreadableImage, is_called_picture, read_grey
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.evaluation.background import shrunk
from mnist_exp.evaluation.framing import BlankImage, Frame, frame
from mnist_exp.words import shortened

_ACCEPTED = f"Accepted: {PICTURE_NAMES} files, a folder of them, a glob, or a list of these."
_THUMBNAIL_SIDE = 240


def find_images(patterns: Sequence[str]) -> list[Path]:
    """Lists the files that patterns mean, each once, in the order of the patterns, then of names.

    Patterns are files, folders (whose pictures are taken) and globs, `**` included.

    Raises:
        ConfigError: A path is not there, or a pattern means no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        try:
            matched = sorted(_match(pattern))
        except (OSError, RuntimeError, ValueError) as error:  # too long a name, no such user's home folder
            problem = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"images: {shortened(pattern)}: {problem.rstrip('.')}.", _ACCEPTED) from error
        if not matched:
            raise ConfigError(f"images: {pattern} holds no picture.", _ACCEPTED)
        found.update(dict.fromkeys(matched))
    return list(found)


def find_passed_over(patterns: Sequence[str]) -> list[Path]:
    """Lists the files of folders that `find_images` takes for no pictures, hidden ones left out."""
    found: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern).expanduser()
        for entry in path.iterdir() if path.is_dir() else ():
            if entry.is_file() and not entry.name.startswith(".") and not _is_picture(entry):
                found.add(entry)
    return sorted(found)


def _match(pattern: str) -> Iterator[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        yield from (entry for entry in path.iterdir() if _is_picture(entry))
    elif os.path.lexists(path):
        yield path
    elif has_magic(pattern):
        names = glob.iglob(str(path), recursive=True)  # noqa: PTH207 - takes absolute ones too
        yield from (Path(name) for name in names if _is_picture(Path(name)))
    else:
        raise _missing(path)


def _is_picture(path: Path) -> bool:
    return is_called_picture(path.name) and path.is_file()


def _missing(path: Path) -> ConfigError:
    try:
        names = [entry.name for entry in path.parent.iterdir() if _is_picture(entry)]
    except OSError:
        names = []
    return ConfigError(f"images: {path} does not exist.", nearest(path.name, names) if names else _ACCEPTED)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that could be read.

    Attributes:
        thumbnail: As a person sees it, float32 (H, W), 0 black to 1 white, at most 240 pixels wide or
            high; null where it is not drawn.
        image: What the network is shown, uint8 (side, side), 0 background.
    """

    path: Path
    thumbnail: Grey | None
    image: NDArray[np.uint8]
    is_inverted: bool
    has_surroundings: bool


@dataclass(frozen=True)
class Unread:
    """A picture that was skipped, and why."""

    path: Path
    reason: str


def read_pictures(
    paths: Sequence[Path], side: int, place: Frame, num_shown: int
) -> tuple[list[Picture], list[Unread]]:
    """Reads pictures and makes them into what a network was trained on; those that cannot be read, apart.

    Of the first `num_shown`, the picture itself is kept.
    """
    read: list[Picture] = []
    unread: list[Unread] = []
    for path in paths:
        try:
            grey = read_grey(path)
            framed = frame(grey, side, place)
        except UnreadableImage as error:
            unread.append(Unread(path, str(error)))
        except BlankImage:
            unread.append(Unread(path, "blank: nothing stands out from the background"))
        else:
            thumbnail = shrunk(grey, _THUMBNAIL_SIDE) if len(read) < num_shown else None
            read.append(Picture(path, thumbnail, *framed))
    return read, unread
