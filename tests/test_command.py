"""The command from outside: what a finished run leaves, what it says, and Hydra's own flags."""

import csv
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from omegaconf import OmegaConf
from scipy.stats import binomtest

from mnist_exp.config.arguments import accepted_arguments
from mnist_exp.config.parsing import parse
from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import COMMAND, FinishedRun, Run, clean_environment
from tests.sweeps.sweeping import CONTROL, NOISE, Ended

RUN_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_train_ann_[0-9a-f]{6}")
SHA256 = re.compile(r"[0-9a-f]{64}")
PLOTS = ("learning_curves", "confusion_matrix", "sample_predictions", "mistakes", "first_layer_weights")

# What `python -I` does with both checkpoints where mnist_exp cannot be imported.
READ_CHECKPOINTS = """
import json, sys
sys.modules["mnist_exp"] = None
import keras, numpy as np
data_path, run = sys.argv[1:]
with np.load(data_path) as data:
    images, labels = data["x_test"] / 255, data["y_test"]
best, last = (keras.models.load_model(f"{run}/checkpoints/{name}.keras") for name in ("best", "last"))
loss, accuracy = best.evaluate(images, labels, verbose=0)
with open(f"{sys.argv[0]}.json", "w") as file:
    json.dump({
        "loss": loss,
        "accuracy": accuracy,
        "types": [type(model).__name__ for model in (best, last)],
        "predictions": best.predict(images, batch_size=1000, verbose=0).tolist(),
        "iterations": int(last.optimizer.iterations),
    }, file)
"""

OWN_MODEL = """
family: sequential
name: mine
width: 12
layers:
  - Flatten
  - Dense: {units: "${model.width}", activation: gelu}
  - LayerNormalization
  - Dense: {units: 10, activation: softmax}
"""
# MNIST cannot be found: nothing listens at the discard port of this machine.
OWN_EXPERIMENT = """
# @package _global_
data:
  places: []
  mirrors: [{url: "http://127.0.0.1:9/", files: {mnist.npz: "md5:0"}}]
training: {epochs: 2}
"""


