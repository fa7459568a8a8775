"""Sweeps in which jobs fail or are killed: it harms nobody else, and they can be gone on with."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    QUICK,
    Outcomes,
    Scenario,
    ended,
    find_at_work,
    num_epochs,
    printed_command,
    processes_in,
    read_json,
    run_of,
    statuses,
    wait_for,
)

pytestmark = pytest.mark.slow

# Each step multiplies every weight by 1 - 0.001 * 4000: in the second epoch they overflow.
GROWTH = ("schedule=constant", "optimizer.learning_rate=0.001")
TROUBLE = """
list:
  - {seed: 0, training.epochs: 2}
  - {seed: 1, training.epochs: 2, optimizer.weight_decay: 4000}
  - {seed: 2, training.epochs: 100000}
  - {seed: 3, training.epochs: 2}
"""
BY_JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def one_fails_and_one_is_killed(start: Start, folder: Path) -> None:
    """Costs nobody else; the end says why, and how to go on."""
    plan = folder / "yaml" / "sweep_plan" / "trouble.yaml"
    plan.parent.mkdir(parents=True)
    plan.write_text(TROUBLE)
    typed = ("--config-dir=yaml", *QUICK, *GROWTH, "sweep_plan=trouble", "sweep=trouble")
    process = start("-m", *typed, *BY_JOBLIB, cwd=folder)
    sweep = folder / "runs" / "trouble"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: num_epochs(run_of(sweep, 2)) > 2, process)
    os.kill(wait_for(lambda: find_at_work(folder, run_of(sweep, 2)), process), signal.SIGKILL)
    outcome = ended(process, folder)
    assert (outcome.status, outcome.stderr) == (1, "")
    assert statuses(sweep) == ["completed", "failed", "failed", "completed"]
    assert not list(folder.rglob(".draft-*"))
    wait_for(lambda: not processes_in(folder), seconds=10)

    for number, kind, message, hint in (
        (1, "RunError", "loss became nan in epoch 2.", "optimizer.learning_rate"),
        (2, "ProcessLost", "the process was killed (signal 9)", "memory"),
    ):
        manifest = read_json(run_of(sweep, number) / "manifest.json")
        assert (manifest["error"]["type"], manifest["error"]["message"]) == (kind, message)
        assert hint in manifest["error"]["hint"]
        assert manifest["finished_at"] and manifest["duration_s"] > 0

    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    ending = " ".join(outcome.stdout.partition("2 of 4 jobs completed in runs/trouble")[2].split())
    for words in (
        "1 job failed: loss became nan in epoch 2.",
        "1 job failed: the process was killed (signal 9)",
        "weight decay 4000",
        "epochs 100000",
    ):
        assert words in ending
    places = [f"--config-dir={folder}/yaml", *BY_JOBLIB, f"runs_dir={folder}/runs"]
    assert printed_command(outcome.stdout, "next\n") == ["-m", *places, "sweep=trouble"]


def all_fail_alike(start: Start, folder: Path) -> None:
    """Ends after five with their one message; with on_fail=stop, after the first."""
    growth = (*GROWTH, "optimizer.weight_decay=4000", "training.epochs=2")
    typed = (*QUICK, *growth, "seed=range(0,8)", "sweep=alike")
    first = ended(start("-m", *typed, cwd=folder), folder)
    sweep = folder / "runs" / "alike"
    assert (first.status, first.stderr) == (1, "")
    assert statuses(sweep) == ["failed"] * 5 + ["pending"] * 3
    assert "no more jobs were started: the first 5 jobs all failed: loss became nan" in first.stdout
    ending = first.stdout.partition("0 of 8 jobs completed")[2]
    assert ending.count("loss became nan") == 2 and "5 jobs failed:" in ending and "3 jobs pending" in ending

    again = ended(start("-m", "sweep=alike", "on_fail=stop", cwd=folder), folder)
    assert (again.status, again.stderr) == (1, "")
    assert statuses(sweep) == ["failed"] + ["interrupted"] * 4 + ["pending"] * 3
    assert "no more jobs were started: a job failed, and on_fail=stop" in again.stdout
    runs_dir = f"runs_dir={folder}/runs"
    assert printed_command(again.stdout, "next\n") == ["-m", "on_fail=stop", runs_dir, "sweep=alike"]


SCENARIOS = (one_fails_and_one_is_killed, all_fail_alike)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_jobs_that_fail(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome_of(scenario)
