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
        descriptor: An open file's, to be read back later.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def follow(self, path: Path) -> None:
        """Moves what was written so far to the end of a file, and sends the rest there."""
        with path.open("ab") as log:
            log.write(os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0))
            log.flush()
            os.dup2(log.fileno(), 2)


@contextmanager
def diverted_stderr() -> Iterator[NativeOutput]:
    """Within the block nothing reaches the console through standard error, C++ code included."""
    sys.stderr.flush()
    console = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield NativeOutput(held.fileno())
        finally:
            sys.stderr.flush()
            os.dup2(console, 2)
            os.close(console)
