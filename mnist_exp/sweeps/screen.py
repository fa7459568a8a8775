"""A planned sweep as a rich renderable: what varies, its jobs, what they may take, where they would go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mnist_exp.config.commands import command, portable, relative_paths, setting, with_runs_dir, without
from mnist_exp.config.requests import SweepRequest
from mnist_exp.report.console import columns, cropped, render_facts, render_next
from mnist_exp.runs.records import EpochMetrics, Manifest, Summary, SweepJob, SweepRecord
from mnist_exp.sweeps.estimate import JobEstimate, total_seconds
from mnist_exp.sweeps.names import short_keys, value_words
from mnist_exp.sweeps.planning import PlannedSweep
from mnist_exp.sweeps.rounds import largest_round
from mnist_exp.tuning.screen import epoch_cells, render_running
from mnist_exp.words import describe_values, duration, one_line, percent, plural, size

_EPOCHS = "training.epochs"
_NUM_FIRST, _NUM_LAST = 20, 3
_MOST_VALUES = 8
_MOST_LETTERS = 24
_ROOM = 56
"""Letters of a line of 100 that are left for what varies, beside a job's numbers."""

_INDENT = 17

Estimates = Sequence[JobEstimate | None]
Facts = list[tuple[str, str | Text]]


def render_plan(
    planned: PlannedSweep, estimates: Estimates, request: SweepRequest, jobs_at_once: int
) -> RenderableType:
    """Shows what a sweep would do, without having done anything; an estimate is None if nothing is known."""
    record = planned.record
    num_jobs = f"  {'at most ' if record.until else ''}{plural(len(record.jobs), 'job')}"
    title = Text.assemble((f"sweep {one_line(record.name)}", "bold"), num_jobs)
    folder = Path(record.working_dir)
    config = record.jobs[0].config
    typed = with_runs_dir(portable(without(record.argv, ["plan"]), folder), config, folder)
    moved = relative_paths(config, folder)
    typed += [setting(*each) for each in moved.items() if without(typed, each[:1]) == typed]
    facts: Facts = []
    if planned.num_duplicates:
        left_out = plural(planned.num_duplicates, "job")
        facts.append(("left out", f"{left_out}: the same as others, seed included"))
    for number, text in enumerate(planned.notes):
        facts.append(("note" if number == 0 else "", one_line(text)))
    facts += _costs(record, estimates, request, jobs_at_once)
    return Group(
        title,
        Text(),
        *_render_varied(record.jobs),
        _render_jobs(record.jobs, estimates),
        render_facts(*facts),
        Text(),
        Text("nothing was run", style="bold"),
        *render_next([command(*map(one_line, typed))]),
    )


def _render_varied(jobs: Sequence[SweepJob]) -> list[RenderableType]:
    keys = dict.fromkeys(key for job in jobs for key in job.varied)
    rows = [
        (one_line(key), _values_text([job.varied[key] for job in jobs if key in job.varied])) for key in keys
    ]
    return [render_facts(*rows)] if rows else []


def _values_text(values: Sequence[Any]) -> str:
    """Lists distinct values; whole numbers in a row by the first and the last."""
    words = list(dict.fromkeys(map(_cell, values)))
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    whole = sorted(set(numbers))
    if len(numbers) == len(values) and len(whole) > 2 and whole[-1] - whole[0] == len(whole) - 1:
        return f"{whole[0]} to {whole[-1]}"
    if len(words) > _MOST_VALUES:
        return f"{', '.join(words[: _MOST_VALUES - 1])}, … {words[-1]} ({len(words):,} values)"
    return ", ".join(words)


def _cell(value: Any) -> str:
    return _shortened(value_words(value), _MOST_LETTERS)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _render_jobs(jobs: Sequence[SweepJob], estimates: Estimates) -> RenderableType:
    """Lists the jobs; of many, the first and the last."""
    keys = short_keys([job.varied for job in jobs])
    fits = _width(jobs, keys) <= _ROOM
    headings = [one_line(key) for key in keys.values()]
    if keys and not fits:
        headings = ["what varies"]
    epochs = () if _EPOCHS in keys and fits else ("epochs",)
    table = columns("job", *headings, "parameters", *epochs, "time", num_left=0)
    for column in table.columns[1 : len(headings) + 1]:
        column.justify = "left"
    hidden = range(_NUM_FIRST, len(jobs) - _NUM_LAST)
    for job, estimate in zip(jobs, estimates, strict=True):
        if job.number in hidden and len(hidden) > 1:
            if job.number == hidden[0]:
                _add_gap(table, len(hidden), len(headings))
            continue
        table.add_row(*map(Text, _cells(job, estimate, keys, fits)))
    return table


def _width(jobs: Sequence[SweepJob], keys: dict[str, str]) -> int:
    """Counts the columns that it takes to give each key one of its own."""
    widest = (
        max(len(short), *(len(_cell(job.varied[key])) for job in jobs if key in job.varied))
        for key, short in keys.items()
    )
    return sum(width + 2 for width in widest)


