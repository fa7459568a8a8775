"""Pictures of unknown origin, found and opened without trusting what they claim."""

import glob
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_exp.errors import ConfigError, nearest
from mnist_exp.evaluation.background import shrunk
from mnist_exp.evaluation.framing import BlankImage, Frame, frame
from mnist_exp.words import shortened

# What Pillow decodes by itself: no format that runs a program (EPS, WMF), nests files, or reads others.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".apng",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif",
)  # fmt: skip
_NAMES = "PNG, JPEG, WebP, BMP, TIFF, GIF, PPM, JPEG 2000 or AVIF"
_ACCEPTED = f"Accepted: {_NAMES} files, a folder of them, a glob, or a list of these."
_MAX_BYTES, _MAX_PIXELS = 200_000_000, 50_000_000
_TOO_LARGE = f"too many pixels; {_MAX_PIXELS:,} at most are read"
# No digit needs more to come out at 20 pixels.
_MOST_SIDE = 1000
_BLANK = 0.02
Grey = NDArray[np.float32]
_ORIENTATION = 0x0112
_THUMBNAIL_SIDE = 240


class UnreadableImage(Exception):  # noqa: N818 - says what the file is, not that the reader failed
    """A file that shows no picture; the message says why."""


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


def read_grey(path: Path) -> Grey:
    """Reads a picture as a person would see it on white paper: float32 (H, W), 0 black to 1 white.

    Turned as its EXIF orientation says, transparent parts white (black, where the rest is white too),
    larger ones scaled down to 1,000 pixels. Of several frames or pages, the first is read.

    Raises:
        UnreadableImage: It is empty, too large, damaged, or something else.
    """
    try:
        # A pipe without a writer must not block.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: PTH123, SIM115
    except (OSError, ValueError) as error:
        raise UnreadableImage(getattr(error, "strerror", None) or str(error)) from error
    with file:
        _check_file(os.fstat(file.fileno()))
        try:
            with warnings.catch_warnings():
                # Pillow warns of what it reads all the same; its own limit is above this one.
                warnings.simplefilter("ignore")
                with Image.open(file, formats=_FORMATS) as image:
                    return _read(image)
        except UnreadableImage:
            raise
        except Image.DecompressionBombError as error:
            raise UnreadableImage(_TOO_LARGE) from error
        except UnidentifiedImageError as error:
            raise UnreadableImage(f"not a {_NAMES} image") from error
        except MemoryError as error:
            raise UnreadableImage("not enough memory") from error
        except Exception as error:  # what a hostile file makes a decoder raise is not known beforehand
            raise UnreadableImage(" ".join(str(error).split()) or type(error).__name__) from error


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
    return path.suffix.lower() in _ENDINGS and path.is_file()


def _missing(path: Path) -> ConfigError:
    try:
        names = [entry.name for entry in path.parent.iterdir() if _is_picture(entry)]
    except OSError:
        names = []
    return ConfigError(f"images: {path} does not exist.", nearest(path.name, names) if names else _ACCEPTED)


def _check_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage("not a plain file")
    if found.st_size == 0:
        raise UnreadableImage("empty")
    if found.st_size > _MAX_BYTES:
        raise UnreadableImage(f"{found.st_size:,} bytes; {_MAX_BYTES:,} at most are read")


def _read(image: Image.Image) -> Grey:
    # A JPEG photograph is decoded at a fraction of its size, many times faster.
    image.draft("RGB", (_MOST_SIDE, _MOST_SIDE))
    if image.width * image.height > _MAX_PIXELS:
        raise UnreadableImage(_TOO_LARGE)
    # Turned last: turning copies, and the small picture is quicker to copy.
    turned = image.getexif().get(_ORIENTATION)
    if image.mode.startswith("I") or image.mode == "F":
        grey = _reduced(Image.fromarray(_scaled(np.asarray(image, np.float32))))
    else:
        grey = _on_paper(_reduced(image.convert("RGBA" if image.has_transparency_data else "RGB")))
    if turned is not None:
        grey.getexif()[_ORIENTATION] = turned
        grey = ImageOps.exif_transpose(grey)
    return np.asarray(grey, np.float32).copy()


def _scaled(values: Grey) -> Grey:
    """Brings wide pixels to 0 to 1: 16 bits by their format's range, others by their own."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low >= 0 and 1 < high <= 65535:
        low, high = 0.0, 65535.0
    if not np.isfinite([low, high]).all():
        raise UnreadableImage("its values are not finite")
    return np.nan_to_num((values - np.float32(low)) / np.float32(max(high - low, 1e-12))).clip(0, 1)


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // _MOST_SIDE
    return image.reduce(factor) if factor > 1 else image


def _on_paper(image: Image.Image) -> Image.Image:
    """Lays a picture on white, or on black where it cannot be seen on white; grey, 0 to 1."""
    if "A" not in image.getbands():
        return _grey(image)
    grey = _grey(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image))
    if np.ptp(np.asarray(grey)) < _BLANK:
        return _grey(Image.alpha_composite(Image.new("RGBA", image.size, "black"), image))
    return grey


def _grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L"), np.float32) / np.float32(255))


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
