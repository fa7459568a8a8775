"""`.npz` and IDX files of images and labels, read without trusting what they say; nothing is unpickled.

Headers are checked first; values are read only on request, never more than the header promises.
"""

import gzip
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs.archives import (
    HEAD_BYTES,
    FormatError,
    Header,
    explained,
    open_archive,
    open_array,
    parse_npy,
    read_exactly,
)

MAX_BYTES = 2**30
MIN_PIXELS, MAX_PIXELS = 8, 256
# Keras' key for each of the four arrays: the IDX file's name in two parts, and the number of dimensions.
ARRAYS = {
    "x_train": ("train-images", 3),
    "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3),
    "y_test": ("t10k-labels", 1),
}
FILES_ACCEPTED = (
    "Accepted: an .npz file with x_train, y_train, x_test and y_test (uint8), "
    "or a folder with the four IDX files of MNIST, gzipped or not."
)


@dataclass(frozen=True)
class StoredArray:
    """Unsigned bytes of an IDX file, or under a key of an `.npz` file; only their header has been read."""

    path: Path
    key: str | None
    header: Header

    @property
    def shape(self) -> tuple[int, ...]:
        """(images, height, width), or (labels,)."""
        return self.header.shape

    def read(self) -> NDArray[np.uint8]:
        """Reads the values, 0 to 255, read-only; raises FormatError for damage or another length."""
        with explained(self.key or self.path.name), _opened(self.path, self.key) as (stream, _):
            stream.read(self.header.offset)
            content = read_exactly(stream, math.prod(self.shape))
        values = np.frombuffer(content, np.uint8).reshape(self.shape, order=self.header.order)
        array = np.ascontiguousarray(values)
        array.flags.writeable = False
        return array


def open_arrays(path: Path) -> Mapping[str, StoredArray]:
    """Opens an `.npz` file with Keras' keys, or a folder with the four IDX files; no values are read.

    Raises:
        FormatError: Something is missing, damaged, or of another type or shape than accepted.
    """
    with explained("it"):
        if not (path.is_file() or path.is_dir()):
            raise FormatError("is neither a file nor a folder" if path.exists() else "does not exist")
    arrays = _open_idx(path) if path.is_dir() else _open_npz(path)
    for split in ("train", "test"):
        num_images, num_labels = arrays[f"x_{split}"].shape[0], arrays[f"y_{split}"].shape[0]
        if num_images != num_labels:
            raise FormatError(f"x_{split} holds {num_images:,} images, y_{split} {num_labels:,} labels")
    size, test_size = arrays["x_train"].shape[1:], arrays["x_test"].shape[1:]
    if size != test_size:
        raise FormatError(f"x_train has images of {size} pixels, x_test of {test_size}; accepted: the same")
    return arrays


def missing_files(folder: Path) -> list[str]:
    """Names the IDX files that a folder lacks, gzipped or not."""
    return [_idx_names(key)[0] for key in ARRAYS if _find_idx(folder, key) is None]


def parse_idx(head: bytes, num_dimensions: int) -> Header:
    """Reads an IDX header: 3 dimensions for images, 1 for labels; raises FormatError where it is none."""
    magic = bytes((0, 0, 8, num_dimensions))
    if head[:4] != magic:
        raise FormatError(f"starts with the bytes [{head[:4].hex(' ')}]; accepted: [{magic.hex(' ')}]")
    offset = 4 + 4 * num_dimensions
    if len(head) < offset:
        raise FormatError("ends within its header")
    return Header(struct.unpack_from(f">{num_dimensions}I", head, 4), "C", offset)


def _open_npz(path: Path) -> dict[str, StoredArray]:
    with explained("it"):
        try:
            with _opened_archive(path) as archive:
                names = archive.namelist()
        except BadZipFile as error:
            raise FormatError("is not a whole .npz file") from error
    missing = [key for key in ARRAYS if f"{key}.npy" not in names]
    if missing:
        found = ", ".join(name.removesuffix(".npy") for name in names[:8]) or "nothing"
        raise FormatError(f"it lacks {', '.join(missing)}; it holds {found:.200}")
    return {key: _open_array(path, key, key) for key in ARRAYS}


def _open_idx(folder: Path) -> dict[str, StoredArray]:
    missing = missing_files(folder)
    if missing:
        raise FormatError(f"the folder lacks {', '.join(missing)} (with or without .gz)")
    paths = {key: _find_idx(folder, key) for key in ARRAYS}
    return {key: _open_array(path, None, key) for key, path in paths.items() if path is not None}


def _idx_names(key: str) -> list[str]:
    kind, num_dimensions = ARRAYS[key]
    # Some unpackers turn the last hyphen but one into a dot.
    stems = [f"{kind}{separator}idx{num_dimensions}-ubyte" for separator in "-."]
    return [stem + ending for stem in stems for ending in ("", ".gz")]


def _find_idx(folder: Path, key: str) -> Path | None:
    return next((folder / name for name in _idx_names(key) if (folder / name).is_file()), None)


def _open_array(path: Path, member: str | None, key: str) -> StoredArray:
    num_dimensions = ARRAYS[key][1]
    with explained(member or path.name), _opened(path, member) as (stream, num_bytes):
        head = stream.read(HEAD_BYTES)
        header = parse_idx(head, num_dimensions) if member is None else parse_npy(head, np.uint8)
        _check_shape(header.shape, num_dimensions)
        promised = header.offset + math.prod(header.shape)
        if num_bytes is not None and num_bytes != promised:
            raise FormatError(f"is {num_bytes:,} bytes long where its header promises {promised:,}")
    return StoredArray(path, member, header)


def _check_shape(shape: tuple[int, ...], num_dimensions: int) -> None:
    accepted = "(images, height, width)" if num_dimensions == 3 else "(labels,)"
    if len(shape) != num_dimensions:
        raise FormatError(f"has shape {shape}; accepted: {accepted}")
    if shape[0] < 1:
        raise FormatError(f"is empty (shape {shape})")
    if not all(MIN_PIXELS <= side <= MAX_PIXELS for side in shape[1:]):
        raise FormatError(f"has shape {shape}; accepted: sides of {MIN_PIXELS} to {MAX_PIXELS} pixels")
    if math.prod(shape) > MAX_BYTES:
        raise FormatError(f"claims {math.prod(shape):,} bytes; accepted: {MAX_BYTES:,} at most")


@contextmanager
def _opened(path: Path, key: str | None) -> Iterator[tuple[IO[bytes], int | None]]:
    """Yields the array's bytes, header first, and their number; null when only reading would tell."""
    with ExitStack() as stack:
        if key is not None:
            archive = stack.enter_context(_opened_archive(path))
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


@contextmanager
def _opened_archive(path: Path) -> Iterator[ZipFile]:
    with path.open("rb") as file, open_archive(file) as archive:
        yield archive
