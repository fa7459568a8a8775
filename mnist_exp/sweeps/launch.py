"""Runs the jobs of a sweep through one of Hydra's launchers, and sees to it that all of them end well."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from rich.text import Text

from mnist_exp.config.overrides import to_override
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.processes.native_output import NativeOutput, diverted_stderr
from mnist_exp.processes.signals import Interrupted, StopRequest, stop_request
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import locks
from mnist_exp.runs.moments import utc_now
from mnist_exp.runs.records import Manifest
from mnist_exp.runs.sweep_records import SweepJob
from mnist_exp.sweeps import task
from mnist_exp.sweeps.directory import JobStatus as Status
from mnist_exp.sweeps.directory import SweepDirectory
from mnist_exp.sweeps.launchers import build_launcher
from mnist_exp.sweeps.orders import Launch, Order, open_launch
from mnist_exp.sweeps.status import render_ended, render_header, render_status
from mnist_exp.sweeps.watch import Watch

_PENDING = ("pending", "interrupted")
_MOST_IDLE_LAUNCHES = 2
_PATIENCE_S, _POLL_S = 5.0, 0.25


@contextlib.contextmanager
def held(sweep: SweepDirectory) -> Iterator[None]:
    """Keeps other processes from running the same sweep within the block.

    Raises:
        ConfigError: Another process is running it, or its folder cannot be written.
    """
    try:
        lock = locks.take(sweep.log_path)
    except locks.Taken:
        raise ConfigError(
            f"sweep: {sweep.path} is being run by another process.", "Wait for it, or stop it first."
        ) from None
    except OSError as error:
        raise ConfigError(f"runs_dir: {sweep.log_path}: {error.strerror}.") from error
    try:
        yield
    finally:
        os.close(lock)


def run_jobs(
    sweep: SweepDirectory,
    jobs: Sequence[SweepJob],
    config: DictConfig,
    order: Order,
    resume: str,
    terminal: Terminal,
) -> str:
    """Runs jobs until each has ended, or someone asks to stop.

    Args:
        sweep: Whose; held by this process.
        jobs: What is to run.
        config: The sweep's configuration, with Hydra's own node.
        order: What to tell all jobs.
        resume: The command that goes on with the sweep.
        terminal: Where progress is shown.

    Returns:
        Why no more jobs were started; empty when all were.

    Raises:
        RunError: The launcher does not work.
        Interrupted: Someone asked to stop; running jobs have saved what they had.
    """
    with (
        diverted_stderr() as native_output,
        stop_request() as request,
        open_launch(sweep.path, order) as launch,
    ):
        native_output.follow(sweep.log_path)
        _stop_with(request, launch, f"{sweep.path}; go on with: {resume}", native_output, terminal)
        for job in jobs:
            if sweep.state(job).status == "completed" or not task.can_go_on(sweep, job):
                sweep.put_aside(job)
            else:
                sweep.reopen(job)
        launcher = build_launcher(config, sweep.path, task.run_job)
        terminal.print(render_header())
        with request.put_off(), _shown(sweep, jobs, order.jobs_at_once, terminal):
            _launch_all(launcher, sweep, jobs, launch, config.hydra.sweeper.get("max_batch_size"))
        task.close()
        request.check()
        return launch.sign()[1]


def _stop_with(
    request: StopRequest, launch: Launch, place: str, native_output: NativeOutput, terminal: Terminal
) -> None:
    """Says what a first and a second signal do."""

    def ask_to_stop() -> None:
        launch.give("stop", "")
        # Standard error goes to the log by now.
        words = "stopping: running jobs finish their epoch and save; once more ends them at once"
        terminal.print(Text(words, style="yellow"))

    def abandon(interrupted: Interrupted) -> None:
        native_output.restore()
        terminal.error(f"mnist-exp: {interrupted}")

    request.noticed, request.abandon, request.place = ask_to_stop, abandon, place


@contextlib.contextmanager
def _shown(
    sweep: SweepDirectory, jobs: Sequence[SweepJob], jobs_at_once: int, terminal: Terminal
) -> Iterator[None]:
    """Shows a line for each job that ends and, on a terminal, what is running."""

    def report(job: SweepJob, manifest: Manifest, num_ended: int) -> None:
        terminal.print(render_ended(job, manifest, sweep.summary(job), num_ended, len(jobs)))

    watch = Watch(sweep, jobs, jobs_at_once, report)
    with terminal.live_view(lambda: render_status(watch.status)), watch:
        yield


def _launch_all(
    launcher: Launcher,
    sweep: SweepDirectory,
    jobs: Sequence[SweepJob],
    launch: Launch,
    batch_size: int | None,
) -> None:
    """Launches jobs, and again those that a launcher lost."""
    left, num_idle = list(jobs), 0
    while left and launch.sign()[0] is None:
        problem = _launch_batches(launcher, left, launch, batch_size or len(left))
        still = [job for job in left if _status_after(sweep, job) in _PENDING]
        num_idle = num_idle + 1 if len(still) == len(left) else 0
        if num_idle >= _MOST_IDLE_LAUNCHES:
            raise RunError(f"hydra/launcher: it runs no jobs: {problem}", f"{sweep.log_path} may say more.")
        left = still


def _status_after(sweep: SweepDirectory, job: SweepJob) -> Status:
    """Reads how a launched job stands, once a process that is just ending has let go of it."""
    patience_s = _PATIENCE_S
    while (status := sweep.state(job).status) == "running" and patience_s > 0:
        time.sleep(_POLL_S)
        patience_s -= _POLL_S
    return status


def _launch_batches(launcher: Launcher, jobs: Sequence[SweepJob], launch: Launch, batch_size: int) -> str:
    """Launches jobs, so many at a time; says what went wrong with the launcher itself, if anything."""
    problem = ""
    for first in range(0, len(jobs), batch_size):
        where = to_override("launch", str(launch.path.resolve()), "hydra")
        orders = [[where, f"job={job.number}"] for job in jobs[first : first + batch_size]]
        try:
            returns = launcher.launch(orders, initial_job_idx=first)
        # Launchers have no errors in common, and pass on the interrupts of the processes they lend.
        except (Exception, KeyboardInterrupt) as error:
            problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        else:
            problem = next(filter(None, map(_problem_of, returns)), problem)
    return problem


def _problem_of(returned: JobReturn) -> str:
    """Says what went wrong around a job, as opposed to in it."""
    if returned.status != JobStatus.FAILED:
        return ""
    return f"{type(returned._return_value).__name__}: {returned._return_value}"


def new_order(
    sweep: SweepDirectory, argv: list[str], jobs_at_once: int, on_fail: Literal["continue", "stop"]
) -> Order:
    """Puts together what all jobs of a launch have in common."""
    return Order(
        sweep_path=str(sweep.path.resolve()),
        argv=argv,
        working_dir=sweep.record.working_dir,
        started_at=utc_now(),
        process=os.getpid(),
        jobs_at_once=jobs_at_once,
        cores_per_job=sweep.record.cores_per_job,
        on_fail=on_fail,
    )
