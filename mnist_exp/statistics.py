"""How good, and how sure: figures from predictions, without any framework."""

from statistics import NormalDist

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
