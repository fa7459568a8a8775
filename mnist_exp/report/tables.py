"""A comparison as files that programs and people read: CSV, JSON, Markdown."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.columns import USUAL_COLUMNS, cell, heading, is_words, run_columns, run_value
from mnist_exp.comparison.report import Comparison, SetReport
from mnist_exp.evaluation.pictures import Picture, Unread
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.runs.files import csv_cell
from mnist_exp.words import one_line

# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@")
NUM_CHOICES = 3
_HEADINGS = (
    "file", "prediction", "probability", "second", "second_probability", "third", "third_probability",
    "dark_on_light", "shows_several", "shows_something_else", "error",
)  # fmt: skip


def to_json(comparison: Comparison) -> str:
    """Writes all of a comparison as JSON."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode() + "\n"


def results_csv(comparison: Comparison, columns: Sequence[str] | None = None) -> str:
    """Writes a table with a line a run.

    Args:
        comparison: Of the runs.
        columns: Which columns; None for all.
    """
    names = columns or run_columns(sorted({key for found in comparison.sets for key in found.keys}))
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(map(_csv_text, names))
    writer.writerows([_csv_text(run_value(row, name)) for name in names] for row in comparison.runs)
    return table.getvalue()


def _csv_text(value: Any) -> str:
    """Writes a value so that a spreadsheet shows it and computes nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    is_text = isinstance(value, str)
    text = one_line(value) if is_text else json.dumps(value, ensure_ascii=False, default=str)
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_table(comparison: Comparison) -> str:
    """Writes each set's groups as a Markdown table, its verdict and its notes."""
    return "\n".join(_set_lines(found, comparison.columns or USUAL_COLUMNS) for found in comparison.sets)


def _set_lines(found: SetReport, columns: Sequence[str]) -> str:
    apart = f" (apart: {found.reason})" if found.reason else ""
    lines = [
        f"**{_escape(found.title + apart)}**",
        "",
        _line([_escape(heading(column)) for column in columns]),
        _line(["---" if is_words(column) else "--:" for column in columns]),
    ]
    for row in found.groups:
        lines.append(_line([_escape(cell(row, column)) for column in columns]))
    lines.append("")
    for words in filter(None, [found.verdict, *found.notes]):
        lines.append(f"{_escape(words)}\n")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Keeps Markdown from reading a text of unknown origin as markup."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text


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
        writer.writerow(_csv_line(picture, found))
    blanks = [""] * (len(_HEADINGS) - 2)
    writer.writerows([csv_cell(file_name(each.path)), *blanks, csv_cell(each.reason)] for each in unread)
    return table.getvalue()


def _csv_line(picture: Picture, found: Sequence[Choice]) -> Iterable[str]:
    values = [part for choice in found for part in (csv_cell(choice.name), str(choice.probability))]
    values += [""] * (2 * NUM_CHOICES - len(values))
    flags = (picture.is_inverted, shows_several(picture.image), picture.has_surroundings)
    return [csv_cell(file_name(picture.path)), *values, *(str(flag).lower() for flag in flags), ""]
