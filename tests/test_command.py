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
from tests.conftest import COMMAND, FinishedRun, Run, Start, clean_environment
from tests.sweeps.sweeping import CONTROL, NOISE, Ended, ended

RUN_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_train_ann_[0-9a-f]{6}")
SHA256 = re.compile(r"[0-9a-f]{64}")

# What `python -I` does with both checkpoints where mnist_exp cannot be imported.
READ_CHECKPOINTS = """
import hashlib, json, sys
sys.modules["mnist_exp"] = None
import keras, numpy as np
data_path, *runs = sys.argv[1:]
with np.load(data_path) as data:
    images, labels = data["x_test"] / 255, data["y_test"]
def digests(model):
    return [hashlib.sha256(weight).hexdigest() for weight in model.get_weights()]
answers = []
for run in runs:
    models = {name: keras.models.load_model(f"{run}/checkpoints/{name}.keras") for name in ("best", "last")}
    loss, accuracy = models["best"].evaluate(images, labels, verbose=0)
    answers.append({
        "loss": loss,
        "accuracy": accuracy,
        "types": [type(model).__module__ + "." + type(model).__name__ for model in models.values()],
        "predictions": models["best"].predict(images, batch_size=1000, verbose=0).tolist(),
        "weights": [digests(models["best"]), digests(models["last"])],
        "iterations": int(models["last"].optimizer.iterations),
    })
with open(f"{sys.argv[0]}.json", "w") as file:
    json.dump(answers, file)
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
  mirrors: [{url: "http://127.0.0.1:9/", files: {mnist.npz: "md5:0"}}]
training: {epochs: 2}
"""


@pytest.fixture(scope="session", autouse=True)
def processes(
    start: Start, finished_process: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, "subprocess.Popen[str]"]]:
    """Starts, beside `finished_run`, a sweep and a run of the user's own YAML."""
    swept, own, home = (tmp_path_factory.mktemp(name) for name in ("swept", "own", "home"))
    files = {
        own / "yaml" / "model" / "mine.yaml": OWN_MODEL,
        own / "yaml" / "experiment" / "offline.yaml": OWN_EXPERIMENT,
        swept / "yaml" / "experiment" / "short.yaml": "# @package _global_\ntraining: {epochs: 3}\n",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True)
        path.write_text(content)
    jobs = ("-m", "model=ann,bn_dnn", "seed=0")
    sweep = ("--config-dir", "yaml", *jobs, "sweep=pairs", "data=sample", "experiment=short")
    mine = ("--config-dir", "yaml", "model=mine", "experiment=offline")
    nowhere = dict.fromkeys(("HOME", "KERAS_HOME", "XDG_CACHE_HOME"), str(home))
    return {
        "sweep": (swept, start(*sweep, cwd=swept, MNIST_EXP_RUNS="elsewhere")),
        "own": (own, start(*mine, "hydra.run.dir=here/exactly", cwd=own, **nowhere)),
    }


@pytest.fixture(scope="session")
def sweep(processes: dict[str, Any]) -> Ended:
    """`-m model=ann,bn_dnn seed=0 sweep=pairs experiment=short …` with MNIST_EXP_RUNS=elsewhere."""
    folder, process = processes["sweep"]
    return ended(process, folder)


@pytest.fixture(scope="session")
def own(processes: dict[str, Any]) -> Ended:
    """A model and an experiment of the user's own, into a directory of the user's own, offline."""
    folder, process = processes["own"]
    return ended(process, folder)


def read_json(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / f"{name}.json").read_text())


def read_rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def read_predictions(run: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"probabilities", "labels"}
        return arrays["probabilities"], arrays["labels"]


def find_run(sweep: Ended, model: str) -> Path:
    (run,) = sweep.folder.glob(f"elsewhere/pairs/{model}_*")
    return run


def timeless(run: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "duration_s"} for row in read_rows(run)]


def test_a_finished_run_exits_with_0_and_nothing_on_stderr(finished_run: FinishedRun) -> None:
    assert (finished_run.status, finished_run.stderr) == (0, "")


def test_piped_output_is_plain_text_without_tensorflows_noise(finished_run: FinishedRun) -> None:
    assert not CONTROL.search(finished_run.stdout) and not NOISE.search(finished_run.stdout)
    for words in ("101,770 parameters", "sample: 3,500 train", "compiled", "3/3", "test accuracy", "next"):
        assert words in finished_run.stdout
    assert finished_run.path.name in finished_run.stdout


