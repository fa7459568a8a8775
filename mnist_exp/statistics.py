"""How good, and how sure: figures from predictions and scores, without any framework."""

from collections.abc import Sequence
from statistics import NormalDist, mean, variance

import numpy as np
from numpy.typing import NDArray


def accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Computes the share of images whose most probable class is the true one.

    Args:
        probabilities: Class probabilities (N, C).
        labels: True classes (N,).
    """
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def cross_entropy(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Computes the mean of -log p(true class), in nats; p is at least 1e-7, as in Keras."""
    true_class = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true_class, 1e-7, 1.0)).mean())


def confusion_counts(
    probabilities: NDArray[np.float32], labels: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """Counts images by true class (rows) and predicted class (columns): (C, C)."""
    pairs = labels.astype(np.int64) * num_classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def wilson_interval(num_right: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds a share that was measured on a sample.

    Wilson's score interval (Wilson 1927, "Probable inference, the law of succession, and
    statistical inference"), which unlike the textbook one keeps its level near 0 and 1.

    Args:
        num_right: Number of successes.
        count: Size of the sample, at least 1.
        level: Share of such intervals that hold the true value.

    Returns:
        Low and high, within [0, 1].
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = num_right / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    margin = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count**2)) ** 0.5
    return max(centre - margin, 0.0), min(centre + margin, 1.0)


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Bounds the mean of what was measured a few times, as a score on several seeds.

    The t interval (Student 1908, "The probable error of a mean"), for values that are about
    normally distributed.

    Args:
        values: Finite measurements, independent of one another.
        level: Share of such intervals that hold the true mean.

    Returns:
        Low and high in the values' unit; None with fewer than two values.
    """
    if len(values) < 2:
        return None
    error = (variance(values) / len(values)) ** 0.5
    return _around(mean(values), error, len(values) - 1, level)


def welch_interval(
    first: Sequence[float], second: Sequence[float], level: float = 0.95
) -> tuple[float, float] | None:
    """Bounds the difference of two means, mean(first) - mean(second), whose spreads may differ.

    Welch's interval with Satterthwaite's degrees of freedom (Welch 1947, "The generalization of
    Student's problem when several different population variances are involved"; Satterthwaite 1946).

    Args:
        first: Finite measurements, independent of one another and of the second ones.
        second: The measurements that are subtracted.
        level: Share of such intervals that hold the true difference.

    Returns:
        Low and high in the values' unit, the same number twice where neither side varies; None
        where a side has fewer than two values.
    """
    if min(len(first), len(second)) < 2:
        return None
    difference = mean(first) - mean(second)
    squares = variance(first) / len(first), variance(second) / len(second)
    if not sum(squares):
        return difference, difference
    share = squares[0] / sum(squares)
    freedom = 1 / (share**2 / (len(first) - 1) + (1 - share) ** 2 / (len(second) - 1))
    return _around(difference, sum(squares) ** 0.5, freedom, level)


def _around(centre: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    """Returns centre minus and plus as many standard errors as Student's t asks for."""
    # Imported here: it takes 0.2 s, which commands without intervals need not wait for.
    from scipy.special import stdtrit

    margin = float(stdtrit(freedom, (1 + level) / 2)) * error
    return centre - margin, centre + margin
