"""What a worker process does: checks networks, runs jobs of a sweep, trains trials; imports TensorFlow."""

import contextlib
import gc
import os
from collections.abc import Callable
from pathlib import Path

import mnist_exp.modes.train  # noqa: F401 - while nothing is to be done yet
from mnist_exp.data import completing
from mnist_exp.errors import ExperimentError, explain
from mnist_exp.modes.execution import execute
from mnist_exp.processes.messages import (
    CheckNetworks,
    Ended,
    Failed,
    NetworksChecked,
    PrepareTrials,
    Reply,
    Request,
    RunJob,
    RunTrial,
)
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import writer
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ErrorRecord
from mnist_exp.sweeps.task import job_of, record_failure
from mnist_exp.training.checking import check_networks
from mnist_exp.tuning.trials import TrialRunner, prepare_trials


class Work:
    """Does one request after another; `is_stopped` says of a trial's name whether it is to end."""

    def __init__(self, reply: Callable[[Reply], None], is_stopped: Callable[[str], bool]) -> None:
        completing.register()
        self._reply, self._is_stopped = reply, is_stopped
        self._runner: TrialRunner | None = None

    def do(self, request: Request) -> None:
        """Does what a request asks for; that a job has ended is for the caller to say."""
        match request:
            case CheckNetworks():
                self._reply(NetworksChecked(check_networks(request.networks)))
            case RunJob():
                run_job(request)
            case PrepareTrials() | RunTrial():
                self._train(request)

    def end(self) -> None:
        """Says that a job or a trial has ended."""
        gc.collect()
        self._reply(Ended(resident_bytes=_resident_bytes()))

    def _train(self, request: PrepareTrials | RunTrial) -> None:
        """Prepares for a search, or trains one trial; what is no trial's own fault ends the search."""
        try:
            if isinstance(request, PrepareTrials):
                self._runner = prepare_trials(request)
            elif self._runner is not None:
                self._runner.run(request, self._reply, lambda: self._is_stopped(request.name))
                self.end()
        except Exception as error:
            known = explain(error)
            self._reply(Failed(message=known.message, hint=known.hint))


def run_job(request: RunJob) -> None:
    """Runs a job; whatever becomes of it stands in its directory."""
    with contextlib.suppress(OSError):
        os.chdir(request.launch.working_dir)
        # From here on the most memory is this job's.
        Path("/proc/self/clear_refs").write_text("5")
    job, began = job_of(request), Moment()
    earlier = None
    with Path(os.devnull).open("w") as nowhere, contextlib.closing(Terminal(nowhere, nowhere)) as terminal:
        try:
            if request.resumes and job.given is not None:
                earlier = writer.open_run(job.given)
            execute(job, terminal, earlier, is_worker=True)
        except KeyboardInterrupt as error:
            terminal.error(f"mnist-exp: {error}")
        except Exception as error:
            known = explain(error)
            terminal.error(f"mnist-exp: {known}")
            # Where it failed before it had a directory.
            with contextlib.suppress(ExperimentError):
                record = ErrorRecord(type=type(error).__name__, message=known.message, hint=known.hint)
                record_failure(job, record, began)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
