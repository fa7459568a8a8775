"""Arrays of bytes in IDX, `.npy` and `.npz` files, read without trusting what they say; nothing is unpickled.

Headers are checked first; values are read only on request, never more than the header promises.
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

from mnist_exp.data.conversion import check_header, note, to_images, to_labels
from mnist_exp.data.found import MAX_BYTES
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
            found = to_labels(values) if len(self.shape) == 1 else to_images(values, self.notes)
        if self.is_transposed:
            note(self.notes, TRANSPOSED)
            found = found.transpose(0, 2, 1)
        array = np.ascontiguousarray(found)
        array.flags.writeable = False
        return array


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
        shape = check_header(header.shape, dtype, is_images=is_images)
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
