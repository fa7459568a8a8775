"""Calibration and scores by class, from probabilities and labels alone.

A confidence is the probability of a predicted class, `correct` whether that is the true one; both (N,).
"""

import csv
from collections.abc import Sequence
from io import StringIO

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from mnist_exp.evaluation.results import Calibration, ClassScores, ConfidenceBin
from mnist_exp.runs.files import csv_cell
from mnist_exp.statistics import cross_entropy, wilson_interval

NUM_BINS = 15
_Flags = NDArray[np.bool_]
_COLUMNS = ("num_images", "num_predicted", "num_right", "precision", "recall", "f1")


def measure_calibration(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Calibration:
    """Measures how well probabilities (N, C) say how often they are right; labels (N,), N at least 1."""
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
    """
    edges = np.arange(num_bins + 1) / num_bins
    places = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, num_bins - 1)
    bins = []
    for place in range(num_bins):
        chosen = places == place
        low, high = float(edges[place]), float(edges[place + 1])
        bins.append(_bin(low, high, confidences[chosen], correct[chosen]))
    return bins


def equal_count_bins(
    confidences: NDArray[np.float64], correct: _Flags, num_bins: int = NUM_BINS
) -> list[ConfidenceBin]:
    """Sorts images into bins of as many each, least confident first; fewer bins where images are fewer.

    Adaptive binning (Nguyen and O'Connor 2015, "Posterior calibration and exploratory analysis for
    natural language processing models"), which Nixon et al. 2019, "Measuring calibration in deep
    learning", prefer: nearly all predictions of a good network fall into one of the equal widths.
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


def score_classes(counts: NDArray[np.int64], class_names: Sequence[str]) -> list[ClassScores]:
    """Scores every class, from images by true class (rows) and predicted class (columns), (C, C).

    Precision and recall as van Rijsbergen 1979, "Information retrieval", chapter 7, defines them, and
    their harmonic mean F1.
    """
    return [_score(counts, label, name) for label, name in enumerate(class_names)]


def macro_mean(values: Sequence[float | None]) -> float:
    """Averages over the classes that have a value; 0 without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def class_table(classes: Sequence[ClassScores]) -> str:
    """Writes classes as CSV, one a line; a share without a denominator is left empty."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["class", *_COLUMNS, "recall_low", "recall_high"])
    for each in classes:
        values = asdict(each)
        low, high = each.recall_interval or (None, None)
        writer.writerow([csv_cell(each.name), *(values[column] for column in _COLUMNS), low, high])
    return table.getvalue()


def _score(counts: NDArray[np.int64], label: int, name: str) -> ClassScores:
    num_right = int(counts[label, label])
    num_images, num_predicted = int(counts[label].sum()), int(counts[:, label].sum())
    return ClassScores(
        name=name,
        num_images=num_images,
        num_predicted=num_predicted,
        num_right=num_right,
        precision=num_right / num_predicted if num_predicted else None,
        recall=num_right / num_images if num_images else None,
        recall_interval=wilson_interval(num_right, num_images) if num_images else None,
        f1=2 * num_right / (num_images + num_predicted) if num_images + num_predicted else None,
    )
