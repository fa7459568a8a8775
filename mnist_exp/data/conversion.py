"""Arrays of any number type and layout to grey images and labels, uint8."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.found import MAX_BYTES, MAX_PIXELS, MIN_PIXELS
from mnist_exp.runs.archives import FormatError

_AT_ONCE = 2**22
_MOST_CLASSES = 256
_LAYOUTS = "(images, height, width), 1 or 3 channels first or last, or (images, pixels) of squares"
# As Pillow computes L of RGB.
_RED, _GREEN, _BLUE, _HALF, _BITS = 19595, 38470, 7471, 0x8000, 16


def check_header(shape: tuple[int, ...], dtype: np.dtype[Any], *, is_images: bool) -> tuple[int, ...]:
    """Gives the shape that `to_images` or `to_labels` will; raises FormatError for one that they cannot."""
    if dtype.kind not in "uifb" or dtype.itemsize > 8:
        raise FormatError(f"holds {dtype}; accepted: whole numbers or floats")
    if any(side < 1 for side in shape):
        raise FormatError(f"is empty (shape {shape})")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        claimed = math.prod(shape) * dtype.itemsize
        raise FormatError(f"claims {claimed:,} bytes; accepted: {MAX_BYTES:,} at most")
    return _image_shape(shape) if is_images else _label_shape(shape)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    sides = shape[1:]
    if len(shape) == 2 and math.isqrt(shape[1]) ** 2 == shape[1]:
        sides = (math.isqrt(shape[1]),) * 2
    elif len(shape) == 4:
        sides = shape[1:3] if shape[3] in (1, 3) else shape[2:] if shape[1] in (1, 3) else ()
    if len(sides) != 2:
        raise FormatError(f"has shape {shape}; accepted: {_LAYOUTS}")
    if not all(MIN_PIXELS <= side <= MAX_PIXELS for side in sides):
        raise FormatError(f"has shape {shape}; accepted: sides of {MIN_PIXELS} to {MAX_PIXELS} pixels")
    return shape[0], sides[0], sides[1]


def _label_shape(shape: tuple[int, ...]) -> tuple[int]:
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] <= _MOST_CLASSES)):
        raise FormatError(f"has shape {shape}; accepted: (labels,), (labels, 1) or one-hot (labels, classes)")
    return (shape[0],)


def to_images(values: NDArray[Any], notes: list[str]) -> NDArray[np.uint8]:
    """Makes grey images, uint8 (N, height, width), of an array that `check_header` accepted; adds to notes.

    Raises:
        FormatError: Values are no grey levels.
    """
    levels = _to_levels(values, notes)
    if levels.ndim == 4 and levels.shape[3] not in (1, 3):
        levels = np.moveaxis(levels, 1, 3)
    if levels.ndim == 4 and levels.shape[3] == 3:
        note(notes, "RGB images became grey, by Pillow's weights.")
        levels = _to_grey(levels)
    return levels.reshape(_image_shape(values.shape))


def _to_levels(values: NDArray[Any], notes: list[str]) -> NDArray[np.uint8]:
    """Rounds numbers to grey levels, 0 to 255; floats that are 1 at most are shares of 255."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values * np.uint8(255)
    least, greatest = values.min(), values.max()
    if not (least >= 0 and greatest <= 255):  # nor is one that is no number
        raise FormatError(f"has values from {least} to {greatest}; accepted: 0 to 255, or floats from 0 to 1")
    factor, accuracy = 1, 0.0
    if values.dtype.kind == "f":
        factor, accuracy = (255 if greatest <= 1 else 1), 255 * float(np.finfo(values.dtype).eps)
    levels, is_rounded = np.empty(values.shape, np.uint8), False
    for rows in _blocks(values):
        exact = values[rows] * values.dtype.type(factor)
        whole = np.rint(exact)
        is_rounded = is_rounded or bool(np.abs(exact - whole).max() > max(accuracy, 1e-3))
        levels[rows] = whole
    if factor != 1:
        note(notes, "Floats from 0 to 1 became grey levels.")
    if is_rounded:
        note(notes, "Values between two grey levels were rounded.")
    return levels


def _to_grey(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = np.empty(colours.shape[:3], np.uint8)
    for rows in _blocks(colours):
        red, green, blue = np.moveaxis(colours[rows].astype(np.uint32), 3, 0)
        grey[rows] = (red * _RED + green * _GREEN + blue * _BLUE + _HALF) >> _BITS
    return grey


def _blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Parts rows into blocks of a few megabytes, one row at least."""
    num_rows = max(1, _AT_ONCE // math.prod(values.shape[1:]))
    for first in range(0, len(values), num_rows):
        yield slice(first, first + num_rows)


def to_labels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Makes labels, uint8 (N,), of an array that `check_header` accepted.

    Raises:
        FormatError: They are no whole numbers from 0 to 255, or rows are not one-hot.
    """
    if values.ndim == 2 and values.shape[1] > 1:
        if not (((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all()):
            raise FormatError("has rows that are not one-hot; accepted: one label an image")
        values = values.argmax(axis=1)
    values = values.reshape(len(values))
    least, greatest = values.min(), values.max()
    if not (least >= 0 and greatest < _MOST_CLASSES) or (values != np.rint(values)).any():
        raise FormatError(f"has labels from {least} to {greatest}; accepted: whole numbers from 0 to 255")
    return values.astype(np.uint8)


def note(notes: list[str], sentence: str) -> None:
    """Adds a sentence that is not among them yet."""
    if sentence not in notes:
        notes.append(sentence)
