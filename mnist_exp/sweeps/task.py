"""What a launcher calls for each job, in whatever process and on whatever machine it likes.

The job runs in a worker process, kept for the next one: what is lent stays small and lives on.
"""

import contextlib
import functools
import os
import secrets
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from omegaconf import DictConfig

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.processes.last_words import append
from mnist_exp.processes.launchers import outlive_signals
from mnist_exp.processes.messages import Ended, LaunchRequest, Lost, RunJob, Stop
from mnist_exp.processes.places import LocalPlace
from mnist_exp.runs import files, writer
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.runs.job import Job, open_run
from mnist_exp.runs.provenance import Moment, num_cores
from mnist_exp.runs.records import ErrorRecord, SweepJob, SweepPlace, SweepRecord
from mnist_exp.sweeps.directory import SweepDirectory, read_sweep
from mnist_exp.training.checkpoints import read_checkpoint

_REQUEST, _STOP_FLAG, _PREFIX = "request.json", "stop", ".launch_"
_SAME_FAILURES = 5
_POLL_S = 0.2
_kept: dict[int | None, LocalPlace] = {}
"""The place that jobs run at, by its number of threads, which a process decides once; None before that."""

Level = Literal["start nothing more", "stop"]
"""Of the stop flag: running jobs go on, or save and stop, too."""


class Launch:
    """What a launch tells its jobs, wherever they run, in a folder inside the sweep's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_request(self) -> LaunchRequest | None:
        """Reads what is to be done; None when the launch is over."""
        try:
            return msgspec.json.decode((self.path / _REQUEST).read_bytes(), type=LaunchRequest)
        except FileNotFoundError:
            return None

    def raise_stop_flag(self, level: Level, reason: str) -> None:
        """Tells every job to stop; a flag that is up stays, unless this one asks for more."""
        if level != "stop" and self.stop_flag()[0] is not None:
            return
        # When the launch is over, there are no jobs left to tell.
        with contextlib.suppress(RunError):
            files.write_bytes(self.path / _STOP_FLAG, f"{level}\n{reason}".encode())

    def stop_flag(self) -> tuple[Level | None, str]:
        """Reads the flag and its reason; a launch that is over says stop."""
        try:
            level, _, reason = (self.path / _STOP_FLAG).read_text().partition("\n")
        except FileNotFoundError:
            return (None if self.path.exists() else "stop"), ""
        return ("stop" if level == "stop" else "start nothing more"), reason


@contextlib.contextmanager
def open_launch(sweep_path: Path, request: LaunchRequest) -> Iterator[Launch]:
    """Makes a launch's folder, removed with what killed launches left at the block's end."""
    launch = Launch(sweep_path / f"{_PREFIX}{secrets.token_hex(3)}")
    _remove_launches(sweep_path)
    launch.path.mkdir()
    files.write_bytes(launch.path / _REQUEST, msgspec.json.encode(request))
    try:
        yield launch
    finally:
        _remove_launches(sweep_path)


def launched_s(sweep_path: Path) -> float:
    """Gives the seconds since the launch that goes on began, wherever; 0 without one."""
    for path in sweep_path.glob(f"{_PREFIX}*/{_REQUEST}"):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            return time.time() - path.stat().st_mtime
    return 0.0


def _remove_launches(sweep_path: Path) -> None:
    for path in sweep_path.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def run_job(composed: DictConfig) -> None:
    """Runs one job of a sweep; whatever becomes of it stands in its directory."""
    launch = Launch(Path(composed.launch))
    request = launch.read_request()
    if request is None or launch.stop_flag()[0] is not None:
        return
    if os.getpid() != request.process:
        outlive_signals()
    path = Path(request.sweep_path)
    sweep = SweepDirectory(path, _frozen(path))
    job = sweep.record.jobs[composed.job]
    _attempt(sweep, job, request, launch)
    if sweep.state(job).status == "failed":
        _stop_after_failure(sweep, request, launch)


@functools.lru_cache(maxsize=1)
def _frozen(path: Path) -> SweepRecord:
    """Reads a sweep's plan, once for all jobs: it never changes."""
    record = read_sweep(path)
    assert record is not None
    return record


def keep(place: LocalPlace) -> None:
    """Has jobs run at a place that is there already, and has trained nothing."""
    _kept[None] = place


def close() -> None:
    """Ends the process that is kept, if any."""
    while _kept:
        _kept.popitem()[1].close()


