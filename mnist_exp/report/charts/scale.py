"""Scales: from values to places on a page, and the round values between."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """From values to places on a page.

    Attributes:
        low: Value at the start.
        high: Value at the end, larger than `low`.
        start: Place of `low`, in the drawing's own unit.
        end: Place of `high`.
        is_logarithmic: Whether equal factors are equally far apart; `low` is above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Returns where a value is, to a tenth."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low / 1000))
        share = (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Returns round values within the scale, about as many as asked for."""
        if self.is_logarithmic:
            return _powers(self.low, self.high)
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)][: 2 * most + 2]


def _round_step(step: float) -> float:
    """Returns 1, 2 or 5 times a power of ten, not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _powers(low: float, high: float) -> list[float]:
    """Returns powers of ten, and where these are few their double and fivefold."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first < 3 else (1,)
    values = (factor * 10.0**power for power in range(first, last + 1) for factor in factors)
    return [value for value in values if low <= value <= high]
