"""The compiled epoch: a Keras model whose `fit` runs a whole epoch in one graph.

Stock `fit` pays about 1.5 ms a step for Python, data pipeline and kernel launches, which is
most of an epoch of a small network. `EpochModel` keeps the images on the device as bytes and
loops over the epoch's batches inside one graph, so that `fit` sees one step an epoch and
callbacks, metrics, schedules and saving work as ever.

Engines:
    compiled: one XLA program; the fastest for dense layers.
    graph: one TensorFlow graph with oneDNN kernels; the fastest for convolutions on a CPU.
    keras: stock `fit`, batch by batch; the reference that the others are tested against.

All three see the same batches and draw the same random numbers. Seed, learning rates, weight
decay, label smoothing, mixup and the rates of dropout and noise are numbers that the graph reads, so
that another value needs no new graph.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.ops import gradient_registry

from mnist_exp.config.schema import Engine
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.runs.records import EngineRecord
from mnist_exp.training.model import ExperimentModel, Feed, epoch_numbers, resident, shuffle
from mnist_exp.training.networks import EVALUATION_BATCH_SIZE
from mnist_exp.training.optimizers import decaying_by

# XLA saves 0.3 ms (model=ann) to 0.8 ms (bn_dnn) a step of 128 images, and takes 2 s to 4 s longer to start.
_WORTH_COMPILING = 5_000
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


@contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Within the block, TensorFlow's registry takes no gradient functions for good.

    Each custom gradient in a graph, such as every Keras optimizer's, would leave a function there that holds
    the whole graph: 8 MB a model (TensorFlow 2.21). Once gradients have been taken, it is of no use.
    """
    known = set(gradient_registry.list())
    try:
        yield
    finally:
        for name in set(gradient_registry.list()) - known:
            # The registry has no way of its own to forget.
            del gradient_registry._registry[name]


def choose_engine(
    requested: Engine, layers: Sequence[keras.Layer], device: str, num_steps: int
) -> EngineRecord:
    """Decides how epochs are executed on a `CPU` or `GPU`, and says why."""
    if requested is not Engine.AUTO:
        return EngineRecord(name=requested.value, reason="asked for by training.engine")
    if device == "CPU" and any(isinstance(layer, _CONVOLUTIONS) for layer in layers):
        return EngineRecord(
            name=Engine.GRAPH.value, reason="convolutions on a CPU: oneDNN is faster than XLA"
        )
    if device == "CPU" and num_steps < _WORTH_COMPILING:
        reason = f"{num_steps:,} steps are over before XLA would have compiled them"
        return EngineRecord(name=Engine.GRAPH.value, reason=reason)
    return EngineRecord(name=Engine.COMPILED.value, reason="one XLA program an epoch is the fastest here")


class EpochModel(ExperimentModel):
    """An `ExperimentModel` whose training function is a whole epoch in one graph, compiled by XLA or not."""

    def __init__(self, network: keras.Sequential, *, xla: bool, **options: Any) -> None:
        super().__init__(network, **options)
        self.xla = xla
        self._prepared: tuple[LabelledImages, int] | None = None
        self._validation: LabelledImages | None = None

    def prepare(self, data: LabelledImages, batch_size: int, first_epoch: int = 0) -> Feed:
        """Compiles the epoch, unless that was done for the same data; see `ExperimentModel`."""
        started = time.perf_counter()
        self._write_numbers()
        feed = Feed(epoch_numbers(first_epoch), steps_per_epoch=1, compile_s=0.0)
        if self._prepared == (data, batch_size):
            return feed
        self._batch_size = batch_size
        self._num_steps, self._remainder = divmod(len(data), batch_size)
        self._data = resident(data)
        self._build_all(data)
        self._compile_epoch(len(data))
        self._prepared = data, batch_size
        return feed._replace(compile_s=time.perf_counter() - started)

    def _compile_epoch(self, num_images: int) -> None:
        order = tf.TensorSpec(num_images, tf.int32)
        rates = tf.TensorSpec(self._steps_per_epoch, tf.float32)
        signature = [order, rates, tf.TensorSpec((), tf.int32)]
        self._full_steps = tf.function(self._loop, signature, autograph=False, jit_compile=self.xla)
        # One smaller batch an epoch: compiling it too would take as long again, and never pay.
        self._last_step = tf.function(self._train_on_rest, [order, rates], autograph=False)
        with forgotten_gradients():
            if self._num_steps:
                # No steps at all compile everything and change nothing.
                self._full_steps(shuffle(self.seed, 0, num_images), self._rates(0), np.int32(0))
            if self._remainder:
                self._last_step.get_concrete_function()

    @property
    def _steps_per_epoch(self) -> int:
        return self._num_steps + (self._remainder > 0)

    def _rates(self, epoch: int) -> NDArray[np.float32]:
        """Gives the learning rate of each step of an epoch, 0 for the first; float32 (steps,)."""
        count = self._steps_per_epoch
        rates = self.learning_rates(epoch * count, count)
        return np.full(count, self.optimizer.learning_rate, np.float32) if rates is None else rates

    def keep_validation(self, data: LabelledImages) -> float:
        """Puts `fit`'s validation images on the device; returns seconds of tracing, 0.0 if done before."""
        if self._validation is data:
            return 0.0
        started = time.perf_counter()
        self._validation, kept = data, resident(data)

        def validate() -> None:
            for start in range(0, len(data), EVALUATION_BATCH_SIZE):
                self.test_step(tuple(array[start : start + EVALUATION_BATCH_SIZE] for array in kept))

        self._validate = tf.function(validate, autograph=False)
        with forgotten_gradients():
            self._validate.get_concrete_function()
        return time.perf_counter() - started

    def evaluate(self, x: Any = None, y: Any = None, callbacks: Any = None, **options: Any) -> Any:
        """Evaluates as Keras does; `fit` validating on `keep_validation`'s images pays no data pipeline."""
        if self._validation is None or x is not self._validation.images or callbacks is None:
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
            epoch = int(next(iterator))
            order = shuffle(self.seed, epoch, len(self._data.labels))
            rates = self._rates(epoch)
            if self._num_steps:
                self._full_steps(order, rates, np.int32(self._num_steps))
            if self._remainder:
                self._last_step(order, rates)
            return self.get_metrics_result()

        self.train_function = train_epoch
        return train_epoch

    def _loop(self, order: tf.Tensor, rates: tf.Tensor, num_steps: tf.Tensor) -> None:
        """Trains on the first full batches of `order`, int32 (N,), at `rates`, float32 (steps,)."""

        def step(number: tf.Tensor) -> tuple[tf.Tensor]:
            indices = tf.slice(order, [number * self._batch_size], [self._batch_size])
            self._train_at(rates[number], indices)
            return (number + 1,)

        with decaying_by(self.optimizer, self._numbers.weight_decay.value()):
            tf.while_loop(lambda number: number < num_steps, step, (tf.constant(0),))

    def _train_on_rest(self, order: tf.Tensor, rates: tf.Tensor) -> None:
        with decaying_by(self.optimizer, self._numbers.weight_decay.value()):
            self._train_at(rates[self._num_steps], order[self._num_steps * self._batch_size :])

    def _train_at(self, rate: tf.Tensor, indices: tf.Tensor) -> None:
        # A schedule of the caller's own needs no rates from outside.
        if isinstance(self.optimizer.learning_rate, keras.Variable):
            self.optimizer.learning_rate.assign(rate)
        self.train_step(tuple(tf.gather(array, indices) for array in self._data))
