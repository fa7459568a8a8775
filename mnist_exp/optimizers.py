"""YAML to Keras optimizers, learning rates included."""

from typing import Any

import keras

from mnist_exp.errors import ConfigError
from mnist_exp.schema import (
    CosineScheduleConfig,
    OptimizerConfig,
    ScheduleConfig,
    StepScheduleConfig,
)


def build_optimizer(
    config: OptimizerConfig,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    ema_momentum: float,
    network: keras.Model,
) -> keras.optimizers.Optimizer:
    """Builds an optimizer that decays kernels only (Loshchilov and Hutter 2019).

    Biases and batch normalisation's scales and offsets are left out of the weight decay, as
    shrinking them costs accuracy and regularises nothing.

    Args:
        config: The `optimizer` node.
        learning_rate: From `build_learning_rate`.
        ema_momentum: Momentum of the moving average of the weights; 0 keeps none.
        network: Built; what will be trained.

    Raises:
        ConfigError: Keras refuses an argument's value.
    """
    classes = {name.lower(): name for name in dir(keras.optimizers)}
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    try:
        optimizer_class = getattr(keras.optimizers, classes[config.name.lower()])
        optimizer = optimizer_class(learning_rate=learning_rate, **config.arguments, **average)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"optimizer: Keras refuses these arguments: {str(error).splitlines()[0]}"
        ) from error
    if optimizer.weight_decay:
        spared = [variable for variable in network.trainable_variables if variable.name != "kernel"]
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def build_learning_rate(
    config: ScheduleConfig, learning_rate: float, epochs: int, steps_per_epoch: int
) -> Any:
    """Builds the learning rate as a function of the training step.

    Args:
        config: The `schedule` node.
        learning_rate: The optimizer's own, which the schedule starts from or rises to.
        epochs: Number of epochs that the schedule spans.
        steps_per_epoch: Number of steps an epoch.

    Returns:
        A Keras schedule, or the number itself where it changes with the step no more.
    """
    schedules = keras.optimizers.schedules
    num_steps = epochs * steps_per_epoch
    match config:
        case CosineScheduleConfig():
            warmup_steps = round(config.warmup_fraction * num_steps)
            return schedules.CosineDecay(
                initial_learning_rate=0.0 if warmup_steps else learning_rate,
                decay_steps=max(num_steps - warmup_steps, 1),
                alpha=config.final_fraction,
                warmup_target=learning_rate if warmup_steps else None,
                warmup_steps=warmup_steps,
            )
        case StepScheduleConfig():
            decay_steps = config.every_epochs * steps_per_epoch
            return schedules.ExponentialDecay(learning_rate, decay_steps, config.factor, staircase=True)
        case _:
            return learning_rate
