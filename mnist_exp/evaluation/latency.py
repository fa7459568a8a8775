"""How long one prediction takes."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.evaluation.results import Latency
from mnist_exp.evaluation.timing import BATCH_SIZES, measure_calls


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
        return measure_calls(batch_size, lambda: compiled(pixels).numpy())

    return [measure(batch_size) for batch_size in batch_sizes]
