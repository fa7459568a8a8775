"""How a number is written where a person reads it, and which way a metric is better."""

from typing import Literal


def is_accuracy(metric: str) -> bool:
    """Says whether a metric of Keras is a fraction of right answers, and no loss: `val_accuracy` is."""
    return metric.endswith("accuracy")


def direction_of(metric: str) -> Literal["max", "min"]:
    """Says whether a larger (`max`) or a smaller (`min`) value of a metric is better."""
    return "max" if is_accuracy(metric) else "min"


def percent(fraction: float, digits: int = 2) -> str:
    """Writes a fraction as a percentage: 0.9802 becomes `98.02%`."""
    return f"{100 * fraction:.{digits}f}%"


def confidence(probability: float) -> str:
    """Writes a probability in [0, 1] as a percentage that never rounds to certainty.

    Returns:
        `97.3%`, or `>99.9%` and `<0.1%` where rounding would say 100% or 0%.
    """
    if 0.9995 <= probability < 1:
        return ">99.9%"
    return "<0.1%" if 0 < probability < 0.0005 else percent(probability, 1)


def rate(value: float) -> str:
    """Writes a learning rate with three significant digits: `0.001`, `3.81e-05`."""
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Writes a duration in seconds with the unit a person would choose: `0.21 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """Writes a size in bytes with a decimal unit: `612 MB`, `1.48 GB`."""
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.2f} GB"


def loss_text(value: float) -> str:
    """Writes a loss: four decimals below 10 (`0.0825`), four digits above (`2,314`)."""
    return f"{value:.4f}" if value < 10 else f"{value:,.4g}"
