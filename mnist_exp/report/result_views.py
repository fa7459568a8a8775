"""A network's predictions as a page shows them: confusions, classes, confidence, mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mnist_exp.evaluation.results import ClassScores, ConfidenceBin
from mnist_exp.evaluation.scores import NUM_BINS, calibration_error, equal_width_bins, score_classes
from mnist_exp.report.html import image_uri
from mnist_exp.runs.run import Predictions
from mnist_exp.statistics import confusion_counts
from mnist_exp.words import confidence, percent

_MOST_CLASSES = 40
_MOST_MISTAKES = 36
_NOTABLE_GAP = 0.005
_NUM_SHADES = 9


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: its count, its shade (0 for none), and what it says in words."""

    count: int
    shade: int
    is_right: bool
    words: str


@dataclass(frozen=True)
class Confusions:
    """A confusion matrix.

    Attributes:
        names: Of the classes.
        rows: By true class, cells by predicted class.
        pairs: The most common errors, in words.
    """

    names: list[str]
    rows: list[list[Cell]]
    pairs: list[str]


@dataclass(frozen=True)
class Digit:
    """One image: itself, its heading, the words below it, and all of it in a sentence."""

    uri: Markup
    heading: str
    caption: str
    words: str


def confusions(predictions: Predictions, names: Sequence[str]) -> Confusions | None:
    """Counts which classes are taken for which; None with more classes than a page has room for."""
    if len(names) > _MOST_CLASSES:
        return None
    counts = confusion_counts(predictions.probabilities, predictions.labels, len(names))
    return Confusions(list(names), _cells(counts, names), _common_errors(counts, names))


def _cells(counts: NDArray[np.int64], names: Sequence[str]) -> list[list[Cell]]:
    """Shades errors by their share of the true class, the largest share darkest."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = np.where(np.eye(len(names), dtype=bool), 0, shares)
    shades = np.ceil(_NUM_SHADES * (errors / (errors.max() or 1))).astype(int)
    return [
        [
            Cell(
                count=int(counts[true, taken]),
                shade=int(shades[true, taken]),
                is_right=true == taken,
                words=f"{names[true]} taken for {names[taken]}: {counts[true, taken]:,}",
            )
            for taken in range(len(names))
        ]
        for true in range(len(names))
    ]


def _common_errors(counts: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """Words the three most common errors."""
    errors = np.where(np.eye(len(names), dtype=bool), 0, counts)
    order = np.argsort(-errors, axis=None, kind="stable")[:3]
    places = [divmod(int(place), len(names)) for place in order]
    return [
        f"{names[true]} taken for {names[taken]} ({counts[true, taken]:,})"
        for true, taken in places
        if errors[true, taken]
    ]


def class_scores(predictions: Predictions, names: Sequence[str]) -> list[ClassScores]:
    """Scores a network class by class, as `mode=evaluate` does."""
    return score_classes(confusion_counts(predictions.probabilities, predictions.labels, len(names)), names)


def mistakes(predictions: Predictions, images: NDArray[np.uint8] | None, names: Sequence[str]) -> list[Digit]:
    """Shows the wrong predictions, the most confident first; none where images are not at hand."""
    if images is None or len(images) != len(predictions.labels):
        return []
    wrong = np.flatnonzero(~predictions.correct)
    order = np.argsort(-predictions.probabilities[wrong].max(axis=1), kind="stable")
    return [_mistake(predictions, int(index), images, names) for index in wrong[order[:_MOST_MISTAKES]]]


def _mistake(predictions: Predictions, index: int, images: NDArray[np.uint8], names: Sequence[str]) -> Digit:
    likeliest = np.argsort(-predictions.probabilities[index], kind="stable")[:3]
    shares = [
        f"{names[label]} {confidence(float(predictions.probabilities[index, label]))}" for label in likeliest
    ]
    true = names[int(predictions.labels[index])]
    return Digit(
        uri=image_uri(images[index]),
        heading=f"true {true}",
        caption=f"→ {shares[0]}",
        words=f"Test image {index:,} is {true}. Predicted: {', '.join(shares)}.",
    )


def confidence_bins(predictions: Predictions) -> list[ConfidenceBin]:
    """Sorts images by how sure the network was, as `mode=evaluate` does; empty bins are left out."""
    sure = predictions.probabilities.max(axis=1).astype(np.float64)
    bins = equal_width_bins(sure, predictions.correct)
    return [each for each in bins if each.count]


def word_confidence(predictions: Predictions, bins: Sequence[ConfidenceBin]) -> str:
    """Says in a sentence how well the network is calibrated."""
    sure = float(predictions.probabilities.max(axis=1).astype(np.float64).mean())
    right = float(predictions.correct.mean())
    tendency = "well calibrated on average"
    if abs(sure - right) >= _NOTABLE_GAP:
        tendency = "overconfident" if sure > right else "underconfident"
    error = 100 * calibration_error(bins)
    return (
        f"Mean confidence {percent(sure, 1)}, accuracy {percent(right, 1)}: the network is {tendency}. "
        f"Expected calibration error: {error:.1f} points ({NUM_BINS} equal bins)."
    )
