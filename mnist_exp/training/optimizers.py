"""Optimizers and learning rate schedules, built by Keras' own names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.config.schema import CosineScheduleConfig, OptimizerConfig, ScheduleConfig, StepScheduleConfig
from mnist_exp.errors import ConfigError, words_of

LearningRates = Callable[[int, int], NDArray[np.float32] | None]
"""From the first step (0 is the run's first) and a number of steps to their rates, float32 (count,);
None where the optimizer's own learning rate stays."""


def learning_rates(
    config: ScheduleConfig,
    learning_rate: float,
    num_steps_total: int,
    steps_per_epoch: int,
    first: int,
    count: int,
) -> NDArray[np.float32] | None:
    """Computes the learning rates of successive steps, float32 (count,), as Keras' schedules define them.

    `first` is 0 for the run's first step. None where the optimizer's own learning rate stays.
    """
    steps = np.arange(first, first + count, dtype=np.float64)
    match config:
        case CosineScheduleConfig():
            return (learning_rate * _cosine(config, num_steps_total, steps)).astype(np.float32)
        case StepScheduleConfig():
            falls = np.floor(steps / (config.every_epochs * steps_per_epoch))
            return (learning_rate * config.factor**falls).astype(np.float32)
        case _:
            return None


def _cosine(
    config: CosineScheduleConfig, num_steps_total: int, steps: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gives each step's share of the highest rate (Loshchilov and Hutter 2017)."""
    warmup_steps = round(config.warmup_fraction * num_steps_total)
    decay_steps = max(num_steps_total - warmup_steps, 1)
    completed = np.clip((steps - warmup_steps) / decay_steps, 0.0, 1.0)
    decayed = config.final_fraction + (1 - config.final_fraction) * (1 + np.cos(np.pi * completed)) / 2
    return np.where(steps < warmup_steps, steps / max(warmup_steps, 1), decayed)


def build_optimizer(
    config: OptimizerConfig, ema_momentum: float, network: keras.Model
) -> keras.optimizers.Optimizer:
    """Builds an optimizer that decays kernels only (Loshchilov and Hutter 2019), averaging weights or not.

    Decay of biases and of batch normalisation's scales and offsets costs accuracy and regularises nothing.
    Raises ConfigError where Keras refuses an argument's value.
    """
    classes = {name.lower(): name for name in dir(keras.optimizers)}
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    try:
        optimizer_class = getattr(keras.optimizers, classes[config.name.lower()])
        optimizer = optimizer_class(learning_rate=config.learning_rate, **config.arguments, **average)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer: Keras refuses these arguments: {words_of(error)}") from error
    if optimizer.weight_decay:
        spared = [variable for variable in network.trainable_variables if not is_kernel(variable)]
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def is_kernel(variable: keras.Variable) -> bool:
    """Says whether a layer multiplies inputs by this variable: a kernel of any kind, no bias or scale."""
    return variable.name.endswith("kernel")


@contextmanager
def decaying_by(optimizer: keras.optimizers.Optimizer, weight_decay: tf.Tensor) -> Iterator[None]:
    """Within the block, a graph that is traced reads the weight decay, if there is one, from a tensor."""
    given = optimizer.weight_decay
    if given:
        optimizer.weight_decay = weight_decay
    try:
        yield
    finally:
        # A checkpoint holds the optimizer's arguments, and a tensor cannot be written there.
        optimizer.weight_decay = given
