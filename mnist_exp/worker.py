"""A worker process, `python -m mnist_exp.worker`: does what its input says (`mnist_exp.processes.messages`).

When its input ends, so does the process, at once, even while it imports TensorFlow: whoever started it
is gone.
"""

import faulthandler
import gc
import os
import queue
import signal
import sys
import threading
from typing import IO

from mnist_exp.processes.messages import Reply, Request, RunJob, Stop, read_request, to_line
from mnist_exp.processes.signals import STOPPING


class Inbox:
    """Requests that wait, and which of them are to stop."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._job: str | None = None
        self._stopped = ""

    def listen(self, lines: IO[bytes]) -> None:
        """Takes requests until there are no more, and ends the process then; on a thread of its own."""
        for line in lines:
            request = read_request(line)
            if isinstance(request, Stop):
                self._stop(request.name)
            else:
                self._requests.put(request)
        os._exit(0)

    def next(self) -> Request:
        """Waits for the next request."""
        return self._requests.get()

    def is_stopped(self, name: str) -> bool:
        """Says whether the job or trial of this name is to end."""
        return self._stopped == name

    def begin_job(self, name: str) -> bool:
        """Notes that a job begins, which `Stop` interrupts from now on; says whether it may."""
        with self._lock:
            self._job = None if self.is_stopped(name) else name
            return self._job is not None

    def end_job(self) -> None:
        """Notes that nothing is left to interrupt."""
        with self._lock:
            self._job = None

    def _stop(self, name: str) -> None:
        with self._lock:
            self._stopped = name
            if self._job == name:
                os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Works until the input ends."""
    # Outside of a job there is nothing to save, and an exception might get lost in an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Whoever started this process had them blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    faulthandler.enable()
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    inbox = Inbox()
    threading.Thread(target=inbox.listen, args=(sys.stdin.buffer,), daemon=True).start()
    _work(inbox, replies)


def _work(inbox: Inbox, replies: IO[bytes]) -> None:
    from mnist_exp.modes.work import Work

    def reply(message: Reply) -> None:
        replies.write(to_line(message))

    # TensorFlow is a million objects that no collection need look at again.
    gc.collect()
    gc.freeze()
    work = Work(reply, inbox.is_stopped)
    while True:
        request = inbox.next()
        if not isinstance(request, RunJob):
            work.do(request)
            continue
        if inbox.begin_job(request.name):
            work.do(request)
        inbox.end_job()
        work.end()


if __name__ == "__main__":
    main()
