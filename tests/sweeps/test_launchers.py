"""Each of Hydra's launchers for real, on this machine: trainings and searches, and what is not installed."""

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec.yaml
import pytest

from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Run, Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    Ended,
    Outcomes,
    ended,
    processes_in,
    read_json,
    run_of,
    runs_of,
    side_by_side,
    statuses,
    wait_for,
)

QUICK = ("data=sample", "data.path=digits.npz", "training.engine=graph", "training.epochs=1")
EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_slurm": "slurm"}
SPACE = """
optimizer.learning_rate: {type: float, min_value: 1.0e-3, max_value: 1.0e-2, sampling: log}
model.dropout: {type: float, min_value: 0.0, max_value: 0.2, step: 0.1}
"""


def launched(start: Start, folder: Path, launcher: str, *settings: str) -> Ended:
    """A sweep of two jobs on images at a relative path."""
    shutil.copy(SAMPLE_PATH, folder / "digits.npz")
    typed = ("-m", *QUICK, "seed=0,1", "sweep=pair", f"hydra/launcher={launcher}", *settings)
    return ended(start(*typed, cwd=folder), folder)


def by_joblib(start: Start, folder: Path) -> Ended:
    return launched(start, folder, "joblib", "hydra.launcher.n_jobs=2")


def by_ray(start: Start, folder: Path) -> Ended:
    return launched(start, folder, "ray", "+hydra.launcher.ray.init.num_cpus=2")


def by_submitit(start: Start, folder: Path) -> Ended:
    return launched(start, folder, "submitit_local")


@dataclass(frozen=True)
class Searches:
    """Two searches in one sweep, stopped and gone on with.

    Attributes:
        stopped: The command that was interrupted, through joblib.
        statuses: Of both, then.
        trials: What each had written of its trials, then.
        resumed: The command that went on with them, one after the other.
        again: The very first command once more.
    """

    stopped: Ended
    statuses: list[str]
    trials: list[str]
    resumed: Ended
    again: Ended


def searches_gone_on_with(start: Start, folder: Path) -> Searches:
    shutil.copy(SAMPLE_PATH, folder / "digits.npz")
    space = folder / "yaml" / "search_space" / "rates.yaml"
    space.parent.mkdir(parents=True)
    space.write_text(SPACE)
    search = ("mode=tune", "search_space=rates", "tuner.max_trials=3", "tuner.confirm.seeds=0")
    typed = ("-m", "--config-dir=yaml", *QUICK, *search, "seed=0,1", "sweep=pair")
    by_two = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process = start(*typed, *by_two, cwd=folder)
    sweep = folder / "runs" / "pair"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: any((run / "trials.jsonl").exists() for run in runs_of(sweep)), process)
    process.send_signal(signal.SIGINT)
    stopped = ended(process, folder)
    before, trials = statuses(sweep), [read_trials(run) for run in runs_of(sweep)]
    resumed = ended(start("-m", "sweep=pair", cwd=folder), folder)
    return Searches(stopped, before, trials, resumed, ended(start(*typed, *by_two, cwd=folder), folder))


def read_trials(run: Path) -> str:
    path = run / "trials.jsonl"
    return path.read_text() if path.exists() else ""


SCENARIOS = (by_ray, by_submitit, searches_gone_on_with, by_joblib)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, SCENARIOS)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [by_joblib, by_ray, by_submitit])
def test_a_launcher_runs_a_sweep_and_leaves_no_process(outcome_of: Outcomes, scenario: Any) -> None:
    outcome = outcome_of(scenario)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    assert "2 jobs, 2 at once" in outcome.stdout and "2 of 2 jobs completed" in outcome.stdout
    assert statuses(outcome.sweep("pair")) == ["completed"] * 2
    wait_for(lambda: not processes_in(outcome.folder), seconds=10)
    assert sorted(path.name for path in outcome.folder.iterdir()) == ["digits.npz", "runs"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [by_joblib, by_ray, by_submitit])
def test_relative_paths_start_where_the_command_was_typed_whatever_the_launcher(
    outcome_of: Outcomes, scenario: Any
) -> None:
    outcome = outcome_of(scenario)
    for number, run in enumerate(runs_of(outcome.sweep("pair"))):
        manifest = read_json(run / "manifest.json")
        assert manifest["data"]["source"] == str(outcome.folder / "digits.npz")
        assert manifest["sweep"] == {"name": "pair", "job": number, "jobs_at_once": 2}
        assert msgspec.yaml.decode((run / "config.yaml").read_bytes())["data"]["path"] == "digits.npz"


@pytest.mark.slow
def test_interrupted_searches_of_a_sweep_say_how_to_go_on(outcome_of: Outcomes) -> None:
    searches = outcome_of(searches_gone_on_with)
    assert searches.stopped.status == 130 and "hydra/launcher=joblib" in searches.stopped.stderr
    assert "interrupted" in searches.statuses and set(searches.statuses) <= {"interrupted", "pending"}
    assert any(searches.trials)


@pytest.mark.slow
def test_interrupted_searches_of_a_sweep_are_gone_on_with_and_not_begun_again(outcome_of: Outcomes) -> None:
    searches = outcome_of(searches_gone_on_with)
    assert (searches.resumed.status, searches.resumed.stderr) == (0, "")
    sweep = searches.resumed.sweep("pair")
    assert statuses(sweep) == ["completed"] * 2 and not (sweep / "earlier").exists()
    for run, before in zip(runs_of(sweep), searches.trials, strict=True):
        assert read_trials(run).startswith(before)
        assert read_trials(run).count("\n") == read_json(run / "summary.json")["num_trials"] == 3
    assert read_json(run_of(sweep, 1) / "manifest.json")["mode"] == "tune"


@pytest.mark.slow
def test_the_same_command_means_the_same_searches(outcome_of: Outcomes) -> None:
    again = outcome_of(searches_gone_on_with).again
    assert (again.status, again.stderr) == (0, "") and "2 already finished" in again.stdout


@pytest.mark.parametrize("launcher", EXTRAS)
def test_a_launcher_that_is_not_installed_is_one_line_with_the_extra_to_install(
    run_command: Run, tmp_path: Path, launcher: str
) -> None:
    blocked, folder = tmp_path / "blocked", tmp_path / "folder"
    blocked.mkdir()
    folder.mkdir()
    plugin = f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher"
    (blocked / "sitecustomize.py").write_text(f"import sys\nsys.modules[{plugin!r}] = None\n")
    typed = ("-m", "data=sample", "seed=0,1", f"hydra/launcher={launcher}")
    done = run_command(*typed, cwd=folder, PYTHONPATH=str(blocked))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mnist-exp: hydra/launcher: {launcher} is not installed. "
        f"Install it with: pip install 'mnist-exp[{EXTRAS[launcher]}]'\n"
    )
    assert list(folder.iterdir()) == []
