"""Which labels look wrong, from the predictions of a whole cross-validation: confident learning.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", JAIR 70.
Probabilities (N, C) are of networks that were not trained on these images, labels (N,) as given.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.grouping import SeedGroup
from mnist_exp.runs.run import Predictions

_ROUNDING = 1e-6


class SuspectLabel(NamedTuple):
    """A label that predictions contradict; `place` is the image's row, the last two are probabilities."""

    place: int
    given: int
    suggested: int
    probability: float
    self_confidence: float


def out_of_fold(group: SeedGroup) -> Predictions | None:
    """Gives what networks say of each training image that they were not trained on, means over seeds.

    Returns:
        In the order of the training split; None where a fold or predictions are missing, or where they do
        not make up a whole.

    Raises:
        DamagedRun: A `predictions.npz` has been damaged since the comparison began.
    """
    record = group.runs[0].data.fold
    if record is None or len(group.folds) < record.folds:
        return None
    parts = [found for run in group.runs if (found := run.read_predictions()) is not None]
    indices = [found.indices for found in parts if found.indices is not None]
    places = np.unique(np.concatenate(indices)) if len(indices) == len(group.runs) else np.array([-1])
    num_classes = parts[0].num_classes if parts else 0
    is_whole = np.array_equal(places, np.arange(len(places)))
    if not is_whole or any(found.num_classes != num_classes for found in parts):
        return None
    total, counts = np.zeros((len(places), num_classes)), np.zeros(len(places))
    labels = np.zeros(len(places), np.uint8)
    for found, chosen in zip(parts, indices, strict=True):
        total[chosen] += found.probabilities
        counts[chosen] += 1
        labels[chosen] = found.labels
    means = (total / counts[:, None]).astype(np.float32)
    return Predictions(labels, means.argmax(axis=1).astype(np.uint8), num_classes, means)


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
