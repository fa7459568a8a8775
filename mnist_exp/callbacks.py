"""What happens around each epoch, as Keras callbacks: records, checkpoints, stopping."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp import files
from mnist_exp.errors import RunError
from mnist_exp.records import EpochMetrics
from mnist_exp.runs import RunDirectory
from mnist_exp.schedules import LearningRates


class LayerSeeds(keras.callbacks.Callback):
    """Sets layers' own generators at each epoch's start, as a function of (seed, epoch, layer).

    Keras does not save their state, so that a resumed run would draw other numbers.

    Args:
        seed: Of the run.
        generators: From `ExperimentModel.seed_generators`.
    """

    def __init__(self, seed: int, generators: list[keras.random.SeedGenerator]) -> None:
        super().__init__()
        self.seed, self.generators = seed, generators

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Seeds every generator."""
        for number, generator in enumerate(self.generators):
            state = np.random.SeedSequence([self.seed, epoch, number]).generate_state(2)
            generator.state.assign(state.astype(np.int64))


class StepLearningRates(keras.callbacks.Callback):
    """Sets each step's learning rate, for stock `fit`; `EpochModel` does that in its graph.

    Args:
        learning_rates: Gives them; None leaves the optimizer's alone.
        steps_per_epoch: Number of steps an epoch.
    """

    def __init__(self, learning_rates: LearningRates, steps_per_epoch: int) -> None:
        super().__init__()
        self.learning_rates, self.steps_per_epoch = learning_rates, steps_per_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Computes the epoch's rates."""
        self._rates = self.learning_rates(epoch * self.steps_per_epoch, self.steps_per_epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the step's rate."""
        if self._rates is not None:
            self.model.optimizer.learning_rate = self._rates[batch]


class StopOnNonFinite(keras.callbacks.Callback):
    """Ends the run when the loss is no number any more, before anything is overwritten."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the epoch's losses.

        Raises:
            RunError: One is NaN or infinite.
        """
        for name in ("loss", "val_loss"):
            value = (logs or {}).get(name, 0.0)
            if not math.isfinite(value):
                raise RunError(
                    f"{name} became {value} in epoch {epoch + 1}.",
                    "Lower optimizer.learning_rate; checkpoints/ holds the last good weights, if any.",
                )


class BestEpoch(keras.callbacks.Callback):
    """Knows which epoch is the best so far.

    Args:
        monitor: The metric that chooses the best epoch. Where it is not measured, as without
            validation images, every epoch counts as the best so far.
        direction: `max` or `min`.

    Attributes:
        best_epoch: 1-based; 0 before the first.
        best_value: The monitor's at that epoch.
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


class Checkpoints(BestEpoch):
    """Keeps the newest weights and the best ones, as plain Keras models.

    `last.keras` holds the optimizer's state too; `best.keras`, which is for use, does not.

    Args:
        run: Where they are kept.
        network: The plain network that is trained.
        monitor: As for `BestEpoch`.
        direction: As for `BestEpoch`.
    """

    def __init__(self, run: RunDirectory, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__(monitor, direction)
        self.run, self.network = run, network
        self.for_use = keras.Sequential(
            [keras.layers.Input(network.input_shape[1:]), *network.layers], name=network.name
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compiles both, so that a loaded checkpoint can be evaluated at once."""
        evaluation = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        self.network.compile(self.model.optimizer, **evaluation)
        self.for_use.compile("sgd", **evaluation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the epoch's weights, as the best too if they are."""
        super().on_epoch_end(epoch, logs)
        files.write_with(self.run.last_checkpoint_path, self.network.save)

    def keep(self) -> None:
        """Saves the weights as the best."""
        files.write_with(self.run.best_checkpoint_path, self.for_use.save)


class EpochRecorder(keras.callbacks.Callback):
    """Makes one row of metrics an epoch.

    Args:
        best: Says which epoch is the best so far; put it before this.
        report: Called with each row and whether it is the best so far.

    Attributes:
        training_s: Seconds of each epoch's training steps alone.
    """

    def __init__(self, best: BestEpoch, report: Callable[[EpochMetrics, bool], None]) -> None:
        super().__init__()
        self.best, self.report = best, report
        self.training_s: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()
        self._trained: float | None = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes that the epoch's training steps are done."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports the row."""
        logs = logs or {}
        ended = time.perf_counter()
        self.training_s.append((self._trained or ended) - self._started)
        row = EpochMetrics(
            epoch=epoch + 1,
            loss=_shortest(logs["loss"]),
            accuracy=_shortest(logs["accuracy"]),
            val_loss=_shortest(logs["val_loss"]) if "val_loss" in logs else None,
            val_accuracy=_shortest(logs["val_accuracy"]) if "val_accuracy" in logs else None,
            learning_rate=float(self.model.optimizer.learning_rate),
            duration_s=round(ended - self._started, 4),
        )
        self.report(row, self.best.best_epoch == epoch + 1)


def _shortest(value: float) -> float:
    """Gives the number with the fewest digits that is the same float32."""
    return float(str(np.float32(value)))
