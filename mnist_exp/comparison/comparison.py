"""From run directories to a comparison: read, sort, group, test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_exp.comparison import report
from mnist_exp.comparison.columns import check_columns, sort_key, sorting_column
from mnist_exp.comparison.decisions import read_decisions, word_decisions
from mnist_exp.comparison.grouping import (
    ComparableSet,
    SeedGroup,
    comparable_sets,
    count_looks,
    describe_data,
    without_contradictions,
)
from mnist_exp.comparison.measures import MEASURES, group_interval, run_interval, spread_of
from mnist_exp.comparison.pairs import compare_with_leader
from mnist_exp.comparison.report import Comparison, GroupRow, RunRow, SearchRow, SetReport
from mnist_exp.config.requests import CompareOptions
from mnist_exp.runs.finding import find_runs
from mnist_exp.runs.notes import Notes
from mnist_exp.runs.records import SearchSummary
from mnist_exp.runs.run import DamagedRun, Run, read_run
from mnist_exp.words import candidate_name, one_line

_LONGEST_REASON = 300


@dataclass(frozen=True, eq=False)
class Examined:
    """A comparison, and the sets that pictures of it are drawn from, groups in the order of validation."""

    comparison: Comparison
    sets: list[ComparableSet]


def compare(paths: Sequence[str | Path], options: CompareOptions | None = None) -> Comparison:
    """Compares runs, from their files alone; raises ConfigError for a path or column that is not there."""
    return examine(paths, options or CompareOptions()).comparison


def examine(paths: Sequence[str | Path], options: CompareOptions) -> Examined:
    """Does what `compare` does, and keeps the runs."""
    runs, damaged = _read_all(find_runs(paths))
    trainings, contradictory = without_contradictions([run for run in runs if run.is_training])
    damaged += contradictory
    sets = [_ranked(each) for each in comparable_sets(trainings)]
    check_columns(options, sets)
    searches, search_rows = [], []
    left_out = [_damaged_row(error) for error in damaged]
    for run in runs:
        if isinstance(run.summary, SearchSummary):
            searches.append(run)
            search_rows.append(_search_row(run, run.summary))
        elif not run.is_training:
            left_out.append(_row(run))
    rows = [*_set_rows(sets), *map(_row, searches), *left_out]
    comparison = Comparison(
        runs=sorted(rows, key=lambda row: row.run),
        sets=[_report(each, options) for each in sets],
        searches=search_rows,
        left_out=sorted(left_out, key=lambda row: (row.status, row.run)),
        ledger=count_looks([*trainings, *searches]),
        sort=options.sort,
        columns=options.columns,
    )
    return Examined(comparison, sets)


def _read_all(paths: Iterable[Path]) -> tuple[list[Run], list[DamagedRun]]:
    runs: list[Run] = []
    damaged: list[DamagedRun] = []
    for path in paths:
        try:
            runs.append(read_run(path))
        except DamagedRun as error:
            damaged.append(error)
    return runs, damaged


def _ranked(found: ComparableSet) -> ComparableSet:
    """Sorts a set's groups by validation accuracy, those that cannot be ranked with the others last."""
    groups = sorted(found.groups, key=lambda group: (*_standing(group), *_ranking(group), group.label))
    return replace(found, groups=groups)


def _standing(group: SeedGroup) -> tuple[bool, int]:
    """Puts groups last that owe something to test images, and those that lack folds."""
    return group.is_optimistic, -len(group.folds)


def _ranking(group: SeedGroup) -> tuple[float, ...]:
    """Ranks a group by validation accuracy; by test accuracy where folds or no validation images choose."""
    for name in ("test_accuracy",) if group.folds else ("val_accuracy", "test_accuracy"):
        if spread := spread_of(MEASURES[name], group.runs):
            return (-spread.mean,)
    return ()


