"""A process that runs jobs of a sweep, one after another: `python -m mnist_exp.job_worker`.

It imports TensorFlow once, loads the images once, and uses compiled models again. Each job is a line
of JSON on its standard input, and each answer a line on its standard output. When its input ends, so
does the process, at once: whoever started it is gone.
"""

import contextlib
import gc
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO

import msgspec

from mnist_exp.errors import ExperimentError
from mnist_exp.modes.execution import execute
from mnist_exp.processes.signals import STOPPING
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import writer
from mnist_exp.runs.job import Job
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ErrorRecord
from mnist_exp.sweeps.assignments import Answer, Assignment, job_of, record_failure

_MOST_GROWTH = 1.2
"""A worker makes way for a fresh one when it holds so many times the memory of its second job."""


def main() -> None:
    """Runs what comes until the input ends or its memory has grown too much."""
    # Outside of a job there is nothing to save, and an exception might get lost in an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Whoever started this process had them blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import mnist_exp.modes.train  # noqa: F401 - TensorFlow, while nothing is to be done yet

    gc.collect()
    gc.freeze()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, lines), daemon=True).start()
    held: list[int] = []
    while True:
        assignment = msgspec.json.decode(lines.get(), type=Assignment)
        _run(assignment)
        held.append(_resident_bytes())
        makes_way = held[-1] > _MOST_GROWTH * held[:2][-1]
        answers.write(msgspec.json.encode(Answer(resident_bytes=held[-1], makes_way=makes_way)) + b"\n")


def _read(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    """Passes lines on; ends the process when there are no more."""
    for line in stream:
        lines.put(line)
    os._exit(0)


def _run(assignment: Assignment) -> None:
    """Runs a job; whatever becomes of it stands in its directory."""
    with contextlib.suppress(OSError):
        os.chdir(assignment.order.working_dir)
        Path("/proc/self/clear_refs").write_text("5")
    job, began = job_of(assignment), Moment()
    earlier = None
    with Path(os.devnull).open("w") as nowhere, contextlib.closing(Terminal(nowhere, nowhere)) as terminal:
        try:
            if assignment.goes_on and job.given is not None:
                earlier = writer.open_run(job.given)
            execute(job, terminal, earlier, is_worker=True)
        except KeyboardInterrupt as error:
            terminal.error(f"mnist-exp: {error}")
        except Exception as error:
            known = error if isinstance(error, ExperimentError) else writer.explain(error)
            terminal.error(f"mnist-exp: {known}")
            _keep_reason(job, error, known, began)
    gc.collect()


def _keep_reason(job: Job, error: Exception, known: ExperimentError, began: Moment) -> None:
    """Writes down why a job failed, where that was before it had a directory."""
    with contextlib.suppress(ExperimentError):
        record = ErrorRecord(type=type(error).__name__, message=known.message, hint=known.hint)
        record_failure(job, record, began)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
