"""A small process that waits for this one to end, and says why where nobody else can.

It is forked before TensorFlow is imported, sleeps until the pipe between them closes, and then ends.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mnist_exp.errors import ExperimentError
from mnist_exp.processes.last_words import append, drain, find_reason
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ErrorRecord
from mnist_exp.words import without_control

_DISMISSED = b"\0"
_NOT_MEANT_FOR_IT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What reaches a whole group of processes."""
_IF_MEMORY_RAN_OUT = (
    "If memory ran out, lower training.batch_size or the model's size, or run fewer programs at once."
)
_MOST_WAITS, _WAIT_S = 2000, 0.001


class Guardian:
    """The guardian of this process, which reads the other end of the descriptor `pipe`."""

    def __init__(self, process: int, pipe: int) -> None:
        self._process, self._pipe = process, pipe

    def tell(self, log_path: Path) -> None:
        """Says which run's log this process writes; the last one counts."""
        self._write(os.fsencode(log_path) + b"\n")

    def dismiss(self) -> None:
        """Lets it end: this process ends by its own decision. A second time nothing happens."""
        if self._process == 0:
            return
        self._write(_DISMISSED)
        os.close(self._pipe)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)
        self._process = 0

    def _write(self, words: bytes) -> None:
        with suppress(BrokenPipeError):  # someone ended it
            os.write(self._pipe, words)


def start_guardian(held: int, console: int) -> Guardian | None:
    """Forks a guardian; None where the system allows no more processes: the work is worth more.

    Args:
        held: Descriptor of a held output, which this process's standard error goes to.
        console: Descriptor of where the reason is to be said.
    """
    reading, writing = os.pipe()
    try:
        process = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if process == 0:
        try:
            _guard(reading, held, console)
        finally:
            os._exit(0)
    os.close(reading)
    return Guardian(process, writing)


def _guard(reading: int, held: int, console: int) -> None:
    for number in _NOT_MEANT_FOR_IT:
        signal.signal(number, signal.SIG_IGN)
    # Locks and pipes of the other process are to end with it.
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in (reading, held, console):
            with suppress(OSError):
                os.close(int(entry.name))
    began, num_killed = Moment(), _num_killed_for_memory()
    words = b""
    while part := os.read(reading, 65536):
        words += part
    if words.endswith(_DISMISSED):
        return
    logs = words.split(b"\n")[:-1]
    log_path = Path(os.fsdecode(logs[-1])) if logs else None
    _report(log_path, held, console, began, _num_killed_for_memory() > num_killed)


def _report(log_path: Path | None, held: int, console: int, began: Moment, is_memory_short: bool) -> None:
    """Says why the other process ended; one killed without a word is known by its lock, and stays running."""
    text = drain(held)
    reason = find_reason(text)
    message, hint = "the process was killed.", _IF_MEMORY_RAN_OUT
    if reason:
        hint = "Nothing was written." if log_path is None else f"{log_path.name} has more."
        message = f"the process died: {reason}."
    elif is_memory_short:
        message = "the process was killed while this machine was out of memory."
    message = without_control(message)
    line = f"mnist-exp: {ExperimentError(message, hint)}\n"
    if log_path is not None:
        append(log_path, text + line)
    if log_path is not None and (reason or is_memory_short):
        error = ErrorRecord(type="ProcessLost", message=message, hint=hint)
        with suppress(Exception):
            _mark_failed(log_path.parent, error, began)
    os.write(console, line.encode(errors="replace"))


def _mark_failed(run_path: Path, error: ErrorRecord, began: Moment) -> None:
    from mnist_exp.runs import writer

    for _ in range(_MOST_WAITS):
        if not writer.is_at_work(run_path):  # the last thread is gone, too
            break
        time.sleep(_WAIT_S)
    writer.record_loss(writer.open_run(run_path), error, began)


def _num_killed_for_memory() -> int:
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
