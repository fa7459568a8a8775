"""Ctrl-C, SIGTERM and a closed terminal: let the epoch end and save, then stop; a second one stops at once.

Signals reach one thread only. A compiled epoch is one native call, in which Python's handlers wait; and a
handler that runs in the middle of oneDNN's matrix multiplication overwrites what that keeps below its stack
pointer: about one Ctrl-C in five ended in "corrupted size vs. prev_size" (TensorFlow 2.21, AVX-512).
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to save and stop."""

# A terminal and a launcher such as `uv run` may both pass on the same key press.
_SAME_REQUEST_S = 0.3


class Interrupted(KeyboardInterrupt):
    """The user, or a scheduler, stopped the run; the signal is 2 (Ctrl-C), 15 (SIGTERM) or 1 (SIGHUP)."""

    def __init__(self, signal_number: int, place: str = "") -> None:
        kept = f"; what was finished is in {place}" if place else ""
        super().__init__(f"stopped by {signal.Signals(signal_number).name}{kept}")
        self.exit_status = 128 + signal_number


class StopRequest:
    """Whether someone asked the run to stop.

    Attributes:
        signal_number: Of the first signal that came while stopping was put off; None before.
        noticed: Called when the first signal comes, from a thread of its own, while the main thread may
            be in the middle of a native call.
        abandon: Called with what stopped the run just before a second signal ends the process.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.place = ""
        self.noticed: Callable[[], None] | None = None
        self.abandon: Callable[[Interrupted], None] | None = None
        self._put_off = False

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Within the block a first signal is only noted; `check` then acts on it."""
        self._put_off = True
        try:
            yield
        finally:
            self._put_off = False

    def check(self) -> None:
        """Raises Interrupted if a signal came."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number, self.place)

    def receive(self, signal_number: int, _frame: FrameType | None) -> None:
        """Handles a signal in the main thread, between two steps of Python."""
        if not self._put_off:
            raise Interrupted(signal_number, self.place)
        self.signal_number = signal_number

    def watch(self, descriptor: int) -> None:
        """Hears of signals until the pipe is closed, and ends the process on the second one."""
        first_at = None
        while number := os.read(descriptor, 1):
            if number[0] not in STOPPING:
                continue
            if first_at is None:
                first_at = time.monotonic()
                if self.noticed is not None:
                    self.noticed()
            # Kernel and shell each say that a terminal was closed: nobody asks for haste by that.
            elif number[0] != signal.SIGHUP and time.monotonic() - first_at > _SAME_REQUEST_S:
                interrupted = Interrupted(number[0], self.place)
                try:
                    if self.abandon is not None:
                        self.abandon(interrupted)
                finally:
                    os._exit(interrupted.exit_status)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catches what asks to stop within the block, in the main thread; SIGHUP that is ignored stays so."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    previous_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    caught = [
        number for number in STOPPING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, request.receive) for number in caught}
    watcher = threading.Thread(target=request.watch, args=(reading,), daemon=True)
    watcher.start()
    # Threads started from here on, TensorFlow's among them, inherit this; the watcher was before.
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    try:
        yield request
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_descriptor)
        os.close(writing)
        watcher.join()
        os.close(reading)
