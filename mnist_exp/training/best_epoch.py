"""Keeping the weights of the best epoch, as Keras callbacks."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs import files
from mnist_exp.runs.writer import RunDirectory

EVALUATION: dict[str, Any] = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
"""What a saved network is compiled with beside its optimizer."""


class BestEpoch(keras.callbacks.Callback):
    """Knows which epoch is the best so far.

    Args:
        monitor: The metric that chooses the best epoch. Where it is not measured, as without
            validation images, every epoch counts as the best so far.
        direction: `max` or `min`.

    Attributes:
        best_epoch: 1-based; 0 before the first.
        best_value: The monitor's at that epoch; infinite while there is none.
    """

    def __init__(self, monitor: str, direction: str) -> None:
        super().__init__()
        self.monitor, self.sign = monitor, 1.0 if direction == "max" else -1.0
        self.best_epoch, self.best_value = 0, -math.inf * self.sign

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the epoch's value."""
        value = (logs or {}).get(self.monitor)
        if value is None or self.best_epoch == 0 or self.sign * (value - self.best_value) > 0:
            self.best_epoch = epoch + 1
            self.best_value = self.best_value if value is None else value
            self.keep()

    def keep(self) -> None:
        """Keeps the weights of an epoch that is the best so far."""


class BestWeights(BestEpoch):
    """Keeps the best weights in memory.

    Args:
        network: The plain network that is trained.
        monitor: As for `BestEpoch`.
        direction: As for `BestEpoch`.

    Attributes:
        weights: The network's at the best epoch, as `set_weights` takes them; empty before the first.
    """

    def __init__(self, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__(monitor, direction)
        self.network = network
        self.weights: list[NDArray[np.float32]] = []

    def keep(self) -> None:
        """Copies the weights."""
        self.weights = [np.array(weight) for weight in self.network.get_weights()]


class BestCheckpoint(BestEpoch):
    """Keeps the best weights as `best.keras`, a plain Keras model for use: without an optimizer's state.

    Args:
        run: Where it is kept.
        network: The plain network that is trained.
        monitor: As for `BestEpoch`.
        direction: As for `BestEpoch`.
    """

    def __init__(self, run: RunDirectory, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__(monitor, direction)
        self.run = run
        self.for_use = keras.Sequential(
            [keras.layers.Input(network.input_shape[1:]), *network.layers], name=network.name
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compiles it, so that a loaded checkpoint can be evaluated at once."""
        self.for_use.compile("sgd", **EVALUATION)

    def keep(self) -> None:
        """Saves the weights as the best."""
        files.write_with(self.run.best_checkpoint_path, self.for_use.save)
