"""Run directories made from the project's own records, as if networks had been trained."""

import hashlib
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import msgspec.yaml
import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs.folder import MAX_CONFIG_BYTES, RunFolder
from mnist_exp.runs.records import DataRecord, EngineRecord, EpochMetrics, ErrorRecord, Manifest, Summary
from mnist_exp.statistics import accuracy, cross_entropy, wilson_interval

CONFIG: dict[str, Any] = {
    "seed": 0, "runs_dir": "runs", "sweep": None, "resume": None, "mode": "train",
    "data": {
        "name": "mnist", "path": None, "path_variable": "MNIST_EXP_DATA", "places": [], "mirrors": [],
        "on_missing": "sample", "validation": 5000, "split_seed": 0,
        "class_names": [str(digit) for digit in range(10)], "train_sha256": None, "test_sha256": None,
    },
    "model": {
        "family": "mlp", "name": "ann", "units": [128], "activation": "relu", "batch_norm": False,
        "dropout": 0.0, "input_dropout": 0.0,
    },
    "optimizer": {"name": "adamw", "learning_rate": 0.003, "weight_decay": 0.15},
    "schedule": {"name": "cosine", "warmup_fraction": 0.1, "final_fraction": 0.0},
    "augmentation": {"name": "none"},
    "training": {
        "epochs": 5, "batch_size": 128, "label_smoothing": 0.1, "ema_momentum": 0.0,
        "monitor": "val_accuracy", "direction": "max",
        "early_stopping": {"patience": 0, "min_delta": 0.0}, "engine": "auto", "threads": 0,
    },
}  # fmt: skip
BN_DNN = {"model.name": "bn_dnn", "model.units": [128, 128, 64, 64], "model.batch_norm": True}


def read_tree(run: Path, name: str) -> dict[str, Any]:
    """Reads one of a run's files, JSON or YAML."""
    with RunFolder(run) as folder:
        return folder.read_yaml(name, MAX_CONFIG_BYTES)


def edited(run: Path, folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """Copies a run, and changes one of the copy's files."""
    copy = Path(shutil.copytree(run, folder / "edited"))
    tree = read_tree(copy, name)
    change(tree)
    encode = msgspec.yaml.encode if name.endswith(".yaml") else msgspec.json.encode
    (copy / name).write_bytes(encode(tree))
    return copy


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def data_record(
    train: str = "train", test: str = "test", split: str | None = "split", num_test: int = 1000
) -> DataRecord:
    return DataRecord(
        name="mnist", source="~/mnist.npz", notice=None, train_sha256=sha256(train),
        test_sha256=sha256(test), split_sha256=sha256(split) if split else None, num_train=55_000,
        num_validation=5000 if split else 0, num_test=num_test,
    )  # fmt: skip


def make_config(changes: dict[str, Any]) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    for key, value in changes.items():
        *above, last = key.split(".")
        node = config
        for name in above:
            node = node[name]
        node[last] = value
    return config


def make_labels(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 10, count).astype(np.uint8)


def make_probabilities(
    labels: NDArray[np.uint8], skill: float, seed: int, correct: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Predictions of a network: images differ in how hard they are, seeds in which ones they miss."""
    count = len(labels)
    if correct is None:
        difficulty = np.random.default_rng(1).random(count) ** 8
        noise = np.random.default_rng([seed, 2, int(1e6 * skill)]).normal(0, 0.1, count)
        correct = difficulty + noise < skill
    choices = np.where(correct, labels, (labels + 1) % 10)
    probabilities = np.full((count, 10), 0.02, np.float32)
    probabilities[np.arange(count), choices] = 0.82
    return probabilities


def make_rows(epochs: int, val_accuracy: float | None) -> list[EpochMetrics]:
    return [
        EpochMetrics(
            epoch=epoch, loss=0.6 / epoch, accuracy=1 - 0.1 / epoch,
            val_loss=None if val_accuracy is None else 0.1 + 0.3 / epoch,
            val_accuracy=None if val_accuracy is None else val_accuracy - 0.02 * (1 / epoch - 1 / epochs),
            learning_rate=0.001 / epoch, duration_s=0.2,
        )
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def make_manifest(name: str, seed: int, **changes: Any) -> Manifest:
    manifest = Manifest(
        run_id=name, mode="train", status="completed", error=None,
        started_at=f"2026-11-22T10:00:{seed % 60:02d}.000Z", finished_at="2026-11-22T10:05:00.000Z",
        duration_s=12.0, argv=["model=ann"], seed=seed, engine=EngineRecord(name="compiled", reason=""),
        device="CPU", threads=2, versions={"mnist-exp": "0.1.0"}, git=None, data=data_record(),
    )  # fmt: skip
    return msgspec.structs.replace(manifest, **changes)


def make_summary(
    probabilities: NDArray[np.float32], labels: NDArray[np.uint8], val_accuracy: float | None, **changes: Any
) -> Summary:
    test_accuracy = accuracy(probabilities, labels)
    right = round(test_accuracy * len(labels))
    summary = Summary(
        test_accuracy=test_accuracy, test_accuracy_interval=wilson_interval(right, len(labels)),
        test_loss=cross_entropy(probabilities, labels), val_accuracy=val_accuracy, best_epoch=5, epochs=5,
        num_params=101_770, train_s=8.9, seconds_per_epoch=0.21, compile_s=1.5, peak_memory_bytes=10**9,
        ms_per_image=0.0157, selected_on_test=False, data_notice=None,
    )  # fmt: skip
    return msgspec.structs.replace(summary, **changes)


def make_run(
    folder: Path,
    name: str,
    *,
    seed: int = 0,
    skill: float = 0.9,
    val_accuracy: float | None = 0.98,
    correct: NDArray[np.bool_] | None = None,
    config: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
    num_test: int = 1000,
    labels: NDArray[np.uint8] | None = None,
) -> Path:
    """Writes a completed training; `correct` says which test images it gets right, else `skill` does."""
    path = folder / name
    (path / "checkpoints").mkdir(parents=True)
    labels = make_labels(num_test) if labels is None else labels
    probabilities = make_probabilities(labels, skill, seed, correct)
    record = {"data": data_record(num_test=len(labels))} | (manifest or {})
    write_json(path / "manifest.json", make_manifest(name, seed, **record))
    tree = make_config({"seed": seed, **(config or {})})
    (path / "config.yaml").write_bytes(msgspec.yaml.encode(tree))
    result = make_summary(probabilities, labels, val_accuracy, **(summary or {}))
    write_json(path / "summary.json", result)
    rows = make_rows(result.epochs, val_accuracy)
    (path / "metrics.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    np.savez(path / "predictions.npz", probabilities=probabilities, labels=labels)
    (path / "checkpoints" / "best.keras").write_bytes(b"weights")
    return path


def make_unfinished(folder: Path, name: str, status: str, message: str = "", seed: int = 0) -> Path:
    """Writes a run that has not come to a result."""
    path = folder / name
    path.mkdir(parents=True)
    error = ErrorRecord(type="RunError", message=message, hint="") if message else None
    write_json(path / "manifest.json", make_manifest(name, seed, status=status, error=error, data=None))
    (path / "config.yaml").write_bytes(msgspec.yaml.encode(make_config({})))
    return path


def write_json(path: Path, record: Any) -> None:
    path.write_bytes(msgspec.json.encode(record))
