"""A run as one document: how good it is, how sure that is, what was run, and how to run it again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.scores import score_classes
from mnist_exp.report import origin, tuning
from mnist_exp.report.document import (
    Cell,
    Column,
    Digit,
    Digits,
    Document,
    Figures,
    Folded,
    Heading,
    Notice,
    Part,
    Picture,
    Row,
    Table,
    Words,
)
from mnist_exp.report.html import png_picture, write_page
from mnist_exp.report.result import class_table, numbers, score, warnings
from mnist_exp.report.result_views import prediction_pictures, word_curves
from mnist_exp.report.run_figures import run_figures, search_figures
from mnist_exp.report.run_material import RunMaterial, read_material
from mnist_exp.runs.records import EpochMetrics, SearchSummary, Summary
from mnist_exp.runs.run import Predictions
from mnist_exp.statistics import confusion_counts
from mnist_exp.words import (
    confidence,
    count_text,
    duration,
    loss_text,
    percent,
    plural,
    rate,
    time_text,
    visible,
)

_MOST_EPOCHS = 300
_MOST_MISTAKES = 36
_MOST_SENTENCES = 10
_LONGEST_NAME = 60
_STATUS_WORDS = {
    "failed": "This run failed",
    "interrupted": "This run was interrupted",
    "running": "This run was still at work when the page was written",
    "lost": "This run was lost: its process ended without a message",
}


def write_run_page(run_path: Path) -> None:
    """Writes a run's `report.html`, from the run's own files; TensorFlow is not loaded.

    A run that failed, was interrupted or still runs has a page too, with whatever is there.

    Raises:
        DamagedRun: It has no readable manifest, so that there is nothing to say.
        RunError: The file could not be written.
    """
    write_page(run_path, run_document(read_material(run_path)))


def run_document(material: RunMaterial) -> Document:
    """Tells a run."""
    manifest, summary = material.run.manifest, material.summary
    kind = {"train": "training", "tune": "search"}.get(manifest.mode, visible(manifest.mode, _LONGEST_NAME))
    heading = _heading(material)
    title = heading if summary is None else f"{heading}: {percent(score(summary).value)}"
    kicker = f"{kind} · {material.status} · {time_text(manifest.started_at)}"
    document = Document(title, kicker, heading)
    parts = document.parts
    if material.status != "completed":
        parts.append(_status(material))
    if summary is None:
        parts += [*_unread(material), Words(_word_attempt(material), "lead")]
    else:
        parts += [score(summary), *warnings(summary), *_unread(material)]
        sentences = (
            tuning.sentences(summary) if isinstance(summary, SearchSummary) else _sentences(material, summary)
        )
        parts += [Words(sentence, "lead") for sentence in sentences]
        parts.append(numbers(summary))
    if manifest.mode == "tune":
        parts += tuning.search_parts(material, search_figures(material), _hyperparameters(material))
    parts += _section_parts(material)
    parts += origin.again(material)
    parts += origin.provenance(material)
    return document


def _heading(material: RunMaterial) -> str:
    data = material.run.manifest.data
    name = visible(data.name, _LONGEST_NAME) if data is not None else _name(material, "data")
    model = _name(material, "model")
    what = f"Search around {model}" if material.run.manifest.mode == "tune" else model
    return f"{what} on {name}"


def _name(material: RunMaterial, group: str) -> str:
    """Returns the name of a part of the configuration."""
    node = material.config.get(group)
    name = node.get("name") if isinstance(node, dict) else None
    return visible(name, _LONGEST_NAME) if isinstance(name, str) else f"unknown {group}"


def _status(material: RunMaterial) -> Notice:
    """Says that a run did not complete, why, and what to do."""
    error, status = material.run.manifest.error, material.status
    return Notice(
        _STATUS_WORDS.get(status, status),
        (error.message or error.type) if error is not None else "",
        "bad" if status in ("failed", "lost") else "careful",
        error.hint if error is not None else "",
    )


def _unread(material: RunMaterial) -> list[Part]:
    """Says what the data of an unfinished run is, and what could neither be drawn nor read."""
    manifest = material.run.manifest
    found: list[Part] = []
    if material.summary is None and manifest.data is not None and manifest.data.notice:
        found.append(Notice("About the data", manifest.data.notice))
    if manifest.not_drawn:
        found.append(Notice("Pictures are missing", "; ".join(manifest.not_drawn[:_MOST_SENTENCES])))
    if material.problems:
        found.append(Notice("Not everything could be read", "; ".join(material.problems[:_MOST_SENTENCES])))
    return found


def _word_attempt(material: RunMaterial) -> str:
    """Words what a run without a result set out to do, and how far it came."""
    manifest = material.run.manifest
    done = f"Epochs on record: {len(material.rows):,}."
    if manifest.mode == "tune":
        done = f"Trials on record: {len(material.trials):,}."
    seed = count_text(manifest.seed, "")
    return f"Model {_name(material, 'model')} with seed {seed} has no result. {done}"


def _sentences(material: RunMaterial, summary: Summary) -> list[str]:
    """Words what was run, its result, and how sure that is."""
    data = material.run.data
    num_right = round(summary.test_accuracy * data.num_test)
    low, high = (percent(bound) for bound in summary.test_accuracy_interval)
    unseen = "" if summary.selected_on_test else " that it had never seen"
    return [
        f"The network {_name(material, 'model')} ({plural(summary.num_params, 'parameter')}) was "
        f"trained for {plural(summary.epochs, 'epoch')} on {data.num_train:,} images of "
        f"{visible(data.name, _LONGEST_NAME)} with seed {count_text(material.run.manifest.seed, '')}. It is "
        f"right on {num_right:,} of {plural(data.num_test, 'test image')}{unseen}.",
        f"How sure is that? On other images of this kind this network's accuracy most likely lies between "
        f"{low} and {high} (95%, Wilson). Another seed would train another network, with another accuracy; "
        "only runs with several seeds say how much that matters.",
    ]


def _section_parts(material: RunMaterial) -> list[Part]:
    """Tells how it learned and what it predicts, section by section."""
    pictures, predictions = prediction_pictures(material), material.predictions
    parts: list[Part] = []
    if material.rows:
        kept = "The kept network’s learning curves"
        parts.append(Heading(kept if material.run.manifest.mode == "tune" else "Learning curves"))
        parts += [Words(word_curves(material), "quiet"), Figures(run_figures(material))]
        parts.append(Folded("Every epoch as a table", [_epochs(material)]))
    parts += _section(pictures, "confusions")
    if predictions is not None:
        parts += _mistakes(material, predictions)
        names = material.class_names
        counts = confusion_counts(predictions.probabilities, predictions.labels, len(names))
        hint = (
            "Recall: the share of a class’s images that are recognised. Precision: the share of predictions "
            "of that class that are right. F1 is their harmonic mean; the lowest is marked."
        )
        classes = class_table(score_classes(counts, names))
        parts += [Heading("Class by class"), Words(hint, "quiet"), classes]
    parts += _section(pictures, "calibration")
    if "first_layer_weights" in material.pictures:
        weights = png_picture(
            "Weights of the first layer, a tile a unit", material.pictures["first_layer_weights"]
        )
        parts += [Heading("First layer"), Folded("Weights of the first layer", [weights])]
    return parts


def _section(pictures: dict[str, Picture], name: str) -> list[Part]:
    """Makes a section of a picture that there is."""
    return [Heading(pictures[name].title), pictures[name]] if name in pictures else []


def _epochs(material: RunMaterial) -> Table:
    headings = ("epoch", "loss", "accuracy", "val. loss", "val. accuracy", "rate", "seconds")
    rows = [_epoch_row(each, material.best_epoch) for each in material.rows[:_MOST_EPOCHS]]
    return Table("Epochs", [Column(text) for text in headings], rows, len(material.rows), "metrics.csv")


def _epoch_row(epoch: EpochMetrics, best_epoch: int | None) -> Row:
    is_best = epoch.epoch == best_epoch
    return Row([
        Cell(f"{epoch.epoch} (best)" if is_best else f"{epoch.epoch}"),
        Cell(loss_text(epoch.loss)),
        Cell(percent(epoch.accuracy)),
        Cell("–" if epoch.val_loss is None else loss_text(epoch.val_loss)),
        Cell("–" if epoch.val_accuracy is None else percent(epoch.val_accuracy)),
        Cell(rate(epoch.learning_rate)),
        Cell(duration(epoch.duration_s), repr(epoch.duration_s)),
    ])  # fmt: skip


def _mistakes(material: RunMaterial, predictions: Predictions) -> list[Part]:
    """Shows the wrong predictions, the most confident first, as far as images are at hand."""
    wrong = np.flatnonzero(~predictions.correct)
    num_images, images = len(predictions.labels), material.images
    parts: list[Part] = [Heading("Its most confident mistakes")]
    if not len(wrong):
        return [*parts, Words(f"None: all {num_images:,} predictions are right.")]
    if images is not None and len(images) == num_images:
        order = wrong[np.argsort(-predictions.probabilities[wrong].max(axis=1), kind="stable")]
        digits = [
            _mistake(predictions, int(index), images[index], material.class_names)
            for index in order[:_MOST_MISTAKES]
        ]
        shown = f"{len(digits)} of {len(wrong):,}" if len(digits) < len(wrong) else f"All {len(wrong)}"
        hint = f"{shown} wrong predictions for {num_images:,} images, the most confident first."
        return [*parts, Words(f"{hint} A click enlarges.", "quiet"), Digits(digits)]
    if "mistakes" in material.pictures:
        hint = "The test images are not at hand; this picture was drawn when the run ended."
        alternative = "The most confident mistakes, with their two likeliest classes"
        return [*parts, Words(hint, "quiet"), png_picture(alternative, material.pictures["mistakes"])]
    hint = (
        f"{len(wrong):,} of {num_images:,} predictions are wrong. The test images are not at hand, so they "
        "cannot be shown."
    )
    return [*parts, Words(hint, "quiet")]


def _mistake(predictions: Predictions, index: int, image: NDArray[np.uint8], names: Sequence[str]) -> Digit:
    chances = predictions.probabilities[index]
    likeliest = np.argsort(-chances, kind="stable")[:3]
    shares = [f"{names[label]} {confidence(float(chances[label]))}" for label in likeliest]
    true = names[int(predictions.labels[index])]
    words = f"Test image {index:,} is {true}. Predicted: {', '.join(shares)}."
    return Digit(image, [f"true {true}", f"→ {shares[0]}"], words)


def _hyperparameters(material: RunMaterial) -> Picture | None:
    """Gives the picture that the search drew, if it did."""
    uri = material.pictures.get("hyperparameters")
    return None if uri is None else png_picture("Each hyperparameter against the score", uri)
