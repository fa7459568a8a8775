"""`predictions.csv`: what each picture was taken for, and which were skipped."""

import csv
import os
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.pictures import Picture, Unread
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.runs.spreadsheet import cell

NUM_CHOICES = 3
_HEADINGS = (
    "file", "prediction", "probability", "second", "second_probability", "third", "third_probability",
    "dark_on_light", "shows_several", "shows_something_else", "error",
)  # fmt: skip


class Choice(NamedTuple):
    """A class that a picture may show.

    Attributes:
        name: The class's.
        probability: As the network has it.
    """

    name: str
    probability: float


def top_choices(probabilities: NDArray[np.float32], class_names: Sequence[str]) -> list[Choice]:
    """Lists the most probable classes of one picture, at most three, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")[:NUM_CHOICES]
    return [Choice(class_names[label], float(probabilities[label])) for label in order]


def file_name(path: Path) -> str:
    """Says a file's name in letters that can be written anywhere."""
    return os.fsencode(path).decode("utf-8", "replace")


def prediction_table(
    pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]], unread: Sequence[Unread]
) -> str:
    """Writes a line a picture as CSV: those that were read, then those that were not."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_HEADINGS)
    for picture, found in zip(pictures, choices, strict=True):
        writer.writerow(_line(picture, found))
    blanks = [""] * (len(_HEADINGS) - 2)
    writer.writerows([cell(file_name(each.path)), *blanks, cell(each.reason)] for each in unread)
    return table.getvalue()


def _line(picture: Picture, found: Sequence[Choice]) -> Iterable[str]:
    values = [part for choice in found for part in (cell(choice.name), str(choice.probability))]
    values += [""] * (2 * NUM_CHOICES - len(values))
    flags = (picture.is_inverted, shows_several(picture.image), picture.has_surroundings)
    return [cell(file_name(picture.path)), *values, *(str(flag).lower() for flag in flags), ""]
