"""The compiled epoch: a Keras model whose `fit` runs a whole epoch in one graph.

Stock `fit` pays about 1.5 ms a step for Python, data pipeline and kernel launches, which is
most of an epoch of a small network. `EpochModel` keeps the images on the device as bytes and
loops over the epoch's batches inside one graph, so that `fit` sees one step an epoch and
callbacks, metrics, schedules and saving work as ever.

Engines:
    compiled: one XLA program; the fastest for dense layers.
    graph: one TensorFlow graph with oneDNN kernels; the fastest for convolutions on a CPU.
    keras: stock `fit`, batch by batch; the reference that the others are tested against.

All three see the same batches and draw the same random numbers.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mnist_exp import randomness
from mnist_exp.augmentation import Augmentation
from mnist_exp.batches import UInt8Array, batches_of, epoch_numbers, shuffle
from mnist_exp.records import EngineRecord
from mnist_exp.schema import Engine

EVALUATION_BATCH_SIZE = 1000

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


def choose_engine(requested: Engine, network: keras.Sequential, device: str) -> EngineRecord:
    """Decides how epochs are executed, and says why.

    Args:
        requested: `training.engine`.
        network: Built.
        device: `CPU` or `GPU`.
    """
    if requested is not Engine.AUTO:
        return EngineRecord(name=requested.value, reason="asked for by training.engine")
    if device == "CPU" and any(isinstance(layer, _CONVOLUTIONS) for layer in network.layers):
        return EngineRecord(
            name=Engine.GRAPH.value, reason="convolutions on a CPU: oneDNN is faster than XLA"
        )
    return EngineRecord(name=Engine.COMPILED.value, reason="one XLA program an epoch is the fastest here")


class Feed(NamedTuple):
    """What to give to `fit`.

    Attributes:
        elements: Its data, without end: batches, or numbers of epochs.
        steps_per_epoch: How many of them make an epoch.
        compile_s: Seconds that tracing and compiling took.
    """

    elements: tf.data.Dataset
    steps_per_epoch: int
    compile_s: float


class ExperimentModel(keras.Model):
    """A network together with what only training needs: augmentation, smoothing, randomness.

    It takes images as bytes. The network itself stays a plain Keras model that shares its
    weights with this one, takes float32 in [0, 1] and can be saved without this package.

    Args:
        network: Built; ends in probabilities (B, C).
        seed: Of dropout, noise and augmentation.
        augmentation: Changes training images; None leaves them alone.
        label_smoothing: Share of each training target spread evenly over the classes
            (Szegedy et al. 2016). Validation and test losses are plain cross-entropy.
    """

    def __init__(
        self,
        network: keras.Sequential,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(name=f"{network.name}_training")
        self.network = network
        self.seed = seed
        self.augmentation = augmentation
        self.smoothed_loss = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes class probabilities (B, C) from images uint8 (B, H, W)."""
        pixels = tf.cast(images, tf.float32) * (1.0 / 255.0)
        if not training:
            return self.network(pixels, training=False)
        key = randomness.derive(randomness.make_key(self.seed), self.optimizer.iterations.value)
        if self.augmentation is not None:
            pixels = self.augmentation(randomness.derive(key, 0), pixels)
        for number, layer in enumerate(self.network.layers, start=1):
            pixels = _apply(layer, pixels, randomness.derive(key, number))
        return pixels

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Computes the objective: smoothed and regularised in training, else cross-entropy."""
        if not training or self.smoothed_loss.label_smoothing == 0:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        targets = tf.one_hot(tf.cast(y, tf.int32), y_pred.shape[-1])
        return tf.add_n([self.smoothed_loss(targets, y_pred), *self.losses])

    def prepare(self, images: UInt8Array, labels: UInt8Array, batch_size: int, first_epoch: int = 0) -> Feed:
        """Makes ready for `fit`; call it after `compile`.

        Args:
            images: uint8 (N, H, W), to train on.
            labels: uint8 (N,).
            batch_size: Number of images a step; each epoch's last batch takes what remains.
            first_epoch: 0 for the first.
        """
        self._build_all(images, labels)
        batches = batches_of(images, labels, batch_size, self.seed, first_epoch)
        return Feed(batches, steps_per_epoch=-(-len(images) // batch_size), compile_s=0.0)

    def _build_all(self, images: UInt8Array, labels: UInt8Array) -> None:
        """Builds optimizer, loss and metrics, so that `fit` need not peek at its data for that."""
        self.optimizer.build(self.trainable_variables)
        self._symbolic_build(data_batch=(tf.constant(images[:1]), tf.constant(labels[:1])))

    def seed_generators(self) -> list[keras.random.SeedGenerator]:
        """Lists the generators of layers that draw from Keras' own stateful source."""
        generators = (getattr(layer, "seed_generator", None) for layer in self.network.layers)
        return [generator for generator in generators if generator is not None]


