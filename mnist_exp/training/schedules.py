"""Learning rates as numbers: what each training step takes, computed outside its graph.

A schedule in the graph would make its rates part of the compiled program. As numbers, another
rate, schedule or length needs no new program, and the optimizer stays a plain one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import CosineScheduleConfig, ScheduleConfig, StepScheduleConfig

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
    """Computes the learning rates of successive steps, as Keras' schedules define them.

    Args:
        config: The `schedule` node.
        learning_rate: The optimizer's own, which the schedule starts from or rises to.
        num_steps_total: Number of steps that the schedule spans.
        steps_per_epoch: Number of steps an epoch.
        first: The first step wanted; 0 is the first of the run.
        count: Number of steps wanted.

    Returns:
        float32 (count,); None where the optimizer's learning rate is left to itself.
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
