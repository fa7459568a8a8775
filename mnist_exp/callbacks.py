"""What happens around each epoch, as Keras callbacks: records, checkpoints, stopping."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mnist_exp import files
from mnist_exp.errors import RunError
from mnist_exp.records import EpochMetrics
from mnist_exp.runs import RunDirectory
from mnist_exp.signals import StopRequest


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


class Checkpoints(keras.callbacks.Callback):
    """Keeps the newest weights and the best ones, as plain Keras models.

    `last.keras` holds the optimizer's state too; `best.keras`, which is for use, does not.

    Args:
        run: Where they are kept.
        network: The plain network that is trained.
        monitor: The metric that chooses the best epoch. Where it is not measured, as without
            validation images, every epoch counts as the best so far.
        direction: `max` or `min`.

    Attributes:
        best_epoch: 1-based; 0 before the first.
        best_value: The monitor's at that epoch.
    """

    def __init__(self, run: RunDirectory, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__()
        self.run, self.network, self.monitor = run, network, monitor
        self.sign = 1.0 if direction == "max" else -1.0
        self.best_epoch, self.best_value = 0, -math.inf * self.sign
        self.for_use = keras.Sequential(
            [keras.layers.Input(network.input_shape[1:]), *network.layers], name=network.name
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compiles both, so that a loaded checkpoint can be evaluated at once."""
        evaluation = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        self.network.compile(self.model.optimizer, **evaluation)
        self.for_use.compile("sgd", **evaluation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the epoch's weights, and says whether they are the best."""
        value = (logs or {}).get(self.monitor)
        if value is None or self.best_epoch == 0 or self.sign * (value - self.best_value) > 0:
            self.best_epoch = epoch + 1
            self.best_value = self.best_value if value is None else value
            files.write_with(self.run.best_checkpoint_path, self.for_use.save)
        files.write_with(self.run.last_checkpoint_path, self.network.save)


class EpochRecorder(keras.callbacks.Callback):
    """Writes one row of metrics an epoch.

    Args:
        run: Where the rows are kept.
        checkpoints: Says which epoch is the best so far.
        show: Called with each row and whether it is the best so far.

    Attributes:
        training_s: Seconds of each epoch's training steps alone.
    """

    def __init__(
        self,
        run: RunDirectory,
        checkpoints: Checkpoints,
        show: Callable[[EpochMetrics, bool], None],
    ) -> None:
        super().__init__()
        self.run, self.checkpoints, self.show = run, checkpoints, show
        self.training_s: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()
        self._trained: float | None = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes that the epoch's training steps are done."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the row."""
        logs = logs or {}
        ended = time.perf_counter()
        self.training_s.append((self._trained or ended) - self._started)
        row = EpochMetrics(
            epoch=epoch + 1,
            loss=_shortest(logs["loss"]),
            accuracy=_shortest(logs["accuracy"]),
            val_loss=_shortest(logs["val_loss"]) if "val_loss" in logs else None,
            val_accuracy=_shortest(logs["val_accuracy"]) if "val_accuracy" in logs else None,
            learning_rate=self._learning_rate(),
            duration_s=round(ended - self._started, 4),
        )
        self.run.append_metrics(row)
        self.show(row, self.checkpoints.best_epoch == epoch + 1)

    def _learning_rate(self) -> float:
        """Gives the rate of the last step taken."""
        optimizer = self.model.optimizer
        schedule = optimizer._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return float(schedule(optimizer.iterations - 1))
        return float(optimizer.learning_rate)


def _shortest(value: float) -> float:
    """Gives the number with the fewest digits that is the same float32."""
    return float(str(np.float32(value)))


class StopWhenAsked(keras.callbacks.Callback):
    """Ends training between two epochs when a signal came; put it last, after all is saved."""

    def __init__(self, request: StopRequest) -> None:
        super().__init__()
        self.request = request

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks for a signal.

        Raises:
            Interrupted: One came.
        """
        self.request.check()
