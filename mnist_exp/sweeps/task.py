"""What a launcher calls for each job, in whatever process and on whatever machine it likes.

The process that a launcher lends stays small and lives on whatever its job does: the job itself runs
in a worker process, which is kept for the next one.
"""

import functools
import os
import select
import signal
from pathlib import Path

from omegaconf import DictConfig

from mnist_exp.config.parsing import parse_tree
from mnist_exp.errors import ConfigError
from mnist_exp.processes.launchers import outlive_signals
from mnist_exp.processes.messages import Ended, LaunchRequest, Lost, RunJob, Stop
from mnist_exp.processes.places import LocalPlace
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.runs.writer import last_checkpoint
from mnist_exp.sweeps.directory import SweepDirectory, read_sweep
from mnist_exp.sweeps.jobs import job_of, record_failure, share_cores
from mnist_exp.sweeps.launch import Launch
from mnist_exp.training.checkpoints import read_checkpoint

_SAME_FAILURES = 5
_POLL_S = 0.2
_kept: dict[int | None, LocalPlace] = {}
"""The place that jobs run at, by its number of threads, which a process decides once; None before that."""


def run_job(composed: DictConfig) -> None:
    """Runs one job of a sweep; whatever becomes of it stands in its directory.

    Args:
        composed: `conf/sweep_job.yaml`, filled in.
    """
    launch = Launch(Path(composed.launch))
    request = launch.read_request()
    if request is None or launch.stop_flag()[0] is not None:
        return
    record = _frozen(Path(request.sweep_path))
    if os.getpid() != request.process:
        outlive_signals()
    sweep, job = SweepDirectory(Path(request.sweep_path), record), record.jobs[composed.job]
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
    """Runs a job at the place that is kept, or at a new one."""
    state = sweep.state(job)
    if state.status in ("running", "completed"):
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
        return read_checkpoint(last_checkpoint(run_path)) is not None
    except ConfigError:
        return False


def _place_for(request: RunJob) -> LocalPlace:
    """Gives the place that is kept, unless its number of threads is another."""
    config = share_cores(parse_tree(request.job.config), request.launch.cores_per_job)
    threads = config.training.threads
    if None in _kept:
        _kept[threads] = _kept.pop(None)
    if threads not in _kept:
        close()
        _kept[threads] = LocalPlace()
    return _kept[threads]


def _stop_after_failure(sweep: SweepDirectory, request: LaunchRequest, launch: Launch) -> None:
    """Starts no more jobs when one failure is enough, or when the first ones all failed alike."""
    if request.on_fail == "stop":
        launch.raise_stop_flag("start nothing more", "a job failed, and on_fail=stop")
        return
    manifests = [state.manifest for job in sweep.record.jobs if (state := sweep.state(job)).manifest]
    ended = [manifest for manifest in manifests if manifest and manifest.status in ("completed", "failed")]
    # A message may name its own directory.
    messages = {manifest.error and manifest.error.message.replace(manifest.run_id, "…") for manifest in ended}
    if len(ended) >= _SAME_FAILURES and len(messages) == 1:
        reason = f"the first {len(ended)} jobs all failed: {messages.pop()}"
        launch.raise_stop_flag("start nothing more", reason)
