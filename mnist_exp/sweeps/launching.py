"""Runs the jobs of a sweep through one of Hydra's launchers, and sees to it that all of them end well."""

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from rich.text import Text

from mnist_exp.errors import ConfigError, RunError
from mnist_exp.processes import launchers
from mnist_exp.processes.messages import LaunchRequest
from mnist_exp.processes.native_output import NativeOutput, diverted_stderr
from mnist_exp.processes.signals import Interrupted, StopRequest, stop_request
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.records import EpochMetrics, Manifest, SweepJob
from mnist_exp.sweeps import task
from mnist_exp.sweeps.directory import SweepDirectory
from mnist_exp.sweeps.rounds import Rounds, word_question
from mnist_exp.sweeps.screen import SweepStatus, render_ended, render_header, render_status

_LOOK_S = 0.5
_FINAL = ("completed", "failed", "interrupted")
_PENDING = ("pending", "interrupted")
_MOST_IDLE_LAUNCHES = 2
_PATIENCE_S, _POLL_S = 5.0, 0.25


class Watch:
    """Follows the jobs of one launch, on a thread or a look at a time, and prints a line for each that ends.

    Args:
        began_s: How long ago the launch began.
    """

    def __init__(
        self, sweep: SweepDirectory, jobs_at_once: int, terminal: Terminal, began_s: float = 0.0
    ) -> None:
        self._sweep, self._jobs_at_once, self._terminal = sweep, jobs_at_once, terminal
        self._waiting: list[SweepJob] = []
        self._before: dict[str, str | None] = {}
        self._question = ""
        self._ended: list[Manifest] = []
        self._began = time.monotonic() - began_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.status = SweepStatus(0, [], [], 0.0, None, "")

    def expect(self, jobs: Sequence[SweepJob], question: str, *, is_new: bool = True) -> None:
        """Follows these jobs too, and of those that are `is_new` only what they do from now on.

        `question` is what they decide, empty for nothing.
        """
        if is_new:
            self._before |= {job.name: _end_of(self._sweep.state(job).manifest) for job in jobs}
        self._waiting += jobs
        self._question = question

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            self.look()
        self.look()

    def look(self) -> None:
        """Brings `status` up to date, and prints a line for each job that has ended since."""
        names = self._sweep.names()
        running: list[tuple[SweepJob, EpochMetrics | None]] = []
        for job in [job for job in self._waiting if job.name in names]:
            state = self._sweep.state(job)
            if state.manifest is None or _end_of(state.manifest) == self._before.get(job.name) is not None:
                continue
            if state.status == "running":
                running.append((job, self._sweep.last_epoch(job)))
            elif state.manifest.status in _FINAL:
                self._waiting.remove(job)
                self._ended.append(state.manifest)
                if state.manifest.sweep is not None:
                    self._jobs_at_once = state.manifest.sweep.jobs_at_once
                summary, num_ended = self._sweep.summary(job), len(self._ended)
                num_jobs = num_ended + len(self._waiting)
                self._terminal.print(render_ended(job, state.manifest, summary, num_ended, num_jobs))
        self.status = SweepStatus(
            num_jobs=len(self._ended) + len(self._waiting),
            ended=list(self._ended),
            running=running,
            elapsed_s=time.monotonic() - self._began,
            left_s=self._seconds_left(),
            question=self._question,
        )

    def _seconds_left(self) -> float | None:
        durations = [manifest.duration_s for manifest in self._ended if manifest.duration_s]
        if not durations:
            return None
        num_left = len(self._waiting)
        return statistics.median(durations) * num_left / min(self._jobs_at_once, max(num_left, 1))


def _end_of(manifest: Manifest | None) -> str | None:
    return manifest.finished_at if manifest else None


