"""Sweeps in which jobs fail or are killed: it harms nobody else, and they can be gone on with."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    QUICK,
    Ended,
    Outcomes,
    ended,
    find_at_work,
    num_epochs,
    printed_command,
    processes_in,
    read_json,
    run_of,
    side_by_side,
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


def one_fails_and_one_is_killed(start: Start, folder: Path) -> Ended:
    plan = folder / "yaml" / "sweep_plan" / "trouble.yaml"
    plan.parent.mkdir(parents=True)
    plan.write_text(TROUBLE)
    typed = ("--config-dir=yaml", *QUICK, *GROWTH, "sweep_plan=trouble", "sweep=trouble")
    process = start("-m", *typed, *BY_JOBLIB, cwd=folder)
    sweep = folder / "runs" / "trouble"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: num_epochs(run_of(sweep, 2)) > 2, process)
    victim = wait_for(lambda: find_at_work(folder, run_of(sweep, 2)), process)
    os.kill(victim, signal.SIGKILL)
    return ended(process, folder)


def all_fail_alike(start: Start, folder: Path) -> tuple[Ended, list[str], Ended]:
    """A sweep all of whose jobs fail; then again, to stop at the first failure."""
    growth = (*GROWTH, "optimizer.weight_decay=4000", "training.epochs=2")
    typed = (*QUICK, *growth, "seed=0,1,2,3,4,5,6,7", "sweep=alike")
    first = ended(start("-m", *typed, cwd=folder), folder)
    after = statuses(first.sweep("alike"))
    return first, after, ended(start("-m", "sweep=alike", "on_fail=stop", cwd=folder), folder)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (one_fails_and_one_is_killed, all_fail_alike))


def test_a_job_that_fails_and_one_that_is_killed_cost_nobody_else(outcome_of: Outcomes) -> None:
    outcome = outcome_of(one_fails_and_one_is_killed)
    assert (outcome.status, outcome.stderr) == (1, "")
    assert statuses(outcome.sweep("trouble")) == ["completed", "failed", "failed", "completed"]
    assert not list(outcome.folder.rglob(".draft-*")) and processes_in(outcome.folder) == {}


@pytest.mark.parametrize(
    ("number", "kind", "message", "hint"),
    [
        (1, "RunError", "loss became nan in epoch 2.", "optimizer.learning_rate"),
        (2, "ProcessLost", "the process was killed (signal 9)", "memory"),
    ],
)
def test_the_manifest_of_a_failed_job_says_why(
    outcome_of: Outcomes, number: int, kind: str, message: str, hint: str
) -> None:
    sweep = outcome_of(one_fails_and_one_is_killed).sweep("trouble")
    manifest = read_json(run_of(sweep, number) / "manifest.json")
    assert (manifest["error"]["type"], manifest["error"]["message"]) == (kind, message)
    assert hint in manifest["error"]["hint"]
    assert manifest["finished_at"] and manifest["duration_s"] > 0


def test_a_sweep_with_failures_ends_with_their_reasons_and_how_to_go_on(outcome_of: Outcomes) -> None:
    outcome = outcome_of(one_fails_and_one_is_killed)
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    ending = " ".join(outcome.stdout.partition("2 of 4 jobs completed in runs/trouble")[2].split())
    for words in (
        "1 job failed: loss became nan in epoch 2.",
        "1 job failed: the process was killed (signal 9)",
        "weight decay 4000",
        "epochs 100000",
    ):
        assert words in ending
    folder = outcome.folder
    places = [f"--config-dir={folder}/yaml", *BY_JOBLIB, f"runs_dir={folder}/runs"]
    assert printed_command(outcome.stdout, "next\n") == ["-m", *places, "sweep=trouble"]


def test_a_sweep_whose_first_five_jobs_fail_alike_ends_early_with_that_one_message(
    outcome_of: Outcomes,
) -> None:
    first, after, _ = outcome_of(all_fail_alike)
    assert (first.status, first.stderr) == (1, "")
    assert after == ["failed"] * 5 + ["pending"] * 3
    assert "no more jobs were started: the first 5 jobs all failed: loss became nan" in first.stdout
    ending = first.stdout.partition("0 of 8 jobs completed")[2]
    assert ending.count("loss became nan") == 2 and "5 jobs failed:" in ending and "3 jobs pending" in ending


def test_on_fail_stop_starts_nothing_after_a_failure(outcome_of: Outcomes) -> None:
    *_, again = outcome_of(all_fail_alike)
    assert (again.status, again.stderr) == (1, "")
    assert statuses(again.sweep("alike")) == ["failed"] + ["interrupted"] * 4 + ["pending"] * 3
    assert "no more jobs were started: a job failed, and on_fail=stop" in again.stdout
    runs_dir = f"runs_dir={again.folder}/runs"
    assert printed_command(again.stdout, "next\n") == ["-m", "on_fail=stop", runs_dir, "sweep=alike"]
