"""Runs as a list: what stands in a line of it, on a console, in a table for programs and on a page."""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mnist_exp.comparison.labels import fingerprint, label_recipes, recipe, value_text
from mnist_exp.report.console import columns, render_facts
from mnist_exp.report.document import Cell, Column, Document, Row, Table
from mnist_exp.runs.folder import PAGE
from mnist_exp.runs.index import RunRow
from mnist_exp.runs.notes import Notes
from mnist_exp.words import duration, one_line, percent, plural, size, visible

_RECIPE = ("model", "optimizer", "schedule", "augmentation", "training")
_REPEATED = ("seed", "data.fold")
_APART = ("mode", "data.name", "data.preprocessing")
_USUAL = ("mode", "train")
_SHORT = {"data.name": "data", "data.preprocessing": "preprocessing", "data.fold": "fold"}
_NONE = "–"
_STYLES = {"failed": "red", "damaged": "red", "running": "cyan", "interrupted": "yellow", "lost": "yellow"}
_WRONG = ("failed", "damaged")
_FEWEST = 14
"""Characters that a column keeps which is cut where a screen is narrow."""


class Line(NamedTuple):
    """A run, or runs that belong together; `differs` is what tells a run from others."""

    name: str
    rows: Sequence[RunRow]
    differs: str = ""

    @property
    def state(self) -> str:
        """How a run ended; how many of several ended how."""
        return self.rows[0].status if len(self.rows) == 1 else _statuses(self.rows)

    def numbers(self, name: str) -> list[float]:
        """Lists what its runs have of that name, those left out that have none."""
        return [value for row in self.rows if (value := row.get(name)) is not None]

    def mean(self, name: str) -> float | None:
        """Averages what its runs have of that name."""
        return fmean(self.numbers(name)) if self.numbers(name) else None


class Field(NamedTuple):
    """A column: what a line has in it, None for nothing, and how that is written; long texts may be cut."""

    name: str
    heading: str
    value: Callable[[Line], Any]
    kind: Literal["words", "number", "long"] = "words"
    text: Callable[[Any], str] = str


def _when(line: Line) -> str | None:
    times = [f"{row.when:%Y-%m-%d %H:%M}" for row in line.rows if row.when]
    return max(times, default=None)


def _note(line: Line) -> str:
    row = line.rows[0]
    notes = Notes(note=row.get("note"), tags=row.get("tags"), star=row.get("star"))
    return f"{notes.marks}  {one_line(notes.note)}".strip()


def _error(line: Line) -> str:
    return one_line(line.rows[0].get("error") or "")


def _size_text(num_bytes: int) -> str:
    return size(num_bytes) if num_bytes >= 9_950_000 else f"{num_bytes / 1e6:.1f} MB"


_COSTS = [
    Field("seconds", "took", lambda line: sum(line.numbers("duration_s")) or None, "number", duration),
    Field("bytes", "size", lambda line: sum(row.num_bytes for row in line.rows), "number", _size_text),
]
RUN_FIELDS = [
    Field("when", "when", _when),
    Field("run", "run", lambda line: line.name),
    Field("differs", "differs", lambda line: line.differs, "long"),
    Field("status", "status", lambda line: line.state),
    Field("val_accuracy", "val", lambda line: line.mean("val_accuracy"), "number", percent),
    Field("test_accuracy", "test", lambda line: line.mean("test_accuracy"), "number", percent),
    *_COSTS,
    Field("note", "note", _note, "long"),
    Field("error", "error", _error, "long"),
]
GROUP_FIELDS = [
    Field("when", "last", _when),
    Field("name", "name", lambda line: line.name, "long"),
    Field("runs", "runs", lambda line: len(line.rows), "number", "{:,}".format),
    Field("status", "status", lambda line: line.state, "long"),
    Field("val_accuracy", "mean val", lambda line: line.mean("val_accuracy"), "number", percent),
    Field(
        "best", "best val", lambda line: max(line.numbers("val_accuracy"), default=None), "number", percent
    ),
    *_COSTS,
]
_LEFT_OUT = ("when", "bytes", "seconds")
"""Columns that a narrow screen has no room for, the first one first."""


def run_lines(rows: Sequence[RunRow], runs_dir: Path) -> list[Line]:
    """Makes a line a run; what differs is among these runs."""
    labels = differences(rows, _REPEATED)
    return [Line(_name(row.path, runs_dir), [row], label) for row, label in zip(rows, labels, strict=True)]


def group_lines(rows: Sequence[RunRow], by: str) -> list[Line]:
    """Makes a line a sweep, or a group of runs that differ in seed alone, in the order of their first."""
    names = differences(rows) if by == "group" else [value_text(row.get("sweep") or _NONE) for row in rows]
    groups: dict[str, list[RunRow]] = {}
    for name, row in zip(names, rows, strict=True):
        groups.setdefault(name, []).append(row)
    return [Line(name, members) for name, members in groups.items()]


