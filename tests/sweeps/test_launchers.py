"""Each of Hydra's launchers for real, on this machine: trainings and searches, and what is not installed."""

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec.yaml
import pytest
from hydra.errors import MissingConfigException

from mnist_exp.config.refusals import explain_hydra
from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Run, Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    Ended,
    Outcomes,
    Scenario,
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
SPACE = """
optimizer.learning_rate: {type: float, min_value: 1.0e-3, max_value: 1.0e-2, sampling: log}
model.dropout: {type: float, min_value: 0.0, max_value: 0.2, step: 0.1}
"""


def launched(start: Start, folder: Path, launcher: str, *settings: str) -> Ended:
    """A sweep of two jobs on images at a relative path."""
    shutil.copy(SAMPLE_PATH, folder / "digits.npz")
    typed = ("-m", *QUICK, "seed=0,1", "sweep=pair", f"hydra/launcher={launcher}", *settings)
    return ended(start(*typed, cwd=folder), folder)


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
        resumed: The same command again.
    """

    stopped: Ended
    statuses: list[str]
    trials: list[str]
    resumed: Ended


def searches_gone_on_with(start: Start, folder: Path) -> Searches:
    shutil.copy(SAMPLE_PATH, folder / "digits.npz")
    space = folder / "yaml" / "search_space" / "rates.yaml"
    space.parent.mkdir(parents=True)
    space.write_text(SPACE)
    search = ("mode=tune", "search_space=rates", "tuner.max_trials=3", "tuner.confirm.seeds=0")
    by_two = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    typed = ("-m", "--config-dir=yaml", *QUICK, *search, "seed=0,1", "sweep=pair", *by_two)
    process = start(*typed, cwd=folder)
    sweep = folder / "runs" / "pair"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: any((run / "trials.jsonl").exists() for run in runs_of(sweep)), process)
    process.send_signal(signal.SIGINT)
    stopped = ended(process, folder)
    before, trials = statuses(sweep), [read_trials(run) for run in runs_of(sweep)]
    return Searches(stopped, before, trials, ended(start(*typed, cwd=folder), folder))


def read_trials(run: Path) -> str:
    path = run / "trials.jsonl"
    return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (by_ray, searches_gone_on_with, by_submitit))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [by_ray, by_submitit])
def test_a_launcher_runs_a_sweep_and_leaves_no_process(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome = outcome_of(scenario)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    assert "2 jobs, 2 at once" in outcome.stdout and "2 of 2 jobs completed" in outcome.stdout
    assert statuses(outcome.sweep("pair")) == ["completed"] * 2
    wait_for(lambda: not processes_in(outcome.folder), seconds=10)
    assert sorted(path.name for path in outcome.folder.iterdir()) == ["digits.npz", "runs"]
    for number, run in enumerate(runs_of(outcome.sweep("pair"))):
        manifest = read_json(run / "manifest.json")
        assert manifest["data"]["source"] == str(outcome.folder / "digits.npz"), "a path of the command's"
        assert manifest["sweep"] == {"name": "pair", "job": number, "jobs_at_once": 2}
        assert msgspec.yaml.decode((run / "config.yaml").read_bytes())["data"]["path"] == "digits.npz"


@pytest.mark.slow
def test_interrupted_searches_of_a_sweep_are_gone_on_with_and_not_begun_again(outcome_of: Outcomes) -> None:
    searches = outcome_of(searches_gone_on_with)
    assert searches.stopped.status == 130 and "hydra/launcher=joblib" in searches.stopped.stderr
    assert "interrupted" in searches.statuses and set(searches.statuses) <= {"interrupted", "pending"}
    assert any(searches.trials)
    assert (searches.resumed.status, searches.resumed.stderr) == (0, "")
    sweep = searches.resumed.sweep("pair")
    assert statuses(sweep) == ["completed"] * 2 and not (sweep / "earlier").exists()
    for run, before in zip(runs_of(sweep), searches.trials, strict=True):
        assert read_trials(run).startswith(before)
        assert read_trials(run).count("\n") == read_json(run / "summary.json")["num_trials"] == 3
    assert read_json(run_of(sweep, 1) / "manifest.json")["mode"] == "tune"


@pytest.mark.parametrize(
    ("launcher", "extra"), [("joblib", "joblib"), ("ray", "ray"), ("submitit_slurm", "slurm")]
)
def test_a_launcher_that_is_not_installed_is_refused_with_the_extra_to_install(
    launcher: str, extra: str
) -> None:
    missing = MissingConfigException("", f"hydra/launcher/{launcher}", ["basic"])
    refusal = explain_hydra(missing, [f"hydra/launcher={launcher}"])
    assert refusal.message == f"hydra/launcher: {launcher} is not installed."
    assert refusal.hint == f"Install it with: pip install 'mnist-exp[{extra}]'"


def test_a_launcher_that_is_not_installed_is_one_line(run_command: Run, tmp_path: Path) -> None:
    blocked, folder = tmp_path / "blocked", tmp_path / "folder"
    blocked.mkdir()
    folder.mkdir()
    hidden = "import sys\nsys.modules['hydra_plugins.hydra_joblib_launcher'] = None\n"
    (blocked / "sitecustomize.py").write_text(hidden)
    typed = ("-m", "data=sample", "seed=0,1", "hydra/launcher=joblib")
    done = run_command(*typed, cwd=folder, PYTHONPATH=str(blocked))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("mnist-exp: hydra/launcher: joblib is not installed. Install it with: ")
    assert list(folder.iterdir()) == []
