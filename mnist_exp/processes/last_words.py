"""What a process wrote to standard error: held while it works, and searched for the reason of its end."""

import os
import re
from contextlib import suppress
from pathlib import Path

_CHATTER = re.compile(
    r"[IWE]\d{4} |\d{4}-\d\d-\d\d \S+ [IWE] |WARNING: All log messages|To enable the following|\s|.*Warning: "
)
"""Lines that are no reason to end: absl's below FATAL, with its preamble; Python's warnings."""

_ABSL_PREFIX = re.compile(r"F\d{4} [\d:.]+\s+\d+ \S+\] ")
_FATAL = re.compile(r"F\d{4} |terminate called|Fatal Python error: ")


class HeldOutput:
    """A file in memory that stands in for standard error; needs no temporary folder."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("standard error")

    def drain(self) -> str:
        """Takes out all that it holds."""
        return drain(self.descriptor)

    def close(self) -> None:
        """Forgets what it holds."""
        os.close(self.descriptor)


def drain(descriptor: int) -> str:
    """Takes out all that a held output holds."""
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return text.decode(errors="replace")


def append(path: Path, text: str) -> None:
    """Adds text to a log; a full disk cuts it short."""
    with suppress(OSError), path.open("a", encoding="utf-8") as log:
        log.write(text)


def find_reason(text: str) -> str:
    """Finds the line that says why a process ended; empty where none does."""
    lines = [line for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if _FATAL.match(line)]
    spoken = [line for line in lines if not _CHATTER.match(line)]
    if fatal:
        causes = [line.strip() for line in lines if line.startswith("  what():")]
        return " ".join([_ABSL_PREFIX.sub("", fatal[0]), *causes])
    return spoken[-1].rstrip(".") if spoken else ""
