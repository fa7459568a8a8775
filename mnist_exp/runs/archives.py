"""Zip files from strangers, opened without giving their lists of contents more memory than those deserve."""

import struct
import zlib
from typing import BinaryIO, cast
from zipfile import BadZipFile, ZipFile

MOST_AT_ONCE = 2**20
"""How many bytes a reader of a member may ask for at a time."""

READING_ERRORS = (
    OSError, EOFError, ValueError, RuntimeError, ArithmeticError, LookupError, BadZipFile, zlib.error,
    struct.error,
)  # fmt: skip
"""What a damaged archive makes zipfile raise."""


def open_archive(file: BinaryIO) -> ZipFile:
    """Opens a zip file.

    zipfile reads the list of contents in one piece, as long as the file itself says: millions of
    entries, gigabytes of memory. Here it may be a megabyte, which is twenty thousand entries.

    Args:
        file: Open; stays open when the archive is closed.

    Raises:
        BadZipFile: It is none.
        ValueError: Its list of contents is longer.
    """
    return ZipFile(cast("BinaryIO", _InPieces(file)))


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
