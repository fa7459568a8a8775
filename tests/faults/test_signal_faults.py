"""Signals and closed terminals: how soon everything is saved, and who goes on in spite of them.

MNIST_EXP_SIGNALS says how often each signal is sent; the full round is 10.
"""

import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnist_exp.training.checkpoints import read_checkpoint
from tests.conftest import COMMAND, Start, clean_environment
from tests.sweeps.sweeping import (
    Outcomes,
    after_epochs,
    assert_nothing_torn,
    num_epochs,
    read_json,
    side_by_side,
)

pytestmark = pytest.mark.slow

NUM_SIGNALS = int(os.environ.get("MNIST_EXP_SIGNALS", "1"))
TYPED = ("data=sample", "schedule=constant", "training.threads=1", "training.engine=graph")
FOREVER = (*TYPED, "training.epochs=100000")
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SAVED_S, ENDED_S = 2.0, 4.0


@dataclass(frozen=True)
class Stopped:
    """A run that a signal stopped.

    Attributes:
        status: The process's exit status.
        stderr: What it said; empty where its terminal was gone.
        run: Its directory.
        saved_s: Seconds from the end of its last epoch until all was saved and marked as interrupted.
        ended_s: Seconds from then until the process had ended.
    """

    status: int
    stderr: str
    run: Path
    saved_s: float
    ended_s: float


def stopped(process: "subprocess.Popen[str]", run: Path) -> Stopped:
    """Waits for a process that is to stop."""
    status = process.wait(60)
    ended_at = time.time()
    epoch_at, saved_at = ((run / name).stat().st_mtime for name in ("metrics.jsonl", "manifest.json"))
    stderr = process.stderr.read() if process.stderr is not None else ""
    return Stopped(status, stderr, run, saved_at - epoch_at, ended_at - epoch_at)


def sent(number: signal.Signals) -> Callable[[Start, Path], list[Stopped]]:
    def scenario(start: Start, folder: Path) -> list[Stopped]:
        outcomes: list[Stopped] = []
        for attempt in range(NUM_SIGNALS + 1):
            # Once more where another process had the processor.
            if attempt >= NUM_SIGNALS and all(one.ended_s < ENDED_S for one in outcomes):
                break
            place = folder / str(attempt)
            place.mkdir()
            process = start(*FOREVER, cwd=place)
            run = after_epochs(process, place, 3)
            process.send_signal(number)
            outcomes.append(stopped(process, run))
        return outcomes

    scenario.__name__ = number.name
    return scenario


SENT = {number: sent(number) for number in STATUSES}


def in_a_terminal(folder: Path, *command: str) -> tuple["subprocess.Popen[str]", Callable[[], None]]:
    """Starts a command in a terminal of its own; gives what closes that."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *command], cwd=folder, env=clean_environment(TERM="xterm"), text=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    is_over, is_closed = threading.Event(), threading.Event()

    def read() -> None:
        with suppress(OSError):
            while not is_over.is_set():
                if select.select([ours], [], [], 0.05)[0]:
                    os.read(ours, 65536)
        os.close(ours)
        is_closed.set()

    def close() -> None:
        is_over.set()
        assert is_closed.wait(5)

    threading.Thread(target=read, daemon=True).start()
    return process, close


def closed_after_epochs(folder: Path, *command: str) -> Stopped:
    """Closes a command's terminal after some epochs."""
    process, close = in_a_terminal(folder, *command)
    try:
        run = after_epochs(process, folder, 3)
        close()
        return stopped(process, run)
    finally:
        process.kill()


def terminal_is_closed(start: Start, folder: Path) -> Stopped:
    return closed_after_epochs(folder, str(COMMAND), *FOREVER)


def terminal_is_closed_under_nohup(start: Start, folder: Path) -> Stopped:
    return closed_after_epochs(folder, "nohup", str(COMMAND), *TYPED, "training.epochs=40")


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    scenarios = (*SENT.values(), terminal_is_closed, terminal_is_closed_under_nohup)
    yield from side_by_side(start, tmp_path_factory, scenarios)


def assert_saved(outcome: Stopped, number: signal.Signals) -> None:
    manifest = read_json(outcome.run / "manifest.json")
    assert manifest["status"] == "interrupted" and number.name in manifest["error"]["message"]
    assert manifest["finished_at"] > manifest["started_at"] and manifest["duration_s"] > 0
    assert f"stopped by {number.name}" in (outcome.run / "train.log").read_text()
    assert_nothing_torn(outcome.run)
    assert not (outcome.run / "summary.json").exists() and not list(outcome.run.rglob(".*"))
    num_rows = len((outcome.run / "metrics.csv").read_text().splitlines()) - 1
    kept = read_checkpoint(outcome.run / "checkpoints" / "last.keras")
    assert kept is not None and len(kept.state.rows) == num_epochs(outcome.run) == num_rows


@pytest.mark.parametrize("number", STATUSES, ids=lambda number: number.name)
def test_a_signal_saves_within_two_seconds_of_the_epochs_end(
    outcome_of: Outcomes, number: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    outcomes = outcome_of(SENT[number])
    for outcome in outcomes:
        assert outcome.status == STATUSES[number], outcome.stderr
        assert number.name in outcome.stderr and outcome.stderr.count("\n") == 1
        assert_saved(outcome, number)
        assert outcome.saved_s < SAVED_S
    times = sorted(outcome.ended_s for outcome in outcomes)
    assert times[NUM_SIGNALS - 1] < ENDED_S, f"seconds until the process had ended: {times}"
    record_property("provoked", len(outcomes))
    record_property("saved_s", max(outcome.saved_s for outcome in outcomes))


def test_a_closed_terminal_is_a_request_to_stop(outcome_of: Outcomes) -> None:
    outcome = outcome_of(terminal_is_closed)
    assert outcome.status == STATUSES[signal.SIGHUP]
    assert_saved(outcome, signal.SIGHUP)
    log = (outcome.run / "train.log").read_text()
    assert "stopped by SIGHUP" in log and "Traceback" not in log


def test_under_nohup_a_run_outlives_its_terminal(outcome_of: Outcomes) -> None:
    outcome = outcome_of(terminal_is_closed_under_nohup)
    assert outcome.status == 0
    assert read_json(outcome.run / "manifest.json")["status"] == "completed"
    assert num_epochs(outcome.run) == 40
