"""What a run's page tells of its network's predictions: confusions, mistakes, classes, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.results import ConfidenceBin
from mnist_exp.evaluation.scores import NUM_BINS, calibration_error, equal_width_bins, score_classes
from mnist_exp.report.document import Digit, Digits, Heading, Part, Picture, Words
from mnist_exp.report.html import draw, png_picture
from mnist_exp.report.result import class_table
from mnist_exp.report.run_material import RunMaterial
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


def prediction_sections(material: RunMaterial) -> list[Part]:
    """Tells of predictions section by section; nothing where they are not known."""
    predictions, names = material.predictions, material.class_names
    if predictions is None:
        return []
    counts = confusion_counts(predictions.probabilities, predictions.labels, len(names))
    parts: list[Part] = []
    if len(names) <= _MOST_CLASSES:
        markup = draw("confusions", names, _cells(counts, names))
        parts += [Heading("Confusion matrix"), Picture(markup, _word_confusions(counts, names))]
    parts += _mistakes(material, predictions)
    hint = (
        "Recall: the share of a class’s images that are recognised. Precision: the share of predictions of "
        "that class that are right. F1 is their harmonic mean; the lowest is marked."
    )
    parts += [Heading("Class by class"), Words(hint, "quiet"), class_table(score_classes(counts, names))]
    sure = predictions.probabilities.max(axis=1).astype(np.float64)
    if bins := [each for each in equal_width_bins(sure, predictions.correct) if each.count]:
        words = _word_confidence(predictions, bins)
        parts += [Heading("Calibration"), Picture(draw("calibration", bins), words)]
    return parts


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
        hint = "The test images are not available; this picture was drawn when the run ended."
        alternative = "The most confident mistakes, with their two likeliest classes"
        return [*parts, Words(hint, "quiet"), png_picture(alternative, material.pictures["mistakes"])]
    hint = (
        f"{len(wrong):,} of {num_images:,} predictions are wrong. The test images are not available, so they "
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


def _cells(counts: NDArray[np.int64], names: Sequence[str]) -> list[list[Cell]]:
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
