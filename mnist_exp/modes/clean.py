"""`mode=clean`: runs, or their last checkpoints, cleared away to a trash; TensorFlow is not loaded."""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.config.commands import command, with_runs_dir, without
from mnist_exp.config.keys import MODE_KEYS
from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import none_given, read_request
from mnist_exp.config.requests import CleanOptions, KeepOptions, What
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError
from mnist_exp.report.console import render_next, render_parts
from mnist_exp.report.document import Column, Fact, Facts, Part, Table, Words, row
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import trash
from mnist_exp.runs.cleaning import choose, reasons_to_stay
from mnist_exp.runs.finding import find_runs, runs_in
from mnist_exp.runs.index import RunRow, read_rows, select_rows
from mnist_exp.runs.where import parse_where
from mnist_exp.words import name_some, one_line, plural, size

_HOURS = {"h": 1, "d": 24, "w": 168}
_MOST_LISTED, _MOST_NAMED = 20, 3
_CONSEQUENCES = {
    "last_checkpoints": "completed runs need none; mode=verify has less to compare with",
    "failed": "resumed, a sweep trains again what went from it",
    "runs": "a sweep's table and page stay as written; resumed, it trains again what went from it",
}


class CleanRequest(Struct, frozen=True, kw_only=True):
    """What `mode=clean` reads of a configuration.

    Attributes:
        runs: As of `mode=compare`; null for all in `runs_dir`.
        where: Which of them, such as `sweep=study and test_accuracy<90%`.
        older_than: A number of hours, days or weeks, such as `30d`: only runs that were started longer ago.
        force: Whether what has a star or the tag `keep`, or is needed by others, is not spared.
        plan: Whether nothing is moved.
        restore: A folder of the trash to put back, instead of all else.
        empty: A folder of the trash to delete, instead of all else.
    """

    runs: str | list[Text] | None
    runs_dir: Text
    where: Text | None
    clean: CleanOptions
    keep: KeepOptions
    older_than: str | int | None
    force: bool
    plan: bool
    restore: Text | None
    empty: Text | None


def accept(tree: dict[str, Any], typed: Sequence[str]) -> CleanRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    _refuse_unused(typed, MODE_KEYS["clean"])
    request = read_request(tree, CleanRequest)
    actions = {"clean": request.clean.what, "restore": request.restore, "empty": request.empty}
    chosen = [key for key, value in actions.items() if value is not None]
    if not chosen:
        raise none_given("clean.what", request.runs_dir, "mode=clean", "clean.what=last_checkpoints")
    if chosen != ["clean"]:
        _refuse_unused(typed, chosen[:1])
    if request.where is not None:
        parse_where(request.where)
    _least_hours(request)
    return request


def _refuse_unused(typed: Sequence[str], used: Sequence[str]) -> None:
    for key in map(plain_key, typed):
        if key.partition(".")[0] not in ("mode", "runs_dir", *used):
            usual = "clean.what with runs, where, older_than, keep.best, force and plan"
            hint = f"Accepted: {usual}; or restore; or empty."
            raise ConfigError(f"{key}: mode=clean has no use for it here.", hint)


def _least_hours(request: CleanRequest) -> int:
    if request.older_than is None:
        return 0
    found = re.fullmatch(r"(\d{1,6})([hdw])", str(request.older_than))
    if found is None:
        hint = "A number of hours, days or weeks is needed: 12h, 30d, 8w."
        raise ConfigError(f"older_than: got {request.older_than}.", hint)
    return int(found[1]) * _HOURS[found[2]]


def run(request: CleanRequest, terminal: Terminal, _given: Path | None) -> None:
    """Says what would go, moves it to the trash with `plan=false`; or puts back or deletes what is there.

    Raises:
        ConfigError: There are no such runs, no such folder of the trash, or the trash is in use.
        RunError: Something could not be moved.
    """
    runs_dir = Path(request.runs_dir)
    if request.restore is not None:
        terminal.print(f"{plural(trash.put_back(runs_dir, request.restore), 'piece')} put back in {runs_dir}")
    elif request.empty is not None:
        terminal.print(f"{size(trash.empty(runs_dir, request.empty))} deleted")
    else:
        _clean(request, request.clean.what or "runs", runs_dir, terminal)


def _clean(request: CleanRequest, what: What, runs_dir: Path, terminal: Terminal) -> None:
    rows = read_rows(runs_in(runs_dir), runs_dir)
    if not rows or rows[0].path == runs_dir:
        raise ConfigError(f"runs_dir: {runs_dir} is no folder of runs.")
    reasons = reasons_to_stay(runs_dir, rows, what, request.keep.best, force=request.force)
    pieces, staying = choose(_meant(request, rows), what, reasons)
    outcome, further = "would go", [[*without(sys.argv[1:], ["plan"]), "plan=false"]]
    if pieces and not request.plan:
        folder, pieces = trash.put_away(runs_dir, pieces, what)
        outcome = f"moved to {folder}; the space is free once that is emptied"
        further = [["mode=clean", f"{key}={folder.name}"] for key in ("restore", "empty")]
    terminal.print(render_parts(_tell(pieces, staying, outcome, what)))
    if pieces:
        place = {"runs_dir": request.runs_dir}
        terminal.print(*render_next([command(*with_runs_dir(each, place, Path.cwd())) for each in further]))


def _meant(request: CleanRequest, rows: Sequence[RunRow]) -> Sequence[RunRow]:
    """Picks the runs that a request is about."""
    if request.runs is not None:
        known = {each.path.resolve(): each for each in rows}
        named = {path.resolve(): path for path in find_runs(request.runs, Path(request.runs_dir))}
        if outside := [path for place, path in named.items() if place not in known]:
            raise ConfigError(
                f"runs: {outside[0]} is not in {request.runs_dir}.", "Name its folder: runs_dir=…"
            )
        rows = [known[place] for place in named]
    if request.where is not None:
        rows = select_rows(rows, parse_where(request.where))
    return [each for each in rows if 24 * (each.get("age") or 0.0) >= _least_hours(request)]


def _tell(
    pieces: Sequence[trash.Piece], staying: Mapping[str, Sequence[Path]], outcome: str, what: What
) -> list[Part]:
    facts = []
    for reason, paths in staying.items():
        named = name_some([one_line(path.name) for path in paths], _MOST_NAMED)
        facts.append(Fact("stays", f"{plural(len(paths), 'run')} {reason}: {named}"))
    stays = Facts(facts, on="both")
    if not pieces:
        return [Words("nothing to clear away", on="both"), stays]
    noun = {"last_checkpoints": "last checkpoint", "failed": "failed run"}.get(what, "run")
    num_bytes = sum(piece.num_bytes for piece in pieces)
    total = f"{plural(len(pieces), noun)}, {size(num_bytes)}: {outcome}"
    note = Facts([Fact("note", _CONSEQUENCES[what])], on="both")
    return [Words(total, "strong", on="both"), _table(pieces), note, stays]


def _table(pieces: Sequence[trash.Piece]) -> Table:
    """Lists runs, or sums up folders of many, the largest first."""
    counts, sizes = Counter[Path](), Counter[Path]()
    for piece in pieces:
        place = piece.run if len(pieces) <= _MOST_LISTED else piece.run.parent
        counts[place] += 1
        sizes[place] += piece.num_bytes
    rows = [row(str(place), f"{counts[place]:,}", size(num)) for place, num in sizes.most_common()]
    columns = [Column("run, or folder", "words"), Column("runs"), Column("size")]
    return Table("What goes", columns, rows, most=len(rows), on="both")
