"""Which runs, or files of runs, may be cleared away, and why others stay."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from mnist_exp.config.requests import What
from mnist_exp.runs.files import is_taken
from mnist_exp.runs.folder import LAST, LOG, SWEEP, SWEEP_LOG, DamagedRun, RunFolder
from mnist_exp.runs.index import DAMAGED, RunRow
from mnist_exp.runs.notes import read_notes
from mnist_exp.runs.trash import Piece

_KEEP = "keep"
_UNFINISHED = ("running", "interrupted", "lost")
_IMAGES = ("data.train_sha256", "data.split_sha256")
_RESULTS = ("comparison.json", "evaluation.json", "card.json")
_MAX_BYTES = 50_000_000


class _Result(Struct, frozen=True):
    """What a comparison, an evaluation or an export says of the runs that it is about."""

    run: str = ""
    runs: list["_Result"] = []
    members: list["_Result"] = []


def choose(
    rows: Sequence[RunRow], what: What, reasons: dict[Path, str]
) -> tuple[list[Piece], dict[str, list[Path]]]:
    """Chooses what of some runs may go, and which of them stay, by the reason.

    Args:
        reasons: Why runs stay that are not at work; see `reasons_to_stay`.
    """
    pieces: list[Piece] = []
    staying: dict[str, list[Path]] = defaultdict(list)
    for row in rows:
        if (piece := _piece(row, what)) is None:
            continue
        reason = "running" if _is_at_work(row) else reasons.get(row.path)
        if _is_damaged(row):
            reason = "damaged"
        if not str(row.path).isprintable():  # which the list of the trash, as JSON, may not hold
            reason = "with a name that cannot be printed"
        if reason is None:
            pieces.append(piece)
        else:
            staying[reason].append(row.path)
    return pieces, staying


def _piece(row: RunRow, what: What) -> Piece | None:
    """Gives what would go of a run; None for nothing."""
    status = "running" if row.status == "lost" else row.status
    if what != "last_checkpoints":
        is_meant = what == "runs" or status == "failed"
        return Piece(row.path, row.path, status, row.num_bytes) if is_meant else None
    num_bytes = None
    if status == "completed":
        with suppress(DamagedRun), RunFolder(row.path) as folder:
            num_bytes = folder.size_of(LAST)
    return None if num_bytes is None else Piece(row.path / LAST, row.path, status, num_bytes)


def _is_damaged(row: RunRow) -> bool:
    """Says whether a run, or what was noted about it, cannot be read: it may have a star."""
    try:
        read_notes(row.path)
    except DamagedRun:
        return True
    return row.status == DAMAGED


def _is_at_work(row: RunRow) -> bool:
    """Says whether some process uses a run, or runs its sweep."""
    logs = (row.path / LOG, row.path.parent / SWEEP_LOG)
    return row.status == "running" or any(map(is_taken, logs))


def reasons_to_stay(
    runs_dir: Path, rows: Sequence[RunRow], what: What, best: int, *, force: bool
) -> dict[Path, str]:
    """Says why runs stay.

    Args:
        rows: All runs in `runs_dir`.
        best: So many of each sweep, and of the runs in none, stay: those of highest validation accuracy,
            counted apart where images differ.
        force: Whether nothing else stays.
    """
    reasons = dict.fromkeys(_find_best(rows, best), "among the best")
    if force:
        return reasons
    if what != "last_checkpoints":
        others = dict.fromkeys(_find_named(runs_dir, rows), "in a comparison, an evaluation or an export")
        reasons |= others
    unfinished = {row.path.parent for row in rows if row.status in _UNFINISHED}
    sweeps = {folder for folder in unfinished if (folder / SWEEP).exists()}
    for row in rows:
        if row.path.parent in sweeps:
            reasons[row.path] = "in a sweep that is not finished"
        if _KEEP in row.get("tags"):
            reasons[row.path] = f'with the tag "{_KEEP}"'
        if row.get("star"):
            reasons[row.path] = "with a star"
    return reasons


def _find_best(rows: Sequence[RunRow], count: int) -> set[Path]:
    groups: dict[tuple[str, ...], list[RunRow]] = defaultdict(list)
    for row in rows:
        if row.status == "completed" and row.get("val_accuracy") is not None:
            groups[tuple(str(row.get(name)) for name in ("sweep", *_IMAGES))].append(row)
    found: set[Path] = set()
    for group in groups.values():
        # Of equals the later one.
        group.sort(key=lambda row: (row.get("val_accuracy"), row.get("started_at")), reverse=True)
        found.update(row.path for row in group[:count])
    return found


def _find_named(runs_dir: Path, rows: Sequence[RunRow]) -> set[Path]:
    """Finds runs that comparisons, evaluations and exports are about.

    Those name a run as it was typed, maybe from another folder: its place in `runs_dir` is what counts.
    """
    runs = {row.path for row in rows}
    endings: set[tuple[str, ...]] = set()
    for folder in runs_dir.iterdir():
        if folder.is_dir() and folder not in runs and not (folder / SWEEP).exists():
            for path in _read_results(folder):
                endings |= {path.parts[start:] for start in range(len(path.parts))}
    return {path for path in runs if path.relative_to(runs_dir).parts in endings}


def _read_results(folder: Path) -> Iterator[Path]:
    with suppress(DamagedRun), RunFolder(folder) as files:
        for name in _RESULTS:
            with suppress(DamagedRun):
                found = files.read_json(name, _Result, _MAX_BYTES)
                yield Path(found.run)
                yield from (Path(each.run) for each in found.runs + found.members)