def _report(found: ComparableSet, options: CompareOptions) -> SetReport:
    leader, *others = found.groups
    # Images that one fold sets apart to validate are tested on in another.
    is_chosen_on_test = bool(leader.folds) or any(
        run.validates_on_test or run.result.val_accuracy is None for run in leader.runs
    )
    decisions = read_decisions(found.groups)
    pairs = [] if decisions else compare_with_leader(leader, others, is_chosen_on_test)
    sort = sorting_column(found.groups, options.sort)
    ordered = sorted(found.groups, key=lambda group: (*_standing(group), sort_key(group, sort)))
    return SetReport(
        title=describe_data(found.data),
        reason=found.reason,
        data=found.data,
        keys=found.keys,
        groups=[_group_row(group, found.keys) for group in ordered],
        sort=sort,
        leader=leader.label if others else None,
        is_chosen_on_test=is_chosen_on_test,
        verdict=word_decisions(decisions) if decisions else report.verdict(pairs, is_chosen_on_test),
        pairs=pairs,
        notes=report.notes(found, decisions, options.sort),
        decisions=decisions,
        is_uneven=any(run.balance and run.balance.is_uneven for group in found.groups for run in group.runs),
    )


def _group_row(group: SeedGroup, keys: Sequence[str]) -> GroupRow:
    noted = [_notes(run) for run in group.runs]
    return GroupRow(
        label=group.label,
        settings={key: group.settings[key] for key in keys if key in group.settings},
        seeds=group.seeds,
        folds=group.folds,
        num_runs=len(group.runs),
        num_duplicates=len(group.duplicates),
        is_optimistic=group.is_optimistic,
        measures={name: spread_of(measure, group.runs) for name, measure in MEASURES.items()},
        test_interval=group_interval(group),
        tags="; ".join(dict.fromkeys(filter(None, (notes.marks for notes in noted)))),
        note="; ".join(dict.fromkeys(filter(None, (notes.note for notes in noted)))),
    )


def _notes(run: Run) -> Notes:
    """Reads what was noted about a run, which a damaged note does not make a damaged run."""
    try:
        return run.notes
    except DamagedRun as error:
        return Notes(note=error.reason)


def _set_rows(sets: Sequence[ComparableSet]) -> list[RunRow]:
    rows = []
    for number, found in enumerate(sets, 1):
        for group in found.groups:
            settings = {key: group.settings.get(key) for key in found.keys}
            rows += [_row(run, number, group, settings, True) for run in group.runs]
            rows += [_row(run, number, group, settings, False) for run in group.duplicates]
    return rows


def _row(
    run: Run,
    number: int | None = None,
    group: SeedGroup | None = None,
    settings: dict[str, object] | None = None,
    is_counted: bool = False,
) -> RunRow:
    manifest, summary, notes = run.manifest, run.summary, _notes(run)
    return RunRow(
        run=str(run.path),
        mode=one_line(manifest.mode),
        status=run.status,
        set=number,
        group=group.label if group else "",
        settings=settings or {},
        seed=manifest.seed,
        fold=run.fold,
        is_counted=is_counted,
        measures={name: measure.value(run) for name, measure in MEASURES.items()} if summary else {},
        test_interval=run_interval(run) if summary else None,
        selected_on_test=summary.selected_on_test if summary else None,
        jobs_at_once=manifest.sweep.jobs_at_once if manifest.sweep else None,
        error=_word_absence(run),
        tags=notes.marks,
        note=notes.note,
    )


def _word_absence(run: Run) -> str:
    """Says why a run is not compared; nothing where it is, or could be."""
    if run.status == "completed" and run.manifest.mode == "verify":
        return "mode=verify repeats another run"
    if run.summary is not None:
        return ""
    if run.status == "completed":
        return f"mode={one_line(run.manifest.mode)} trains nothing"
    if run.status == "lost":
        return "its process ended without a message"
    if run.status == "running":
        return "still running"
    error = run.manifest.error
    words = (error.message or error.type) if error else "no reason is recorded"
    return one_line(words)[:_LONGEST_REASON]


def _damaged_row(error: DamagedRun) -> RunRow:
    return RunRow(
        run=str(error.path),
        mode="",
        status="damaged",
        settings={},
        seed=None,
        measures={},
        error=one_line(error.reason)[:_LONGEST_REASON],
    )


def _search_row(run: Run, summary: SearchSummary) -> SearchRow:
    return SearchRow(
        run=str(run.path),
        winner=candidate_name(summary.winner),
        val_accuracy=summary.val_accuracy,
        test_accuracies=summary.winner_test_accuracies or [summary.test_accuracy],
        num_trials=summary.num_trials,
        verdict=one_line(summary.verdict),
    )
