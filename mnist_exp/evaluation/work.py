"""Heavy work without a run's directory: TensorFlow's noise kept away, signals minded."""

from collections.abc import Iterator
from contextlib import contextmanager

from mnist_exp.processes.native_output import diverted_stderr
from mnist_exp.processes.signals import stop_request


@contextmanager
def quietly() -> Iterator[None]:
    """Within the block TensorFlow's output goes nowhere, and signals do not arrive on its threads."""
    with diverted_stderr() as native_output, stop_request() as request:
        request.abandon = lambda _: native_output.restore()
        yield
