"""How long calls take, whatever computes them."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from mnist_exp.evaluation.results import Latency

BATCH_SIZES = (1, 256)
_WARM_UPS, _MOST_REPEATS, _SECONDS = 5, 300, 2.0


def measure_calls(batch_size: int, call: Callable[[], object]) -> Latency:
    """Times a call that predicts a batch: up to a number of times, or of seconds."""
    for _ in range(_WARM_UPS):
        call()
    seconds: list[float] = []
    while len(seconds) < _MOST_REPEATS and sum(seconds) < _SECONDS:
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return _summarise(batch_size, seconds)


def _summarise(batch_size: int, seconds: Sequence[float]) -> Latency:
    low, middle, high = (float(value) for value in np.quantile(seconds, (0.25, 0.5, 0.75)))
    each = 1000 / batch_size
    return Latency(
        batch_size=batch_size,
        repeats=len(seconds),
        ms_per_image=middle * each,
        ms_per_image_low=low * each,
        ms_per_image_high=high * each,
    )
