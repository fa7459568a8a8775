"""Seconds of each epoch's training part and of its validation, as a Keras callback."""

import statistics
import time
from typing import Any

import keras


class Stopwatch(keras.callbacks.Callback):
    """Times a `fit`.

    Attributes:
        training_s: Seconds of each epoch's training steps, first epoch first.
        validation_s: Seconds of each epoch's validation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.training_s: list[float] = []
        self.validation_s: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes the end of the training steps."""
        self.training_s.append(self._lap())

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Notes the end of the validation."""
        self.validation_s.append(self._lap())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the end of the training steps where there is no validation."""
        if len(self.training_s) == epoch:
            self.training_s.append(self._lap())

    def _lap(self) -> float:
        now = time.perf_counter()
        lap_s, self._started = now - self._started, now
        return lap_s


def median_after_first(seconds: list[float]) -> float | None:
    """Gives the median, the first epoch left out, as it traces and compiles; None of nothing."""
    return round(statistics.median(seconds[1:] or seconds), 4) if seconds else None
