"""A search as rich renderables: its plan, a line for each trial and each confirmation that ended.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mnist_exp.report.console import columns, cropped, render_facts
from mnist_exp.report.tuning import failure_text
from mnist_exp.runs.records import ConfirmationRecord, DataRecord, TrialRecord
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


@dataclass(frozen=True, slots=True)
class DimensionRow:
    """One searched value as a reader sees it.

    Attributes:
        name: Its path in the configuration.
        kind_and_range: What it may be, such as `32 to 512 by 32`.
        when: What must hold for it to matter, in words; empty where it always does.
    """

    name: str
    kind_and_range: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What is about to be searched.

    Attributes:
        tuner_name: How trials are proposed, such as `random`.
        objective: The metric that is searched for.
        dimensions: What is searched.
        fixed: Sentences on what was taken out of the search.
        budget: When the search ends, in words.
        epochs: Number of epochs of a trial.
        executions: Number of trainings of a trial.
        workers: Number of trials at once.
        threads: Number of threads of each worker.
        data: The images.
        model_name: The untuned model's name.
        seed: The run's seed.
        run_path: The run's directory as the user would type it.
        preprocessing: What is done to the images first; "none" for nothing.
    """

    tuner_name: str
    objective: str
    dimensions: Sequence[DimensionRow]
    fixed: Sequence[str]
    budget: str
    epochs: int
    executions: int
    workers: int
    threads: int
    data: DataRecord
    model_name: str
    seed: int
    run_path: str
    preprocessing: str = "none"


def render_search_plan(plan: SearchPlan) -> RenderableType:
    """Shows what is about to be searched, for how long, on what, and where it goes."""
    data = plan.data
    counts = f"{data.num_train:,} train, {data.num_validation:,} validation"
    test = f"the {data.num_test:,} test images" if data.num_test else "the test images"
    facts: list[tuple[str, str | Text]] = []
    for number, text in enumerate(plan.fixed):
        facts.append(("fixed" if number == 0 else "", one_line(text)))
    facts += [
        ("looking for", f"the {objective_words(plan.objective)}; a trial's score is that of its best epoch"),
        ("trial", _describe_trial(plan)),
        ("budget", one_line(plan.budget)),
        ("at once", f"{plural(plan.workers, 'trial')}, {plural(plan.threads, 'thread')} each"),
        ("data", f"{one_line(data.name)}: {counts}; {test} are not looked at before the search is over"),
        ("", Text(one_line(data.source), style="bright_black")),
    ]
    if plan.preprocessing != "none":
        facts.append(("preprocessing", plan.preprocessing))
    facts += [("seed", str(plan.seed)), ("run", Text(plan.run_path, style="cyan"))]
    return Group(_render_dimensions(plan), render_facts(*facts), Text())


def _describe_trial(plan: SearchPlan) -> str:
    """Words what a trial is."""
    epochs = ("up to " if plan.tuner_name == "hyperband" else "") + plural(plan.epochs, "epoch")
    if plan.executions == 1:
        return f"one training of {epochs}"
    return f"the mean of {plan.executions} trainings of {epochs}, each on its own seed"


def _render_dimensions(plan: SearchPlan) -> RenderableType:
    """Shows what is searched, a line each; conditions only where there are any."""
    rows = [(row.name, row.kind_and_range, row.when) for row in plan.dimensions]
    shown = 3 if any(row.when for row in plan.dimensions) else 2
    table = columns(*("searched", "range", "only when")[:shown])
    for cells in rows:
        table.add_row(*(Text(one_line(cell)) for cell in cells[:shown]))
    count = plural(len(plan.dimensions), "value")
    title = (f"{one_line(plan.tuner_name)} search", "bold"), f"  {count} of model {one_line(plan.model_name)}"
    return Group(Text.assemble(*title), table)


def render_trial_header() -> RenderableType:
    """Names the columns of `render_trial`."""
    return _line(_HEADINGS, "what was tried", style="bright_black")


def render_trial(
    record: TrialRecord, objective: str, best_trial: int | None, num_finished: int, max_trials: int | None
) -> RenderableType:
    """Shows a trial that ended as one line, cropped where the screen is narrower.

    Args:
        objective: The metric that is searched for.
        best_trial: Number of the best trial so far, this one included; null before the first score.
        num_finished: Number of trials that ended, this one included.
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
    """Sets cells right-aligned in columns of fixed width, and words behind them as far as there is room."""
    row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return cropped(f"{row}  {words}".rstrip(), style)


def render_confirmation(record: ConfirmationRecord, objective: str) -> RenderableType:
    """Shows a confirmation training that ended as one line.

    Args:
        objective: The metric that was searched for.
    """
    name = f"confirming {candidate_name(record.candidate)} on seed {record.seed}"
    execution = record.execution
    if execution is None:
        return cropped(f"{name}: {failure_text(record)}", "yellow")
    score = score_text(execution.score, objective)
    epoch = f"epoch {execution.best_epoch} of {len(execution.metrics)}"
    return cropped(f"{name}: {score} at {epoch}, {duration(execution.train_s)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """One training that is running.

    Attributes:
        trial: The trial's number; None for a training that belongs to no trial.
        label: What it is called, such as `untuned default, seed 5`; empty for `trial <number>`.
        worker: Name of the process that runs it.
        epoch: The last finished epoch; 0 before the first.
        epochs: Number of epochs.
        last_score: The objective at that epoch; None before the first.
        values: As in `TrialRecord`.
    """

    trial: int | None
    label: str
    worker: str
    epoch: int
    epochs: int
    last_score: float | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStatus:
    """Where a search stands.

    Attributes:
        num_finished: Number of trials that ended, whatever came of them.
        num_failed: Number of those that failed.
        max_trials: How many there may be; None for no limit.
        elapsed_s: Seconds since the search began.
        left_s: Seconds that it may still take; None when unknown.
        best: The best trial; None before the first score.
        running: The trainings that are running.
    """

    num_finished: int
    num_failed: int
    max_trials: int | None
    elapsed_s: float
    left_s: float | None
    best: TrialRecord | None
    running: Sequence[RunningTrial]


def render_search_status(status: SearchStatus, objective: str) -> RenderableType:
    """Shows how far a search has come and, a line each, what it is training.

    Args:
        status: Where it stands.
        objective: The metric that is searched for.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "left", "right", "right", "left"):
        table.add_column(justify=justify)
    for running in status.running[:_MAX_ROWS]:
        table.add_row(*_cells(running, objective))
    hidden = len(status.running) - _MAX_ROWS
    more = [Text(f"and {hidden} more", style="bright_black")] if hidden > 0 else []
    return Group(Text(), Text(_describe_status(status, objective), style="cyan"), table, *more)


def _describe_status(status: SearchStatus, objective: str) -> str:
    """Words how much is done, the best so far, and the time."""
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
    """Words one training; its bar is empty before the first epoch has ended."""
    bar = ProgressBar(
        total=max(running.epochs, 1), completed=running.epoch, width=_BAR_WIDTH,
        style="bright_black", complete_style="cyan", finished_style="cyan",
    )  # fmt: skip
    return [
        cropped(one_line(running.label) or f"trial {running.trial}"),
        cropped(one_line(running.worker)),
        bar,
        cropped(f"epoch {running.epoch}/{running.epochs}" if running.epoch else "preparing"),
        cropped(score_text(running.last_score, objective)),
        cropped(describe_values(running.values)),
    ]
