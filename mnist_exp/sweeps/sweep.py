"""A sweep from what was typed to its table: planned, frozen, run, summed up."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.config.commands import command, portable, sweep_place, variables_of
from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import SWEEP_KEYS, parse_sweep_request
from mnist_exp.config.requests import CompareOptions, SweepRequest
from mnist_exp.errors import ConfigError
from mnist_exp.processes.launchers import count_at_once, is_local
from mnist_exp.report.comparison import compare_runs
from mnist_exp.report.console import render_next, render_notice
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import SweepJob
from mnist_exp.sweeps import task
from mnist_exp.sweeps.checking import Checker, check_same_images
from mnist_exp.sweeps.directory import (
    JobState,
    SweepDirectory,
    Target,
    find_target,
    read_sweep,
)
from mnist_exp.sweeps.estimate import estimate_jobs
from mnist_exp.sweeps.launching import held, new_request, run_jobs
from mnist_exp.sweeps.names import first_difference
from mnist_exp.sweeps.planning import PlannedSweep, plan_again, plan_sweep
from mnist_exp.sweeps.rounds import Rounds, boundaries_of, largest_round, needed_jobs
from mnist_exp.sweeps.screen import render_plan
from mnist_exp.words import describe_values, one_line, plural

_MOST_SHOWN = 5
_OWN_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
# What a command may say and still mean the sweep as it was frozen.
_WHICH = {*SWEEP_KEYS, "sweep", "runs_dir"} - {"sweep_plan"}
# What stays in the command that resumes a sweep.
_KEPT = "on_fail="


def sum_up(
    sweep: SweepDirectory, reason: str, resume: str, terminal: Terminal, *, is_ours: bool = True
) -> int:
    """Sums a sweep up, on the screen and, where it `is_ours`, in its folder.

    Args:
        sweep: No job of it is running.
        reason: Why no more jobs were started; empty when all were.
        resume: The command that resumes it.

    Returns:
        The exit status: 0 when every job is completed, 1 otherwise.
    """
    states = [(job, sweep.state(job)) for job in needed_jobs(sweep)]
    completed = [sweep.run_path(job) for job, state in states if state.status == "completed"]
    if completed:
        compare_runs(completed, CompareOptions(), terminal, sweep.path if is_ours else None)
    unfinished = [(job, state) for job, state in states if state.status != "completed"]
    terminal.print(_render_ending(sweep, len(completed), len(states), reason))
    if not unfinished:
        return 0
    if sweep.record.until is not None and all(state.status == "failed" for _, state in unfinished):
        resume += " rerun=failed"
    terminal.print(_render_failures(unfinished), *render_next([resume]))
    return 1


def _render_ending(sweep: SweepDirectory, num_completed: int, num_needed: int, reason: str) -> RenderableType:
    words = Text(f"{num_completed:,} of {plural(num_needed, 'job')} completed in ")
    words.append(str(sweep.path), style="cyan")
    lines = [Text(), words]
    if reason:
        lines.append(Text(f"no more jobs were started: {one_line(reason)}", style="bold yellow"))
    return Group(*lines)


def _render_failures(unfinished: Sequence[tuple[SweepJob, JobState]]) -> RenderableType:
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
    return "stopped" if state.status == "interrupted" else state.status


def _words(job: SweepJob) -> str:
    return one_line(describe_values(job.varied)) or job.name


def run_sweep(config: DictConfig, terminal: Terminal) -> int:
    """Does what `-m` asks for.

    Args:
        config: As composed, with Hydra's own node; what is swept over is not in it yet.

    Returns:
        The exit status: 0 when every job is completed, 1 when some are not.

    Raises:
        ConfigError: The request cannot work; nothing was started.
        RunError: The launcher does not work.
        Interrupted: Someone asked to stop; what was finished is kept.
    """
    request = parse_sweep_request(config)
    _refuse_other_sweepers(config)
    target = find_target(config)
    frozen = read_sweep(target.path)
    if frozen is None:
        if target.is_named and _names_only(config):
            raise target.missing()
        return _begin(target, config, request, terminal)
    sweep = SweepDirectory(target.path, frozen)
    if not _names_only(config):
        planned = plan_sweep(frozen.name, config, request, sys.argv[1:], None)
        _refuse_changes(sweep, planned, _resume_command(sweep, config))
    if request.plan:
        with closing(Checker(terminal.download_progress)) as checker:
            _show(plan_again(frozen, checker.check), config, request, terminal)
        return 0
    with held(sweep):
        return _run(sweep, config, request, terminal)


def _begin(target: Target, config: DictConfig, request: SweepRequest, terminal: Terminal) -> int:
    """Plans a new sweep and, unless only the plan was asked for, freezes and runs it."""
    if request.rerun != "unfinished":
        raise target.missing()
    with closing(Checker(terminal.download_progress)) as checker:
        if not request.plan and is_local(config):
            task.keep(checker.start())
        planned = plan_sweep(target.name, config, request, sys.argv[1:], checker.check)
        if request.plan:
            _show(planned, config, request, terminal)
            return 0
        if not is_local(config):
            checker.close()
        return _create(target, planned, config, request, terminal)


def _create(
    target: Target, planned: PlannedSweep, config: DictConfig, request: SweepRequest, terminal: Terminal
) -> int:
    """Freezes a new sweep and runs it."""
    path = target.path
    at_once = count_at_once(config, largest_round(planned.record))
    record = replace(planned.record, cores_per_job=task.cores_per_job(at_once))
    if record.until is not None:
        record = replace(record, boundaries=boundaries_of(record.until, record.jobs))
    sweep = SweepDirectory(path, record)
    sweep.create()
    with held(sweep):
        if read_sweep(path) is not None:
            raise ConfigError(f"sweep: {path} was begun by another process.", "Choose another name.")
        sweep.freeze()
        _tell(planned, terminal)
        return _run(sweep, config, request, terminal)


def _show(planned: PlannedSweep, config: DictConfig, request: SweepRequest, terminal: Terminal) -> None:
    at_once = count_at_once(config, largest_round(planned.record))
    terminal.print(render_plan(planned, estimate_jobs(planned), request, at_once))


def _tell(planned: PlannedSweep, terminal: Terminal) -> None:
    for note in planned.notes:
        terminal.print(render_notice(note))
    if planned.num_duplicates:
        left_out = plural(planned.num_duplicates, "job")
        terminal.print(f"{left_out} left out: the same as others, seed included")


def _run(sweep: SweepDirectory, config: DictConfig, request: SweepRequest, terminal: Terminal) -> int:
    terminal.attach_log(sweep.log_path)
    rounds = Rounds(sweep, request.rerun)
    jobs = rounds.next()
    check_same_images(sweep, jobs)
    at_once = count_at_once(config, largest_round(sweep.record))
    words = f"{_word_jobs(sweep, jobs, request.rerun)}, {at_once:,} at once, in "
    terminal.print(Text.assemble(words, (str(sweep.path), "cyan")), Text())
    resume, reason = _resume_command(sweep, config), ""
    if jobs:
        launched = new_request(sweep, sys.argv[1:], at_once, request.on_fail)
        reason = run_jobs(sweep, rounds, jobs, config, launched, resume, terminal)
    return sum_up(sweep, reason, resume, terminal)


def _word_jobs(sweep: SweepDirectory, jobs: Sequence[SweepJob], rerun: str) -> str:
    until, num_jobs = sweep.record.until, len(sweep.record.jobs)
    num_finished = num_jobs - len(jobs)
    words = plural(num_jobs, "job")
    if until is not None:
        words = f"at most {words}, {until.first_seeds} to {until.most_seeds} seeds of each configuration"
        finished = [job for job in needed_jobs(sweep) if sweep.state(job).status == "completed"]
        num_finished = 0 if rerun == "all" else len(finished)
    return f"{words}, {num_finished:,} already finished" if num_finished else words


def _resume_command(sweep: SweepDirectory, config: DictConfig) -> str:
    typed = set(config.hydra.overrides.task)
    kept = [
        word
        for word in sys.argv[1:]
        if word.startswith(_KEPT) or (word not in typed and not word.startswith("hydra.sweep.dir="))
    ]
    variables: dict[str, str] = {}
    for job in sweep.record.jobs:
        variables |= variables_of(job.config)
    place = sweep_place(sweep.path, sweep.record.name)
    return command(*portable(kept, Path.cwd()), *place, **variables)


def _names_only(config: DictConfig) -> bool:
    """Says whether a command names a sweep without saying again what its jobs are."""
    roots = (plain_key(text).partition(".")[0] for text in config.hydra.overrides.task)
    return all(root in _WHICH for root in roots)


def _refuse_changes(sweep: SweepDirectory, planned: PlannedSweep, resume: str) -> None:
    """Makes sure that a command means the sweep that was frozen under its name."""
    difference = first_difference(sweep.record, planned.record)
    if difference is not None:
        raise ConfigError(
            f"sweep: {sweep.record.name} was begun with another configuration: {difference}.",
            f"Resume it as it was: {resume} – or choose another name.",
        )


def _refuse_other_sweepers(config: DictConfig) -> None:
    if config.hydra.sweeper.get("_target_") != _OWN_SWEEPER:
        raise ConfigError(
            "hydra/sweeper: a sweep's jobs are planned before the first one runs, which other sweepers "
            "cannot.",
            "Leave hydra/sweeper out; to search, use mode=tune.",
        )
