"""What users have set up for other programs with Keras, NumPy and Matplotlib does not reach a run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run, clean_environment

QUICK = ("data=sample", "training.epochs=1", "model=cnn")
NUM_PARAMS = 24_394
INLINE = "module://matplotlib_inline.backend_inline"
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
import matplotlib, numpy
from matplotlib import style
from mnist_exp.report.figures.style import draw_plots
print(json.dumps([
    matplotlib.get_backend(), matplotlib.rcParams["font.size"], matplotlib.rcParams["text.usetex"],
    "user" in style.available, keras_home(), sorted(os.environ), os.getcwd(),
]))
"""


def hostile(folder: Path) -> dict[str, str]:
    """Writes everything that a user can configure, wrongly, and gives the variables that lead there."""
    for name in ("keras", "config/matplotlib/stylelib", "mpl"):
        (folder / name).mkdir(parents=True)
    (folder / "keras/keras.json").write_text(json.dumps(KERAS_JSON))
    for name in ("matplotlibrc", "mpl/matplotlibrc", "config/matplotlib/matplotlibrc"):
        (folder / name).write_bytes(NOT_TEXT)
    (folder / "config/matplotlib/stylelib/user.mplstyle").write_bytes(NOT_TEXT)
    return {
        "KERAS_HOME": str(folder / "keras"),
        "KERAS_BACKEND": "jax",
        "KERAS_MAX_EPOCHS": "none",
        "KERAS_MAX_STEPS_PER_EPOCH": "1",
        "KERAS_NNX_ENABLED": "true",
        "TF_USE_LEGACY_KERAS": "1",
        "NPY_PROMOTION_STATE": "legacy",
        "NPY_DISABLE_CPU_FEATURES": "AVX2",
        "NPY_ENABLE_CPU_FEATURES": "AVX2",
        "MPLBACKEND": INLINE,
        "MATPLOTLIBRC": str(folder / "mpl"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"MPLBACKEND": INLINE},
        {"MPLBACKEND": "nonsense"},
        {"MPLBACKEND": "TkAgg"},
        {"MATPLOTLIBRC": "mpl"},
        {"MATPLOTLIBRC": "nowhere"},
        {"MPLCONFIGDIR": "config/matplotlib"},
        {"XDG_CONFIG_HOME": "config"},
        {"NPY_PROMOTION_STATE": "legacy"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2", "NPY_ENABLE_CPU_FEATURES": "AVX2"},
        {"HOME": "/proc/nowhere"},
    ],
    ids=lambda variables: " ".join(variables) or "matplotlibrc alone",
)
def test_libraries_are_imported_with_their_own_defaults(tmp_path: Path, variables: dict[str, str]) -> None:
    hostile(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", REPORT],
        cwd=tmp_path, env=clean_environment(**variables), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    backend, size, uses_tex, has_style, home, _, folder = json.loads(done.stdout)
    assert (backend.lower(), size, uses_tex, has_style) == ("agg", 10.0, False, False)
    assert home == "~/.keras" and folder == str(tmp_path)


def test_the_users_keras_folder_is_still_where_data_sets_are_looked_for(tmp_path: Path) -> None:
    script = REPORT.replace("shield()\n", "shield()\nshield()\n", 1)
    environment = clean_environment(KERAS_HOME="/somewhere", KERASTUNER_TUNER_ID="chief")
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    *_, home, names, _ = json.loads(done.stdout)
    assert home == "/somewhere" and "KERASTUNER_TUNER_ID" in names


def test_a_process_that_only_imports_the_package_keeps_its_environment(tmp_path: Path) -> None:
    script = "import os; before = dict(os.environ); import mnist_exp.__main__, mnist_exp.cli; "
    script += "assert os.environ == before"
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, check=True)


def read_json(path: Path) -> dict[str, object]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_no_users_configuration_changes_a_run(run_command: Run, tmp_path: Path) -> None:
    usual, other = tmp_path / "usual", tmp_path / "other"
    usual.mkdir()
    other.mkdir()
    variables = hostile(other)
    for folder, given in ((usual, {}), (other, variables)):
        done = run_command(*QUICK, "hydra.run.dir=run", cwd=folder, **given)
        assert (done.returncode, done.stderr) == (0, "")
    first, second = usual / "run", other / "run"
    assert read_json(second / "summary.json")["num_params"] == NUM_PARAMS
    with np.load(first / "predictions.npz") as one, np.load(second / "predictions.npz") as two:
        assert one["probabilities"].tobytes() == two["probabilities"].tobytes()
    for picture in (first / "plots").iterdir():
        if picture.name != "learning_curves.png":
            assert picture.read_bytes() == (second / "plots" / picture.name).read_bytes()
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
@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "model=cnn,ann"),
        ("-m", "model=cnn,ann", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        ("mode=tune", "model=ann", "tuner.max_trials=2", "tuner.confirm.seeds=0", "tuner.workers=1"),
    ],
    ids=["sweep", "joblib", "search"],
)
def test_no_users_configuration_reaches_workers(
    run_command: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run_command(*arguments, "data=sample", "training.epochs=1", cwd=tmp_path, **hostile(tmp_path))
    assert done.returncode == 0, done.stderr
    counts = {read_json(path)["num_params"] for path in (tmp_path / "runs").rglob("summary.json")}
    assert NUM_PARAMS in counts or arguments[0] == "mode=tune"


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_costs_itself_and_a_line(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_PICTURES)
    done = run_command(
        "data=sample", "training.epochs=1", "hydra.run.dir=run", cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )
    run, sentence = tmp_path / "run", "plots/mistakes.png was not drawn: RuntimeError: no ink"
    assert done.returncode == 0 and sentence in " ".join(done.stdout.split())
    manifest = read_json(run / "manifest.json")
    assert manifest["status"] == "completed" and sentence in str(manifest["not_drawn"])
    assert (run / "summary.json").exists() and not list((run / "plots").iterdir())
    assert "Pictures are missing" in (run / "report.html").read_text(encoding="utf-8")
    for mode in (("mode=evaluate", "run=run"), ("mode=compare", "runs=run")):
        asked = run_command(*mode, cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert asked.returncode == 0 and "not drawn: RuntimeError: no ink" in " ".join(asked.stdout.split())
