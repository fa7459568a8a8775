"""Searches wherever their trials run, and whatever is killed: no finished trial is lost, none runs twice.

MNIST_EXP_KILLS says how often a search is killed; the full round is 20. Launchers are real, on this machine.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Start, clean_environment
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    Ended,
    Outcomes,
    descendants,
    ended,
    printed_command,
    processes_in,
    read_json,
    run_in,
    wait_for,
)

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
SEARCH = (
    *("mode=tune", "data=sample", "search_space=mlp", "training.engine=graph", "training.epochs=2"),
    *("training.threads=1", "tuner.max_trials=4", "tuner.confirm.top=1", "tuner.confirm.seeds=1"),
)
TWO = "tuner.workers=2"
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
FOREVER = "training.epochs=100000"
LOST = "the process was killed (signal 9)"
LEND = """
import sys
from omegaconf import OmegaConf
from mnist_exp.tuning.places import lend
lend(OmegaConf.create({"launch": sys.argv[1], "job": 7}))
"""


def trials_of(run: Path) -> list[dict[str, Any]]:
    path = run / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def results_of(run: Path) -> dict[int, Any]:
    """What trials tried and what came of them, without clocks and names."""
    results = {}
    for trial in trials_of(run):
        executions = [(each["seed"], each["score"], each["best_epoch"]) for each in trial["executions"]]
        results[trial["trial"]] = (trial["status"], trial["values"], trial["score"], executions)
    return results


def winner_of(run: Path) -> list[Any]:
    summary = read_json(run / "summary.json")
    return [summary["winner"], summary["test_accuracy"]]


def workers_below(pid: int) -> list[int]:
    """Finds the worker processes below a process."""
    found = []
    for each in descendants(pid):
        try:
            if b"mnist_exp.worker" in Path(f"/proc/{each}/cmdline").read_bytes():
                found.append(each)
        except OSError:
            continue
    return found


def by_one_worker(start: Start, folder: Path) -> Ended:
    return ended(start(*SEARCH, "tuner.workers=1", cwd=folder), folder)


def by_ray(start: Start, folder: Path) -> Ended:
    typed = ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2")
    return ended(start(*SEARCH, TWO, *typed, cwd=folder), folder)


def by_submitit(start: Start, folder: Path) -> Ended:
    return ended(start(*SEARCH, TWO, "hydra/launcher=submitit_local", cwd=folder), folder)


def killed(start: Start, folder: Path) -> Ended:
    """A search by two workers that is killed at random moments, and resumed each time."""
    moments = random.Random(20)
    typed: tuple[str, ...] = (*SEARCH, TWO)
    before: list[dict[str, Any]] = []
    for _ in range(KILLS):
        process = start(*typed, cwd=folder)
        wait_for(lambda: list(folder.glob("runs/*/manifest.json")))
        run = run_in(folder)
        time.sleep(moments.uniform(0, 9))
        left_behind = workers_below(process.pid) if process.poll() is None else []
        process.kill()
        process.wait()
        wait_for(lambda pids=left_behind: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in pids))
        assert trials_of(run)[: len(before)] == before
        before = trials_of(run)
        typed = (f"resume={run}",)
    resumed = ended(start(*typed, cwd=folder), folder)
    assert trials_of(run)[: len(before)] == before
    return resumed


@dataclass(frozen=True)
class Disturbed:
    """A search whose places died and came, which was interrupted, and then resumed on this machine.

    Attributes:
        stopped: The command that was interrupted.
        before: What its trials had come to then.
        left: Processes that were there a moment later.
        resumed: The command that resumed it.
    """

    stopped: Ended
    before: dict[int, Any]
    left: dict[int, str]
    resumed: Ended


def disturbed(start: Start, folder: Path) -> Disturbed:
    process = start(*SEARCH, TWO, FOREVER, *JOBLIB, "tuner.max_trials=6", cwd=folder)
    wait_for(lambda: list(folder.glob("runs/*/places/*/replies.jsonl")), process)
    run = run_in(folder)
    wait_for(
        lambda: "EpochEnded" in "".join(map(Path.read_text, run.glob("places/*/replies.jsonl"))), process
    )
    os.kill(wait_for(lambda: workers_below(process.pid), process)[0], signal.SIGKILL)
    wait_for(lambda: trials_of(run), process)
    known = set((run / "places").iterdir())
    late = subprocess.Popen(
        [sys.executable, "-c", LEND, str(run / "places")], cwd=folder, env=clean_environment()
    )
    (place,) = wait_for(lambda: set((run / "places").iterdir()) - known, process)
    wait_for(lambda: "EpochEnded" in (place / "replies.jsonl").read_text(), process)
    process.send_signal(signal.SIGINT)
    stopped = ended(process, folder)
    late.wait(30)
    before = results_of(run)
    left = processes_in(folder)
    assert {*JOBLIB, "mode=tune"} <= set(printed_command(stopped.stderr, "resume with:"))
    # Time enough to begin the trials again that were under way, and not to end one.
    minutes = (read_json(run / "oracle.json")["elapsed_s"] + 20) / 60
    resumed = start("mode=tune", f"resume={run}", f"tuner.max_minutes={minutes:.3f}", cwd=folder)
    return Disturbed(stopped, before, left, ended(resumed, folder))


def workers_killed(start: Start, folder: Path) -> Ended:
    process = start(*SEARCH, TWO, FOREVER, "tuner.max_trials=3", cwd=folder)
    wait_for(lambda: list(folder.glob("runs/*/oracle.json")), process)
    run = run_in(folder)
    wait_for(lambda: len(read_json(run / "oracle.json")["trials"]) == 2, process)
    time.sleep(1)  # the second worker is told of its trial
    for victim in workers_below(process.pid):
        os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(trials_of(run)) == 2, process)
    process.send_signal(signal.SIGINT)
    return ended(process, folder)


SCENARIOS = (by_one_worker, by_submitit, by_ray, killed, disturbed, workers_killed)


@pytest.mark.parametrize("scenario", [by_ray, by_submitit])
def test_a_search_finds_the_same_wherever_its_trials_run_and_leaves_no_process(
    outcome_of: Outcomes, scenario: Any
) -> None:
    outcome, local = outcome_of(scenario), outcome_of(by_one_worker)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    run, other = run_in(outcome.folder), run_in(local.folder)
    assert results_of(run) == results_of(other) and len(results_of(run)) == 4
    assert winner_of(run) == winner_of(other)
    assert {trial["worker"] for trial in trials_of(run)}.isdisjoint({"local1", "local2"})
    assert not (run / "places").exists()
    wait_for(lambda: not processes_in(outcome.folder), seconds=20)


def test_a_search_killed_at_random_moments_ends_as_if_it_had_not_been(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    resumed, whole = outcome_of(killed), outcome_of(by_one_worker)
    assert resumed.status == 0, resumed.stderr
    run, other = run_in(resumed.folder), run_in(whole.folder)
    assert results_of(run) == results_of(other) and len(trials_of(run)) == 4
    assert winner_of(run) == winner_of(other)
    assert not list(run.rglob(".draft-*"))
    record_property("provoked", KILLS)


def test_a_killed_worker_costs_the_trial_it_was_at(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(workers_killed)
    run = run_in(outcome.folder)
    assert outcome.status == 130 and f"resume={run}" in outcome.stderr
    assert [(trial["status"], trial["error"]["message"]) for trial in trials_of(run)] == [
        ("failed", LOST)
    ] * 2
    assert read_json(run / "manifest.json")["status"] == "interrupted"
    record_property("provoked", 2)


def test_a_place_that_dies_costs_its_trial_and_the_search_is_resumed_elsewhere(outcome_of: Outcomes) -> None:
    search = outcome_of(disturbed)
    assert search.stopped.status == 130
    (lost,) = [trial for trial in trials_of(run_in(search.stopped.folder)) if trial["status"] == "failed"]
    assert lost["error"]["message"] == LOST
    assert search.left == {}
    assert search.resumed.status == 1 and "no trial was completed" in search.resumed.stderr
    assert results_of(run_in(search.resumed.folder)).items() >= search.before.items()


def test_a_launcher_that_lends_nothing_is_one_line(run_command: Run, tmp_path: Path) -> None:
    done = run_command(*SEARCH, TWO, *JOBLIB, "hydra.launcher.pre_dispatch=nonsense", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("mnist-exp: hydra/launcher: it runs no trials: ")
    assert done.stderr.count("\n") == 1
