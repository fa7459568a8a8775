"""The process that runs jobs, from outside: started, given work, told to stop, replaced when it dies."""

import select
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec

from mnist_exp.processes.last_words import HeldOutput
from mnist_exp.sweeps.assignments import Answer, Assignment

_POLL_S = 0.2


class JobProcess:
    """One process of `mnist_exp.job_worker`."""

    def __init__(self) -> None:
        self._words = HeldOutput()
        # `-P`: nothing in the folder that the user happens to be in is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mnist_exp.environment", "mnist_exp.job_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words.descriptor,
            start_new_session=True,
        )

    def run(self, assignment: Assignment, is_to_stop: Callable[[], bool]) -> Answer | int:
        """Runs one job to its end.

        Args:
            assignment: The job.
            is_to_stop: Asked several times a second; once it says so, the job is told to save and stop.

        Returns:
            The process's answer, or its exit status if it ended without one, negative for a signal.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(msgspec.json.encode(assignment) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._process.wait()
        told = False
        while not select.select([self._process.stdout], [], [], _POLL_S)[0]:
            if not told and is_to_stop():
                self._process.send_signal(signal.SIGINT)
                told = True
        line = self._process.stdout.readline()
        return msgspec.json.decode(line, type=Answer) if line else self._process.wait()

    def last_words(self) -> str:
        """Takes what it wrote to standard error and is in no job's log yet."""
        return self._words.drain()

    def close(self) -> None:
        """Ends it at once."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()
        self._words.close()