@contextlib.contextmanager
def held(sweep: SweepDirectory) -> Iterator[None]:
    """Keeps other processes from running the same sweep within the block.

    Raises:
        ConfigError: Another process is running it, or its folder cannot be written.
    """
    try:
        lock = files.take(sweep.log_path)
    except files.Taken:
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
    rounds: Rounds,
    jobs: Sequence[SweepJob],
    config: DictConfig,
    request: LaunchRequest,
    resume: str,
    terminal: Terminal,
) -> str:
    """Runs jobs until each has ended, or someone asks to stop.

    Args:
        rounds: Gave `jobs`, and gives those that follow them.
        config: The sweep's configuration, with Hydra's own node.
        resume: The command that resumes the sweep, which this process holds.

    Returns:
        Why no more jobs were started; empty when all were.

    Raises:
        RunError: The launcher does not work.
        Interrupted: Someone asked to stop; running jobs have saved what they had.
    """
    with (
        diverted_stderr() as native_output,
        stop_request() as stop,
        task.open_launch(sweep.path, request) as launch,
    ):
        native_output.follow(sweep.log_path)
        _stop_with(stop, launch, f"{sweep.path}; resume with: {resume}", native_output, terminal)
        launcher = launchers.build_launcher(config, sweep.path, task.run_job)
        terminal.print(render_header())
        watch = Watch(sweep, request.jobs_at_once, terminal)
        with stop.put_off(), terminal.live_view(lambda: render_status(watch.status)), watch:
            while jobs and launch.stop_flag()[0] is None:
                _prepare(sweep, jobs)
                watch.expect(jobs, word_question(rounds.decisions) if rounds.decisions else "")
                _launch_all(launcher, sweep, jobs, launch, config.hydra.sweeper.get("max_batch_size"))
                jobs = rounds.next() if launch.stop_flag()[0] is None else []
        task.close()
        stop.check()
        return launch.stop_flag()[1]


def _prepare(sweep: SweepDirectory, jobs: Sequence[SweepJob]) -> None:
    """Puts aside what cannot be resumed of earlier attempts."""
    for job in jobs:
        if sweep.state(job).status == "completed" or not task.can_resume(sweep, job):
            sweep.put_aside(job)
        else:
            sweep.reopen(job)


def _stop_with(
    request: StopRequest, launch: task.Launch, place: str, native_output: NativeOutput, terminal: Terminal
) -> None:
    """Says what a first and a second signal do."""

    def ask_to_stop() -> None:
        launch.raise_stop_flag("stop", "")
        # Standard error goes to the log by now.
        words = "stopping: running jobs finish their epoch and save; a second signal ends them at once"
        terminal.print(Text(words, style="yellow"))

    def abandon(interrupted: Interrupted) -> None:
        native_output.restore()
        terminal.error(f"mnist-exp: {interrupted}")

    request.noticed, request.abandon, request.place = ask_to_stop, abandon, place


def _launch_all(
    launcher: Launcher,
    sweep: SweepDirectory,
    jobs: Sequence[SweepJob],
    launch: task.Launch,
    batch_size: int | None,
) -> None:
    """Launches jobs, and again those that a launcher lost."""
    left, num_idle = list(jobs), 0
    while left and launch.stop_flag()[0] is None:
        problem = _launch_batches(launcher, left, launch, batch_size or len(left))
        still = [job for job in left if _status_after(sweep, job) in _PENDING]
        num_idle = num_idle + 1 if len(still) == len(left) else 0
        if num_idle >= _MOST_IDLE_LAUNCHES:
            raise RunError(f"hydra/launcher: it runs no jobs: {problem}", f"{sweep.log_path} may say more.")
        left = still


def _status_after(sweep: SweepDirectory, job: SweepJob) -> str:
    """Reads how a launched job stands, once a process that is just ending has let go of it."""
    patience_s = _PATIENCE_S
    while (status := sweep.state(job).status) == "running" and patience_s > 0:
        time.sleep(_POLL_S)
        patience_s -= _POLL_S
    return status


def _launch_batches(
    launcher: Launcher, jobs: Sequence[SweepJob], launch: task.Launch, batch_size: int
) -> str:
    """Launches jobs, so many at a time; says what went wrong with the launcher itself, if anything."""
    problem = ""
    for first in range(0, len(jobs), batch_size):
        numbers = [job.number for job in jobs[first : first + batch_size]]
        problem = launchers.launch(launcher, launch.path, numbers, first) or problem
    return problem


def new_request(
    sweep: SweepDirectory, argv: list[str], jobs_at_once: int, on_fail: Literal["continue", "stop"]
) -> LaunchRequest:
    """Puts together what all jobs of a launch have in common."""
    return LaunchRequest(
        sweep_path=str(sweep.path.resolve()),
        argv=argv,
        working_dir=sweep.record.working_dir,
        process=os.getpid(),
        jobs_at_once=jobs_at_once,
        cores_per_job=sweep.record.cores_per_job,
        on_fail=on_fail,
    )
