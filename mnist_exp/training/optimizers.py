"""YAML to Keras optimizers."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from mnist_exp.config.schema import OptimizerConfig
from mnist_exp.errors import ConfigError, words_of


def build_optimizer(
    config: OptimizerConfig, ema_momentum: float, network: keras.Model
) -> keras.optimizers.Optimizer:
    """Builds an optimizer that decays kernels only (Loshchilov and Hutter 2019).

    Biases and batch normalisation's scales and offsets are left out of the weight decay, as
    shrinking them costs accuracy and regularises nothing.

    Args:
        config: The `optimizer` node.
        ema_momentum: Momentum of the moving average of the weights; 0 keeps none.
        network: Built; what will be trained.

    Raises:
        ConfigError: Keras refuses an argument's value.
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
    """Within the block, a graph that is traced reads the weight decay from a tensor.

    Args:
        optimizer: Whose `weight_decay` is a number; None and 0 stay as they are.
        weight_decay: Scalar of any floating type.
    """
    given = optimizer.weight_decay
    if given:
        optimizer.weight_decay = weight_decay
    try:
        yield
    finally:
        # A checkpoint holds the optimizer's arguments, and a tensor cannot be written there.
        optimizer.weight_decay = given
