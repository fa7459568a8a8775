"""A worker process: `python -m mnist_exp.worker`, started and told what to do by another process.

It imports TensorFlow while it has nothing to do, then does what the lines on its standard input ask
for (`mnist_exp.processes.messages`), one after another: builds networks to check them, runs jobs of a
sweep, trains trials of a search. When its input ends, so does the process, at once: whoever started it
is gone.
"""

import contextlib
import faulthandler
import gc
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO

import mnist_exp.modes.train  # noqa: F401 - TensorFlow, while nothing is to be done yet
from mnist_exp.errors import ExperimentError, explain
from mnist_exp.modes.execution import execute
from mnist_exp.processes.messages import (
    Checked,
    CheckNetworks,
    Ended,
    Failed,
    PrepareTrials,
    Reply,
    Request,
    RunJob,
    RunTrial,
    Stop,
    read_request,
    to_line,
)
from mnist_exp.processes.signals import STOPPING
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import writer
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ErrorRecord
from mnist_exp.sweeps.jobs import job_of, record_failure
from mnist_exp.training.checking import check_networks
from mnist_exp.tuning.trials import TrialRunner, prepare_trials


class Worker:
    """Does one thing after another.

    Args:
        replies: Where replies are written.
    """

    def __init__(self, replies: IO[bytes]) -> None:
        self._replies = replies
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._job: str | None = None
        self._stopped = ""
        self._runner: TrialRunner | None = None

    def listen(self, lines: IO[bytes]) -> None:
        """Takes requests until there are no more, and ends the process then; on a thread of its own."""
        for line in lines:
            request = read_request(line)
            if isinstance(request, Stop):
                self._stop(request.name)
            else:
                self._requests.put(request)
        os._exit(0)

    def work(self) -> None:
        """Does what comes, for ever."""
        while True:
            request = self._requests.get()
            match request:
                case CheckNetworks():
                    self._reply(Checked(check_networks(request.networks)))
                case RunJob():
                    self._run_job(request)
                case PrepareTrials() | RunTrial():
                    self._train(request)

    def _reply(self, reply: Reply) -> None:
        self._replies.write(to_line(reply))

    def _end(self) -> None:
        gc.collect()
        self._reply(Ended(resident_bytes=_resident_bytes()))

    def _stop(self, name: str) -> None:
        """Has the job or trial of this name save and end."""
        with self._lock:
            self._stopped = name
            if self._job == name:
                os.kill(os.getpid(), signal.SIGINT)

    def _run_job(self, request: RunJob) -> None:
        with self._lock:
            is_stopped = self._stopped == request.name
            self._job = None if is_stopped else request.name
        if not is_stopped:
            run_job(request)
        with self._lock:
            self._job = None
        self._end()

    def _train(self, request: PrepareTrials | RunTrial) -> None:
        """Prepares for a search, or trains one trial; what is no trial's own fault ends the search."""
        try:
            if isinstance(request, PrepareTrials):
                self._runner = prepare_trials(request)
            elif self._runner is not None:
                self._runner.run(request, self._reply, lambda: self._stopped == request.name)
                self._end()
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


def main() -> None:
    """Works until the input ends."""
    # Outside of a job there is nothing to save, and an exception might get lost in an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Whoever started this process had them blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    faulthandler.enable()
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # TensorFlow is a million objects that no collection need look at again.
    gc.collect()
    gc.freeze()
    worker = Worker(replies)
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    worker.work()


if __name__ == "__main__":
    main()
