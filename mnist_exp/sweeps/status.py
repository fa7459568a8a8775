"""Where a sweep stands, as lines and as a table that a terminal can draw again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mnist_exp.report.console import cropped, plural
from mnist_exp.runs.records import Manifest, Summary
from mnist_exp.runs.sweep_records import SweepJob
from mnist_exp.trial_words import describe_values, one_line
from mnist_exp.words import duration, percent

_MAX_ROWS = 16
_BAR_WIDTH = 16
_INDENT = 17


@dataclass(frozen=True, slots=True)
class RunningJob:
    """One job that is going on.

    Attributes:
        number: Its number in the sweep.
        varied: What tells it from the others.
        epoch: The last finished epoch; 0 before the first.
        epochs: Number of epochs.
        val_accuracy: At that epoch; None before the first, and without validation images.
    """

    number: int
    varied: Mapping[str, Any]
    epoch: int
    epochs: int
    val_accuracy: float | None


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """Where a launch stands.

    Attributes:
        num_jobs: Number of jobs to run.
        num_completed: Of those, completed.
        num_failed: Failed.
        num_interrupted: Stopped before their end.
        elapsed_s: Seconds since the launch began.
        left_s: Seconds that it may still take; None when unknown.
        running: The jobs that are going on.
    """

    num_jobs: int
    num_completed: int
    num_failed: int
    num_interrupted: int
    elapsed_s: float
    left_s: float | None
    running: Sequence[RunningJob]


def render_status(status: SweepStatus) -> RenderableType:
    """Shows how far a sweep has come and, a line each, the jobs that run."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("right", "left", "left", "right", "left"):
        table.add_column(justify=justify)
    for job in status.running[:_MAX_ROWS]:
        table.add_row(*_cells(job))
    hidden = len(status.running) - _MAX_ROWS
    more = [Text(f"and {hidden} more", style="bright_black")] if hidden > 0 else []
    return Group(Text(), Text(_words(status), style="cyan"), table, *more)


def _words(status: SweepStatus) -> str:
    """Words how many jobs are pending, running, done and failed, and the time."""
    ended = status.num_completed + status.num_failed + status.num_interrupted
    pending = status.num_jobs - ended - len(status.running)
    counts = {
        "pending": pending,
        "running": len(status.running),
        "done": status.num_completed,
        "failed": status.num_failed,
        "stopped": status.num_interrupted,
    }
    parts = [f"{count:,} {name}" for name, count in counts.items() if count or name in ("pending", "done")]
    parts.append(f"{duration(status.elapsed_s)} elapsed")
    if status.left_s is not None:
        parts.append(f"about {duration(status.left_s)} left")
    return f"{plural(status.num_jobs, 'job')}: {', '.join(parts)}"


def _cells(job: RunningJob) -> list[RenderableType]:
    bar = ProgressBar(
        total=max(job.epochs, 1), completed=job.epoch, width=_BAR_WIDTH,
        style="bright_black", complete_style="cyan", finished_style="cyan",
    )  # fmt: skip
    return [
        cropped(str(job.number)),
        bar,
        cropped(f"epoch {job.epoch}/{job.epochs}" if job.epoch else "preparing"),
        cropped("" if job.val_accuracy is None else percent(job.val_accuracy)),
        cropped(describe_values(job.varied)),
    ]


def render_header() -> RenderableType:
    """Makes the line above those of `render_ended`."""
    return Text(
        _line("done", "job", "val.", "test", "seconds", "what tells it from the others"), "bright_black"
    )


def render_ended(
    job: SweepJob, manifest: Manifest, summary: Summary | None, num_ended: int, num_jobs: int
) -> RenderableType:
    """Shows a job that ended: its accuracies, or why there are none.

    Args:
        job: Which.
        manifest: Of its run.
        summary: Of its run; None unless it completed.
        num_ended: Number of jobs that have ended, this one included.
        num_jobs: Number of jobs of this launch.
    """
    val = percent(summary.val_accuracy) if summary and summary.val_accuracy is not None else "–"
    test = percent(summary.test_accuracy) if summary else manifest.status
    seconds = "–" if manifest.duration_s is None else f"{manifest.duration_s:.1f}"
    done = f"{num_ended}/{num_jobs}"
    line = cropped(_line(done, str(job.number), val, test, seconds, one_line(describe_values(job.varied))))
    if manifest.error is None or manifest.status != "failed":
        return line
    reason = one_line(f"{manifest.error.message} {manifest.error.hint}")
    return Group(line, Padding(Text(reason, style="red"), (0, 0, 0, _INDENT)))


def _line(*cells: str) -> str:
    done, number, val, test, seconds, words = cells
    return f"{done:>9} {number:>5} {val:>7} {test:>11} {seconds:>8}  {words}"