def differences(rows: Sequence[RunRow], also: Sequence[str] = ()) -> list[str]:
    """Calls each run by what tells it from the others, as comparisons do, and by some names of `where`."""
    known = [row for row in rows if "model" in row.sections]
    recipes = {row.path: _recipe(row) for row in known}
    unlike = {fingerprint(each): each for each in recipes.values()}
    labels = dict(zip(unlike, label_recipes(list(unlike.values())), strict=True))
    apart = [name for name in (*_APART, *also) if len({value_text(row.get(name)) for row in known}) > 1]
    told = []
    for row in rows:
        words = [labels[fingerprint(recipes[row.path])]] if row.path in recipes else [_NONE]
        for name in apart:
            value = value_text(row.get(name))
            if row.get(name) is not None and (name, value) != _USUAL:
                words.append(f"{_SHORT.get(name, name)}={value}")
        told.append(" ".join(words))
    return told


def _recipe(row: RunRow) -> dict[str, Any]:
    return recipe({name: value for root in _RECIPE for name, value in row.sections.get(root, {}).items()})


def _name(path: Path, runs_dir: Path) -> str:
    """Names a run as `run=` takes it: below `runs_dir` by its path in there."""
    return str(path.relative_to(runs_dir) if path.is_relative_to(runs_dir) else path)


def totals(rows: Sequence[RunRow]) -> str:
    """Sums up: `312 runs, 4.20 GB, 3 running`."""
    words = [plural(len(rows), "run"), _size_text(sum(row.num_bytes for row in rows))]
    others = _statuses([row for row in rows if row.status != "completed"])
    return ", ".join(filter(None, [*words, others]))


def _statuses(rows: Sequence[RunRow]) -> str:
    counts = Counter(row.status for row in rows)
    return ", ".join(f"{count:,} {status}" for status, count in counts.most_common())


def to_json(rows: Sequence[RunRow]) -> str:
    """Writes all that is known of each run as JSON, by the names of `where`."""
    return json.dumps([row.values for row in rows], indent=2, ensure_ascii=False, default=str)


def listing_table(fields: Sequence[Field], lines: Sequence[Line], links: Sequence[str] = ()) -> Table:
    """Makes a table of lines; `links` are where the runs' names lead, empty for nowhere."""
    rows = []
    for number, line in enumerate(lines):
        cells = [Cell(_text(field, line), _order(field, line)) for field in fields]
        if links:
            cells[1] = cells[1]._replace(link=links[number])
        rows.append(Row(cells, "careful" if line.state in _WRONG else ""))
    heads = [Column(field.heading, "number" if field.kind == "number" else "words") for field in fields]
    return Table("runs", heads, rows, style="filtered")


def _text(field: Field, line: Line) -> str:
    value = field.value(line)
    return _NONE if value is None else " ".join(visible(field.text(value)).split())


def _order(field: Field, line: Line) -> str | None:
    value = field.value(line)
    return str("" if value is None else value) if field.kind == "number" else None


def listing_page(lines: Sequence[Line], rows: Sequence[RunRow], folder: Path) -> Document:
    """Tells all runs on a page in a folder, from which relative links lead to theirs."""
    links = []
    for row in rows:
        page = row.path / PAGE
        links.append(quote(os.fsencode(os.path.relpath(page, folder))) if page.is_file() else "")
    document = Document("Runs", "runs", totals(rows))
    document.parts.append(listing_table(RUN_FIELDS, lines, links))
    return document


class ListingTable:
    """Lines on a console, each on one of its own: a narrow one cuts long texts and leaves columns out."""

    def __init__(self, fields: Sequence[Field], lines: Sequence[Line]) -> None:
        self._fields, self._lines = fields, lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fields = self._fitting(options.max_width)
        table = columns(*(field.heading for field in fields))
        table.padding = (0, 1, 0, 0)
        for field, column in zip(fields, table.columns, strict=True):
            column.justify = "right" if field.kind == "number" else "left"
            column.no_wrap = field.kind != "long"
        for line in self._lines:
            style = _STYLES.get(line.state, "")
            texts = [_text(field, line) for field in fields]
            table.add_row(*(Text(text, style, no_wrap=True, overflow="ellipsis") for text in texts))
        yield table
        reasons = [
            (visible(line.name), visible(_error(line))) for line in self._lines if line.state in _WRONG
        ]
        if reasons:
            yield render_facts(*reasons)
            yield ""

    def _fitting(self, width: int) -> list[Field]:
        """Picks what there is room for, and something to show in."""
        widths = {field.name: self._width(field) for field in self._fields}
        fields = [field for field in self._fields if widths[field.name] and field.name != "error"]
        for name in _LEFT_OUT:
            if sum(widths[field.name] + 2 for field in fields) > width:
                fields = [field for field in fields if field.name != name]
        return fields

    def _width(self, field: Field) -> int:
        widest = max(len(_text(field, line)) for line in self._lines)
        needed = min(widest, _FEWEST) if field.kind == "long" else widest
        return widest and max(len(field.heading), needed)
