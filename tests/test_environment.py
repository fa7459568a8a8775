"""What users have set up for other programs with Keras, NumPy and Matplotlib does not reach a run."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import compare_runs
from mnist_exp.report.terminal import Terminal
from tests.conftest import FinishedRun, Run, clean_environment
from tests.evaluation.modes import run_evaluate
from tests.sweeps.sweeping import read_json, run_in

QUICK = ("data=sample", "training.epochs=1", "model=cnn")
NUM_PARAMS = 24_394
KERAS_JSON = {"floatx": "float16", "epsilon": 1, "backend": "jax", "image_data_format": "channels_first"}
NOT_TEXT = b"text.usetex: True\nfont.size: 40\n\xff\xfe"
NO_PICTURES = """
import matplotlib.figure

def refuse(*arguments, **options):
    raise RuntimeError("no ink")

matplotlib.figure.Figure.draw = refuse
"""
NOTEBOOK = """
import sys, keras
keras.config.set_floatx("float16")
keras.config.set_image_data_format("channels_first")
keras.config.set_max_epochs(0)
from mnist_exp.cli import main
sys.argv = ["mnist-exp", *sys.argv[1:], "hydra.run.dir=run"]
main()
"""
REPORT = """
import json, os
from mnist_exp.environment import keras_home, shield
shield()
shield()
import matplotlib, numpy
from matplotlib import style
from mnist_exp.report.figures.style import draw_plots
print(json.dumps([
    matplotlib.get_backend(), matplotlib.rcParams["font.size"], matplotlib.rcParams["text.usetex"],
    "user" in style.available, keras_home(), sorted(os.environ), os.getcwd(),
]))
"""


VARIABLES = {
    "KERAS_HOME": "keras",
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "none",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "KERAS_NNX_ENABLED": "true",
    "TF_USE_LEGACY_KERAS": "1",
    "NPY_PROMOTION_STATE": "legacy",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "NPY_ENABLE_CPU_FEATURES": "AVX2",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "mpl",
    "XDG_CONFIG_HOME": "config",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
SURROUNDINGS = {
    "matplotlibrc alone": {},
    "all variables": VARIABLES | {"KERASTUNER_TUNER_ID": "chief"},
    "other files, no home": {
        "MPLCONFIGDIR": "config/matplotlib", "MATPLOTLIBRC": "nowhere", "MPLBACKEND": "nonsense",
        "HOME": "/proc/nowhere",
    },
}  # fmt: skip


def write_hostile_files(folder: Path) -> None:
    """Writes everything that a user can configure, wrongly, to where `VARIABLES` lead."""
    for name in ("keras", "config/matplotlib/stylelib", "mpl"):
        (folder / name).mkdir(parents=True)
    (folder / "keras/keras.json").write_text(json.dumps(KERAS_JSON))
    for name in ("matplotlibrc", "mpl/matplotlibrc", "config/matplotlib/matplotlibrc"):
        (folder / name).write_bytes(NOT_TEXT)
    (folder / "config/matplotlib/stylelib/user.mplstyle").write_bytes(NOT_TEXT)


@pytest.mark.parametrize("kind", SURROUNDINGS)
def test_libraries_are_imported_with_their_own_defaults(tmp_path: Path, kind: str) -> None:
    write_hostile_files(tmp_path)
    variables = SURROUNDINGS[kind]
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", REPORT],
        cwd=tmp_path, env=clean_environment(**variables), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    backend, size, uses_tex, has_style, home, names, folder = json.loads(done.stdout)
    assert (backend.lower(), size, uses_tex, has_style) == ("agg", 10.0, False, False)
    assert folder == str(tmp_path)
    # Where data sets are looked for, and what is none of Keras' own.
    assert home == variables.get("KERAS_HOME", "~/.keras")
    assert ("KERASTUNER_TUNER_ID" in names) == ("KERASTUNER_TUNER_ID" in variables)


def test_a_process_that_only_imports_the_package_keeps_its_environment(tmp_path: Path) -> None:
    script = "import os; before = dict(os.environ); import mnist_exp.__main__, mnist_exp.cli; "
    script += "assert os.environ == before"
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, check=True)


@pytest.mark.slow
def test_no_users_configuration_changes_a_run_in_whatever_process(run_command: Run, tmp_path: Path) -> None:
    usual, other = tmp_path / "usual", tmp_path / "other"
    usual.mkdir()
    other.mkdir()
    quick = (*QUICK, "training.threads=1")
    jobs = ("-m", "seed=0,1", "sweep=two", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    write_hostile_files(other)
    for folder, words, given in ((usual, (), {}), (other, jobs, VARIABLES)):
        done = run_command(*words, *quick, cwd=folder, **given)
        assert (done.returncode, done.stderr) == (0, "")
    first = run_in(usual)
    second = next(path for path in (other / "runs/two").iterdir() if path.name.startswith("seed-0"))
    assert read_json(second / "summary.json")["num_params"] == NUM_PARAMS
    noted, expected = (
        read_json(run / "manifest.json")["environment"]["variables"] for run in (second, first)
    )
    assert noted == expected | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}, "it may decide bits"
    with np.load(first / "predictions.npz") as one, np.load(second / "predictions.npz") as two:
        assert one["probabilities"].tobytes() == two["probabilities"].tobytes()
    for name in ("confusion_matrix.png", "mistakes.png"):
        assert (first / "plots" / name).read_bytes() == (second / "plots" / name).read_bytes()
    assert [path.name for path in (other / "keras").iterdir()] == ["keras.json"]


@pytest.mark.slow
def test_nor_does_what_a_notebook_did_to_keras_before(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", NOTEBOOK, *QUICK]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "run/summary.json")["num_params"] == NUM_PARAMS
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_costs_itself_and_a_line(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_PICTURES)
    words = (*QUICK, "model=ann", "hydra.run.dir=run")
    done = run_command(*words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    run, sentence = tmp_path / "run", "plots/mistakes.png was not drawn: RuntimeError: no ink"
    assert done.returncode == 0 and sentence in " ".join(done.stdout.split())
    manifest = read_json(run / "manifest.json")
    assert manifest["status"] == "completed" and sentence in str(manifest["not_drawn"])
    assert (run / "summary.json").exists() and not list((run / "plots").iterdir())
    assert "Pictures are missing" in (run / "report.html").read_text(encoding="utf-8")


def test_pictures_of_other_modes_that_cannot_be_drawn_cost_a_line(
    finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("matplotlib.figure.Figure.draw", refuse)
    evaluated, _ = run_evaluate(finished_run.path, tmp_path, evaluate={"robustness_images": 0})
    compared = StringIO()
    compare_runs([finished_run.path], CompareOptions(), Terminal(compared), tmp_path)
    for text in (evaluated, compared.getvalue()):
        assert "not drawn: RuntimeError: no ink" in " ".join(text.split())