def _apply(layer: keras.Layer, inputs: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Applies a layer as in training, drawing the commonest random layers from the key."""
    match layer:
        case keras.layers.SpatialDropout1D() | keras.layers.SpatialDropout2D(data_format="channels_last"):
            mask_shape = (keras.ops.shape(inputs)[0], *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
            return randomness.dropout(key, inputs, layer.rate, mask_shape)
        case keras.layers.SpatialDropout2D() | keras.layers.SpatialDropout3D():
            return layer(inputs, training=True)
        case keras.layers.Dropout(noise_shape=None):
            return randomness.dropout(key, inputs, layer.rate, keras.ops.shape(inputs))
        case keras.layers.GaussianNoise():
            return inputs + layer.stddev * randomness.normal(key, keras.ops.shape(inputs))
        case keras.layers.GaussianDropout():
            deviation = (layer.rate / (1.0 - layer.rate)) ** 0.5
            return inputs * (1.0 + deviation * randomness.normal(key, keras.ops.shape(inputs)))
        case _:
            return layer(inputs, training=True)


class EpochModel(ExperimentModel):
    """An `ExperimentModel` whose training function is a whole epoch in one graph.

    Args:
        network: As for `ExperimentModel`.
        xla: Whether XLA compiles the graph.
        options: As for `ExperimentModel`.
    """

    def __init__(self, network: keras.Sequential, *, xla: bool, **options: Any) -> None:
        super().__init__(network, **options)
        self.xla = xla
        self._validation_images: UInt8Array | None = None

    def prepare(self, images: UInt8Array, labels: UInt8Array, batch_size: int, first_epoch: int = 0) -> Feed:
        """Puts the training images on the device and compiles the epoch; see `ExperimentModel`."""
        started = time.perf_counter()
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        self._batch_size = batch_size
        self._num_steps, self._remainder = divmod(len(images), batch_size)
        self._build_all(images, labels)
        signature = [
            tf.TensorSpec(len(images), tf.int32),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((), tf.int32),
        ]
        self._epoch = tf.function(self._run_epoch, signature, autograph=False, jit_compile=self.xla)
        # An epoch of no steps compiles everything and changes nothing.
        self._epoch(shuffle(self.seed, 0, len(images)), np.int32(0), np.int32(0))
        return Feed(epoch_numbers(first_epoch), steps_per_epoch=1, compile_s=time.perf_counter() - started)

    def keep_validation(self, images: UInt8Array, labels: UInt8Array) -> None:
        """Puts validation images on the device too, so that `fit` validates in one graph.

        Args:
            images: uint8 (N, H, W); `fit` must be given this very array as validation data.
            labels: uint8 (N,).
        """
        self._validation_images = images
        resident = tf.constant(images), tf.constant(labels)

        def validate() -> None:
            for start in range(0, len(images), EVALUATION_BATCH_SIZE):
                self.test_step(tuple(array[start : start + EVALUATION_BATCH_SIZE] for array in resident))

        self._validate = tf.function(validate, autograph=False)

    def evaluate(self, x: Any = None, y: Any = None, callbacks: Any = None, **options: Any) -> Any:
        """Evaluates as Keras does; `fit` validating on `keep_validation`'s images pays no data pipeline."""
        if x is None or x is not self._validation_images or callbacks is None:
            return super().evaluate(x, y, callbacks=callbacks, **options)
        callbacks.on_test_begin()
        self.reset_metrics()
        self._validate()
        logs = {name: float(value) for name, value in self.get_metrics_result().items()}
        callbacks.on_test_end(logs)
        return logs

    def make_train_function(self, force: bool = False) -> Callable[[Iterator[Any]], dict[str, Any]]:
        """Makes the function that `fit` calls once an epoch."""

        def train_epoch(iterator: Iterator[Any]) -> dict[str, Any]:
            order = shuffle(self.seed, int(next(iterator)), len(self._labels))
            self._epoch(order, np.int32(self._num_steps), np.int32(self._remainder > 0))
            return self.get_metrics_result()

        self.train_function = train_epoch
        return train_epoch

    def _run_epoch(self, order: tf.Tensor, num_steps: tf.Tensor, num_remainders: tf.Tensor) -> None:
        """Trains on the images in the given order, int32 (N,)."""
        if self._num_steps:
            self._loop(order, num_steps, self._batch_size)
        if self._remainder:
            end = self._num_steps * self._batch_size
            self._loop(order[end:], num_remainders, self._remainder)

    def _loop(self, order: tf.Tensor, num_steps: tf.Tensor, batch_size: int) -> None:
        """Trains on successive batches of one size."""

        def step(number: tf.Tensor) -> tuple[tf.Tensor]:
            indices = tf.slice(order, [number * batch_size], [batch_size])
            self.train_step((tf.gather(self._images, indices), tf.gather(self._labels, indices)))
            return (number + 1,)

        tf.while_loop(lambda number: number < num_steps, step, (tf.constant(0),))
