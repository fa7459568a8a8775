"""Which images make which batch: a function of the seed and the epoch alone."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_exp.data.source import LabelledImages


class Resident(NamedTuple):
    """Images on the device.

    Attributes:
        images: uint8 (N, H, W).
        labels: uint8 (N,).
    """

    images: tf.Tensor
    labels: tf.Tensor


@lru_cache(maxsize=2)
def resident(data: LabelledImages) -> Resident:
    """Puts images on the device, once for all models of the process.

    The two that were used last are kept: what is trained on, and what is validated on.
    """
    return Resident(tf.constant(data.images), tf.constant(data.labels))


def shuffle(seed: int, epoch: int, num_images: int) -> npt.NDArray[np.int32]:
    """Orders the training images for one epoch.

    Args:
        seed: Of the run.
        epoch: 0 for the first.
        num_images: Number of training images.

    Returns:
        A permutation of 0 … num_images - 1, a function of the arguments alone.
    """
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


def batches_of(data: LabelledImages, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
    """Gives, batch by batch and without end, what `EpochModel` trains on: for stock `fit`.

    Args:
        data: To train on.
        batch_size: Number of images a step; each epoch's last batch takes what remains.
        seed: Of the run.
        first_epoch: 0 for the first.
    """
    images, labels = resident(data)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.numpy_function(lambda number: shuffle(seed, number, len(data)), [epoch], tf.int32)
        order = tf.ensure_shape(order, (len(data),))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    def take(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(images, indices), tf.gather(labels, indices)

    return epoch_numbers(first_epoch).flat_map(epoch_batches).map(take).prefetch(2)


def epoch_numbers(first_epoch: int) -> tf.data.Dataset:
    """Counts epochs without end.

    Not a Python generator: TensorFlow's dataset of one makes the process give memory back to the
    system at every turn, which makes an XLA epoch twice as long. And nothing is fetched ahead: left to
    itself, TensorFlow puts millions of numbers by during an epoch, and takes seconds to give them back.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return tf.data.Dataset.range(first_epoch, 2**31).with_options(options)
