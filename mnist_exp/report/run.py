"""A run's page: how good it is, how sure that is, what was run, and how to run it again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_exp.report import headline, result_views, settings_views, tuning
from mnist_exp.report.charts.charts import Chart, Series, line_chart, percent_tick
from mnist_exp.report.html import render
from mnist_exp.report.run_material import RunMaterial, read_material
from mnist_exp.runs import files
from mnist_exp.runs.folder import PAGE
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import duration, loss_text, one_line, percent, rate, visible

_MOST_EPOCHS_LISTED = 300
_LONGEST_CLASS = 40
_MIXED = "mixed images"
_NO_PREDICTIONS: dict[str, Any] = {
    "confusions": None,
    "classes": [],
    "digits": [],
    "num_wrong": 0,
    "num_images": 0,
    "bins": [],
    "confidence": "",
}


def write_run_page(run_path: Path) -> None:
    """Writes a run's `report.html`, from the run's own files; TensorFlow is not loaded.

    A run that failed, was interrupted or still runs has a page too, with whatever is there.

    Raises:
        DamagedRun: It has no readable manifest, so that there is nothing to say.
        RunError: The file could not be written.
    """
    material = read_material(run_path)
    files.write_bytes(run_path / PAGE, render("run.html", **page_values(material)).encode())


def page_values(material: RunMaterial) -> dict[str, Any]:
    """Gives a template everything that a run's page shows."""
    summary = material.summary
    best_epoch = summary.best_epoch if summary is not None else None
    return {
        "headline": headline.headline(material),
        "banners": headline.banners(material),
        "curves": _curves(material.rows, best_epoch, _word_objective(material)),
        "curves_hint": _word_curves(material),
        "epochs": [_epoch_cells(row, best_epoch) for row in material.rows[:_MOST_EPOCHS_LISTED]],
        "num_epochs": len(material.rows),
        "search": tuning.search_view(material),
        **_prediction_values(material),
        "pictures": material.pictures,
        "typed": settings_views.typed_settings(material),
        "settings": settings_views.settings(material),
        "commands": settings_views.commands(material),
        "provenance": settings_views.provenance(material),
    }


def _prediction_values(material: RunMaterial) -> dict[str, Any]:
    """Gives what is known from a network's predictions; nothing where these are not known."""
    predictions = material.predictions
    if predictions is None:
        return _NO_PREDICTIONS
    names = class_names(material.config, predictions.probabilities.shape[1])
    bins = result_views.confidence_bins(predictions)
    return {
        "confusions": result_views.confusions(predictions, names),
        "classes": result_views.class_scores(predictions, names),
        "digits": result_views.mistakes(predictions, material.images, names),
        "num_wrong": int((~predictions.correct).sum()),
        "num_images": len(predictions.labels),
        "bins": bins,
        "confidence": result_views.word_confidence(predictions, bins),
    }


def class_names(config: dict[str, Any], num_classes: int) -> list[str]:
    """Names the classes as a configuration does, or by their numbers."""
    data = config.get("data")
    names = data.get("class_names") if isinstance(data, dict) else None
    if isinstance(names, list) and len(names) >= num_classes:
        return [visible(one_line(str(name)), _LONGEST_CLASS) for name in names[:num_classes]]
    return [str(label) for label in range(num_classes)]


def _word_objective(material: RunMaterial) -> str:
    """Says what lifts the training loss above the validation loss; nothing where the two are alike."""
    training = material.config.get("training")
    if not isinstance(training, dict):
        return ""
    if training.get("mixup"):
        return _MIXED
    return "smoothed labels" if training.get("label_smoothing") else ""


def _word_curves(material: RunMaterial) -> str:
    """Says what validation images are, and which epoch is ringed and why."""
    data, training = (material.config.get(name) for name in ("data", "training"))
    monitor = training.get("monitor") if isinstance(training, dict) else None
    is_finished = material.summary is not None
    if all(row.val_accuracy is None for row in material.rows):
        return "No images were set apart for validation." + (
            " The ringed epoch’s weights were kept." if is_finished else ""
        )
    record = material.run.manifest.data
    count = f"{record.num_validation:,} " if record is not None and record.num_validation > 0 else ""
    what = f"The {count}validation images were not trained on"
    if isinstance(data, dict) and data.get("validation") == "test":
        what = "The validation images are the test images here"
    if not is_finished:
        return f"{what}."
    if isinstance(monitor, str) and not monitor.startswith("val_"):
        return (
            f"{what}. The epoch that is best by {visible(monitor, 40)} is ringed, and its weights were kept."
        )
    return f"{what}; the epoch that is best on them is ringed, and its weights were kept."


def _curves(rows: Sequence[EpochMetrics], best_epoch: int | None, objective: str) -> list[Chart]:
    """Lays out accuracy and loss over the epochs; nothing before the first epoch."""
    if not rows:
        return []
    training = f"training ({objective})" if objective else "training"
    found = [
        line_chart(
            title,
            [
                _series(rows, f"val_{name}", "validation", 0),
                _series(rows, name, training if name == "loss" or objective == _MIXED else "training", 1),
            ],
            text=percent if name == "accuracy" else loss_text,
            tick_text=percent_tick if name == "accuracy" else lambda value: f"{value:.6g}",
            rising=name == "accuracy",
            marked=best_epoch,
        )
        for title, name in (("Accuracy", "accuracy"), ("Loss", "loss"))
    ]
    return [chart for chart in found if chart is not None]


def _series(rows: Sequence[EpochMetrics], name: str, label: str, colour: int) -> Series:
    epochs = np.array([row.epoch for row in rows], np.float64)
    values = np.array([getattr(row, name) for row in rows], np.float64)
    order = np.argsort(epochs, kind="stable")
    return Series(label, epochs[order], values[order], colour=colour)


def _epoch_cells(row: EpochMetrics, best_epoch: int | None) -> list[str]:
    """Writes an epoch's line of a table."""
    epoch = f"{row.epoch} (best)" if row.epoch == best_epoch else f"{row.epoch}"
    return [
        epoch,
        loss_text(row.loss),
        percent(row.accuracy),
        "–" if row.val_loss is None else loss_text(row.val_loss),
        "–" if row.val_accuracy is None else percent(row.val_accuracy),
        rate(row.learning_rate),
        duration(row.duration_s),
    ]
