"""Averaged weights in the place of the raw ones, while a network is validated and kept.

Keras averages the trained weights after each step (`training.ema_momentum`; Polyak and Juditsky
1992). The moving mean and variance of BatchNormalization belong to the raw weights, so they are
taken anew for the averaged ones, as stochastic weight averaging does (Izmailov et al. 2018,
"Averaging weights leads to wider optima and better generalization"): batches go through the network,
and the statistics of each batch are averaged with equal weights. Images are augmented as in training;
dropout, noise and mixup are off, as they are when the network is used.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import ConfigError
from mnist_exp.training import randomness
from mnist_exp.training.engine import forgotten_gradients
from mnist_exp.training.model import ExperimentModel, resident, shuffle

BATCH_SIZE = 1000
"""Number of images whose statistics are taken at once."""

MOST_BATCHES = 2
"""More of them change no accuracy, and augmenting them would take longer than a seventh of an epoch."""


class BatchStatistics:
    """Takes the statistics of a network's BatchNormalization layers anew, for the weights that it has."""

    def __init__(self, model: ExperimentModel, data: LabelledImages) -> None:
        self.model, self.data = model, data
        self._batch_size = min(BATCH_SIZE, len(data))
        self._num_batches = min(MOST_BATCHES, len(data) // self._batch_size)
        signature = [tf.TensorSpec((self._num_batches * self._batch_size,), tf.int32)]
        self._take = tf.function(self._take_at, signature, autograph=False)
        with forgotten_gradients():
            self._take.get_concrete_function()

    def take(self, epoch: int) -> None:
        """Replaces the statistics by those of the images that the epoch, 0 for the first, began with."""
        order = shuffle(self.model.seed, epoch, len(self.data))
        self._take(order[: self._num_batches * self._batch_size])

    def _take_at(self, order: tf.Tensor) -> None:
        images, key = resident(self.data).images, self.model.step_key()
        batches = tf.reshape(order, (self._num_batches, self._batch_size))

        def step(number: tf.Tensor) -> tuple[tf.Tensor]:
            batch_key = randomness.derive(randomness.derive(key, randomness.STATISTICS_STREAM), number)
            pixels = self.model.augmented(tf.gather(images, batches[number]), batch_key)
            past = tf.cast(number, tf.float32) / tf.cast(number + 1, tf.float32)
            with _momentum(normalisations(self.model.network), past):
                for layer in self.model.own_layers:
                    pixels = layer(pixels, training=_averages(layer))
            return (number + 1,)

        tf.while_loop(lambda number: number < self._num_batches, step, (tf.constant(0),))


def _traced(model: ExperimentModel, data: LabelledImages) -> tuple[BatchStatistics, float]:
    """Gives what takes a model's statistics, and the seconds that tracing took; 0.0 where that was done."""
    traced = model.traced_statistics
    if isinstance(traced, BatchStatistics) and traced.data is data:
        return traced, 0.0
    started = time.perf_counter()
    traced = BatchStatistics(model, data)
    model.traced_statistics = traced
    return traced, time.perf_counter() - started


def normalisations(network: keras.Sequential) -> list[keras.layers.BatchNormalization]:
    """Lists the layers that keep moving statistics of their batches."""
    return [layer for layer in network.layers if _averages(layer)]


def _averages(layer: keras.Layer) -> bool:
    is_normalisation = isinstance(layer, keras.layers.BatchNormalization)
    # Renormalisation trains with its statistics: they are not to be had from single batches.
    return is_normalisation and layer.trainable and not layer.renorm


@contextmanager
def _momentum(layers: Sequence[keras.layers.BatchNormalization], momentum: tf.Tensor) -> Iterator[None]:
    """Within the block, a graph that is traced keeps this share of the layers' earlier statistics."""
    given = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = momentum
    try:
        yield
    finally:
        for layer, own in zip(layers, given, strict=True):
            layer.momentum = own


class AveragedWeights(keras.callbacks.Callback):
    """Has the averaged weights in the network from validation to the end of each epoch.

    Put it before what validates, keeps or saves the network. What the raw weights were is with the
    optimizer meanwhile, to the bit, so that averaging does not change the training.

    Args:
        model: Compiled with an optimizer that averages.
        is_resumed: Whether the network has averaged weights already, from a checkpoint.

    Attributes:
        raw_statistics: The moving statistics that belong to the raw weights, float32 bytes of each
            variable; empty where there are none.
        compile_s: Seconds that tracing took; 0.0 where that was done for the same model and data.
    """

    def __init__(self, model: ExperimentModel, data: LabelledImages, is_resumed: bool) -> None:
        super().__init__()
        self.raw_statistics: list[bytes] = []
        self._is_in_model, self._epoch = is_resumed, 0
        self._variables = [
            variable
            for layer in normalisations(model.network)
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        self._statistics: BatchStatistics | None = None
        self.compile_s = 0.0
        if self._variables:
            self._statistics, self.compile_s = _traced(model, data)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the raw weights and their statistics back.

        Raises:
            ConfigError: `raw_statistics` came from a checkpoint, and are those of another network.
        """
        self._epoch = epoch
        if self._is_in_model:
            self._swap()
            self._restore_statistics()
            self._is_in_model = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the averaged weights in the network, which has been trained for an epoch."""
        self._swap_in()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Does so where nothing was validated; after the last epoch, for good."""
        self._swap_in()
        if epoch == self.params["epochs"] - 1:
            # Keras ends a training by taking over what it holds for the averages.
            for variable, average in self._pairs():
                average.assign(variable)

    def _swap_in(self) -> None:
        if self._is_in_model:
            return
        self._swap()
        self._is_in_model = True
        if self._statistics is not None:
            self.raw_statistics = [variable.numpy().tobytes() for variable in self._variables]
            self._statistics.take(self._epoch)

    def _swap(self) -> None:
        for variable, average in self._pairs():
            held = tf.identity(average.value)
            average.assign(variable)
            variable.assign(held)

    def _pairs(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Lists each trained variable with its average, for which Keras has no public name."""
        optimizer = self.model.optimizer
        pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
        return [(variable, average) for variable, average in pairs if average is not None]

    def _restore_statistics(self) -> None:
        # Checkpoints from before statistics were taken anew hold those of the raw weights, and no others.
        if not self.raw_statistics:
            return
        sizes = [4 * int(np.prod(variable.shape)) for variable in self._variables]
        if sizes != [len(content) for content in self.raw_statistics]:
            raise ConfigError("resume: last.keras holds the statistics of another network.")
        for variable, content in zip(self._variables, self.raw_statistics, strict=True):
            variable.assign(np.frombuffer(content, np.float32))
