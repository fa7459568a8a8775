"""A run's page: how good it is, how sure that is, what was run, and how to run it again."""

from pathlib import Path
from typing import Any

from mnist_exp.report import headline, result_views, settings_views, tuning
from mnist_exp.report.html import write_page
from mnist_exp.report.run_figures import run_figures, search_figures
from mnist_exp.report.run_material import RunMaterial, read_material
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import duration, loss_text, one_line, percent, rate, visible

_MOST_EPOCHS_LISTED = 300
_LONGEST_CLASS = 40
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
    write_page(run_path, "run.html", **page_values(material))


def page_values(material: RunMaterial) -> dict[str, Any]:
    """Gives a template everything that a run's page shows."""
    summary = material.summary
    best_epoch = summary.best_epoch if summary is not None else None
    return {
        "headline": headline.headline(material),
        "banners": headline.banners(material),
        "curves": run_figures(material),
        "curves_hint": _word_curves(material),
        "epochs": [_epoch_cells(row, best_epoch) for row in material.rows[:_MOST_EPOCHS_LISTED]],
        "num_epochs": len(material.rows),
        "search": tuning.search_view(material),
        "search_figures": search_figures(material),
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
