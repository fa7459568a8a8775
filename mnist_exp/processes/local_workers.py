"""Worker processes on this machine: started, watched, replaced, ended."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from mnist_exp.errors import RunError
from mnist_exp.processes.last_words import HeldOutput, append, find_reason
from mnist_exp.runs.records import ErrorRecord
from mnist_exp.tuning.search_files import SearchFiles

MAKES_WAY = 75
"""Exit status of a worker that wants to be replaced by a fresh process."""

_MOST_FAILED_STARTS = 3


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told, as one line of JSON.

    Attributes:
        run_path: The search's run directory.
        address: Host of the chief.
        port: Its port.
        name: What the worker is called.
        threads: Number of threads of one operation.
    """

    run_path: str
    address: str
    port: int
    name: str
    threads: int


class Employer(Protocol):
    """Who has to know that a worker is gone: `mnist_exp.tuning.chief.Chief`."""

    def running_of(self, worker: str) -> str | None:
        """Names what a worker is at."""

    def silent_workers(self) -> list[str]:
        """Lists workers that gave no sign of life."""

    def lose(self, worker: str, error: ErrorRecord) -> bool:
        """Writes off what a worker was at; says whether it was at anything."""


class LocalWorkers:
    """Processes that wait for an assignment with TensorFlow imported, and are replaced when they end.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        # Not `worker1`, as users call those on other machines.
        self._processes = {f"local{number}": _Process() for number in range(1, count + 1)}
        self._assign: Callable[[str, _Process], None] | None = None
        self._log_path: Path | None = None
        self._failed_starts = 0

    def assign(self, run_path: str, host: str, port: int, threads: int) -> None:
        """Sends every worker, and those that replace them, to the chief that listens there."""

        def assign(name: str, process: _Process) -> None:
            process.tell(Assignment(run_path=run_path, address=host, port=port, name=name, threads=threads))

        self._assign, self._log_path = assign, SearchFiles(Path(run_path)).log_path
        for name, process in self._processes.items():
            assign(name, process)

    def supervise(self, employer: Employer) -> None:
        """Replaces workers that have ended, and tells their employer what was lost.

        Raises:
            RunError: Workers end before they have done anything.
        """
        for silent in employer.silent_workers():
            if silent in self._processes:
                self._processes[silent].kill()
            employer.lose(silent, _error("no sign of life for a minute", ""))
        for name, process in list(self._processes.items()):
            if employer.running_of(name):
                self._failed_starts = 0
            status = process.status()
            if status is None:
                continue
            error = _explain(status, self._log_words(process))
            if status != MAKES_WAY and not employer.lose(name, error):
                self._count_failed_start(error)
            process.close()
            self._processes[name] = _Process()
            if self._assign is not None:
                self._assign(name, self._processes[name])

    def close(self) -> None:
        """Ends every worker at once."""
        for process in self._processes.values():
            process.kill()
            self._log_words(process)
            process.close()

    def _log_words(self, process: "_Process") -> str:
        """Moves what a worker wrote to standard error to the search's log."""
        words = process.last_words()
        if self._log_path is not None:
            append(self._log_path, words)
        return words

    def _count_failed_start(self, error: ErrorRecord) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise RunError(
                f"workers do not start: {error.message.rstrip('.')}.",
                "workers.log in the run's directory has more, if there is one.",
            )


class _Process:
    """One worker process; what it writes to standard error is held."""

    def __init__(self) -> None:
        self._words = HeldOutput()
        # `-P`: nothing in the folder that the user happens to be in is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mnist_exp.environment", "mnist_exp.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._words.descriptor,
            start_new_session=True,
        )

    def tell(self, assignment: Assignment) -> None:
        """Sends it to work; one that is gone already will be noticed by `status`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(assignment) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def status(self) -> int | None:
        """Gives its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Takes what it wrote to standard error."""
        return self._words.drain()

    def kill(self) -> None:
        """Ends it without asking."""
        self._process.kill()

    def close(self) -> None:
        """Ends it: the end of its input is its sign to stop at once."""
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._words.close()


def _explain(status: int, words: str) -> ErrorRecord:
    """Says what an exit status means, and what a worker wrote to standard error."""
    if status == -signal.SIGKILL:
        return _error(
            "the worker was killed (signal 9)",
            "If the system ran out of memory, lower tuner.workers or the sizes searched.",
        )
    ended = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    reason = find_reason(words)
    message = f"the worker {ended}: {reason}." if reason else f"the worker {ended}"
    return _error(message, "workers.log may say more.")


def _error(message: str, hint: str) -> ErrorRecord:
    return ErrorRecord(type="WorkerLost", message=message, hint=hint)
