"""A worker process seen from the one that started it: told what to do, listened to, ended."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from mnist_exp.processes.last_words import HeldOutput, find_reason
from mnist_exp.processes.messages import Reply, Request, read_reply, to_line
from mnist_exp.runs.records import ErrorRecord

_MOST_READ = 65536


class Child:
    """A `mnist_exp.worker`, which imports TensorFlow while idle, stderr held; it ends with this process."""

    def __init__(self) -> None:
        self._words = HeldOutput()
        # `-P`: nothing in the folder that the user happens to be in is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mnist_exp.environment", "mnist_exp.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words.descriptor,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        os.set_blocking(self._replies.fileno(), False)
        self._begun_line = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Gives the descriptor that replies come from, for `select`."""
        return self._replies.fileno()

    def send(self, request: Request) -> None:
        """Tells it to do something; one that is gone is noticed by `status`."""
        with suppress(BrokenPipeError):
            self._requests.write(to_line(request))
            self._requests.flush()

    def receive(self) -> list[Reply]:
        """Takes the replies that are there."""
        text = self._begun_line
        with suppress(BlockingIOError):
            while part := os.read(self.fileno(), _MOST_READ):
                text += part
        *lines, self._begun_line = text.split(b"\n")
        return [read_reply(line) for line in lines]

    def status(self) -> int | None:
        """Gives its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Takes what it wrote to standard error; nothing once it is closed."""
        return "" if self._requests.closed else self._words.drain()

    def close(self) -> None:
        """Ends it at once; a second time nothing happens."""
        if self._requests.closed:
            return
        self._process.kill()
        for stream in (self._replies, self._requests):
            with suppress(BrokenPipeError):  # what a dead process did not read is lost
                stream.close()
        self._process.wait()
        self._words.close()


def wait_for_any(children: Sequence[Child], timeout_s: float) -> None:
    """Waits until one of the processes has replied or ended, or the time is over."""
    select.select(children, [], [], timeout_s)


def explain_end(status: int, words: str) -> ErrorRecord:
    """Says why a process ended in the middle of its work; the status is negative for a signal."""
    if status == -signal.SIGKILL:
        hint = (
            "If memory ran out, run fewer at once (tuner.workers, the launcher's n_jobs), or lower "
            "training.batch_size or the model's size."
        )
        return ErrorRecord(type="ProcessLost", message="the process was killed (signal 9)", hint=hint)
    ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
    reason = find_reason(words)
    message = f"the process {ended}: {reason}." if reason else f"the process {ended}"
    return ErrorRecord(type="ProcessLost", message=message, hint="The log may say more.")
