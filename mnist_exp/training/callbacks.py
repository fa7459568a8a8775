"""What happens between epochs: records, the best epoch, saved states, guards."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.errors import RunError
from mnist_exp.runs import files
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.training.checkpoints import Remembered, TrainingState
from mnist_exp.training.networks import for_use
from mnist_exp.training.optimizers import LearningRates
from mnist_exp.words import percent


class BestEpoch(keras.callbacks.Callback):
    """Knows which epoch is the best so far; without a measured `monitor`, that is the last one.

    Attributes:
        best_epoch: 1-based; 0 before the first.
        best_value: The monitor's at that epoch; infinite while there is none.
    """

    def __init__(self, monitor: str, direction: str) -> None:
        super().__init__()
        self.monitor, self.sign = monitor, 1.0 if direction == "max" else -1.0
        self.best_epoch, self.best_value = 0, -math.inf * self.sign

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks whether the epoch is the best so far."""
        value = (logs or {}).get(self.monitor)
        if value is None or self.best_epoch == 0 or self.sign * (value - self.best_value) > 0:
            self.best_epoch = epoch + 1
            self.best_value = self.best_value if value is None else value
            self.keep()

    def keep(self) -> None:
        """Keeps the weights of an epoch that is the best so far."""


class BestWeights(BestEpoch):
    """Keeps the best epoch's weights in memory, as `set_weights` takes them; empty before the first."""

    def __init__(self, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__(monitor, direction)
        self.network = network
        self.weights: list[NDArray[np.float32]] = []

    def keep(self) -> None:
        """Copies the weights."""
        self.weights = [np.array(weight) for weight in self.network.get_weights()]


class BestCheckpoint(BestEpoch):
    """Keeps the best weights as `best.keras`, a plain Keras model for use: without an optimizer's state."""

    def __init__(self, run: RunDirectory, network: keras.Sequential, monitor: str, direction: str) -> None:
        super().__init__(monitor, direction)
        self.run, self.for_use = run, for_use(network)

    def keep(self) -> None:
        """Saves the weights as the best."""
        files.write_with(self.run.best_checkpoint_path, self.for_use.save)


class LayerSeeds(keras.callbacks.Callback):
    """Sets the generators of layers, which Keras does not save, from (seed, epoch, generator)."""

    def __init__(self, seed: int, states: list[keras.Variable]) -> None:
        super().__init__()
        self.seed, self.states = seed, states

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Seeds every generator."""
        for number, state in enumerate(self.states):
            drawn = np.random.SeedSequence([self.seed, epoch, number]).generate_state(2)
            state.assign(drawn.astype(np.int64))


class StepLearningRates(keras.callbacks.Callback):
    """Sets each step's learning rate, where one is given, for stock `fit`; `EpochModel` does so itself."""

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
        """Raises RunError where a loss is NaN or infinite."""
        for name in ("loss", "val_loss"):
            value = (logs or {}).get(name, 0.0)
            if not math.isfinite(value):
                raise RunError(
                    f"{name} became {value} in epoch {epoch + 1}.",
                    "Lower optimizer.learning_rate; checkpoints/ holds the last good weights, if any.",
                )


class StopOnCollapse(keras.callbacks.Callback):
    """Ends the run when a network has unlearnt all that it knew; put it before the recorder.

    It had, if more than half of the training images were right in some epoch (of two or three classes:
    clearly more than guessing gets right), and has unlearnt it, if an epoch gets no more right than guessing.
    """

    def __init__(self, recorder: "EpochRecorder", num_classes: int) -> None:
        super().__init__()
        chance = 1 / num_classes
        self.recorder, self.knows, self.guesses = recorder, max(0.5, 1.5 * chance), chance + 0.05

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises RunError where accuracy is that of guessing, and had been much higher."""
        highest = max((row.accuracy for row in self.recorder.rows), default=0.0)
        accuracy = (logs or {}).get("accuracy", 1.0)
        if highest > self.knows and accuracy <= self.guesses:
            fall = f"from {percent(highest, 1)} to {percent(accuracy, 1)}"
            raise RunError(
                f"accuracy collapsed {fall} in epoch {epoch + 1}.",
                "Lower optimizer.learning_rate; checkpoints/best.keras holds the best weights so far.",
            )


class EpochRecorder(keras.callbacks.Callback):
    """Makes a row an epoch and reports it, with whether it is the best so far; put it after `best`."""

    def __init__(self, best: BestEpoch, report: Callable[[EpochMetrics, bool], None]) -> None:
        super().__init__()
        self.best, self.report = best, report
        self.rows: list[EpochMetrics] = []
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
        self.rows.append(row)
        self.report(row, self.best.best_epoch == epoch + 1)


class SaveState(keras.callbacks.Callback):
    """Hands over where the training stands, `watchers`' memories included; put it after the others."""

    def __init__(
        self,
        recorder: EpochRecorder,
        watchers: Sequence[keras.callbacks.Callback],
        keep: Callable[[TrainingState], None],
        compile_s: float,
    ) -> None:
        super().__init__()
        self.recorder, self.watchers = recorder, watchers
        self.keep, self.compile_s = keep, compile_s

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the state together."""
        best = self.recorder.best
        state = TrainingState(
            rows=self.recorder.rows,
            training_s=self.recorder.training_s,
            compile_s=self.compile_s,
            best_epoch=best.best_epoch,
            best_value=best.best_value if math.isfinite(best.best_value) else None,
            watchers={type(watcher).__name__: _remembered_by(watcher) for watcher in self.watchers},
            has_ended=self.model.stop_training,
        )
        self.keep(state)


class RestoreState(keras.callbacks.Callback):
    """Gives recorder and watchers what they knew when an earlier process stopped; put it after them."""

    def __init__(
        self, state: TrainingState, recorder: EpochRecorder, watchers: Sequence[keras.callbacks.Callback]
    ) -> None:
        super().__init__()
        self.state, self.recorder, self.watchers = state, recorder, watchers

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Does so once Keras' callbacks have forgotten, as they do when a training begins."""
        state, best = self.state, self.recorder.best
        self.recorder.rows, self.recorder.training_s = list(state.rows), list(state.training_s)
        best.best_epoch = state.best_epoch
        if state.best_value is not None:
            best.best_value = state.best_value
        for watcher in self.watchers:
            for name, value in state.watchers.get(type(watcher).__name__, {}).items():
                setattr(watcher, name, value)


def _remembered_by(watcher: keras.callbacks.Callback) -> dict[str, Remembered]:
    remembered = ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter", "raw_statistics")
    return {name: getattr(watcher, name) for name in remembered if hasattr(watcher, name)}


def _shortest(value: float) -> float:
    """Gives the number with the fewest digits that is the same float32."""
    return float(str(np.float32(value)))
