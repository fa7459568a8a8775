"""How many generated cases a test tries: some each time, thousands when asked to.

`MNIST_EXP_FUZZ_CASES=20 pytest tests/faults -k hostile -m ""` tries twenty times as many, and other ones
each time. Without it the cases are the same each time, so that nothing fails now and then.
"""

import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

# It keeps notes of its own, which are not to lie in the repository.
set_hypothesis_home_dir(f"{tempfile.gettempdir()}/mnist-exp-hypothesis")

LAUGHS = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b",".join(10 * [b"*a%d" % (level - 1)])) for level in range(1, 12)
)
"""YAML of half a kilobyte that means a hundred billion values."""

FACTOR = float(os.environ.get("MNIST_EXP_FUZZ_CASES", "1"))
REFUSAL_S = 2.0
_MEGABYTE = 2**20
_EDGES = (
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"PK\1\2",
    b"PK\5\6",
    b"\x93NUMPY",
)


def cases(count: int) -> settings:
    """Asks for so many cases, times the factor."""
    return settings(
        max_examples=max(1, round(FACTOR * count)),
        derandomize=FACTOR == 1,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded(megabytes: int, seconds: float = REFUSAL_S) -> Iterator[None]:
    """Fails where a block takes more memory or more of the processor's time.

    A refusal takes milliseconds; what memory is traced with, and other processes, make that more.
    """
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
    finally:
        taken_s = time.process_time() - started
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < megabytes * _MEGABYTE, f"{peak / _MEGABYTE:.0f} MB"
    assert taken_s < seconds, f"{taken_s:.1f} s"


Change = tuple[int, int, bytes]


def changes() -> st.SearchStrategy[list[Change]]:
    """Gives places (as millionths of a file), how many bytes go there, and what comes instead."""
    piece = st.one_of(st.sampled_from(_EDGES), st.binary(max_size=8))
    change = st.tuples(st.integers(0, 10**6), st.sampled_from((0, 1, 1, 2, 4, 8, 10**6)), piece)
    return st.lists(change, min_size=1, max_size=6)


def changed(content: bytes, made: list[Change]) -> bytes:
    """Makes these changes."""
    for place, length, piece in made:
        start = place * len(content) // 10**6
        # Most faults are found where as many bytes come as go: nothing else moves.
        length = len(piece) if length == 1 else length
        content = content[:start] + piece + content[start + length :]
    return content
