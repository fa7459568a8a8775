"""Text streams that bear what may happen to them: a reader that goes away, a full disk, a closed terminal."""

import os
import re
from contextlib import suppress
from io import TextIOBase
from typing import IO, TextIO

from mnist_exp.words import without_control

_PADDING = re.compile(r"[ \t]+\n")


def silence(stream: IO[str]) -> None:
    """Lets nothing reach a reader that went away; what the stream still holds would fail at exit."""
    with suppress(OSError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def replace_unencodable(stream: TextIO) -> None:
    """Lets a stream whose encoding lacks a character write `?` for it instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


class _Passing(TextIOBase):
    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The other stream's."""
        return self.stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Passes text on."""
        return self.stream.write(text)

    def flush(self) -> None:
        """Flushes the other stream."""
        self.stream.flush()


class PlainText(_Passing):
    """Drops control characters and padding."""

    def write(self, text: str) -> int:
        """Passes the rest on."""
        return super().write(_PADDING.sub("\n", without_control(text)))


class Log(_Passing):
    """A log that a full disk cuts short: nothing fails for that; it continues when there is room."""

    def write(self, text: str) -> int:
        """Passes on what there is room for."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes as far as there is room."""
        with suppress(OSError):
            super().flush()


class Output(_Passing):
    """Standard output: a closed terminal and a full disk are broken pipes like any other."""

    def isatty(self) -> bool:
        """Says whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Gives its descriptor."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """Passes text on; raises BrokenPipeError where that cannot be."""
        try:
            return super().write(text)
        except OSError as error:
            raise BrokenPipeError(*error.args) from error

    def flush(self) -> None:
        """Flushes it; raises BrokenPipeError where that cannot be."""
        try:
            super().flush()
        except OSError as error:
            raise BrokenPipeError(*error.args) from error
