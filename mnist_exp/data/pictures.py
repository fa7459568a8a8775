"""A picture of unknown origin, opened and read without trusting what it claims."""

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# What Pillow decodes by itself: no format that runs a program (EPS, WMF), nests files, or reads others.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".apng",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif",
)  # fmt: skip
PICTURE_NAMES = "PNG, JPEG, WebP, BMP, TIFF, GIF, PPM, JPEG 2000 or AVIF"
_MAX_BYTES, _MAX_PIXELS = 200_000_000, 50_000_000
_TOO_LARGE = f"too many pixels; {_MAX_PIXELS:,} at most are read"
# No digit needs more to come out at 20 pixels.
_MOST_SIDE = 1000
_BLANK = 0.02
Grey = NDArray[np.float32]
_ORIENTATION = 0x0112
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")


class UnreadableImage(Exception):  # noqa: N818 - says what the file is, not that the reader failed
    """A file that shows no picture; the message says why."""


def is_called_picture(name: str) -> bool:
    """Says whether a file's name ends as a picture's does."""
    return name.lower().endswith(_ENDINGS)


def look_at(path: Path) -> tuple[tuple[int, int], bool]:
    """Says from a picture's header its width and height, and whether it has colours or a palette.

    Raises:
        UnreadableImage: As `read_grey`, but for damage after the header.
    """
    with _opened(path) as image:
        return image.size, image.mode not in _GREY_MODES


def read_square(path: Path, side: int) -> NDArray[np.uint8]:
    """Reads a picture as `read_grey` does: uint8 (side, side), its ratio kept, on its edge's grey."""
    grey = read_grey(path)
    if grey.shape != (side, side):
        grey = _squared(grey, side)
    return np.rint(255 * grey.clip(0, 1)).astype(np.uint8)


def _squared(grey: Grey, side: int) -> Grey:
    factor = side / max(grey.shape)
    height, width = (max(1, round(length * factor)) for length in grey.shape)
    scaled = np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))
    edge = np.concatenate([scaled[0], scaled[-1], scaled[:, 0], scaled[:, -1]])
    square = np.full((side, side), np.median(edge), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = scaled
    return square


def read_grey(path: Path) -> Grey:
    """Reads a picture as a person would see it on white paper: float32 (H, W), 0 black to 1 white.

    Turned as its EXIF orientation says, transparent parts white (black, where the rest is white too),
    larger ones scaled down to 1,000 pixels. Of several frames or pages, the first is read.

    Raises:
        UnreadableImage: It is empty, too large, damaged, or something else.
    """
    with _opened(path) as image:
        return _read(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a picture, and turns whatever its reader raises in the block into an UnreadableImage."""
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
                    yield image
        except UnreadableImage:
            raise
        except Image.DecompressionBombError as error:
            raise UnreadableImage(_TOO_LARGE) from error
        except UnidentifiedImageError as error:
            raise UnreadableImage(f"not a {PICTURE_NAMES} image") from error
        except MemoryError as error:
            raise UnreadableImage("not enough memory") from error
        except Exception as error:  # what a hostile file makes a decoder raise is not known beforehand
            raise UnreadableImage(" ".join(str(error).split()) or type(error).__name__) from error


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
    elif image.mode == "L" and not image.has_transparency_data:
        grey = _grey(_reduced(image))
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
