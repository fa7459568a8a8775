"""Whether a network is as often right as it believes: calibration errors and proper scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.records import Calibration, ConfidenceBin
from mnist_exp.statistics import cross_entropy, wilson_interval

NUM_BINS = 15

_Flags = NDArray[np.bool_]


def measure_calibration(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Calibration:
    """Measures calibration by bins of the predicted class's probability, and by two proper scores.

    Args:
        probabilities: Class probabilities (N, C), N at least 1.
        labels: True classes (N,).
    """
    confidences = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    even, adaptive = equal_width_bins(confidences, correct), equal_count_bins(confidences, correct)
    return Calibration(
        expected_calibration_error=calibration_error(even),
        adaptive_calibration_error=calibration_error(adaptive),
        negative_log_likelihood=cross_entropy(probabilities, labels),
        brier_score=brier_score(probabilities, labels),
        mean_confidence=float(confidences.mean()),
        equal_width=even,
        equal_count=adaptive,
    )


def equal_width_bins(
    confidences: NDArray[np.float64], correct: _Flags, num_bins: int = NUM_BINS
) -> list[ConfidenceBin]:
    """Sorts images into bins (0, 1/n], (1/n, 2/n], … by confidence.

    As Guo et al. 2017, "On calibration of modern neural networks", section 2, after Naeini, Cooper
    and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning".

    Args:
        confidences: Probability of the predicted class (N,).
        correct: Whether that class is the true one (N,).
        num_bins: Number of bins.
    """
    edges = np.arange(num_bins + 1) / num_bins
    places = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, num_bins - 1)
    return [
        _bin(float(edges[place]), float(edges[place + 1]), confidences[chosen], correct[chosen])
        for place in range(num_bins)
        for chosen in [places == place]
    ]


def equal_count_bins(
    confidences: NDArray[np.float64], correct: _Flags, num_bins: int = NUM_BINS
) -> list[ConfidenceBin]:
    """Sorts images into bins of as many each, least confident first.

    Adaptive binning (Nguyen and O'Connor 2015, "Posterior calibration and exploratory analysis for
    natural language processing models"), which Nixon et al. 2019, "Measuring calibration in deep
    learning", prefer: nearly all predictions of a good network fall into one of the equal widths.

    Args:
        confidences: Probability of the predicted class (N,).
        correct: Whether that class is the true one (N,).
        num_bins: Number of bins; fewer where there are fewer images.
    """
    order = np.argsort(confidences, kind="stable")
    parts = np.array_split(order, min(num_bins, len(order)))
    return [
        _bin(float(confidences[part[0]]), float(confidences[part[-1]]), confidences[part], correct[part])
        for part in parts
    ]


def calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Computes the mean over images of |accuracy - confidence| of their bin, a share.

    Expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017, equation 3).
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs((each.accuracy or 0) - (each.confidence or 0)) for each in bins) / total


def brier_score(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Computes the mean over images of the squared distance between probabilities and the truth.

    Brier 1950, "Verification of forecasts expressed in terms of probability": summed over classes,
    so that 0 is perfect and 2 the worst.
    """
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(labels)), labels] -= 1
    return float((errors**2).sum(axis=1).mean())


def _bin(low: float, high: float, confidences: NDArray[np.float64], correct: _Flags) -> ConfidenceBin:
    count, num_right = len(correct), int(correct.sum())
    return ConfidenceBin(
        low=low,
        high=high,
        count=count,
        confidence=float(confidences.mean()) if count else None,
        accuracy=num_right / count if count else None,
        interval=wilson_interval(num_right, count) if count else None,
    )
