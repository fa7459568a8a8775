"""What a launcher calls for each job, in whatever process and on whatever machine it likes.

The process that a launcher lends stays small and lives on whatever its job does: the job itself runs
in a process of its own, which is kept for the next one.
"""

import functools
import os
import signal
import threading
import time
from pathlib import Path

from omegaconf import DictConfig

from mnist_exp.config.parsing import parse_tree
from mnist_exp.errors import ConfigError
from mnist_exp.processes.job_process import JobProcess
from mnist_exp.processes.signals import STOPPING
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.runs.writer import last_checkpoint
from mnist_exp.sweeps.assignments import Answer, Assignment, explain_end, job_of, record_failure, share_cores
from mnist_exp.sweeps.directory import SweepDirectory, read_sweep
from mnist_exp.sweeps.orders import Launch, Order
from mnist_exp.training.checkpoints import read_checkpoint

_SAME_FAILURES = 5
_POLL_S = 0.5
_parent = os.getppid()
_kept: dict[int, JobProcess] = {}


def run_job(composed: DictConfig) -> None:
    """Runs one job of a sweep; whatever becomes of it stands in its directory.

    Args:
        composed: `conf/sweep_job.yaml`, filled in.
    """
    launch = Launch(Path(composed.launch))
    order = launch.read_order()
    if order is None or launch.sign()[0] is not None:
        return
    record = _frozen(Path(order.sweep_path))
    if os.getpid() != order.process:
        _settle_in()
    sweep, job = SweepDirectory(Path(order.sweep_path), record), record.jobs[composed.job]
    _attempt(sweep, job, order, launch)
    if sweep.state(job).status == "failed":
        _hold_after_failure(sweep, order, launch)


@functools.lru_cache(maxsize=1)
def _frozen(path: Path) -> SweepRecord:
    """Reads a sweep's plan, once for all jobs: it never changes."""
    record = read_sweep(path)
    assert record is not None
    return record


@functools.cache
def _settle_in() -> None:
    """Lets a process that a launcher lends outlive what is meant for the launcher, but not the launcher.

    Ctrl-C reaches a whole group of processes. The one that launches gives the sign on which jobs save
    and stop; a launcher's own handlers stay, and what is started from here does not inherit these.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threading.current_thread() is not threading.main_thread():
        return
    for number in STOPPING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, lambda *_: None)


def _end_with_parent() -> None:
    """Ends this process, and with it its job's, once whoever started it is gone."""
    while os.getppid() == _parent:
        time.sleep(_POLL_S)
    os._exit(1)


def close() -> None:
    """Ends the process that is kept, if any."""
    while _kept:
        _kept.popitem()[1].close()


def _attempt(sweep: SweepDirectory, job: SweepJob, order: Order, launch: Launch) -> None:
    """Runs a job in the process that is kept, or in a new one."""
    state = sweep.state(job)
    if state.status in ("running", "completed"):
        return
    goes_on = can_go_on(sweep, job)
    if not goes_on:
        sweep.put_aside(job)
    assignment = Assignment(order=order, sweep=sweep.record.name, job=job, goes_on=goes_on)
    process = _process_for(assignment)

    began = Moment()
    outcome = process.run(assignment, lambda: launch.sign()[0] == "stop")
    if isinstance(outcome, Answer) and not outcome.makes_way:
        return
    words = process.last_words()
    close()
    if isinstance(outcome, int) and not _is_stopped(outcome, launch):
        record_failure(job_of(assignment), explain_end(outcome, words), began, words)


def can_go_on(sweep: SweepDirectory, job: SweepJob) -> bool:
    """Says whether an earlier attempt at a job can be gone on with."""
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


def _is_stopped(status: int, launch: Launch) -> bool:
    """Says whether a process ended because it was told to, before its job had begun."""
    return status in (-2, -15, 130, 143) and launch.sign()[0] == "stop"


def _process_for(assignment: Assignment) -> JobProcess:
    """Gives the process that is kept, unless its number of threads is another."""
    config = share_cores(parse_tree(assignment.job.config), assignment.order.cores_per_job)
    threads = config.training.threads
    if threads not in _kept:
        close()
        _kept[threads] = JobProcess()
    return _kept[threads]


def _hold_after_failure(sweep: SweepDirectory, order: Order, launch: Launch) -> None:
    """Starts no more jobs when one failure is enough, or when the first ones all failed alike."""
    if order.on_fail == "stop":
        launch.give("hold", "a job failed, and on_fail=stop")
        return
    manifests = [state.manifest for job in sweep.record.jobs if (state := sweep.state(job)).manifest]
    ended = [manifest for manifest in manifests if manifest and manifest.status in ("completed", "failed")]
    # A message may name its own directory.
    messages = {manifest.error and manifest.error.message.replace(manifest.run_id, "…") for manifest in ended}
    if len(ended) >= _SAME_FAILURES and len(messages) == 1:
        launch.give("hold", f"the first {len(ended)} jobs all failed: {messages.pop()}")
