"""Clocks that jump or stand still, and machines that share a folder."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_exp.runs.finding import choose_run, choose_stopped
from tests.conftest import Start
from tests.sweeps.sweeping import (
    Outcomes,
    Scenario,
    after_epochs,
    ended,
    num_epochs,
    read_json,
    result_of,
    run_in,
    wait_for,
)

pytestmark = pytest.mark.slow

TYPED = (
    *("data=sample", "training.threads=1", "training.engine=graph", "schedule=constant"),
    *("model.units=[16]", "model.dropout=0.1", "training.epochs=80"),
)
FAKE_CLOCKS = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MACHINE = ("unshare", "--pid", "--fork", "--uts", "--mount-proc")


def clock_that_jumps(start: Start, folder: Path) -> int:
    """Changes no result, no duration and no order of runs; nor does one that stands still."""
    if not FAKE_CLOCKS:
        pytest.skip("libfaketime is not installed (apt-get install faketime)")
    (folder / "whole").mkdir()
    whole = ended(start(*TYPED, cwd=folder / "whole"), folder / "whole")
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
    stopped = ended(process, folder)
    assert (stopped.status, stopped.stderr.count("\n")) == (143, 1)
    assert choose_stopped("latest", folder / "runs") == run

    process = start(f"resume={run}", cwd=folder, **jumping)
    after_epochs(process, folder, num_epochs(run) + 2)
    clock.write_text("+1y")
    resumed = ended(process, folder)
    seconds = time.monotonic() - began
    assert [(one.status, one.stderr) for one in (whole, resumed)] == [(0, "")] * 2
    assert result_of(run) == result_of(run_in(folder / "whole"))
    manifest = read_json(run / "manifest.json")
    assert int(manifest["finished_at"][:4]) > int(manifest["started_at"][:4]), "the clock did not jump"
    assert 0 < manifest["duration_s"] < seconds

    frozen = {**faked, "FAKETIME": "2026-01-01 00:00:00"}
    still = ended(start(*TYPED, "training.epochs=3", cwd=folder, **frozen), folder)
    assert (still.status, still.stderr) == (0, "")
    (other,) = (path for path in (folder / "runs").iterdir() if path != run)
    assert other.name.startswith("2026-01-01_00-00-00_train_ann_")
    assert 0 < read_json(other / "manifest.json")["duration_s"] < 600
    assert choose_run("latest", run.parent) == run
    return 3


def two_machines(start: Start, folder: Path) -> int:
    """Of one name, with processes of the same number, at the same instant in one folder: nothing is mixed."""
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
    assert refused.status == 2 and f"{runs[0]} is still running" in refused.stderr
    for process in both:
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
    stopped = [ended(process, folder) for process in both]
    assert [one.status for one in stopped] == [143, 143], [one.stderr for one in stopped]

    rows = []
    for run in runs:
        manifest = read_json(run / "manifest.json")
        assert (manifest["run_id"], manifest["status"]) == (run.name, "interrupted")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        rows.append([line.partition(',"learning_rate"')[0] for line in lines])
        for number, row in enumerate(rows[-1], 1):
            assert row.startswith(f'{{"epoch":{number},')
    num_common = min(map(len, rows))
    assert rows[0][:num_common] == rows[1][:num_common], "the same seed, the same numbers"
    return 2


SCENARIOS = (clock_that_jumps, two_machines)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_it_changes_nothing(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", outcome_of(scenario))
