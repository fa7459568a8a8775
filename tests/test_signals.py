"""Signals: noted while an epoch runs, and never handled on a thread that computes."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from mnist_exp.processes.signals import Interrupted, stop_request


def wait_for_python() -> None:
    """Gives the main thread a moment in which Python handles signals."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        time.sleep(0.01)


def blocked_signals() -> dict[int, bool]:
    """Says for each thread of this process whether SIGINT passes it by."""
    masks = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            lines = (task / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            masks[int(task.name)] = bool(int(fields["SigBlk"], 16) & 1 << (signal.SIGINT - 1))
    return masks


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_interrupts_at_once_unless_it_is_put_off(number: signal.Signals, status: int) -> None:
    with pytest.raises(Interrupted, match=number.name) as caught, stop_request():
        os.kill(os.getpid(), number)
        wait_for_python()
    assert caught.value.exit_status == status


def test_a_signal_that_is_put_off_waits_for_the_check() -> None:
    with stop_request() as request:
        request.place = "runs/mine"
        with request.put_off():
            os.kill(os.getpid(), signal.SIGINT)
            wait_for_python()
            with pytest.raises(Interrupted, match="runs/mine"):
                request.check()


def test_what_nohup_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_request():
            os.kill(os.getpid(), signal.SIGHUP)
            wait_for_python()
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_no_signal_reaches_the_computing_thread() -> None:
    with stop_request():
        assert blocked_signals()[os.getpid()]
        assert sum(not blocked for blocked in blocked_signals().values()) >= 1, "nobody would hear of it"
    assert not blocked_signals()[os.getpid()]


def test_the_handlers_before_are_the_handlers_after() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_request():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
