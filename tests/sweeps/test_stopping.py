"""Sweeps in which jobs fail, are killed or stopped: it harms nobody else, and all can be gone on with."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    runs_of,
    side_by_side,
    status_of,
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
DRAFT = ".draft-*"


@dataclass(frozen=True)
class Stopped:
    """A sweep that a signal stopped, and what was done with it then.

    Attributes:
        ended: The command that was stopped.
        seconds: From the last signal to its end.
        statuses: Of its jobs, then.
        left: Processes that were there a moment later.
        first: The first run's manifest, then.
    """

    ended: Ended
    seconds: float
    statuses: list[str]
    left: dict[int, str]
    first: dict[str, Any]


def one_fails_and_one_is_killed(start: Start, folder: Path) -> Ended:
    plan = folder / "yaml" / "sweep_plan" / "trouble.yaml"
    plan.parent.mkdir(parents=True)
    plan.write_text(TROUBLE)
    typed = ("--config-dir=yaml", *QUICK, *GROWTH, "sweep_plan=trouble", "sweep=trouble")
    process = start("-m", *typed, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", cwd=folder)
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


def stopped_from_the_keyboard(start: Start, folder: Path) -> tuple[Stopped, Ended]:
    """A sweep whose whole group of processes gets SIGINT, and the command that it then printed."""
    typed = (*QUICK, "training.epochs=25", "seed=0,1,2", "sweep=long", "runs_dir=some where")
    process = start("-m", *typed, "hydra/launcher=joblib", cwd=folder, before=("setsid",))
    sweep = folder / "some where" / "long"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: any(num_epochs(run) >= 2 for run in runs_of(sweep)), process)
    stopped = stop(process, sweep, lambda: os.killpg(process.pid, signal.SIGINT))
    command = printed_command(stopped.ended.stderr, "resume with:")
    return stopped, ended(start(*command, cwd=folder), folder)


def stop(process: Any, sweep: Path, send: Any) -> Stopped:
    """Sends a signal and waits for the command's end."""
    asked = time.monotonic()
    send()
    process.wait(60)
    seconds = time.monotonic() - asked
    outcome = ended(process, sweep.parents[1])
    begun = next(run for run in runs_of(sweep) if status_of(run) != "pending")
    time.sleep(0.5)
    return Stopped(
        outcome,
        seconds,
        statuses(sweep),
        processes_in(sweep.parents[1]),
        read_json(begun / "manifest.json"),
    )


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (one_fails_and_one_is_killed, all_fail_alike))


@pytest.fixture(scope="module")
def from_the_keyboard(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stopped, Ended]:
    return stopped_from_the_keyboard(start, tmp_path_factory.mktemp("keyboard"))


def test_a_job_that_fails_and_one_that_is_killed_cost_nobody_else(outcome_of: Outcomes) -> None:
    outcome = outcome_of(one_fails_and_one_is_killed)
    assert (outcome.status, outcome.stderr) == (1, "")
    assert statuses(outcome.sweep("trouble")) == ["completed", "failed", "failed", "completed"]
    assert not list(outcome.folder.rglob(DRAFT)) and processes_in(outcome.folder) == {}


def test_a_failed_jobs_manifest_says_why(outcome_of: Outcomes) -> None:
    sweep = outcome_of(one_fails_and_one_is_killed).sweep("trouble")
    manifest = read_json(run_of(sweep, 1) / "manifest.json")
    assert manifest["error"]["message"] == "loss became nan in epoch 2."
    assert "optimizer.learning_rate" in manifest["error"]["hint"]
    assert manifest["finished_at"] and manifest["duration_s"] > 0


def test_a_killed_jobs_manifest_says_that_it_was_killed(outcome_of: Outcomes) -> None:
    sweep = outcome_of(one_fails_and_one_is_killed).sweep("trouble")
    manifest = read_json(run_of(sweep, 2) / "manifest.json")
    assert manifest["error"]["type"] == "ProcessLost"
    assert manifest["error"]["message"] == "the process was killed (signal 9)"
    assert "memory" in manifest["error"]["hint"] and manifest["finished_at"]


def test_a_sweep_with_failures_ends_with_their_reasons_and_how_to_go_on(outcome_of: Outcomes) -> None:
    outcome = outcome_of(one_fails_and_one_is_killed)
    lines = outcome.stdout
    assert not CONTROL.search(lines) and not NOISE.search(lines)
    ending = " ".join(lines.partition("2 of 4 jobs completed in runs/trouble")[2].split())
    assert "1 job failed: loss became nan in epoch 2." in ending
    assert "1 job failed: the process was killed (signal 9)" in ending
    assert "weight decay 4000" in ending and "epochs 100000" in ending
    words = printed_command(lines, "next\n")
    assert words == [
        "-m",
        f"--config-dir={outcome.folder}/yaml",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        f"runs_dir={outcome.folder}/runs",
        "sweep=trouble",
    ]


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


def test_ctrl_c_saves_what_runs_and_leaves_the_rest_pending(from_the_keyboard: tuple[Stopped, Ended]) -> None:
    stopped, _ = from_the_keyboard
    assert stopped.ended.status == 130
    assert "interrupted" in stopped.statuses and set(stopped.statuses) <= {"interrupted", "pending"}
    assert stopped.statuses[2] == "pending" and stopped.left == {}
    assert stopped.first["status"] == "interrupted" and stopped.first["finished_at"]
    assert "SIGINT" in stopped.first["error"]["message"]
    assert "stopping: running jobs finish their epoch" in stopped.ended.stdout


def test_ctrl_c_leaves_one_line_with_the_command_that_goes_on(
    from_the_keyboard: tuple[Stopped, Ended],
) -> None:
    stopped, _ = from_the_keyboard
    assert stopped.ended.stderr == (
        "mnist-exp: stopped by SIGINT; what was finished is in some where/long; "
        "resume with: mnist-exp -m hydra/launcher=joblib "
        f"'runs_dir={stopped.ended.folder}/some where' sweep=long\n"
    )


def test_the_printed_command_completes_the_sweep(from_the_keyboard: tuple[Stopped, Ended]) -> None:
    _, resumed = from_the_keyboard
    assert (resumed.status, resumed.stderr) == (0, "")
    sweep = resumed.folder / "some where" / "long"
    assert statuses(sweep) == ["completed"] * 3
    assert [num_epochs(run) for run in runs_of(sweep)] == [25] * 3
    assert not list(resumed.folder.rglob(DRAFT)) and not list(resumed.folder.rglob(".launch_*"))
