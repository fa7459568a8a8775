"""Where a search stands, as a table that a terminal can draw again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mnist_exp.report.console import cropped
from mnist_exp.runs.trial_records import TrialRecord
from mnist_exp.trial_words import describe_values, one_line, score_text
from mnist_exp.words import duration

_MAX_ROWS = 16
_BAR_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """One training that is going on.

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
        running: The trainings that are going on.
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