def _attempt(sweep: SweepDirectory, job: SweepJob, launched: LaunchRequest, launch: Launch) -> None:
    if sweep.state(job).status in ("running", "completed"):
        return
    resumes = can_resume(sweep, job)
    if not resumes:
        sweep.put_aside(job)
    request = RunJob(launch=launched, sweep=sweep.record.name, job=job, resumes=resumes)
    place, began = _place_for(request), Moment()
    place.send(request)
    is_stopping = False
    while True:
        select.select([place.child], [], [], _POLL_S)
        if not is_stopping and launch.stop_flag()[0] == "stop":
            is_stopping = True
            place.send(Stop(request.name))
        for reply in place.receive():
            if isinstance(reply, Lost):
                close()  # the last job may have been lost, and nothing is to outlive the sweep
                if not (is_stopping and reply.status == -signal.SIGINT):
                    record_failure(job_of(request), reply.error, began, reply.words)
            if isinstance(reply, Lost | Ended):
                return


def can_resume(sweep: SweepDirectory, job: SweepJob) -> bool:
    """Says whether an earlier attempt at a job can be resumed."""
    run_path = sweep.run_path(job)
    # A directory whose manifest cannot be read is no run's to open.
    if sweep.state(job).manifest is None:
        return False
    if job.search is not None:
        return (run_path / "search.yaml").exists()
    try:
        return read_checkpoint(writer.last_checkpoint(run_path)) is not None
    except ConfigError:
        return False


def job_of(request: RunJob) -> Job:
    """Gives a job its share of this machine and its place in the sweep."""
    launch, planned = request.launch, request.job
    return Job(
        config=_share_cores(parse_tree(planned.config), launch.cores_per_job),
        tree=planned.config,
        overrides=planned.overrides,
        argv=launch.argv,
        folder=Path(launch.sweep_path),
        given=Path(launch.sweep_path, planned.name),
        search=planned.search,
        place=SweepPlace(name=request.sweep, job=planned.number, jobs_at_once=launch.jobs_at_once),
    )


def cores_per_job(jobs_at_once: int) -> int:
    """Gives each of several jobs its share of this machine's cores; 0 stands for all of them."""
    return 0 if jobs_at_once == 1 else max(num_cores() // jobs_at_once, 1)


def _share_cores(config: Config, share: int) -> Config:
    """Limits a job to its share of the cores, 0 for all, where its configuration does not say otherwise."""
    if share == 0:
        return config
    tuner, training = config.tuner, config.training
    if tuner is not None and tuner.workers == 0:
        tuner = msgspec.structs.replace(tuner, workers=share)
        share = 1
    if training.threads == 0:
        training = msgspec.structs.replace(training, threads=share)
    return msgspec.structs.replace(config, tuner=tuner, training=training)


def _place_for(request: RunJob) -> LocalPlace:
    """Gives the place that is kept, unless its number of threads is another."""
    threads = job_of(request).config.training.threads
    if None in _kept:
        _kept[threads] = _kept.pop(None)
    if threads not in _kept:
        close()
        _kept[threads] = LocalPlace()
    return _kept[threads]


def record_failure(job: Job, error: ErrorRecord, began: Moment, words: str = "") -> None:
    """Writes down why a job failed, unless that stands in its directory already.

    Args:
        job: Whose process is gone, or which was refused before it had a directory.
        words: What its process wrote to standard error, and is in no log yet.

    Raises:
        ExperimentError: The directory cannot be written, or someone else is at work in it.
    """
    assert job.given is not None
    is_there = (job.given / MANIFEST).exists()
    run = writer.open_run(job.given) if is_there else open_run(job)
    append(run.log_path, words)
    writer.record_loss(run, error, began)


def _stop_after_failure(sweep: SweepDirectory, request: LaunchRequest, launch: Launch) -> None:
    """Starts no more jobs when one failure is enough, or when the first ones all failed alike."""
    if request.on_fail == "stop":
        launch.raise_stop_flag("start nothing more", "a job failed, and on_fail=stop")
        return
    messages = []
    for job in sweep.record.jobs:
        manifest = sweep.state(job).manifest
        if manifest is None or manifest.status not in ("completed", "failed"):
            continue
        # A message may name its own directory.
        messages.append(manifest.error and manifest.error.message.replace(manifest.run_id, "…"))
    if len(messages) >= _SAME_FAILURES and len(set(messages)) == 1:
        reason = f"the first {len(messages)} jobs all failed: {messages[0]}"
        launch.raise_stop_flag("start nothing more", reason)
