"""What axes show: limits that fit most values, round ticks, the words of a metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mnist_exp.words import is_accuracy, loss_text, percent

_METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss"}
_METRICS |= {"accuracy": "Training accuracy", "loss": "Training loss"}
_ROUND = (1, 2, 5, 10)
Interval = tuple[float, float]


@dataclass(frozen=True)
class Objective:
    """A metric, as in `metrics.jsonl`, and whether a larger (`max`) or a smaller (`min`) one is better."""

    name: str
    direction: Literal["max", "min"]

    @property
    def sign(self) -> int:
        """Factor that makes larger better."""
        return 1 if self.direction == "max" else -1

    @property
    def label(self) -> str:
        """The metric's name for an axis."""
        return _METRICS.get(self.name, self.name)

    @property
    def is_accuracy(self) -> bool:
        """Whether scores are fractions, which people read in percent."""
        return is_accuracy(self.name)

    def text(self, score: float) -> str:
        """Writes a score: an accuracy in percent, a loss as it is."""
        return percent(score) if self.is_accuracy else loss_text(score)

    def limits(self, scores: NDArray[np.float64], reach: float = 4.0) -> Interval:
        """Returns low and high of an axis that shows most scores, one or more, and cuts a few awful ones.

        An awful score is `reach` times farther behind the best than three quarters are.
        """
        worst, usual, good = map(float, np.quantile(self.sign * scores, [0, 0.25, 1]))
        edge = max(worst, good - reach * (good - usual)) if good > usual else worst
        margin = 0.06 * (good - edge) or 0.01 * abs(good) or 0.01
        low, high = sorted((self.sign * (good + margin), self.sign * (edge - margin)))
        return low, min(high, 1.02) if self.is_accuracy else high

    def cut_note(self, scores: NDArray[np.float64], limits: Interval) -> str:
        """Says how far scores reach beyond the limits; nothing where none does."""
        worst = self.sign * float(np.min(self.sign * scores))
        if limits[0] <= worst <= limits[1]:
            return ""
        return f"cut: {'falls' if self.sign > 0 else 'rises'} to {self.text(worst)}"

    def format_axis(self, axes: Axes, which: Literal["x", "y"], max_intervals: int = 6) -> None:
        """Makes an axis' ticks round scores."""
        set_round_ticks(axes.xaxis if which == "x" else axes.yaxis, self.is_accuracy, max_intervals)


def interval_limits(
    values: Sequence[float], intervals: Sequence[Interval], widths_shown: float = 2.0
) -> Interval:
    """Returns limits that hold all values, and intervals unless they would press the values together.

    `widths_shown` is what is shown beyond the values for intervals, in widths of a usual one.
    """
    lowest, highest = min(values), max(values)
    widths = sorted(high - low for low, high in intervals)
    typical = widths[(len(widths) - 1) // 2] if widths else 0.0
    reach = widths_shown * typical + 0.5 * (highest - lowest)
    low = max(min([lowest, *(low for low, _ in intervals)]), lowest - reach)
    high = min(max([highest, *(high for _, high in intervals)]), highest + reach)
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    return low - margin, high + margin


def set_round_ticks(axis: Axis, in_percent: bool, max_intervals: int = 6) -> None:
    """Puts an axis' ticks at round numbers, and writes fractions in percent."""
    factor, unit = (100, "%") if in_percent else (1, "")
    axis.set_major_locator(MaxNLocator(max_intervals, steps=_ROUND))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{factor * value:.6g}{unit}"))


def set_point_ticks(axis: Axis, max_intervals: int) -> None:
    """Puts an axis' ticks at round numbers, and writes fractions as percentage points."""
    axis.set_major_locator(MaxNLocator(max_intervals, steps=_ROUND))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}".replace("-", "−")))
