"""How a run's page words its curves, and draws confusions and calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.results import ConfidenceBin
from mnist_exp.evaluation.scores import NUM_BINS, calibration_error, equal_width_bins
from mnist_exp.report.document import Picture
from mnist_exp.report.html import draw
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.run import Predictions
from mnist_exp.statistics import confusion_counts
from mnist_exp.words import percent

_MOST_CLASSES = 40
_NOTABLE_GAP = 0.005
_NUM_SHADES = 9


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: its count, its shade (0 for none), and what it says in words."""

    count: int
    shade: int
    is_right: bool
    words: str


def prediction_pictures(material: RunMaterial) -> dict[str, Picture]:
    """Draws what there is to draw of predictions, by the names `confusions` and `calibration`."""
    pictures: dict[str, Picture] = {}
    predictions = material.predictions
    if predictions is None:
        return pictures
    names = material.class_names
    if len(names) <= _MOST_CLASSES:
        counts = confusion_counts(predictions.probabilities, predictions.labels, len(names))
        markup = draw("confusions", names, _cells(counts, names))
        pictures["confusions"] = Picture("Confusion matrix", markup, _word_confusions(counts, names))
    sure = predictions.probabilities.max(axis=1).astype(np.float64)
    bins = [each for each in equal_width_bins(sure, predictions.correct) if each.count]
    if bins:
        words = _word_confidence(predictions, bins)
        pictures["calibration"] = Picture("Calibration", draw("calibration", bins), words)
    return pictures


def word_curves(material: RunMaterial) -> str:
    """Says what validation images are, and which epoch is ringed and why."""
    data, training = (material.config.get(name) for name in ("data", "training"))
    monitor = training.get("monitor") if isinstance(training, dict) else None
    is_finished = material.summary is not None
    if all(row.val_accuracy is None for row in material.rows):
        kept = " The ringed epoch’s weights were kept." if is_finished else ""
        return f"No images were set apart for validation.{kept}"
    record = material.run.manifest.data
    count = f"{record.num_validation:,} " if record is not None and record.num_validation > 0 else ""
    what = f"The {count}validation images were not trained on"
    if isinstance(data, dict) and data.get("validation") == "test":
        what = "The validation images are the test images here"
    if not is_finished:
        return f"{what}."
    if isinstance(monitor, str) and not monitor.startswith("val_"):
        return f"{what}. The epoch that is best by {monitor} is ringed, and its weights were kept."
    return f"{what}; the epoch that is best on them is ringed, and its weights were kept."


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


def _word_confusions(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Says how to read the matrix, and the three most common errors."""
    errors = np.where(np.eye(len(names), dtype=bool), 0, counts)
    common = []
    for place in np.argsort(-errors, axis=None, kind="stable")[:3]:
        true, taken = divmod(int(place), len(names))
        if errors[true, taken]:
            common.append(f"{names[true]} taken for {names[taken]} ({counts[true, taken]:,})")
    found = f"Most common: {'; '.join(common)}." if common else "There are no errors."
    return (
        "Rows: the true class. Columns: the predicted class. The diagonal is right; the stronger the colour "
        f"of an error, the larger its share of the row. {found}"
    )


def _word_confidence(predictions: Predictions, bins: Sequence[ConfidenceBin]) -> str:
    """Says how well the network is calibrated, and how that is drawn."""
    sure = float(predictions.probabilities.max(axis=1).astype(np.float64).mean())
    right = float(predictions.correct.mean())
    tendency = "well calibrated on average"
    if abs(sure - right) >= _NOTABLE_GAP:
        tendency = "overconfident" if sure > right else "underconfident"
    error = 100 * calibration_error(bins)
    return (
        f"Mean confidence {percent(sure, 1)}, accuracy {percent(right, 1)}: the network is {tendency}. "
        f"Expected calibration error: {error:.1f} points ({NUM_BINS} equal bins). Dot and line: accuracy "
        "with its 95% interval. Upright mark: mean confidence. Left of the dot, the network is "
        "underconfident; right of it, overconfident."
    )
