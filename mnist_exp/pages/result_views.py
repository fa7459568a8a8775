"""What a network's answers come to: confusions, classes, confidence, mistakes, as a page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_exp.pages.inline_images import image_uri
from mnist_exp.pages.run_material import Answers
from mnist_exp.quantities import confidence, percent
from mnist_exp.statistics import confusion_counts, wilson_interval

_MOST_CLASSES = 40
_MOST_MISTAKES = 36
_NUM_BINS = 10
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
class ClassRow:
    """How good a network is at one class; shares are null where there is nothing to share."""

    name: str
    count: int
    num_right: int
    recall: float | None
    interval: tuple[float, float] | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True)
class Digit:
    """One image: itself, its heading, the words below it, and all of it in a sentence."""

    uri: str
    heading: str
    caption: str
    words: str


@dataclass(frozen=True)
class ConfidenceBin:
    """Images of which a network was about equally sure; places are percentages of a page's width."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


def confusions(answers: Answers, names: Sequence[str]) -> Confusions | None:
    """Counts which classes are taken for which; None with more classes than a page has room for."""
    if len(names) > _MOST_CLASSES:
        return None
    counts = confusion_counts(answers.probabilities, answers.labels, len(names))
    return Confusions(list(names), _cells(counts, names), _common_errors(counts, names))


def _cells(counts: NDArray[np.int64], names: Sequence[str]) -> list[list[Cell]]:
    """Shades errors by their share of the true class, the largest share darkest."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = np.where(np.eye(len(names), dtype=bool), 0, shares)
    shades = np.ceil(_NUM_SHADES * errors / (errors.max() or 1)).astype(int)
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


def class_rows(answers: Answers, names: Sequence[str]) -> list[ClassRow]:
    """Scores a network class by class.

    Recall is the share of a class's images that are recognised, with its Wilson interval; precision
    the share of those taken for the class that are of it; F1 the harmonic mean of the two.
    """
    counts = confusion_counts(answers.probabilities, answers.labels, len(names))
    num_true, num_taken = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    rows = []
    for label, name in enumerate(names):
        right, true, taken = int(counts[label, label]), num_true[label], num_taken[label]
        rows.append(
            ClassRow(
                name=name,
                count=true,
                num_right=right,
                recall=right / true if true else None,
                interval=wilson_interval(right, true) if true else None,
                precision=right / taken if taken else None,
                f1=2 * right / (true + taken) if true + taken else None,
            )
        )
    return rows


def mistakes(answers: Answers, images: NDArray[np.uint8] | None, names: Sequence[str]) -> list[Digit]:
    """Shows the wrong answers, the most confident first; none where images are not at hand."""
    if images is None or len(images) != len(answers.labels):
        return []
    wrong = np.flatnonzero(answers.predicted != answers.labels)
    order = np.argsort(-answers.probabilities[wrong].max(axis=1), kind="stable")
    return [_mistake(answers, int(index), images, names) for index in wrong[order[:_MOST_MISTAKES]]]


def _mistake(answers: Answers, index: int, images: NDArray[np.uint8], names: Sequence[str]) -> Digit:
    likeliest = np.argsort(-answers.probabilities[index], kind="stable")[:3]
    shares = [
        f"{names[label]} {confidence(float(answers.probabilities[index, label]))}" for label in likeliest
    ]
    true = names[int(answers.labels[index])]
    return Digit(
        uri=image_uri(images[index]),
        heading=f"true {true}",
        caption=f"→ {shares[0]}",
        words=f"Test image {index:,} is {true}. The network says: {', '.join(shares)}.",
    )


def confidence_bins(answers: Answers) -> list[ConfidenceBin]:
    """Sorts images by how sure the network was, and says how often it was right.

    Equal bins of the likeliest class's probability, empty ones left out: the reliability diagram
    (Niculescu-Mizil and Caruana 2005, "Predicting good probabilities with supervised learning").
    """
    sure = answers.probabilities.max(axis=1)
    right = answers.predicted == answers.labels
    places = np.clip((sure * _NUM_BINS).astype(int), 0, _NUM_BINS - 1)
    found = []
    for place in np.unique(places):
        chosen = places == place
        count, num_right = int(chosen.sum()), int(right[chosen].sum())
        found.append(
            ConfidenceBin(
                low=place / _NUM_BINS,
                high=(place + 1) / _NUM_BINS,
                count=count,
                confidence=float(sure[chosen].mean()),
                accuracy=num_right / count,
                interval=wilson_interval(num_right, count),
            )
        )
    return found


def word_confidence(answers: Answers, bins: Sequence[ConfidenceBin]) -> str:
    """Says in a sentence whether the network's confidence can be believed."""
    total = sum(each.count for each in bins)
    sure = sum(each.count * each.confidence for each in bins) / total
    right = float((answers.predicted == answers.labels).mean())
    error = sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / total
    gap = sure - right
    tendency = "about as sure as it should be"
    if abs(gap) >= 0.005:
        tendency = "surer than it should be" if gap > 0 else "less sure than it could be"
    return (
        f"On average the network gives its answer {percent(sure, 1)} and is right {percent(right, 1)} of the "
        f"time: it is {tendency}. Expected calibration error {100 * error:.1f} points ({_NUM_BINS} equal bins)."
    )
