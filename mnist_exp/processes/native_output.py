"""What native code writes to standard error: kept off the console, into a log, and heard when it is the last.

TensorFlow says much when it starts, and the reason when it dies: `LOG(FATAL)`, an unknown flag, a failed
allocation. All of it goes into a file in memory first. Who outlives the process reads it there: whoever
started a worker, and for a process of its own a guardian, forked before TensorFlow is imported.
"""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_exp.processes.guardian import Guardian, start_guardian
from mnist_exp.processes.last_words import HeldOutput, append, drain


class NativeOutput:
    """Where the process's standard error goes, by descriptors of a held output and of the console.

    Args:
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

    However the process ends within the block, the reason does; a worker's parent sees to that itself.
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
