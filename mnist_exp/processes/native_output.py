"""What native code writes to standard error: kept off the console, into a log, and heard when it is the last.

TensorFlow says much when it starts, and the reason when it dies: `LOG(FATAL)`, an unknown flag, a failed
allocation. All of it goes into a file in memory first. Who outlives the process reads it there: whoever
started a worker, and for a process of its own a guardian, forked before TensorFlow is imported.
"""

import faulthandler
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_exp.processes.guardian import Guardian, start_guardian

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
    """Finds the line that says why a process ended; empty where none does.

    Args:
        text: What it wrote to standard error.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if _FATAL.match(line)]
    spoken = [line for line in lines if not _CHATTER.match(line)]
    if fatal:
        causes = [line.strip() for line in lines if line.startswith("  what():")]
        return " ".join([_ABSL_PREFIX.sub("", fatal[0]), *causes])
    return spoken[-1].rstrip(".") if spoken else ""


class NativeOutput:
    """Where the process's standard error goes for now.

    Args:
        held: Descriptor of a held output.
        console: Descriptor of where standard error went before; None in a worker, whose parent holds it.
        guardian: Hears of the process's end; None in a worker.
    """

    def __init__(self, held: int, console: int | None, guardian: Guardian | None) -> None:
        self._held, self._console, self._guardian = held, console, guardian
        self._log: Path | None = None

    def follow(self, path: Path) -> None:
        """Moves what was written so far to the end of a log, and the rest when the process ends."""
        self._log = path
        append(self._log, drain(self._held))
        if self._guardian is not None:
            self._guardian.tell(self._log)

    def restore(self) -> None:
        """Lets standard error reach the console again; the process ends by its own decision from now on."""
        sys.stderr.flush()
        if self._console is not None:
            os.dup2(self._console, 2)
        if self._log is not None:
            append(self._log, drain(self._held))
        if self._guardian is not None:
            self._guardian.dismiss()


@contextmanager
def diverted_stderr(is_worker: bool = False) -> Iterator[NativeOutput]:
    """Within the block nothing reaches the console through standard error, C++ code included.

    However the process ends within the block, the reason does.

    Args:
        is_worker: Whether whoever started this process holds its standard error already, and minds its end.
    """
    sys.stderr.flush()
    with _crashes_described():
        if is_worker:
            output = NativeOutput(2, None, None)
            try:
                yield output
            finally:
                output.restore()
            return
        held, console = HeldOutput(), os.dup(2)
        os.dup2(held.descriptor, 2)
        output = NativeOutput(held.descriptor, console, start_guardian(held.descriptor, console))
        try:
            yield output
        finally:
            output.restore()
            os.close(console)
            held.close()


@contextmanager
def _crashes_described() -> Iterator[None]:
    """Lets Python name the signal that native code dies by, and where that was."""
    was_enabled = faulthandler.is_enabled()
    if not was_enabled:
        faulthandler.enable(file=2)
    try:
        yield
    finally:
        if not was_enabled:
            faulthandler.disable()
