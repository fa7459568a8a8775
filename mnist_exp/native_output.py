"""Keeps TensorFlow's start-up noise off the console: it writes to the process's stderr itself."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NativeOutput:
    """Where the process's standard error goes for now.

    Args:
        held: Descriptor of an open file, to be read back later.
        console: Descriptor of where standard error went before.
    """

    def __init__(self, held: int, console: int) -> None:
        self._held, self._console = held, console

    def follow(self, path: Path) -> None:
        """Moves what was written so far to the end of a file, and sends the rest there."""
        with path.open("ab") as log:
            log.write(os.pread(self._held, os.fstat(self._held).st_size, 0))
            log.flush()
            os.dup2(log.fileno(), 2)

    def restore(self) -> None:
        """Lets standard error reach the console again."""
        sys.stderr.flush()
        os.dup2(self._console, 2)


@contextmanager
def diverted_stderr() -> Iterator[NativeOutput]:
    """Within the block nothing reaches the console through standard error, C++ code included."""
    sys.stderr.flush()
    console = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        output = NativeOutput(held.fileno(), console)
        try:
            yield output
        finally:
            output.restore()
            os.close(console)
