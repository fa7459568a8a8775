"""A comparison as its page shows it: tables and pairs."""

from dataclasses import dataclass

from mnist_exp.comparison.columns import GROUP, USUAL_COLUMNS, cell, heading, is_words, run_value
from mnist_exp.comparison.measures import MEASURES
from mnist_exp.comparison.pairs import MOST_SEEDS_WORTH_SAYING, Pair, p_value_text, points
from mnist_exp.comparison.report import Comparison, GroupRow, RunRow, SetReport
from mnist_exp.words import visible

_MOST_ROWS = 200
MOST_KEYS = 12
_LONGEST_LABEL = 120
_LONGEST_PATH = 400


@dataclass(frozen=True)
class TableCell:
    """A cell's text, what it is sorted by (empty for its text), and whether it is a number."""

    text: str
    order: str
    is_number: bool


@dataclass(frozen=True)
class TableRow:
    """A line of a table: its cells and what tells it from others (`leader`, `optimistic` or nothing)."""

    cells: list[TableCell]
    tone: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headings: Text of each column, and whether it holds words.
        rows: Its lines, as far as a page has room.
        num_rows: Number of lines that there are.
    """

    headings: list[tuple[str, bool]]
    rows: list[TableRow]
    num_rows: int


@dataclass(frozen=True)
class PairRow:
    """The leader against another group, cell by cell."""

    label: str
    difference: str
    interval: str
    p_value: str
    decision: str
    more_seeds: str
    order: float
    p_order: str


def group_table(report: SetReport, comparison: Comparison) -> Table:
    """Lists a set's groups, words before numbers."""
    columns = sorted(comparison.columns or USUAL_COLUMNS, key=lambda column: not is_words(column))
    rows = []
    for row in report.groups[:_MOST_ROWS]:
        tone = "leader" if row.label == report.leader else ""
        if row.is_optimistic:
            tone = "optimistic"
        rows.append(TableRow(cells=[_group_cell(row, column) for column in columns], tone=tone))
    headings = [(visible(heading(column), _LONGEST_LABEL), is_words(column)) for column in columns]
    return Table(headings, rows, len(report.groups))


def _group_cell(row: GroupRow, column: str) -> TableCell:
    spread = row.measures.get(column) if column in MEASURES else None
    order = "" if spread is None else repr(spread.mean)
    return TableCell(visible(cell(row, column), _LONGEST_LABEL), order, not is_words(column))


def settings_table(report: SetReport) -> Table | None:
    """Lists what differs between a set's groups; None with a single group."""
    if not report.keys:
        return None
    columns = [GROUP, *report.keys[:MOST_KEYS]]
    rows = [
        TableRow([TableCell(visible(cell(row, column), _LONGEST_LABEL), "", False) for column in columns], "")
        for row in report.groups[:_MOST_ROWS]
    ]
    headings = [(visible(column, _LONGEST_LABEL), True) for column in columns]
    return Table(headings, rows, len(report.groups))


def run_table(comparison: Comparison) -> Table:
    """Lists every run that was named."""
    columns = ["run", "group", "status", "seed", "val_accuracy", "test_accuracy", "train_s"]
    rows = [TableRow([_run_cell(row, column) for column in columns], "") for row in comparison.runs]
    names = [(heading(column), column in ("run", "group", "status")) for column in columns]
    return Table(names, rows[:_MOST_ROWS], len(comparison.runs))


def _run_cell(row: RunRow, column: str) -> TableCell:
    value = run_value(row, column)
    if value is None or value == "":
        return TableCell("–", "", column in MEASURES or column == "seed")
    if column in MEASURES:
        return TableCell(MEASURES[column].text(value), repr(value), True)
    return TableCell(visible(str(value), _LONGEST_PATH), "", column == "seed")


def pair_rows(report: SetReport) -> list[PairRow]:
    """Lists the leader against each other group, where there are several."""
    return [_pair_row(pair) for pair in report.pairs[:_MOST_ROWS]] if len(report.pairs) > 1 else []


def _pair_row(pair: Pair) -> PairRow:
    decision = "cannot tell"
    if pair.is_decided:
        decision = "better" if pair.difference > 0 else "worse"
    if pair.corrected_p_value is None or pair.interval is None:
        decision, interval, p_value, p_order = "not tested", "–", "–", ""
    else:
        interval = " to ".join(map(points, pair.interval))
        p_value = p_value_text(pair.corrected_p_value, "").removeprefix(" = ").strip()
        p_order = repr(pair.corrected_p_value)
    seeds = "–"
    if pair.more_seeds is not None:
        seeds = f"{pair.more_seeds}"
        if pair.more_seeds > MOST_SEEDS_WORTH_SAYING:
            seeds = f"> {MOST_SEEDS_WORTH_SAYING:,}"
    label = visible(pair.second, _LONGEST_LABEL)
    return PairRow(
        label, points(pair.difference), interval, p_value, decision, seeds, pair.difference, p_order
    )
