"""Archives of arrays, of unknown origin: nothing is unpickled, and memory follows what is there."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import IO, Any, BinaryIO, Literal, NamedTuple, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnist_exp.words import shortened

MOST_AT_ONCE = 2**20
"""How many bytes of a member are read at a time."""

READING_ERRORS = (
    OSError, EOFError, ValueError, RuntimeError, ArithmeticError, LookupError, BadZipFile, zlib.error,
    struct.error,
)  # fmt: skip
"""What a damaged archive makes zipfile raise."""

HEAD_BYTES = 1024
"""The longest header of an array."""


class FormatError(ValueError):
    """A file does not hold what it should; the message says what came and what is accepted."""


class Header(NamedTuple):
    """What an array's file claims: shape, order (`F` for column-major), number of bytes before the values."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int


class ArrayKind(NamedTuple):
    """What an array may be: its type, and the largest number in each dimension, 1 being the smallest."""

    dtype: type[np.generic]
    most: tuple[int, ...]


def open_archive(file: BinaryIO, max_bytes: int | None = None) -> ZipFile:
    """Opens a zip file whose list of contents is a megabyte at most, and promises `max_bytes` at most.

    zipfile itself reads the list in one piece, gigabytes if the file says so. `file` stays open.

    Raises:
        BadZipFile: It is none.
        ValueError: Its list of contents is longer, or promises more.
    """
    archive = ZipFile(cast("BinaryIO", _InPieces(file)))
    if max_bytes is not None and sum(member.file_size for member in archive.infolist()) > max_bytes:
        raise ValueError(f"unpacks to more than {max_bytes:,} bytes")
    return archive


class _InPieces:
    """A file that gives a megabyte at a time, and refuses to give more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(min(size, MOST_AT_ONCE + 1) if size >= 0 else MOST_AT_ONCE + 1)
        if len(content) > MOST_AT_ONCE:
            raise ValueError(f"its list of contents has more than {MOST_AT_ONCE:,} bytes")
        return content


def read_member(archive: ZipFile, name: str) -> bytes:
    """Reads all of a member, as `open_archive` has it: no more than a megabyte at a time."""
    with archive.open(name) as stream:
        return b"".join(iter(lambda: stream.read(MOST_AT_ONCE), b""))


def read_npz(
    file: BinaryIO,
    kinds: Mapping[str, ArrayKind],
    max_bytes: int,
    optional: Mapping[str, ArrayKind] = MappingProxyType({}),
) -> dict[str, NDArray[Any]]:
    """Reads row-major arrays, at most `max_bytes` unpacked, each checked by its header before its values.

    Those that are `optional` may be missing.

    Raises:
        FormatError: An array is missing, damaged, or something else than accepted.
    """
    with explained("it"):
        archive = open_archive(file, max_bytes)
    with archive:
        members = set(archive.namelist())
        also = {key: kind for key, kind in optional.items() if f"{key}.npy" in members}
        kinds = {**kinds, **also}
        return {key: _read_array(archive, key, kind) for key, kind in kinds.items()}


def _read_array(archive: ZipFile, key: str, kind: ArrayKind) -> NDArray[Any]:
    dtype = np.dtype(kind.dtype)
    with explained(key), open_array(archive, key) as stream:
        head = stream.read(HEAD_BYTES)
        shape, order, offset = parse_npy(head, kind.dtype)
        is_bounded = all(1 <= side <= most for side, most in zip(shape, kind.most, strict=False))
        if len(shape) != len(kind.most) or not is_bounded or order != "C":
            raise FormatError(f"has shape {shape}, order {order}")
        content = read_exactly(stream, dtype.itemsize * math.prod(shape), head[offset:])
    return np.frombuffer(content, dtype).reshape(shape)


def open_array(archive: ZipFile, key: str) -> IO[bytes]:
    """Opens an array of an `.npz` file, packed as numpy packs it.

    Raises:
        KeyError: There is none of that name.
        FormatError: It is compressed in another way.
    """
    member = archive.getinfo(f"{key}.npy")
    # zipfile bounds what it unpacks of these two only, and numpy writes no other.
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise FormatError("is compressed as numpy never does; accepted: deflated or stored")
    return archive.open(member)


def parse_npy(head: bytes, kind: type[np.generic]) -> Header:
    """Reads the header of an `.npy` file from its first bytes, a kilobyte at most.

    Raises:
        FormatError: It is not an `.npy` file's, or that of something of another type.
    """
    header, dtype = parse_npy_header(head)
    if dtype != np.dtype(kind):
        raise FormatError(f"holds {dtype}; accepted: {np.dtype(kind)}")
    return header


def parse_npy_header(head: bytes) -> tuple[Header, np.dtype[Any]]:
    """Reads the header of an `.npy` file of any type but Python objects; see `parse_npy`."""
    stream = io.BytesIO(head)
    try:
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        with warnings.catch_warnings():
            # Files written by Python 2 are read all the same.
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = readers[npy.read_magic(stream)](stream)
    except Exception as error:  # numpy's parser lets out whatever a hostile header makes it raise
        raise FormatError("has no readable .npy header") from error
    if dtype.hasobject:
        raise FormatError("holds pickled Python objects, which are never loaded; accepted: numbers")
    sides = tuple(int(side) for side in shape)
    return Header(sides, "F" if is_fortran else "C", stream.tell()), dtype


def read_exactly(stream: IO[bytes], size: int, start: bytes = b"") -> bytearray:
    """Reads `size` bytes, `start` among them; raises FormatError where there are fewer or more."""
    # In pieces: what is allocated follows what has arrived, not what a header claims.
    content = bytearray(start)
    while len(content) < size and (piece := stream.read(min(MOST_AT_ONCE, size - len(content)))):
        content += piece
    if len(content) < size:
        raise FormatError(f"ends after {len(content):,} of the {size:,} bytes its header promises")
    if len(content) > size or stream.read(1):
        raise FormatError(f"continues after the {size:,} bytes its header promises")
    return content


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what a damaged file makes the block's reader raise into a FormatError."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{name} {error}") from error
    except READING_ERRORS as error:
        problem = shortened(str(getattr(error, "strerror", None) or error), 200)
        raise FormatError(f"{name} cannot be read: {problem}") from error


def read_arrays(content: bytes, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Reads every array of an HDF5 file, by path; links are not followed."""
    # Imported here: most modes have no use for it.
    import h5py

    found: dict[str, NDArray[Any]] = {}

    def read(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual or item.dtype.hasobject:
            raise ValueError(f"{name} does not hold its own numbers")
        if item.nbytes + sum(array.nbytes for array in found.values()) > max_bytes:
            raise ValueError(f"unpacks to more than {max_bytes:,} bytes")
        found[name] = np.asarray(item[()])

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(read)
    return found
