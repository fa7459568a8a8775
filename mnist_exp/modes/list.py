"""`mode=list`: runs, a line each, from their files alone; TensorFlow is not loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from mnist_exp.config.parsing import read_request, refuse_unused
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError
from mnist_exp.report.console import whole
from mnist_exp.report.html import write_page
from mnist_exp.report.listing import (
    GROUP_FIELDS,
    RUN_FIELDS,
    ListingTable,
    group_lines,
    listing_page,
    listing_table,
    run_lines,
    to_json,
    totals,
)
from mnist_exp.report.tables import to_csv, to_markdown
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.finding import find_runs, runs_in
from mnist_exp.runs.folder import PAGE
from mnist_exp.runs.index import RunRow, read_rows, select_rows, sort_rows
from mnist_exp.runs.where import parse_where
from mnist_exp.runs.writer import claim_folder
from mnist_exp.words import plural

_MOST_LINES = 50


class ListRequest(Struct, frozen=True, kw_only=True):
    """What `mode=list` reads of a configuration.

    Attributes:
        runs: As of `mode=compare`; null for all in `runs_dir`.
        where: Which of them, such as `test_accuracy>98.5% and model.name=ann`; null for all.
        sort: A name of such expressions, downwards after a `-`.
        by: A line for each sweep, or for each group of runs that differ in seed alone; null for each run.
        format: `json` has all that is known of each run, `html` writes a page to a folder in `runs_dir`.
        limit: At most so many lines; null for 50 lines in a table, and all in another format.
    """

    runs: str | list[Text] | None
    runs_dir: Text
    where: str | None
    sort: Text
    by: Literal["sweep", "group"] | None
    format: Literal["table", "csv", "json", "markdown", "html"]
    limit: Annotated[int, Meta(ge=1, le=10_000_000)] | None


def accept(tree: dict[str, Any], typed: Sequence[str]) -> ListRequest:
    """Checks a request; raises ConfigError for a key or an expression that is not accepted."""
    refuse_unused(typed, "list", "reads runs", "runs, runs_dir, where, sort, by, format, limit")
    request = read_request(tree, ListRequest)
    if request.by is not None and request.format in ("json", "html"):
        raise ConfigError(f"by: format={request.format} has a line a run.", "Leave by out.")
    if request.where is not None:
        parse_where(request.where)
    return request


def run(request: ListRequest, terminal: Terminal, given: Path | None) -> int:
    """Lists runs; a page is written to the folder `given`; None makes one.

    Returns:
        0, or 1 where a list that is kept nowhere could not be printed.

    Raises:
        ConfigError: A path is not there, no run has a name, or no folder can be made.
        RunError: The page could not be written.
    """
    runs_dir = Path(request.runs_dir)
    rows = read_rows(find_runs(request.runs, runs_dir) if request.runs else runs_in(runs_dir), runs_dir)
    num_runs = len(rows)
    if request.where is not None:
        rows = select_rows(rows, parse_where(request.where))
    rows = sort_rows(rows, request.sort)
    if not rows and request.format == "table":
        terminal.print(f"none of {plural(num_runs, 'run')} in {runs_dir}")
    elif request.format == "html":
        folder = claim_folder(runs_dir, "list", given)
        shown = rows[: request.limit]
        write_page(folder, listing_page(run_lines(shown, runs_dir), shown, folder))
        terminal.print(str(folder / PAGE))
    else:
        _show(request, rows, terminal)
    return int(terminal.has_lost_output)


def _show(request: ListRequest, rows: Sequence[RunRow], terminal: Terminal) -> None:
    most = request.limit or (_MOST_LINES if request.format == "table" else None)
    if request.by is None:
        fields, lines = RUN_FIELDS, run_lines(rows[:most], Path(request.runs_dir))
        num_lines = len(rows)
    else:
        fields, lines = GROUP_FIELDS, group_lines(rows, request.by)
        num_lines = len(lines)
    lines = lines[:most]
    match request.format:
        case "json":
            terminal.print(whole(to_json(rows[:most])))
        case "csv":
            values = ([field.value(line) for field in fields] for line in lines)
            terminal.print(whole(to_csv([field.name for field in fields], values).rstrip()))
        case "markdown":
            terminal.print(whole(to_markdown(totals(rows), listing_table(fields, lines), []).rstrip()))
        case _:
            more = f"; limit={num_lines} shows all {num_lines:,} lines" if len(lines) < num_lines else ""
            terminal.print(ListingTable(fields, lines), totals(rows) + more)
