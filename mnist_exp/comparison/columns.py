"""Columns of tables: which there are, what sorts by them, what stands in them."""

from collections.abc import Sequence
from typing import Any

from mnist_exp.comparison.grouping import ComparableSet, SeedGroup
from mnist_exp.comparison.labels import value_text
from mnist_exp.comparison.measures import MEASURES, spread_of
from mnist_exp.comparison.pairs import points
from mnist_exp.comparison.report import GroupRow, RunRow, SetReport
from mnist_exp.config.requests import CompareOptions
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.words import one_line, plural, shortened

GROUP, SEEDS, INTERVAL = "group", "seeds", "test_interval"
TAGS, NOTE = "tags", "note"
_ACCURACIES = [GROUP, SEEDS, "val_accuracy", "test_accuracy", INTERVAL]
_USUAL_COLUMNS = [*_ACCURACIES, "num_params", "train_s"]
_COLUMNS_OF_UNEVEN_CLASSES = [*_ACCURACIES, "balanced_accuracy", "train_s"]
_GROUP_COLUMNS = [GROUP, SEEDS, INTERVAL, *MEASURES, TAGS, NOTE]
_NO_ORDER = (INTERVAL, TAGS, NOTE)
_BEFORE = ["run", "status", "set", "group"]
_BETWEEN = ["fold", "seed", "val_accuracy", "test_accuracy", "test_accuracy_low", "test_accuracy_high"]
_REST = [name for name in MEASURES if name not in _BETWEEN]
_AFTER = ["jobs_at_once", "selected_on_test", "is_counted", "mode", "error"]


def group_columns(report: SetReport, requested: Sequence[str] | None) -> list[str]:
    """Lists the columns of a set's table: those that say most, and notes, where none were requested."""
    if requested:
        return list(requested)
    usual = _COLUMNS_OF_UNEVEN_CLASSES if report.is_uneven else _USUAL_COLUMNS
    return [*usual, *noted_columns(report.groups)]


def run_columns(keys: Sequence[str], noted: Sequence[str] = (TAGS, NOTE)) -> list[str]:
    """Lists the columns of `results.csv`: one for each key that differs, among others."""
    return [*_BEFORE, *keys, *_BETWEEN, *_REST, *_AFTER, *noted]


def noted_columns(rows: Sequence[GroupRow | RunRow]) -> list[str]:
    """Lists the columns that people wrote something in by `mode=note`."""
    return [name for name in (TAGS, NOTE) if any(getattr(row, name) for row in rows)]


def check_columns(options: CompareOptions, sets: Sequence[ComparableSet]) -> None:
    """Raises ConfigError for a column that is not there, with the nearest names."""
    keys = sorted({key for found in sets for key in found.keys})
    _check("compare.sort", options.sort, [name for name in _GROUP_COLUMNS if name not in _NO_ORDER] + keys)
    is_by_run = options.format == "csv"
    for name in options.columns or ():
        _check("compare.columns", name, run_columns(keys) if is_by_run else [*_GROUP_COLUMNS, *keys])


def _check(key: str, name: str, accepted: Sequence[str]) -> None:
    if name not in accepted:
        raise ConfigError(f'{key}: there is no column "{name}".', nearest(name, accepted))


def sorting_column(groups: Sequence[SeedGroup], requested: str) -> str:
    """Returns the column that sorts groups: test accuracy where folds or no validation images choose."""
    runs = [run for group in groups for run in group.runs]
    is_unknown = groups[0].folds or all(run.result.val_accuracy is None for run in runs)
    return "test_accuracy" if requested == "val_accuracy" and is_unknown else requested


def sort_key(group: SeedGroup, column: str) -> tuple[Any, ...]:
    """Returns what a group is sorted by: the best first, those without a value last."""
    if column == GROUP:
        return (0, group.label)
    if column == SEEDS:
        return (0, -len(group.runs), group.label)
    measure = MEASURES.get(column)
    if measure is not None:
        spread = spread_of(measure, group.runs)
        if spread is None:
            return (2, 0.0, group.label)
        return (0, -spread.mean if measure.better == "max" else spread.mean, group.label)
    value = group.settings.get(column)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, value, group.label)
    return (2, "", group.label) if value is None else (1, value_text(value), group.label)


def heading(column: str) -> str:
    """Names a column of the table of groups."""
    if column in MEASURES:
        return MEASURES[column].heading
    return {INTERVAL: "95% interval"}.get(column, column)


def is_words(column: str) -> bool:
    """Says whether a column holds words rather than numbers."""
    return column in (GROUP, TAGS, NOTE) or "." in column


def cell(row: GroupRow, column: str) -> str:
    """Writes what a group has in a column."""
    if column == GROUP:
        return f"{row.label} (optimistic)" if row.is_optimistic else row.label
    if column == SEEDS:
        count = f"{len(row.seeds):,}"
        return f"{count} × {plural(len(row.folds), 'fold')}" if row.folds else count
    if column in (TAGS, NOTE):
        return shortened(one_line(getattr(row, column))) or "–"
    if column == INTERVAL:
        low, high = row.test_interval
        return f"{100 * low:.2f} to {100 * high:.2f}"
    if column not in MEASURES:
        return value_text(row.settings[column]) if column in row.settings else "–"
    spread = row.measures[column]
    if spread is None:
        return "–"
    text = MEASURES[column].text(spread.mean)
    return f"{text} ± {points(spread.sd)}" if column == "test_accuracy" and spread.sd is not None else text


def run_value(row: RunRow, column: str) -> Any:
    """Returns what a run has in a column of `results.csv`; None for nothing."""
    if column in MEASURES:
        return row.measures.get(column)
    if column in ("test_accuracy_low", "test_accuracy_high"):
        if row.test_interval is None:
            return None
        return row.test_interval[column.endswith("high")]
    return row.settings.get(column) if "." in column else getattr(row, column, row.settings.get(column))
