"""How long one prediction takes."""

import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.evaluation.results import Latency

BATCH_SIZES = (1, 256)
_WARM_UPS, _MOST_REPEATS, _SECONDS = 5, 300, 2.0


def measure_latency(
    network: keras.Model, images: NDArray[np.uint8], batch_sizes: Sequence[int] = BATCH_SIZES
) -> list[Latency]:
    """Times calls of a network, compiled once into a TensorFlow graph, from pixels to probabilities.

    Keras' `predict`, made for whole data sets, would add some 30 ms to each call. Images, uint8 (N, H, W),
    are repeated where a batch is larger.
    """

    @tf.function
    def compiled(pixels: tf.Tensor) -> tf.Tensor:
        return network(pixels, training=False)

    def measure(batch_size: int) -> Latency:
        pixels = np.resize(images, (batch_size, *images.shape[1:])).astype(np.float32) / np.float32(255)
        return _summarise(batch_size, _time(lambda: compiled(pixels).numpy()))

    return [measure(batch_size) for batch_size in batch_sizes]


def _time(call: Callable[[], object]) -> list[float]:
    """Returns seconds of each call: up to a number of them, or of seconds."""
    for _ in range(_WARM_UPS):
        call()
    seconds: list[float] = []
    while len(seconds) < _MOST_REPEATS and sum(seconds) < _SECONDS:
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds


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
