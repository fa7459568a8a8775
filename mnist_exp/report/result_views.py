"""What a run's page draws: learning curves, confusions, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mnist_exp.evaluation.results import ConfidenceBin
from mnist_exp.evaluation.scores import NUM_BINS, calibration_error, equal_width_bins
from mnist_exp.report.charts.charts import Chart, Series, line_chart, percent_tick
from mnist_exp.report.document import Picture
from mnist_exp.report.html import draw
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.runs.run import Predictions
from mnist_exp.statistics import confusion_counts
from mnist_exp.words import direction_of, is_accuracy, loss_text, percent

_MOST_CLASSES = 40
_NOTABLE_GAP = 0.005
_NUM_SHADES = 9
_MIXED = "mixed images"


@dataclass(frozen=True)
class Digit:
    """One image: itself, its heading, the words below it, and all of it in a sentence."""

    uri: Markup
    heading: str
    caption: str
    words: str


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: its count, its shade (0 for none), and what it says in words."""

    count: int
    shade: int
    is_right: bool
    words: str


def run_pictures(material: RunMaterial) -> dict[str, Picture]:
    """Draws what there is to draw, by the names `curves`, `confusions`, `calibration`."""
    pictures = {}
    if charts := _curves(material):
        title = "Learning curves"
        if material.run.manifest.mode == "tune":
            title = "The kept network’s learning curves"
        pictures["curves"] = Picture(title, draw("charts", charts, ""), _word_curves(material))
    if material.run.manifest.mode == "tune" and (chart := _progress(material)):
        pictures["search"] = Picture("Best so far", draw("charts", [chart], "single"))
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


def _curves(material: RunMaterial) -> list[Chart]:
    """Lays out accuracy and loss over the epochs; nothing before the first epoch."""
    rows = material.rows
    if not rows:
        return []
    objective = _word_objective(material.config)
    training = f"training ({objective})" if objective else "training"
    accuracy = line_chart(
        "Accuracy",
        [
            _series(rows, "val_accuracy", "validation", 0),
            _series(rows, "accuracy", training if objective == _MIXED else "training", 1),
        ],
        text=percent,
        tick_text=percent_tick,
        rising=True,
        marked=material.best_epoch,
    )
    loss = line_chart(
        "Loss",
        [_series(rows, "val_loss", "validation", 0), _series(rows, "loss", training, 1)],
        text=loss_text,
        tick_text=lambda value: f"{value:.6g}",
        rising=False,
        marked=material.best_epoch,
    )
    return [chart for chart in (accuracy, loss) if chart is not None]


def _word_objective(config: dict[str, Any]) -> str:
    """Says what lifts the training loss above the validation loss; nothing where the two are alike."""
    training = config.get("training")
    if not isinstance(training, dict):
        return ""
    if training.get("mixup"):
        return _MIXED
    return "smoothed labels" if training.get("label_smoothing") else ""


def _series(rows: Sequence[EpochMetrics], name: str, label: str, colour: int) -> Series:
    epochs = np.array([row.epoch for row in rows], np.float64)
    values = np.array([getattr(row, name) for row in rows], np.float64)
    order = np.argsort(epochs, kind="stable")
    return Series(label, epochs[order], values[order], colour=colour)


def _word_curves(material: RunMaterial) -> str:
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


def _progress(material: RunMaterial) -> Chart | None:
    """Lays out each trial's score and the best so far; None before the first score."""
    objective = material.objective
    ordered = sorted(
        (trial for trial in material.trials if trial.score is not None), key=lambda trial: trial.trial
    )
    if not ordered:
        return None
    sign = 1 if direction_of(objective) == "max" else -1
    x = np.array([trial.trial for trial in ordered], np.float64)
    scores = np.array([trial.score for trial in ordered], np.float64)
    best = sign * np.maximum.accumulate(sign * scores)
    return line_chart(
        "Best so far",
        [Series("each trial", x, scores, colour=1, is_joined=False), Series("best so far", x, best)],
        text=percent if is_accuracy(objective) else loss_text,
        tick_text=percent_tick if is_accuracy(objective) else lambda value: f"{value:.6g}",
        rising=sign > 0,
        x_label="trial",
    )
