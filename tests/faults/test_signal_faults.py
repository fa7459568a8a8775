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
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mnist_exp.training.checkpoints import read_checkpoint
from tests.conftest import COMMAND, Start, clean_environment
from tests.sweeps.sweeping import (
    Outcomes,
    Scenario,
    after_epochs,
    assert_nothing_torn,
    ended,
    num_epochs,
    read_json,
)

pytestmark = pytest.mark.slow

NUM_SIGNALS = int(os.environ.get("MNIST_EXP_SIGNALS", "1"))
TYPED = ("data=sample", "schedule=constant", "training.threads=1", "training.engine=graph")
FOREVER = (*TYPED, "training.epochs=100000")
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SAVED_S, ENDED_S = 2.0, 4.0


def wait_for_the_end(process: "subprocess.Popen[str]", run: Path) -> tuple[float, float]:
    """Gives the seconds from the end of the last epoch until all was saved, and until the process ended."""
    process.wait(60)
    ended_at = time.time()
    epoch_at, saved_at = ((run / name).stat().st_mtime for name in ("metrics.jsonl", "manifest.json"))
    return saved_at - epoch_at, ended_at - epoch_at


def assert_saved(run: Path, number: signal.Signals) -> None:
    manifest = read_json(run / "manifest.json")
    assert manifest["status"] == "interrupted" and number.name in manifest["error"]["message"]
    assert manifest["finished_at"] > manifest["started_at"] and manifest["duration_s"] > 0
    assert f"stopped by {number.name}" in (run / "train.log").read_text()
    assert_nothing_torn(run)
    assert not (run / "summary.json").exists() and not list(run.rglob(".*"))
    num_rows = len((run / "metrics.csv").read_text().splitlines()) - 1
    kept = read_checkpoint(run / "checkpoints" / "last.keras")
    assert kept is not None and len(kept.state.rows) == num_epochs(run) == num_rows


def signalled(number: signal.Signals) -> Callable[[Start, Path], int]:
    def scenario(start: Start, folder: Path) -> int:
        """Saves within two seconds of the epoch's end."""
        times: list[float] = []
        for attempt in range(NUM_SIGNALS + 1):
            # Once more where another process had the processor.
            if attempt >= NUM_SIGNALS and max(times) < ENDED_S:
                break
            place = folder / str(attempt)
            place.mkdir()
            process = start(*FOREVER, cwd=place)
            run = after_epochs(process, place, 3)
            process.send_signal(number)
            saved_s, ended_s = wait_for_the_end(process, run)
            outcome = ended(process, place)
            assert outcome.status == STATUSES[number], outcome.stderr
            assert number.name in outcome.stderr and outcome.stderr.count("\n") == 1
            assert_saved(run, number)
            assert saved_s < SAVED_S
            times.append(ended_s)
        assert sorted(times)[NUM_SIGNALS - 1] < ENDED_S, f"seconds until the process had ended: {times}"
        return len(times)

    scenario.__name__ = f"saves_within_two_seconds_{number.name}"
    return scenario


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


def closed_terminal(start: Start, folder: Path) -> None:
    """Is a request to stop."""
    process, close = in_a_terminal(folder, str(COMMAND), *FOREVER)
    try:
        run = after_epochs(process, folder, 3)
        close()
        wait_for_the_end(process, run)
    finally:
        process.kill()
    assert process.returncode == STATUSES[signal.SIGHUP]
    assert_saved(run, signal.SIGHUP)
    assert "Traceback" not in (run / "train.log").read_text()


def closed_terminal_under_nohup(start: Start, folder: Path) -> None:
    """Is outlived."""
    process, close = in_a_terminal(folder, "nohup", str(COMMAND), *TYPED, "training.epochs=40")
    try:
        run = after_epochs(process, folder, 3)
        close()
        wait_for_the_end(process, run)
    finally:
        process.kill()
    assert process.returncode == 0
    assert read_json(run / "manifest.json")["status"] == "completed" and num_epochs(run) == 40


SCENARIOS = (*map(signalled, STATUSES), closed_terminal, closed_terminal_under_nohup)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_run_is_saved(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", outcome_of(scenario) or 1)
