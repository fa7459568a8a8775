"""Predictions of a whole cross-validation."""

import numpy as np

from mnist_exp.comparison.grouping import SeedGroup
from mnist_exp.runs.run import Predictions


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
