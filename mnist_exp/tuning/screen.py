"""A search as rich renderables: its plan, a line for each trial and each confirmation that ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, JustifyMethod, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mnist_exp.config.schema import TunerConfig
from mnist_exp.processes.messages import EpochEnded, RunTrial
from mnist_exp.report.console import columns, cropped, render_facts
from mnist_exp.report.tuning import failure_text
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ConfirmationRecord, DataRecord, TrialRecord
from mnist_exp.tuning.definition import Search, tuner_name
from mnist_exp.tuning.dimensions import Dimension, describe
from mnist_exp.tuning.search_space import SearchSpace
from mnist_exp.words import (
    candidate_name,
    describe_values,
    duration,
    objective_words,
    one_line,
    plural,
    score_text,
)

_HEADINGS = ("done", "trial", "score", "", "parameters", "epochs", "seconds")
_WIDTHS = (8, 6, 8, 6, 11, 7, 8)
_MAX_ROWS = 16
_BAR_WIDTH = 16


def render_search_plan(
    search: Search, data: DataRecord, fixed: Sequence[str], workers: int, threads: int, run_path: str
) -> RenderableType:
    """Shows what is about to be searched, for how long, on what, and where it goes.

    Args:
        fixed: Sentences on what was taken out of the search.
        threads: Number of threads of each worker.
    """
    counts = f"{data.num_train:,} train, {data.num_validation:,} validation"
    test = f"the {data.num_test:,} test images" if data.num_test else "the test images"
    objective = objective_words(search.tuner.objective)
    facts: list[tuple[str, str | Text]] = []
    for number, text in enumerate(fixed):
        facts.append(("fixed" if number == 0 else "", one_line(text)))
    facts += [
        ("objective", f"{objective}; a trial's score is that of its best epoch"),
        ("trial", _describe_trial(search.tuner)),
        ("budget", one_line(_describe_budget(search.tuner))),
        ("at once", f"{plural(workers, 'trial')}, {plural(threads, 'thread')} each"),
        ("data", f"{one_line(data.name)}: {counts}; {test} are not looked at before the search is over"),
        ("", Text(one_line(data.source), style="bright_black")),
    ]
    if search.config.data.preprocessing != "none":
        facts.append(("preprocessing", search.config.data.preprocessing))
    facts += [("seed", str(search.config.seed)), ("run", Text(run_path, style="cyan"))]
    return Group(_render_dimensions(search), render_facts(*facts), Text())


def _describe_trial(tuner: TunerConfig) -> str:
    epochs = ("up to " if tuner_name(tuner) == "hyperband" else "") + plural(tuner.epochs, "epoch")
    if tuner.executions_per_trial == 1:
        return f"one training of {epochs}"
    return f"the mean of {tuner.executions_per_trial} trainings of {epochs}, each on its own seed"


def _describe_budget(tuner: TunerConfig) -> str:
    limits = []
    if tuner.max_trials is not None:
        limits.append(f"{tuner.max_trials} trials")
    if tuner.max_minutes is not None:
        limits.append(f"{tuner.max_minutes:g} minutes")
    if tuner.patience_trials is not None:
        limits.append(f"{tuner.patience_trials} trials without a better score")
    return ", or ".join(limits) or "none: until the tuner has nothing left to propose"


def _render_dimensions(search: Search) -> RenderableType:
    space = search.space
    rows = [(dimension.name, *_describe_dimension(space, dimension)) for dimension in space.dimensions]
    shown = 3 if any(when for _, _, when in rows) else 2
    table = columns(*("searched", "range", "only when")[:shown])
    for cells in rows:
        table.add_row(*(Text(one_line(cell)) for cell in cells[:shown]))
    name, model = one_line(tuner_name(search.tuner)), one_line(search.config.model.name)
    title = (f"{name} search", "bold"), f"  {plural(len(rows), 'value')} of model {model}"
    return Group(Text.assemble(*title), table)


def _describe_dimension(space: SearchSpace, dimension: Dimension) -> tuple[str, str]:
    """Says what is searched and when; a condition that always holds goes without saying."""
    possible = {parent.name: parent.possible_values() or () for parent in space.dimensions}
    always = all(len(possible[name]) == len(values) for name, values in dimension.conditions)
    span, when = describe(dimension)
    return span, "" if always else when


def render_trial_header() -> RenderableType:
    """Names the columns of `render_trial`."""
    return _line(_HEADINGS, "what was tried", style="bright_black")


def render_trial(
    record: TrialRecord, objective: str, best_trial: int | None, num_finished: int, max_trials: int | None
) -> RenderableType:
    """Shows a trial that ended as one line, cropped where the screen is narrower.

    Args:
        best_trial: Number of the best trial so far, this one included; null before the first score.
        max_trials: How many there may be; null for no limit.
    """
    is_best = record.trial == best_trial
    cells = (
        f"{num_finished}" if max_trials is None else f"{num_finished}/{max_trials}",
        str(record.trial),
        score_text(record.score, objective),
        "best" if is_best else "",
        "–" if record.num_params is None else f"{record.num_params:,}",
        f"{len(record.executions)}×{record.epochs}" if len(record.executions) > 1 else str(record.epochs),
        f"{record.duration_s:.1f}" if record.duration_s < 1000 else f"{record.duration_s:,.0f}",
    )
    values = describe_values(record.values)
    if record.status == "completed":
        return _line(cells, values, style="green" if is_best else "")
    return _line(cells, f"{failure_text(record)}  ({values})", "yellow" if record.status == "failed" else "")


def _line(cells: tuple[str, ...], words: str, style: str) -> RenderableType:
    row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return cropped(f"{row}  {words}".rstrip(), style)


def render_confirmation(record: ConfirmationRecord, objective: str) -> RenderableType:
    """Shows a confirmation training that ended as one line."""
    name = f"confirming {candidate_name(record.candidate)} on seed {record.seed}"
    execution = record.execution
    if execution is None:
        return cropped(f"{name}: {failure_text(record)}", "yellow")
    score = score_text(execution.score, objective)
    epoch = f"epoch {execution.best_epoch} of {len(execution.metrics)}"
    return cropped(f"{name}: {score} at {epoch}, {duration(execution.train_s)}")


@dataclass
class RunningTrial:
    """One training that is running; `last` is its newest epoch that has ended, None before the first."""

    trial: RunTrial
    worker: str
    last: EpochEnded | None = None
    began: Moment = field(default_factory=Moment)
    is_stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStatus:
    """Where a search stands.

    Attributes:
        left_s: Seconds that it may still take; None when unknown.
        best: None before the first score; `max_trials` is None for no limit.
    """

    num_finished: int
    num_failed: int
    max_trials: int | None
    elapsed_s: float
    left_s: float | None
    best: TrialRecord | None
    running: Sequence[RunningTrial]


def render_search_status(status: SearchStatus, objective: str) -> RenderableType:
    """Shows how far a search has come and, a line each, what it is training."""
    rows = [_cells(running, objective) for running in status.running]
    return render_running(
        _describe_status(status, objective), ("left", "left", "left", "right", "right", "left"), rows
    )


def render_running(
    words: str, justify: Sequence[JustifyMethod], rows: Sequence[Sequence[RenderableType]]
) -> RenderableType:
    """Sets what is running below words on all of it; of many rows, the first."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for method in justify:
        table.add_column(justify=method)
    for row in rows[:_MAX_ROWS]:
        table.add_row(*row)
    hidden = len(rows) - _MAX_ROWS
    more = [Text(f"and {hidden} more", style="bright_black")] if hidden > 0 else []
    return Group(Text(), Text(words, style="cyan"), table, *more)


