"""Predictions of a file of images: a line an image as CSV, and as a document."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.requests import PredictOptions
from mnist_exp.report.digits import WIDTH
from mnist_exp.report.document import Column, Digit, Digits, Fact, Facts, Part, Score, Table, row
from mnist_exp.report.evaluation import word_choice
from mnist_exp.report.tables import to_csv, top_choices
from mnist_exp.statistics import accuracy, wilson_interval
from mnist_exp.words import confidence, one_line, percent, plural

_MOST_DRAWN, _MOST_CLASSES = 6, 26


@dataclass(frozen=True, eq=False)
class Predicted:
    """Images, uint8 (N, H, W), as the network saw them, and probabilities, float32 (N, C).

    Attributes:
        labels: The true classes, (N,), 0 to C - 1; null where they are not known.
    """

    ids: Sequence[int | str]
    images: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    class_names: Sequence[str]
    labels: NDArray[np.uint8] | None


def submission(found: Predicted, options: PredictOptions, unread: Sequence[str] = ()) -> str:
    """Writes a line an image as CSV: its id, its predicted class, and what else is known or asked for.

    Those that could not be read stand at the end, by their ids alone.
    """
    names, choices = found.class_names, found.probabilities.argmax(axis=1)
    columns = [list(found.ids), [names[choice] for choice in choices]]
    headings = list(options.columns or ("id", "prediction"))
    if options.columns is None:
        headings.append("probability")
        columns.append([str(share) for share in found.probabilities.max(axis=1)])
        if found.labels is not None:
            headings.append("label")
            columns.append([names[label] for label in found.labels])
    if options.probabilities:
        headings += names
        columns += [[str(share) for share in shares] for shares in found.probabilities.T]
    blanks = [None] * (len(headings) - 1)
    return to_csv(headings, [*zip(*columns, strict=True), *([each, *blanks] for each in unread)])


def file_parts(
    found: Predicted, file: str, runs: Sequence[str], path: str, notes: Sequence[str]
) -> list[Part]:
    """Tells what the network saw first, how often it predicted each class, and how often it was right."""
    parts: list[Part] = [Digits(_digits(found), is_one_row=True, on="both"), _class_table(found)]
    if found.labels is not None:
        right = accuracy(found.probabilities, found.labels)
        interval = wilson_interval(round(right * len(found.labels)), len(found.labels))
        parts.append(Score("accuracy", right, interval, on="both"))
    height, width = found.images.shape[1:]
    facts = [Fact("note", one_line(note)) for note in notes]
    facts.append(
        Fact("images", f"{plural(len(found.ids), 'image')} of {height} × {width} pixels predicted: {file}")
    )
    facts += [Fact("run" if len(runs) == 1 else "the mean of", one_line(run), "path") for run in runs]
    facts.append(Fact("written", path, "path"))
    return [*parts, Facts(facts, on="both")]


def _digits(found: Predicted) -> list[Digit]:
    digits = []
    for each, image, shares in zip(found.ids[:_MOST_DRAWN], found.images, found.probabilities, strict=False):
        lines = [word_choice(choice) for choice in top_choices(shares, found.class_names)]
        digits.append(Digit(image, [f"{each}"[:WIDTH], *lines]))
    return digits


def _class_table(found: Predicted) -> Table:
    choices, sure = found.probabilities.argmax(axis=1), found.probabilities.max(axis=1)
    counts = np.bincount(choices, minlength=len(found.class_names))
    rows = []
    for label, count in enumerate(counts):
        mean = confidence(float(sure[choices == label].mean())) if count else "–"
        rows.append(row(found.class_names[label], f"{count:,}", percent(count / len(choices), 1), mean))
    columns = [Column("predicted class", "words"), *map(Column, ("images", "share", "mean probability"))]
    return Table("Predicted classes", columns, rows, source="predictions.csv", most=_MOST_CLASSES, on="both")
