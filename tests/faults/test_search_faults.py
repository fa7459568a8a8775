"""Searches that are killed, by the process or as a whole: no finished trial is lost, none runs twice."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Start

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
REQUEST = (
    "mode=tune",
    "data=sample",
    "search_space=mlp",
    "training.engine=graph",
    "training.epochs=2",
    "tuner.max_trials=4",
    "tuner.workers=2",
    "tuner.confirm.top=1",
    "tuner.confirm.seeds=1",
)
CLOCKS = {"started_at", "finished_at", "duration_s", "worker"}


def read_trials(run: Path) -> list[dict[str, Any]]:
    path = run / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def without_clocks(record: Any) -> Any:
    """What a training came to, without the times and names of who did it."""
    if isinstance(record, dict):
        drop = CLOCKS | {"train_s", "seconds_per_epoch", "compile_s"}
        return {name: without_clocks(value) for name, value in record.items() if name not in drop}
    return [without_clocks(part) for part in record] if isinstance(record, list) else record


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def wait_for(condition: Any, seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def wait_for_run(folder: Path) -> Path:
    wait_for(lambda: list(folder.glob("runs/*/manifest.json")))
    return only_run(folder)


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    # The guardian is a child, too.
    return [pid for pid in map(int, text.split()) if b"mnist_exp.worker" in _command_of(pid)]


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def undisturbed(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same search from beginning to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    result = run_command(*REQUEST, cwd=folder)
    assert result.returncode == 0, result.stderr
    return only_run(folder)


def test_a_search_killed_at_random_moments_ends_as_if_it_had_not_been(
    start: Start, undisturbed: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", KILLS)
    moments = random.Random(20)
    arguments: tuple[str, ...] = REQUEST
    finished: list[dict[str, Any]] = []
    for _ in range(KILLS):
        process = start(*arguments, cwd=tmp_path)
        run = wait_for_run(tmp_path)
        time.sleep(moments.uniform(0, 9))
        left_behind = workers_of(process) if process.poll() is None else []
        process.kill()
        process.wait()
        wait_for(lambda pids=left_behind: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in pids), 10)
        trials = read_trials(run)
        assert trials[: len(finished)] == finished
        finished = trials
        arguments = (f"resume={run}",)
    process = start(*arguments, cwd=tmp_path)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    trials = read_trials(run)
    assert trials[: len(finished)] == finished
    by_number = {trial["trial"]: without_clocks(trial) for trial in trials}
    assert len(by_number) == len(trials) == 4
    expected = {trial["trial"]: without_clocks(trial) for trial in read_trials(undisturbed)}
    assert by_number == expected
    assert not list(run.rglob(".draft-*"))
    summary, other = (json.loads((place / "summary.json").read_text()) for place in (run, undisturbed))
    assert (summary["winner"], summary["test_accuracy"]) == (other["winner"], other["test_accuracy"])


def test_a_search_killed_at_its_last_trial_finishes_that_trial(start: Start, tmp_path: Path) -> None:
    # With nothing to do the second worker spends the budget while the first is at the only trial.
    process = start(*REQUEST, "training.epochs=30", "tuner.max_trials=1", cwd=tmp_path)
    run = wait_for_run(tmp_path)
    wait_for(
        lambda: (run / "oracle.json").exists() and json.loads((run / "oracle.json").read_text())["ended_by"]
    )
    process.kill()
    process.wait()
    assert not read_trials(run)
    process = start(f"resume={run}", cwd=tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert [trial["status"] for trial in read_trials(run)] == ["completed"]
    assert json.loads((run / "summary.json").read_text())["ended_by"] == "tuner.max_trials: 1 trials"


def test_a_killed_worker_costs_the_trial_it_was_at(
    start: Start, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 2)
    process = start(*REQUEST, "training.epochs=4000", "tuner.max_trials=3", cwd=tmp_path)
    run = wait_for_run(tmp_path)
    wait_for(lambda: (run / "oracle.json").exists())
    time.sleep(3)
    for victim in workers_of(process):
        os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(read_trials(run)) == 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert {trial["status"] for trial in read_trials(run)} == {"failed"}
    assert {trial["error"]["message"] for trial in read_trials(run)} == {"the process was killed (signal 9)"}
    assert f"resume={run}" in errors
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
