"""How a sweep ended: what came of it side by side, what failed and why, and how to go on."""

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.config.comparison_options import CompareOptions
from mnist_exp.modes.compare import compare_runs
from mnist_exp.report.console import plural, render_next
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.sweep_records import SweepJob
from mnist_exp.sweeps.directory import JobState, SweepDirectory
from mnist_exp.trial_words import describe_values, one_line

_MOST_SHOWN = 5


def conclude(sweep: SweepDirectory, reason: str, resume: str, terminal: Terminal) -> int:
    """Sums a sweep up, on the screen and in its folder.

    Args:
        sweep: No job of it is running.
        reason: Why no more jobs were started; empty when all were.
        resume: The command that goes on with it.
        terminal: Where to.

    Returns:
        The exit status: 0 when every job is completed, 1 otherwise.
    """
    states = [(job, sweep.state(job)) for job in sweep.record.jobs]
    completed = [sweep.run_path(job) for job, state in states if state.status == "completed"]
    if completed:
        compare_runs(completed, CompareOptions(), terminal, sweep.path)
    unfinished = [(job, state) for job, state in states if state.status != "completed"]
    terminal.print(_render_ending(sweep, len(completed), reason))
    if not unfinished:
        return 0
    terminal.print(_render_failures(unfinished), *render_next([resume]))
    return 1


def _render_ending(sweep: SweepDirectory, num_completed: int, reason: str) -> RenderableType:
    words = Text(f"{num_completed:,} of {plural(len(sweep.record.jobs), 'job')} completed in ")
    words.append(str(sweep.path), style="cyan")
    lines = [Text(), words]
    if reason:
        lines.append(Text(f"no more jobs were started: {one_line(reason)}", style="bold yellow"))
    return Group(*lines)


def _render_failures(unfinished: Sequence[tuple[SweepJob, JobState]]) -> RenderableType:
    """Lists what did not complete, jobs with the same reason together."""
    reasons: dict[str, list[SweepJob]] = defaultdict(list)
    for job, state in unfinished:
        reasons[_reason(state)].append(job)
    lines = []
    for reason, jobs in reasons.items():
        lines.append(Text(f"{plural(len(jobs), 'job')} {one_line(reason)}", style="red"))
        lines += [Text(f"  {job.number:>5}  {_words(job)}") for job in jobs[:_MOST_SHOWN]]
        if len(jobs) > _MOST_SHOWN:
            lines.append(Text(f"         and {len(jobs) - _MOST_SHOWN} more", style="bright_black"))
    return Group(*lines)


def _reason(state: JobState) -> str:
    error = state.manifest.error if state.manifest else None
    if state.status == "failed" and error is not None:
        return f"failed: {error.message} {error.hint}"
    return "was stopped" if state.status == "interrupted" else state.status


def _words(job: SweepJob) -> str:
    return one_line(describe_values(job.varied)) or job.name