def _cells(job: SweepJob, estimate: JobEstimate | None, keys: dict[str, str], fits: bool) -> list[str]:
    words = [_cell(job.varied[key]) if key in job.varied else "–" for key in keys]
    if keys and not fits:
        varied = (f"{short} {_cell(job.varied[key])}" for key, short in keys.items() if key in job.varied)
        words = [_shortened(one_line(", ".join(varied)), _ROOM)]
    seconds = "–" if estimate is None else duration(estimate.seconds)
    epochs = [] if _EPOCHS in keys and fits else [_epochs(job)]
    return [str(job.number), *words, f"{job.num_params:,}", *epochs, seconds]


def _epochs(job: SweepJob) -> str:
    return "a search" if job.search is not None else f"{job.config['training']['epochs']:,}"


def _add_gap(table: Table, count: int, num_words: int) -> None:
    words = [f"{count:,} more"] + [""] * (num_words - 1) if num_words else []
    table.add_row("…", *(Text(word, style="bright_black") for word in words))


def _costs(record: SweepRecord, estimates: Estimates, request: SweepRequest, jobs_at_once: int) -> Facts:
    known = [estimate for estimate in estimates if estimate is not None]
    about = "about" if len(known) == len(estimates) else "at least"
    about = "at most about" if record.until else about
    facts: Facts = [("at once", plural(jobs_at_once, "job"))]
    if until := record.until:
        num_least = largest_round(record)
        least = [estimate for estimate in estimates[:num_least] if estimate is not None]
        seconds = f", about {duration(total_seconds(least, jobs_at_once))}" if least else ""
        seeds = f"{until.first_seeds} to {until.most_seeds} seeds of each configuration"
        facts.append(("until decided", f"{seeds}; at least {plural(num_least, 'job')}{seconds}"))
    if known:
        facts.append(("time", f"{about} {duration(total_seconds(known, jobs_at_once))}, from earlier runs"))
        facts.append(("disk", f"{about} {size(sum(estimate.num_bytes for estimate in known))}"))
    else:
        facts.append(("time", "not known yet: no earlier run has such a network and such images"))
    failure = "no more jobs are started" if request.on_fail == "stop" else "the others continue"
    facts.append(("if a job fails", failure))
    path = Path(record.jobs[0].config["runs_dir"], record.name)
    facts.append(("directory", Text(one_line(str(path)), style="cyan")))
    return facts


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """Where a launch stands.

    Attributes:
        running: Jobs that are running, each with its last row of metrics; None before the first.
        left_s: Seconds that it may still take; None when unknown.
        question: What its jobs are to decide; empty for nothing.
    """

    num_jobs: int
    ended: Sequence[Manifest]
    running: Sequence[tuple[SweepJob, EpochMetrics | None]]
    elapsed_s: float
    left_s: float | None
    question: str


def render_status(status: SweepStatus) -> RenderableType:
    """Shows how far a sweep has come and, a line each, the jobs that run."""
    rows = [_status_cells(job, row) for job, row in status.running]
    return render_running(_words(status), ("right", "left", "left", "right", "left"), rows)


def _words(status: SweepStatus) -> str:
    statuses = [manifest.status for manifest in status.ended]
    counts = {
        "pending": status.num_jobs - len(statuses) - len(status.running),
        "running": len(status.running),
        "done": statuses.count("completed"),
        "failed": statuses.count("failed"),
        "stopped": statuses.count("interrupted"),
    }
    parts = [f"{count:,} {name}" for name, count in counts.items() if count or name in ("pending", "done")]
    parts.append(f"{duration(status.elapsed_s)} elapsed")
    if status.left_s is not None and not status.question:
        parts.append(f"about {duration(status.left_s)} left")
    parts += [one_line(status.question)] if status.question else []
    return f"{plural(status.num_jobs, 'job')}: {', '.join(parts)}"


def _status_cells(job: SweepJob, row: EpochMetrics | None) -> list[RenderableType]:
    epoch, epochs = (row.epoch if row else 0), job.config["training"]["epochs"]
    accuracy = row.val_accuracy if row else None
    return [
        cropped(str(job.number)),
        *epoch_cells(epoch, epochs),
        cropped("" if accuracy is None else percent(accuracy)),
        cropped(describe_values(job.varied)),
    ]


def render_header() -> RenderableType:
    """Makes the line above those of `render_ended`."""
    return Text(_line("done", "job", "val.", "test", "seconds", "what varies"), "bright_black")


def render_ended(
    job: SweepJob, manifest: Manifest, summary: Summary | None, num_ended: int, num_jobs: int
) -> RenderableType:
    """Shows a job that ended: its accuracies, or why there are none; no summary unless it completed."""
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