def test_a_run_directory_holds_what_the_contract_says_and_nothing_else(finished_run: FinishedRun) -> None:
    files = {str(path.relative_to(finished_run.path)) for path in finished_run.path.rglob("*.*")}
    plots = {"learning_curves", "confusion_matrix", "sample_predictions", "mistakes", "first_layer_weights"}
    names = ("config.yaml", "overrides.yaml", "manifest.json", "metrics.jsonl", "metrics.csv", "summary.json")
    checkpoints = {"checkpoints/best.keras", "checkpoints/last.keras"}
    rest = {"predictions.npz", "train.log", "report.html"} | {f"plots/{name}.png" for name in plots}
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


@pytest.mark.parametrize(
    "name", ["learning_curves", "confusion_matrix", "sample_predictions", "mistakes", "first_layer_weights"]
)
def test_pictures_are_readable_and_wide_enough(finished_run: FinishedRun, name: str) -> None:
    pixels = imread(finished_run.path / "plots" / f"{name}.png")
    assert pixels.shape[1] >= 800 and pixels.shape[0] >= 300
    assert pixels.std() > 0.02, "it is blank"


def test_the_log_holds_the_console_and_tensorflows_noise(finished_run: FinishedRun) -> None:
    log = (finished_run.path / "train.log").read_text(encoding="utf-8")
    assert not CONTROL.search(log)
    assert [line for line in finished_run.stdout.splitlines() if line not in log] == []
    assert "oneDNN" in log or "cpu_feature_guard" in log


