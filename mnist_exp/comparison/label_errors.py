"""Which labels look wrong: confident learning.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", JAIR 70.
Probabilities (N, C) are of networks that were not trained on these images, labels (N,) as given.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6


class SuspectLabel(NamedTuple):
    """A label that predictions contradict; `place` is the image's row, the last two are probabilities."""

    place: int
    given: int
    suggested: int
    probability: float
    self_confidence: float


def rank_labels(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> list[SuspectLabel]:
    """Lists the labels that are not the likeliest class, the most suspicious first.

    Those are the least probable ones: ranked by self-confidence, the default of the authors' cleanlab.
    """
    suggested, own = probabilities.argmax(axis=1), self_confidence(probabilities, labels)
    found = np.flatnonzero(suggested != labels)
    found = found[np.argsort(own[found], kind="stable")]
    return [
        SuspectLabel(place, int(labels[place]), label, float(probabilities[place, label]), float(own[place]))
        for place, label in zip(found.tolist(), suggested[found].tolist(), strict=True)
    ]


def count_errors(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> int:
    """Estimates how many labels are wrong: what is off the diagonal of the calibrated confident joint."""
    joint = confident_joint(probabilities, labels)
    counts = np.bincount(labels, minlength=len(joint))
    calibrated = joint * (counts / np.maximum(joint.sum(axis=1), 1))[:, None]
    return round(float(calibrated.sum() - calibrated.trace()))


def self_confidence(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives the probability of each image's own label, (N,)."""
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def confident_joint(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts images by given label (rows) and by what they confidently are (columns), (C, C).

    An image is of a class whose probability reaches the mean that images labelled so have; of several,
    of the likeliest; of none, it is not counted (equations 1 and 2 of the paper).
    """
    num_classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, self_confidence(probabilities, labels), minlength=num_classes)
    # Nothing is of a class that no label names.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    is_confident = probabilities >= thresholds - _ROUNDING
    classes = np.where(is_confident, probabilities, -1).argmax(axis=1)
    counted = is_confident.any(axis=1)
    cells = labels[counted].astype(np.int64) * num_classes + classes[counted]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
