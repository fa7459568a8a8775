"""Ctrl-C and SIGTERM: let the epoch end and save, then stop; a second one stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The user, or a scheduler, stopped the run.

    Args:
        signal_number: 2 for Ctrl-C, 15 for SIGTERM.
        place: The run's directory, once there is one.
    """

    def __init__(self, signal_number: int, place: str = "") -> None:
        kept = f"; every finished epoch is in {place}" if place else ""
        super().__init__(f"stopped by {signal.Signals(signal_number).name}{kept}")
        self.signal_number = signal_number

    @property
    def exit_status(self) -> int:
        """What a shell expects of a process that a signal ended."""
        return 128 + self.signal_number


class StopRequest:
    """Whether someone asked the run to stop.

    Attributes:
        signal_number: Of the first signal that came while stopping was put off; None before.
        place: The run's directory, once there is one; for the message.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.place = ""
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
        """Stops the run if someone asked for it.

        Raises:
            Interrupted: A signal came.
        """
        if self.signal_number is not None:
            raise Interrupted(self.signal_number, self.place)

    def receive(self, signal_number: int, _frame: FrameType | None) -> None:
        """Handles a signal."""
        if not self._put_off or self.signal_number is not None:
            raise Interrupted(signal_number, self.place)
        self.signal_number = signal_number


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catches SIGINT and SIGTERM within the block; outside the main thread there is nothing to catch."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
