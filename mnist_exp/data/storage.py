"""Arrays in IDX, `.npy` and `.npz` files, of any number type and layout, as grey images and labels, uint8.

Nothing that a file says is trusted, and nothing unpickled. Headers are checked first; values are read only on
request, never more than the header promises.
"""

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.found import MAX_BYTES, MAX_PIXELS, MIN_PIXELS, note, read_only
from mnist_exp.runs.archives import (
    HEAD_BYTES,
    FormatError,
    Header,
    explained,
    open_archive,
    open_array,
    parse_npy_header,
    read_exactly,
)

_AT_ONCE = 2**22
_MOST_CLASSES = 256
_LAYOUTS = "(images, height, width), 1 or 3 channels first or last, or (images, pixels) of squares"
# As Pillow computes L of RGB.
_RED, _GREEN, _BLUE, _HALF, _BITS = 19595, 38470, 7471, 0x8000, 16
TRANSPOSED = "The images lie transposed in their files and were put upright."


@dataclass(frozen=True)
class StoredArray:
    """Images or labels of a file, or under a key of an `.npz` file; only their header has been read.

    Attributes:
        shape: Of what `read` gives: (images, height, width) or (labels,).
        notes: Where `read` writes what it made of them.
    """

    path: Path
    key: str | None
    header: Header
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    notes: list[str]
    is_transposed: bool = False

    def read(self) -> NDArray[np.uint8]:
        """Reads the values, 0 to 255, read-only; raises FormatError for damage or another length."""
        with explained(self.key or self.path.name):
            with _opened(self.path, self.key) as (stream, _):
                stream.read(self.header.offset)
                content = read_exactly(stream, math.prod(self.header.shape) * self.dtype.itemsize)
            values = np.frombuffer(content, self.dtype).reshape(self.header.shape, order=self.header.order)
            found = _to_labels(values) if len(self.shape) == 1 else _to_images(values, self.notes)
        if self.is_transposed:
            note(self.notes, TRANSPOSED)
            found = found.transpose(0, 2, 1)
        return read_only(np.ascontiguousarray(found))


def open_stored(
    path: Path, key: str | None, notes: list[str], *, is_images: bool, is_transposed: bool = False
) -> StoredArray:
    """Reads an array's header: under a key of an `.npz` file, or of an `.npy` or IDX file, gzipped or not.

    Raises:
        FormatError: It is damaged, or of another type or shape than accepted.
    """
    with explained(key or path.name), _opened(path, key) as (stream, num_bytes):
        head = stream.read(HEAD_BYTES)
        if key is not None or path.suffix == ".npy":
            header, dtype = parse_npy_header(head)
        else:
            header, dtype = parse_idx(head, 3 if is_images else 1), np.dtype(np.uint8)
        shape = _check_header(header.shape, dtype, is_images=is_images)
        promised = header.offset + math.prod(header.shape) * dtype.itemsize
        if num_bytes is not None and num_bytes != promised:
            raise FormatError(f"is {num_bytes:,} bytes long where its header promises {promised:,}")
    if is_transposed:
        shape = (shape[0], shape[2], shape[1])
    return StoredArray(path, key, header, dtype, shape, notes, is_transposed)


def parse_idx(head: bytes, num_dimensions: int) -> Header:
    """Reads an IDX header: 3 dimensions for images, 1 for labels; raises FormatError where it is none."""
    magic = bytes((0, 0, 8, num_dimensions))
    if head[:4] != magic:
        raise FormatError(f"starts with the bytes [{head[:4].hex(' ')}]; accepted: [{magic.hex(' ')}]")
    offset = 4 + 4 * num_dimensions
    if len(head) < offset:
        raise FormatError("ends within its header")
    return Header(struct.unpack_from(f">{num_dimensions}I", head, 4), "C", offset)


@contextmanager
def opened_archive(path: Path) -> Iterator[ZipFile]:
    """Opens an `.npz` file."""
    with path.open("rb") as file, open_archive(file) as archive:
        yield archive


@contextmanager
def _opened(path: Path, key: str | None) -> Iterator[tuple[IO[bytes], int | None]]:
    """Yields the array's bytes, header first, and their number; null when only reading would tell."""
    with ExitStack() as stack:
        if key is not None:
            archive = stack.enter_context(opened_archive(path))
            num_bytes = archive.getinfo(f"{key}.npy").file_size
            yield stack.enter_context(open_array(archive, key)), num_bytes
            return
        file = stack.enter_context(path.open("rb"))
        if file.peek(2)[:2] == b"\x1f\x8b":
            if path.stat().st_size > MAX_BYTES:
                raise FormatError(f"is {path.stat().st_size:,} bytes long; accepted: {MAX_BYTES:,} at most")
            yield cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file))), None
        else:
            yield file, path.stat().st_size


def _check_header(shape: tuple[int, ...], dtype: np.dtype[Any], *, is_images: bool) -> tuple[int, ...]:
    """Gives the shape that `_to_images` or `_to_labels` will; raises FormatError for one that they cannot."""
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


def _to_images(values: NDArray[Any], notes: list[str]) -> NDArray[np.uint8]:
    """Makes grey images, uint8 (N, height, width), of an array that `_check_header` accepted; adds to notes.

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


def _to_labels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Makes labels, uint8 (N,), of an array that `_check_header` accepted.

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