@pytest.fixture(scope="module")
def own(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A model and an experiment of the user's own, into a directory of the user's own, offline."""
    folder = tmp_path_factory.mktemp("own")
    for name, content in (("model/mine", OWN_MODEL), ("experiment/offline", OWN_EXPERIMENT)):
        path = folder / "yaml" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    words = ("--config-dir", "yaml", "model=mine", "experiment=offline", "hydra.run.dir=here/exactly")
    done = run_command(*words, cwd=folder)
    return Ended(folder, done.returncode, done.stdout, done.stderr)


def read_json(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / f"{name}.json").read_text())


def read_rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def read_predictions(run: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"probabilities", "labels"}
        return arrays["probabilities"], arrays["labels"]


def test_a_finished_run_exits_with_0_and_nothing_on_stderr(finished_run: FinishedRun) -> None:
    assert (finished_run.status, finished_run.stderr) == (0, "")


def test_piped_output_is_plain_text_without_tensorflows_noise(finished_run: FinishedRun) -> None:
    assert not CONTROL.search(finished_run.stdout) and not NOISE.search(finished_run.stdout)
    for words in ("101,770 parameters", "sample: 3,500 train", "compiled", "3/3", "test accuracy", "next"):
        assert words in finished_run.stdout
    assert finished_run.path.name in finished_run.stdout


def test_a_run_directory_holds_what_the_contract_says_and_nothing_else(finished_run: FinishedRun) -> None:
    files = {str(path.relative_to(finished_run.path)) for path in finished_run.path.rglob("*.*")}
    names = ("config.yaml", "overrides.yaml", "manifest.json", "metrics.jsonl", "metrics.csv", "summary.json")
    checkpoints = {"checkpoints/best.keras", "checkpoints/last.keras"}
    rest = {"predictions.npz", "train.log", "report.html"} | {f"plots/{name}.png" for name in PLOTS}
    assert files == {*names} | checkpoints | rest
    assert RUN_NAME.fullmatch(finished_run.path.name)
    everything = {path.name for path in finished_run.path.parent.parent.iterdir()}
    assert everything == {"runs"}, "Hydra's own folders are not wanted"


def test_metrics_have_a_row_an_epoch_with_the_contracts_keys(finished_run: FinishedRun) -> None:
    rows = read_rows(finished_run.path)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        keys = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "duration_s"]
        assert list(row) == keys
        assert all(isinstance(row[key], float) for key in keys[1:])
        assert 0 <= row["accuracy"] <= 1 and 0 <= row["val_accuracy"] <= 1
        assert row["loss"] > 0 and row["val_loss"] > 0 and 0 < row["duration_s"] < 60
    assert rows[-1]["val_accuracy"] > 0.8 and rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["learning_rate"] > rows[-1]["learning_rate"] > 0


def test_the_csv_has_the_same_rows(finished_run: FinishedRun) -> None:
    with (finished_run.path / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = read_rows(finished_run.path)
    assert [list(line) for line in table] == [list(row) for row in rows]
    assert [[float(value) for value in line.values()] for line in table] == [[*row.values()] for row in rows]


def test_the_manifest_says_what_ran_and_how_it_ended(finished_run: FinishedRun) -> None:
    manifest = read_json(finished_run.path, "manifest")
    assert manifest["run_id"] == finished_run.path.name
    assert (manifest["mode"], manifest["status"], manifest["error"]) == ("train", "completed", None)
    assert manifest["argv"] == ["data=sample", "training.epochs=3", "seed=0"] and manifest["seed"] == 0
    started, finished = (datetime.fromisoformat(manifest[f"{name}_at"]) for name in ("started", "finished"))
    assert str(started.tzinfo) == "UTC" and manifest["started_at"].endswith("Z")
    assert (finished - started).total_seconds() == pytest.approx(manifest["duration_s"], abs=1)
    assert manifest["engine"]["name"] == "graph" and "84 steps" in manifest["engine"]["reason"]
    assert manifest["device"] in ("CPU", "GPU") and manifest["threads"] == len(os.sched_getaffinity(0))


def test_the_manifest_says_which_code_ran(finished_run: FinishedRun) -> None:
    manifest = read_json(finished_run.path, "manifest")
    named = {"python", "mnist-exp", "tensorflow", "keras", "numpy", "hydra-core", "omegaconf"}
    assert named <= set(manifest["versions"])
    assert manifest["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert manifest["versions"]["numpy"] == np.__version__
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        assert manifest["git"] is None
        return
    head = subprocess.run(
        ["git", "-C", str(root), "log", "-20", "--format=%H"], capture_output=True, text=True
    )
    assert manifest["git"]["commit"] in head.stdout and isinstance(manifest["git"]["dirty"], bool)


def test_the_manifest_says_which_images_were_seen(finished_run: FinishedRun) -> None:
    data = read_json(finished_run.path, "manifest")["data"]
    config = OmegaConf.load(finished_run.path / "config.yaml").data
    assert (data["name"], data["notice"]) == ("sample", None) and "bundled" in data["source"]
    assert (data["num_train"], data["num_validation"], data["num_test"]) == (3500, 500, 1000)
    assert (data["train_sha256"], data["test_sha256"]) == (config.train_sha256, config.test_sha256)
    assert SHA256.fullmatch(data["split_sha256"])


def test_the_configuration_is_resolved_and_can_be_parsed_again(finished_run: FinishedRun) -> None:
    text = (finished_run.path / "config.yaml").read_text()
    assert "${" not in text and "???" not in text
    config = parse(OmegaConf.create(text))
    assert isinstance(config, Config) and (config.training.epochs, config.data.name) == (3, "sample")
    typed = OmegaConf.load(finished_run.path / "overrides.yaml")
    assert list(typed) == ["data=sample", "training.epochs=3", "seed=0"]


def test_predictions_are_probabilities_of_the_test_images(finished_run: FinishedRun) -> None:
    probabilities, labels = read_predictions(finished_run.path)
    assert (probabilities.shape, probabilities.dtype) == ((1000, 10), np.float32)
    assert (labels.shape, labels.dtype) == ((1000,), np.uint8)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.min() >= 0
    with np.load(SAMPLE_PATH) as sample:
        np.testing.assert_array_equal(labels, sample["y_test"])


def test_the_summary_agrees_with_the_predictions(finished_run: FinishedRun) -> None:
    summary = read_json(finished_run.path, "summary")
    probabilities, labels = read_predictions(finished_run.path)
    right = int((probabilities.argmax(axis=1) == labels).sum())
    assert summary["test_accuracy"] == right / 1000 and 0.8 < right / 1000 < 1
    interval = binomtest(right, 1000).proportion_ci(method="wilson")
    np.testing.assert_allclose(summary["test_accuracy_interval"], [interval.low, interval.high], atol=1e-12)
    loss = -np.log(probabilities[np.arange(1000), labels].astype(np.float64)).mean()
    assert summary["test_loss"] == pytest.approx(loss, rel=1e-6)
    assert f"{100 * right / 1000:.2f}%" in finished_run.stdout


def test_the_summary_agrees_with_the_metrics(finished_run: FinishedRun) -> None:
    summary, rows = read_json(finished_run.path, "summary"), read_rows(finished_run.path)
    best = max(rows, key=lambda row: row["val_accuracy"])
    assert (summary["best_epoch"], summary["epochs"]) == (best["epoch"], 3)
    assert summary["val_accuracy"] == best["val_accuracy"]
    assert summary["train_s"] == pytest.approx(sum(row["duration_s"] for row in rows), abs=0.01)
    assert 0 < summary["seconds_per_epoch"] <= max(row["duration_s"] for row in rows)
    assert summary["num_params"] == 101_770
    assert 0 < summary["compile_s"] < 60 and 0 < summary["ms_per_image"] < 50
    assert 2e8 < summary["peak_memory_bytes"] < 8e9
    assert (summary["selected_on_test"], summary["data_notice"]) == (False, None)


def test_pictures_are_readable_and_wide_enough(finished_run: FinishedRun) -> None:
    for name in PLOTS:
        pixels = imread(finished_run.path / "plots" / f"{name}.png")
        assert pixels.shape[1] >= 800 and pixels.shape[0] >= 300
        assert pixels.std() > 0.02, f"{name} is blank"


def test_the_log_holds_the_console_and_tensorflows_noise(finished_run: FinishedRun) -> None:
    log = (finished_run.path / "train.log").read_text(encoding="utf-8")
    assert not CONTROL.search(log)
    assert [line for line in finished_run.stdout.splitlines() if line not in log] == []
    assert "oneDNN" in log or "cpu_feature_guard" in log


def test_plain_keras_without_this_package_reads_the_checkpoints(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    (tmp_path / "read").write_text(READ_CHECKPOINTS)
    command = [sys.executable, "-I", str(tmp_path / "read"), str(SAMPLE_PATH), str(finished_run.path)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, env=clean_environment(), check=True)
    found, summary = read_json(tmp_path, "read"), read_json(finished_run.path, "summary")
    assert found["types"] == ["Sequential", "Sequential"]
    assert found["iterations"] == 3 * -(-3500 // 128)
    assert found["accuracy"] == pytest.approx(summary["test_accuracy"], abs=1e-6)
    assert found["loss"] == pytest.approx(summary["test_loss"], rel=1e-4)
    probabilities, _ = read_predictions(finished_run.path)
    np.testing.assert_allclose(found["predictions"], probabilities, atol=1e-5)


def test_a_users_own_yaml_trains_into_the_users_own_directory(own: Ended) -> None:
    assert (own.status, own.stderr) == (0, "")
    run = own.folder / "here" / "exactly"
    config = parse(OmegaConf.load(run / "config.yaml"))
    assert (config.model.name, config.training.epochs) == ("mine", 2)
    expected = (784 + 1) * 12 + 2 * 12 + (12 + 1) * 10
    assert read_json(run, "summary")["num_params"] == expected and "LayerNormalization" in own.stdout
    assert read_json(run, "manifest")["status"] == "completed"
    assert sorted(path.name for path in own.folder.iterdir()) == ["here", "yaml"]
    assert [path.name for path in (own.folder / "here").iterdir()] == ["exactly"]


def test_offline_the_sample_stands_in_and_says_so_everywhere(own: Ended) -> None:
    run = own.folder / "here" / "exactly"
    data, summary = read_json(run, "manifest")["data"], read_json(run, "summary")
    assert data["name"] == "sample" and data["notice"] == summary["data_notice"]
    for words in ("mnist was not found", "127.0.0.1:9", "5,000 bundled digits", "data.on_missing=error"):
        assert words in data["notice"]
    assert data["num_validation"] == 333, "5,000 of 60,000, in proportion"
    framed = re.sub(r"[│╭╮╰╯─\s]+", " ", own.stdout)
    assert framed.count("5,000 bundled digits stand in") == 2 and "╭─ note" in own.stdout


LIGHT = {
    "help": (("--help",), "model: ann, bn_dnn, cnn"),
    "configuration": (("seed=7", "--cfg", "job", "model=bn_dnn"), "seed: 7\n"),
    "resolved configuration": (("--cfg", "job", "--resolve"), "runs_dir: runs"),
    "information": (("--info", "all"), "Config search path"),
    "completion": (("--shell-completion", "install=bash"), "complete"),
}


@pytest.mark.parametrize("name", LIGHT)
def test_what_only_looks_never_imports_tensorflow_and_makes_nothing(
    run_command: Run, tmp_path: Path, name: str
) -> None:
    arguments, words = LIGHT[name]
    done = run_command(*arguments, cwd=tmp_path, kind="light")
    assert (done.returncode, done.stderr) == (0, "")
    assert words in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_a_light_process_imports_no_tensorflow(run_command: Run, tmp_path: Path) -> None:
    done = run_command("data=sample", "training.epochs=1", cwd=tmp_path, kind="light")
    assert done.returncode == 1 and "tensorflow" in done.stderr, done.stderr


def test_nor_does_a_process_of_its_own(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['tensorflow'] = None\n")
    arguments, words = LIGHT["configuration"]
    done = run_command(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "") and words in done.stdout


def test_the_shell_completes_options(run_command: Run, tmp_path: Path) -> None:
    line = "mnist-exp schedule="
    query = ("--shell-completion", "query=bash")
    done = run_command(*query, cwd=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.stdout.split() == [f"schedule={name}" for name in ("constant", "cosine", "plateau", "step")]


FULL = (1, "mnist-exp: standard output: No space left on device.\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--help | true; exit ${PIPESTATUS[0]}", (0, "")),  # as a pager ends
        ("--help > /dev/full", FULL),
        ("-m seed=0,1 data=sample plan=true > /dev/full", FULL),
    ],
)
def test_a_result_that_cannot_be_printed_is_a_failure(
    tmp_path: Path, words: str, expected: tuple[int, str]
) -> None:
    command = ["bash", "-c", f"{COMMAND} {words}"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == expected
    assert list(tmp_path.iterdir()) == []


FLAGS_BEHIND = [
    ("data=sample -m model=ann,bn_dnn", "-m data=sample model=ann,bn_dnn"),
    ("seed=1 --cfg job", "--cfg job seed=1"),
    ("seed=1 --cfg=job model=cnn -p model", "--cfg=job -p model seed=1 model=cnn"),
    ("seed=1 --info", "--info=all seed=1"),
    ("seed=1 --info searchpath", "--info searchpath seed=1"),
    ("--info seed=1", "--info=all seed=1"),
    ("-m seed=0,1 plan=true", "-m seed=0,1 plan=true"),
]


@pytest.mark.parametrize(("typed", "expected"), FLAGS_BEHIND)
def test_a_flag_may_stand_behind_overrides(typed: str, expected: str) -> None:
    assert accepted_arguments(typed.split(" ")) == expected.split(" ")
