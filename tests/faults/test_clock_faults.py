"""Clocks that jump or stand still, and machines that share a folder."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnist_exp.runs.finding import choose_run, choose_stopped
from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    after_epochs,
    ended,
    num_epochs,
    read_json,
    result_of,
    run_in,
    side_by_side,
    wait_for,
)

pytestmark = pytest.mark.slow

TYPED = (
    *("data=sample", "training.threads=1", "training.engine=graph", "schedule=constant"),
    *("model.units=[16]", "model.dropout=0.1", "training.epochs=80"),
)
FAKE_CLOCKS = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MACHINE = ("unshare", "--pid", "--fork", "--uts", "--mount-proc")


@dataclass(frozen=True)
class Jumped:
    """A run whose clock jumped, stopped and gone on with, beside one whose clock stood still.

    Attributes:
        commands: How each command ended: stopped, gone on with, and with a clock that stood still.
        latest_stopped: What `resume=latest` stood for in between.
        seconds: That the first two took.
        run: Of the first two.
        still: Of the third.
    """

    commands: list[Ended]
    latest_stopped: Path
    seconds: float
    run: Path
    still: Path


def clocks_jump(start: Start, folder: Path) -> Jumped:
    if not FAKE_CLOCKS:
        pytest.skip("libfaketime is not installed (apt-get install faketime)")
    clock = folder / "clock"
    faked = {
        "LD_PRELOAD": str(FAKE_CLOCKS[0]),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    jumping = {**faked, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    clock.write_text("+0")
    began = time.monotonic()
    process = start(*TYPED, cwd=folder, **jumping)
    run = after_epochs(process, folder, 2)
    clock.write_text("-1d")
    after_epochs(process, folder, 4)
    process.send_signal(signal.SIGTERM)
    commands = [ended(process, folder)]
    latest_stopped = choose_stopped("latest", folder / "runs")
    process = start(f"resume={run}", cwd=folder, **jumping)
    after_epochs(process, folder, num_epochs(run) + 2)
    clock.write_text("+1y")
    commands.append(ended(process, folder))
    seconds = time.monotonic() - began
    frozen = {**faked, "FAKETIME": "2026-01-01 00:00:00"}
    commands.append(ended(start(*TYPED, "training.epochs=3", cwd=folder, **frozen), folder))
    (still,) = (path for path in (folder / "runs").iterdir() if path != run)
    return Jumped(commands, latest_stopped, seconds, run, still)


def undisturbed(start: Start, folder: Path) -> Ended:
    return ended(start(*TYPED, cwd=folder), folder)


def two_machines(start: Start, folder: Path) -> tuple[list[Ended], Ended, list[Path]]:
    """Two of one name, whose processes have the same number, begin at the same instant in one folder."""
    is_permitted = subprocess.run([*MACHINE, "hostname", "node"], capture_output=True, check=False)
    if is_permitted.returncode or not shutil.which("unshare"):
        pytest.skip("namespaces are not permitted here")
    sign = folder / "sign"
    waits = f'hostname node; while [ ! -e "{sign}" ]; do sleep 0.01; done; exec "$@"'
    machine = (*MACHINE, "sh", "-c", waits, "sh")
    both = [start(*TYPED, "training.epochs=100000", cwd=folder, before=machine) for _ in range(2)]
    sign.touch()
    wait_for(lambda: len(list(folder.glob("runs/*/manifest.json"))) == 2, both[0])
    runs = sorted((folder / "runs").iterdir())
    for process in both:
        wait_for(lambda: all(num_epochs(run) >= 2 for run in runs), process)
    refused = ended(start(f"resume={runs[0]}", cwd=folder, before=machine), folder)
    for process in both:
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
    return [ended(process, folder) for process in both], refused, runs


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (clocks_jump, undisturbed, two_machines))


def test_a_clock_that_jumps_changes_no_result(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    jumped = outcome_of(clocks_jump)
    assert [(one.status, one.stderr.count("\n")) for one in jumped.commands] == [(143, 1), (0, 0), (0, 0)]
    assert result_of(jumped.run) == result_of(run_in(outcome_of(undisturbed).folder))
    record_property("provoked", 3)


def test_durations_are_those_of_a_clock_that_nobody_sets(outcome_of: Outcomes) -> None:
    jumped = outcome_of(clocks_jump)
    manifest = read_json(jumped.run / "manifest.json")
    assert int(manifest["finished_at"][:4]) > int(manifest["started_at"][:4]), "the clock did not jump"
    assert 0 < manifest["duration_s"] < jumped.seconds
    assert 0 < read_json(jumped.still / "manifest.json")["duration_s"] < 600


def test_runs_have_names_of_their_own_whatever_the_clock_says(outcome_of: Outcomes) -> None:
    jumped = outcome_of(clocks_jump)
    assert jumped.still.name.startswith("2026-01-01_00-00-00_train_ann_") and jumped.still != jumped.run
    assert jumped.latest_stopped == jumped.run
    assert choose_run("latest", jumped.run.parent) == jumped.run


def test_two_machines_share_a_folder_and_mix_nothing(outcome_of: Outcomes) -> None:
    both, _, runs = outcome_of(two_machines)
    assert [one.status for one in both] == [143, 143], [one.stderr for one in both]
    rows = []
    for run in runs:
        manifest = read_json(run / "manifest.json")
        assert (manifest["run_id"], manifest["status"]) == (run.name, "interrupted")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        rows.append([line.partition(',"learning_rate"')[0] for line in lines])
        for number, row in enumerate(rows[-1], 1):
            assert row.startswith(f'{{"epoch":{number},')
    assert len(rows) == 2
    num_common = min(map(len, rows))
    assert rows[0][:num_common] == rows[1][:num_common], "the same seed, the same numbers"


def test_a_run_that_goes_on_on_another_machine_is_refused(outcome_of: Outcomes) -> None:
    _, refused, runs = outcome_of(two_machines)
    assert refused.status == 2 and f"{runs[0]} is still running" in refused.stderr
