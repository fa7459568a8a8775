"""Each of Hydra's launchers for real, on this machine: trainings and searches, and what is not installed."""

import shutil
import signal
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
    Outcomes,
    Scenario,
    ended,
    processes_in,
    read_json,
    runs_of,
    statuses,
    wait_for,
)

QUICK = ("data=sample", "data.path=digits.npz", "training.engine=graph", "training.epochs=1")
SPACE = """
optimizer.learning_rate: {type: float, min_value: 1.0e-3, max_value: 1.0e-2, sampling: log}
model.dropout: {type: float, min_value: 0.0, max_value: 0.2, step: 0.1}
"""


def assert_runs_by(start: Start, folder: Path, launcher: str, *settings: str) -> None:
    """Sweeps over two jobs on images at a relative path; nothing is left but their runs."""
    shutil.copy(SAMPLE_PATH, folder / "digits.npz")
    typed = ("-m", *QUICK, "seed=0,1", "sweep=pair", f"hydra/launcher={launcher}", *settings)
    outcome = ended(start(*typed, cwd=folder), folder)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    assert "2 jobs, 2 at once" in outcome.stdout and "2 of 2 jobs completed" in outcome.stdout
    sweep = outcome.sweep("pair")
    assert statuses(sweep) == ["completed"] * 2
    wait_for(lambda: not processes_in(folder), seconds=10)
    assert sorted(path.name for path in folder.iterdir()) == ["digits.npz", "runs"]
    for number, run in enumerate(runs_of(sweep)):
        manifest = read_json(run / "manifest.json")
        assert manifest["data"]["source"] == str(folder / "digits.npz"), "a path of the command's"
        assert manifest["sweep"] == {"name": "pair", "job": number, "jobs_at_once": 2}
        assert msgspec.yaml.decode((run / "config.yaml").read_bytes())["data"]["path"] == "digits.npz"


def by_ray(start: Start, folder: Path) -> None:
    assert_runs_by(start, folder, "ray", "+hydra.launcher.ray.init.num_cpus=2")


def by_submitit(start: Start, folder: Path) -> None:
    assert_runs_by(start, folder, "submitit_local")


def searches_by_joblib(start: Start, folder: Path) -> None:
    """Two searches in one sweep are interrupted, and gone on with by the same command."""
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
    assert stopped.status == 130 and "hydra/launcher=joblib" in stopped.stderr
    assert "interrupted" in statuses(sweep) and set(statuses(sweep)) <= {"interrupted", "pending"}
    trials = [read_trials(run) for run in runs_of(sweep)]
    assert any(trials)
    resumed = ended(start(*typed, cwd=folder), folder)
    assert (resumed.status, resumed.stderr) == (0, "")
    assert statuses(sweep) == ["completed"] * 2 and not (sweep / "earlier").exists()
    for run, before in zip(runs_of(sweep), trials, strict=True):
        assert read_trials(run).startswith(before)
        assert read_trials(run).count("\n") == read_json(run / "summary.json")["num_trials"] == 3
        assert read_json(run / "manifest.json")["mode"] == "tune"


def read_trials(run: Path) -> str:
    path = run / "trials.jsonl"
    return path.read_text() if path.exists() else ""


SCENARIOS = (by_ray, searches_by_joblib, by_submitit)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_launcher_runs_a_sweep(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome_of(scenario)


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
