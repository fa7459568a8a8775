"""How well each class is told from the others: precision, recall and F1, and the file that lists them."""

import csv
from collections.abc import Sequence
from io import StringIO

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from mnist_exp.evaluation.records import ClassScores
from mnist_exp.runs.spreadsheet import cell
from mnist_exp.statistics import wilson_interval


def score_classes(counts: NDArray[np.int64], class_names: Sequence[str]) -> list[ClassScores]:
    """Scores every class.

    Precision and recall as van Rijsbergen 1979, "Information retrieval", chapter 7, defines them, and
    their harmonic mean F1.

    Args:
        counts: Images by true class (rows) and predicted class (columns), (C, C).
        class_names: The C names.
    """
    return [_score(counts, label, name) for label, name in enumerate(class_names)]


def macro_mean(values: Sequence[float | None]) -> float:
    """Averages over the classes that have a value; 0 without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def class_table(classes: Sequence[ClassScores]) -> str:
    """Writes classes as CSV, one a line; a share without a denominator is left empty."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["class", *_COLUMNS, "recall_low", "recall_high"])
    for each in classes:
        values = asdict(each)
        low, high = each.recall_interval or (None, None)
        writer.writerow([cell(each.name), *(values[column] for column in _COLUMNS), low, high])
    return table.getvalue()


_COLUMNS = ("num_images", "num_predicted", "num_right", "precision", "recall", "f1")


def _score(counts: NDArray[np.int64], label: int, name: str) -> ClassScores:
    num_right = int(counts[label, label])
    num_images, num_predicted = int(counts[label].sum()), int(counts[:, label].sum())
    return ClassScores(
        name=name,
        num_images=num_images,
        num_predicted=num_predicted,
        num_right=num_right,
        precision=num_right / num_predicted if num_predicted else None,
        recall=num_right / num_images if num_images else None,
        recall_interval=wilson_interval(num_right, num_images) if num_images else None,
        f1=2 * num_right / (num_images + num_predicted) if num_images + num_predicted else None,
    )
