"""Searches whose trials run where a launcher says: joblib, Ray and submitit for real, on this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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
    side_by_side,
    wait_for,
)

pytestmark = pytest.mark.slow

SEARCH = (
    "mode=tune",
    "data=sample",
    "search_space=mlp",
    "training.engine=graph",
    "training.epochs=2",
    "training.threads=1",
    "tuner.max_trials=4",
    "tuner.confirm.top=1",
    "tuner.confirm.seeds=1",
    "tuner.workers=2",
)
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
FOREVER = ("training.epochs=100000",)
LEND = """
import sys
from omegaconf import OmegaConf
from mnist_exp.tuning.places import lend
lend(OmegaConf.create({"launch": sys.argv[1], "job": 7}))
"""


def run_in(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def trials_of(run: Path, name: str = "trials.jsonl") -> list[dict[str, Any]]:
    path = run / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def results_of(run: Path) -> dict[int, Any]:
    """What trials tried and what came of them, without clocks and names."""
    return {trial["trial"]: (trial["status"], trial["values"], trial["score"]) for trial in trials_of(run)}


def on_this_machine(start: Start, folder: Path) -> Ended:
    return ended(start(*SEARCH, cwd=folder), folder)


def by_joblib(start: Start, folder: Path) -> Ended:
    return ended(start(*SEARCH, *JOBLIB, cwd=folder), folder)


def by_ray(start: Start, folder: Path) -> Ended:
    typed = ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2")
    return ended(start(*SEARCH, *typed, cwd=folder), folder)


def by_submitit(start: Start, folder: Path) -> Ended:
    return ended(start(*SEARCH, "hydra/launcher=submitit_local", cwd=folder), folder)


@dataclass(frozen=True)
class Disturbed:
    """A search whose places died and came, which was interrupted, and then resumed on this machine.

    Attributes:
        stopped: The command that was interrupted.
        before: What its trials had come to then.
        left: Processes that were there a moment later.
        late: Name of the place that came late.
        resumed: The command that resumed it.
    """

    stopped: Ended
    before: dict[int, Any]
    left: dict[int, str]
    late: str
    resumed: Ended


def worker_of(pid: int) -> int | None:
    """Finds a worker process below a process."""
    for each in descendants(pid):
        try:
            if b"mnist_exp.worker" in Path(f"/proc/{each}/cmdline").read_bytes():
                return each
        except OSError:
            continue
    return None


def disturbed(start: Start, folder: Path) -> Disturbed:
    process = start(*SEARCH, *FOREVER, *JOBLIB, "tuner.max_trials=6", cwd=folder)
    wait_for(lambda: list(folder.glob("runs/*/places/*/replies.jsonl")), process)
    run = run_in(folder)
    wait_for(
        lambda: "EpochEnded" in "".join(map(Path.read_text, run.glob("places/*/replies.jsonl"))), process
    )
    os.kill(wait_for(lambda: worker_of(process.pid), process), signal.SIGKILL)
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
    words = printed_command(stopped.stderr, "resume with:")
    assert {*JOBLIB, "mode=tune"} <= set(words)
    # Time enough to begin the trials again that were under way, and not to end one.
    minutes = (read_json(run / "oracle.json")["elapsed_s"] + 20) / 60
    resumed = start("mode=tune", f"resume={run}", f"tuner.max_minutes={minutes:.3f}", cwd=folder)
    return Disturbed(stopped, before, left, place.name, ended(resumed, folder))


SCENARIOS = (on_this_machine, by_joblib, by_submitit, by_ray, disturbed)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, SCENARIOS)


@pytest.mark.parametrize("scenario", [by_joblib, by_ray, by_submitit])
def test_a_search_finds_the_same_wherever_its_trials_run(outcome_of: Outcomes, scenario: Any) -> None:
    outcome, local = outcome_of(scenario), outcome_of(on_this_machine)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    run, other = run_in(outcome.folder), run_in(local.folder)
    assert results_of(run) == results_of(other) and len(results_of(run)) == 4
    one, two = (read_json(path / "summary.json") for path in (run, other))
    assert [one[name] for name in ("winner", "test_accuracy")] == [
        two[name] for name in ("winner", "test_accuracy")
    ]
    assert {trial["worker"] for trial in trials_of(run)}.isdisjoint({"local1", "local2"})


@pytest.mark.parametrize("scenario", [by_joblib, by_ray, by_submitit])
def test_a_search_leaves_no_place_and_no_process(outcome_of: Outcomes, scenario: Any) -> None:
    outcome = outcome_of(scenario)
    assert not (run_in(outcome.folder) / "places").exists()
    wait_for(lambda: not processes_in(outcome.folder), seconds=20)


def test_a_place_that_dies_costs_its_trial_and_one_that_comes_late_works(outcome_of: Outcomes) -> None:
    search = outcome_of(disturbed)
    assert search.stopped.status == 130
    (lost,) = [trial for trial in trials_of(run_in(search.stopped.folder)) if trial["status"] == "failed"]
    assert lost["error"]["message"] == "the process was killed (signal 9)"
    assert search.left == {}


def test_a_search_is_resumed_elsewhere(outcome_of: Outcomes) -> None:
    search = outcome_of(disturbed)
    assert search.resumed.status == 1 and "no trial was completed" in search.resumed.stderr
    assert results_of(run_in(search.resumed.folder)).items() >= search.before.items()


def test_a_launcher_that_lends_nothing_is_one_line(run_command: Run, tmp_path: Path) -> None:
    typed = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.launcher.pre_dispatch=nonsense")
    done = run_command(*SEARCH, *typed, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("mnist-exp: hydra/launcher: it runs no trials: ")
    assert done.stderr.count("\n") == 1
