"""Tables as files that programs and people read: CSV and Markdown."""

import csv
import json
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from mnist_exp.report.document import Table
from mnist_exp.runs.files import csv_cell


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