def epoch_cells(epoch: int, epochs: int) -> list[RenderableType]:
    """Shows how far a training has come; 0 before its first epoch has ended."""
    bar = ProgressBar(
        total=max(epochs, 1), completed=epoch, width=_BAR_WIDTH,
        style="bright_black", complete_style="cyan", finished_style="cyan",
    )  # fmt: skip
    return [bar, cropped(f"epoch {epoch}/{epochs}" if epoch else "preparing")]


def _describe_status(status: SearchStatus, objective: str) -> str:
    limit = "" if status.max_trials is None else f" of {status.max_trials:,}"
    noun = "trial" if (status.max_trials or status.num_finished) == 1 else "trials"
    parts = [f"{status.num_finished:,}{limit} {noun} done"]
    if status.num_failed:
        parts.append(f"{status.num_failed:,} failed")
    if status.best is not None:
        parts.append(f"best {score_text(status.best.score, objective)} (trial {status.best.trial})")
    parts.append(f"{duration(status.elapsed_s)} elapsed")
    if status.left_s is not None:
        parts.append(f"about {duration(status.left_s)} left")
    return ", ".join(parts)


def _cells(running: RunningTrial, objective: str) -> list[RenderableType]:
    trial, last = running.trial, running.last
    name = f"trial {trial.trial}"
    if trial.candidate is not None:
        name = f"{trial.candidate}, seed {trial.seeds[0]}"
    epoch, epochs, score = (last.epoch, last.epochs, last.score) if last else (0, 0, None)
    return [
        cropped(one_line(name)),
        cropped(one_line(running.worker)),
        *epoch_cells(epoch, epochs),
        cropped(score_text(score, objective)),
        cropped(describe_values(trial.values)),
    ]