@pytest.fixture(scope="session")
def loaded(finished_run: FinishedRun, sweep: Ended, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What plain Keras, without this package, reads from the checkpoints of a run and of its twins."""
    folder = tmp_path_factory.mktemp("plain")
    runs = [finished_run.path, find_run(sweep, "ann")]
    (folder / "read").write_text(READ_CHECKPOINTS)
    command = [sys.executable, "-I", str(folder / "read"), str(SAMPLE_PATH), *map(str, runs)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "read.json").read_text())


def test_checkpoints_load_with_plain_keras_without_this_package(loaded: list[dict]) -> None:
    assert {kind.rpartition(".")[2] for kind in loaded[0]["types"]} == {"Sequential"}
    assert loaded[0]["iterations"] == 3 * -(-3500 // 128)


def test_best_keras_gives_the_summarys_accuracy(finished_run: FinishedRun, loaded: list[dict]) -> None:
    summary = read_json(finished_run.path, "summary")
    assert loaded[0]["accuracy"] == pytest.approx(summary["test_accuracy"], abs=1e-6)
    assert loaded[0]["loss"] == pytest.approx(summary["test_loss"], rel=1e-4)
    probabilities, _ = read_predictions(finished_run.path)
    np.testing.assert_allclose(loaded[0]["predictions"], probabilities, atol=1e-5)


def test_the_same_seed_gives_the_same_bits_in_another_process(
    finished_run: FinishedRun, sweep: Ended, loaded: list[dict]
) -> None:
    twin = find_run(sweep, "ann")
    assert timeless(finished_run.path) == timeless(twin)
    assert loaded[0]["weights"] == loaded[1]["weights"]
    for one, other in zip(read_predictions(finished_run.path), read_predictions(twin), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_multirun_makes_a_run_for_each_combination(sweep: Ended) -> None:
    assert (sweep.status, sweep.stderr) == (0, "")
    runs = [find_run(sweep, model) for model in ("ann", "bn_dnn")]
    assert {read_json(run, "manifest")["status"] for run in runs} == {"completed"}
    assert all(read_json(run, "summary")["test_accuracy"] > 0.5 for run in runs)


def test_a_multirun_gives_each_job_its_own_overrides_and_log(sweep: Ended) -> None:
    for model in ("ann", "bn_dnn"):
        run = find_run(sweep, model)
        typed = list(OmegaConf.load(run / "overrides.yaml"))
        assert {f"model={model}", "seed=0"} <= set(typed)
        log = (run / "train.log").read_text()
        assert run.name in log and log.count("test accuracy") == 1


def test_a_sweeps_folder_holds_its_runs_its_plan_and_what_came_of_it(sweep: Ended) -> None:
    assert sorted(path.name for path in sweep.folder.iterdir()) == ["elsewhere", "yaml"]
    assert [path.name for path in (sweep.folder / "elsewhere").iterdir()] == ["pairs"]
    names = {path.name for path in (sweep.folder / "elsewhere" / "pairs").iterdir()}
    runs = {find_run(sweep, model).name for model in ("ann", "bn_dnn")}
    assert names == runs | {
        "sweep.json", "sweep.log", "results.csv", "comparison.json", "report.html", "plots"
    }  # fmt: skip


def test_a_users_own_yaml_trains(own: Ended) -> None:
    assert (own.status, own.stderr) == (0, "")
    run = own.folder / "here" / "exactly"
    config = parse(OmegaConf.load(run / "config.yaml"))
    assert (config.model.name, config.training.epochs) == ("mine", 2)
    expected = (784 + 1) * 12 + 2 * 12 + (12 + 1) * 10
    assert read_json(run, "summary")["num_params"] == expected and "LayerNormalization" in own.stdout


def test_a_directory_given_to_hydra_is_used_as_it_is(own: Ended) -> None:
    assert sorted(path.name for path in own.folder.iterdir()) == ["here", "yaml"]
    assert [path.name for path in (own.folder / "here").iterdir()] == ["exactly"]
    assert read_json(own.folder / "here" / "exactly", "manifest")["status"] == "completed"


def test_offline_the_sample_stands_in_and_says_so_everywhere(own: Ended) -> None:
    run = own.folder / "here" / "exactly"
    data, summary = read_json(run, "manifest")["data"], read_json(run, "summary")
    assert data["name"] == "sample" and data["notice"] == summary["data_notice"]
    for words in (
        "mnist was not found",
        "127.0.0.1:9",
        "5,000 bundled digits stand in",
        "data.on_missing=error",
    ):
        assert words in data["notice"]
    assert data["num_validation"] == 333, "5,000 of 60,000, in proportion"
    framed = re.sub(r"[│╭╮╰╯─\s]+", " ", own.stdout)
    assert framed.count("5,000 bundled digits stand in") == 2 and "╭─ note" in own.stdout


LIGHT = {
    "help": (("--help",), "model: ann, bn_dnn, cnn"),
    "configuration": (("--cfg", "job", "model=bn_dnn"), "name: bn_dnn"),
    "resolved configuration": (("--cfg", "job", "--resolve"), "runs_dir: runs"),
    "information": (("--info", "all"), "Config search path"),
    "hydra's help": (("--hydra-help",), "--multirun"),
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


@pytest.mark.parametrize("override", ["model=an", "training.epoch=3", "seed=-1", "optimizer.name=adamm"])
def test_a_typo_is_refused_without_tensorflow(run_command: Run, tmp_path: Path, override: str) -> None:
    done = run_command(override, cwd=tmp_path, kind="light")
    assert done.returncode == 2 and done.stderr.startswith("mnist-exp: ") and done.stderr.count("\n") == 1


def test_a_light_process_imports_no_tensorflow(run_command: Run, tmp_path: Path) -> None:
    done = run_command("data=sample", "training.epochs=1", cwd=tmp_path, kind="light")
    assert done.returncode == 1 and "tensorflow" in done.stderr, done.stderr


def test_nor_does_a_process_of_its_own(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['tensorflow'] = None\n")
    for arguments, words in (LIGHT["configuration"], LIGHT["help"]):
        done = run_command(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "") and words in done.stdout


def test_the_shell_completes_options(run_command: Run, tmp_path: Path) -> None:
    line = "mnist-exp model="
    query = ("--shell-completion", "query=bash")
    done = run_command(*query, cwd=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.stdout.split() == [
        "model=ann",
        "model=bn_dnn",
        "model=cnn",
        "model=deep_cnn",
        "model=pooled_cnn",
        "model=tiny_cnn",
    ]


def test_output_cut_short_by_a_pager_is_no_error(tmp_path: Path) -> None:
    command = f"{COMMAND} --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


LOST = ["--version", "--help", "--cfg job", "-m seed=0,1 data=sample plan=true"]


@pytest.mark.parametrize("words", LOST)
def test_a_result_that_cannot_be_printed_is_a_failure(tmp_path: Path, words: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {words} >/dev/full"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "mnist-exp: standard output: No space left on device.\n")
    assert list(tmp_path.iterdir()) == []


FLAGS_BEHIND = [
    ("data=sample -m model=ann,bn_dnn", "-m data=sample model=ann,bn_dnn"),
    ("seed=1 --cfg job", "--cfg job seed=1"),
    ("seed=1 --cfg=job model=cnn -p model", "--cfg=job -p model seed=1 model=cnn"),
    ("data=sample --config-dir mine -m seed=0,1", "--config-dir mine -m data=sample seed=0,1"),
    ("seed=1 --info", "--info=all seed=1"),
    ("seed=1 --info searchpath", "--info searchpath seed=1"),
    ("--info seed=1", "--info=all seed=1"),
    ("-m seed=0,1 plan=true", "-m seed=0,1 plan=true"),
]


@pytest.mark.parametrize(("typed", "expected"), FLAGS_BEHIND)
def test_a_flag_may_stand_behind_overrides(typed: str, expected: str) -> None:
    assert accepted_arguments(typed.split(" ")) == expected.split(" ")


def test_a_flag_between_overrides_is_obeyed(run_command: Run, tmp_path: Path) -> None:
    done = run_command("seed=7", "--cfg", "job", "data=sample", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nseed: 7\n" in f"\n{done.stdout}" and "name: sample" in done.stdout
