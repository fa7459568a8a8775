"""Tables as files that programs and people read: CSV and Markdown."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.report.document import Table
from mnist_exp.runs.files import csv_cell

if TYPE_CHECKING:
    from mnist_exp.evaluation.pictures import Picture, Unread

NUM_CHOICES = 3
_HEADINGS = (
    "file", "prediction", "probability", "second", "second_probability", "third", "third_probability",
    "dark_on_light", "shows_several", "shows_something_else", "error",
)  # fmt: skip


def to_csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Writes values as CSV, so that a spreadsheet shows them and computes nothing."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(map(_csv_text, headings))
    writer.writerows(map(_csv_text, row) for row in rows)
    return table.getvalue()


def _csv_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return csv_cell(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return csv_cell(json.dumps(value, ensure_ascii=False, default=str))


def to_markdown(title: str, table: Table, sentences: Sequence[str]) -> str:
    """Writes a table as Markdown, a title above it and sentences below it."""
    lines = [
        f"**{_escape(title)}**",
        "",
        _line([_escape(column.heading) for column in table.columns]),
        _line(["--:" if column.kind == "number" else "---" for column in table.columns]),
    ]
    for row in table.rows:
        lines.append(_line([_escape(cell.text) for cell in row.cells]))
    lines.append("")
    for words in filter(None, sentences):
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
    """A class that a picture may show, and its probability as the network has it."""

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
    pictures: Sequence["Picture"], choices: Sequence[Sequence[Choice]], unread: Sequence["Unread"]
) -> str:
    """Writes a line a picture as CSV: those that were read, then those that were not."""
    rows = [_predicted(*each) for each in zip(pictures, choices, strict=True)]
    blanks = [None] * (len(_HEADINGS) - 2)
    rows += [[file_name(each.path), *blanks, each.reason] for each in unread]
    return to_csv(_HEADINGS, rows)


def _predicted(picture: "Picture", choices: Sequence[Choice]) -> list[Any]:
    values: list[Any] = [part for choice in choices for part in choice]
    values += [None] * (2 * NUM_CHOICES - len(values))
    flags = (picture.is_inverted, shows_several(picture.image), picture.has_surroundings)
    return [file_name(picture.path), *values, *map(bool, flags), None]
