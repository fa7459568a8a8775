"""Small texts that pages share: counts, times, accuracies with their intervals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mnist_exp.report.html import visible
from mnist_exp.trial_words import describe_values

_MOST = 10**15
_LONGEST_VALUES = 300


def count_text(number: int, separator: str = ",") -> str:
    """Writes a whole number: `101,770`; one that nothing can have as `beyond all measure`."""
    return f"{number:{separator}}" if abs(number) < _MOST else "beyond all measure"


def time_text(stamp: str) -> str:
    """Writes a time of a manifest for people: `22 Nov 2026, 19:06 UTC`; what is no time, as it is."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone(UTC):%-d %b %Y, %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return stamp


def interval_text(interval: tuple[float, float]) -> str:
    """Writes an interval of shares: `98.05 to 98.55%`."""
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}%"


def values_text(values: Mapping[str, Any]) -> str:
    """Words what a trial tried, on one line of bounded length."""
    try:
        return visible(describe_values(values), _LONGEST_VALUES)
    except (RecursionError, ValueError, TypeError):
        return "values that cannot be told"
