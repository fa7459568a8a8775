"""Runs for pages: on the bundled digits, hostile ones, searches, from the project's own records."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import msgspec.yaml
import numpy as np

from mnist_exp.data.dataset import SAMPLE_PATH
from mnist_exp.data.formats import open_data
from mnist_exp.runs.records import (
    DataRecord,
    EngineRecord,
    ErrorRecord,
    GitRecord,
    SearchSummary,
    SweepPlace,
    TrialRecord,
)
from tests.comparison.run_makers import BN_DNN, data_record, make_run, write_json
from tests.trials import make_candidate, make_trial

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> javascript:alert(3) {{ 7 * 7 }} {% raw %} "
    "</style></title><!-- \u202egnp.exe\u2066 \u200b\x07 &amp; &#60; ${1} `x`"
)


def sample_data(**changes: Any) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], DataRecord]:
    """The bundled test labels, and a record with their fingerprint."""
    arrays = open_data(SAMPLE_PATH).arrays
    images, labels = arrays["x_test"].read(), arrays["y_test"].read()
    sha256 = hashlib.sha256(images.data)
    sha256.update(labels.data)
    record = msgspec.structs.replace(
        data_record(num_test=len(labels)), test_sha256=sha256.hexdigest(), name="sample", **changes
    )
    return labels, record


def make_sample_run(folder: Path, name: str = "run", **details: Any) -> Path:
    """A completed training on the bundled digits, which are at hand."""
    labels, record = sample_data()
    manifest = {"data": record} | details.pop("manifest", {})
    path = make_run(folder, name, labels=labels, manifest=manifest, **details)
    (path / "overrides.yaml").write_bytes(msgspec.yaml.encode(["model=ann", "training.epochs=5"]))
    return path


def make_study_of_digits(folder: Path, models: int = 2, seeds: int = 3) -> Path:
    """Completed trainings on the bundled digits; each network is better and slower than the one before."""
    for number in range(models):
        config = BN_DNN if number == 1 else {"model.units": [128 + number]}
        summary = {"num_params": 10 ** (4 + number % 3), "train_s": 5.0 + 20 * number}
        for seed in range(seeds):
            make_sample_run(
                folder, f"m{number}_{seed}", seed=seed, config=config, skill=0.8 + 0.05 * number,
                val_accuracy=0.97 + number / 1000, summary=summary,
            )  # fmt: skip
    return folder


def make_hostile_run(folder: Path, name: str = "hostile", **details: Any) -> Path:
    """A completed training with a hostile text wherever a file may hold one."""
    labels, record = sample_data(notice=HOSTILE, source=HOSTILE)
    record = msgspec.structs.replace(
        record,
        name=HOSTILE,
        train_sha256=HOSTILE,
        split_sha256=HOSTILE,
        test_sha256=details.pop("sha256", HOSTILE),
    )
    hostile = {
        "run_id": HOSTILE, "started_at": HOSTILE, "finished_at": HOSTILE, "argv": [HOSTILE, "-x"],
        "engine": EngineRecord(name=HOSTILE, reason=HOSTILE), "device": HOSTILE,
        "versions": {HOSTILE: HOSTILE},
        "git": GitRecord(commit=HOSTILE, dirty=True), "data": record,
        "sweep": SweepPlace(name=HOSTILE, job=1, jobs_at_once=3),
    }  # fmt: skip
    config = {
        "data.class_names": [f"{digit}{HOSTILE}" for digit in range(10)], "model.name": HOSTILE,
        "optimizer.name": HOSTILE, "optimizer.x": {HOSTILE: [HOSTILE]},
    }  # fmt: skip
    path = make_run(
        folder, name, labels=labels, config=config | details.pop("config", {}),
        manifest=hostile | details.pop("manifest", {}),
        summary={"data_notice": HOSTILE, "selected_on_test": True},
        **details,
    )  # fmt: skip
    (path / "overrides.yaml").write_bytes(msgspec.yaml.encode([f"{HOSTILE}={HOSTILE}", HOSTILE]))
    return path


def make_search(
    folder: Path, name: str = "search", text: str = "plain", status: str = "completed", **details: Any
) -> Path:
    """A search of three trials, the second of which failed; `text` is put wherever a file may hold one."""
    path = make_sample_run(folder, name, manifest={"mode": "tune", "status": status}, **details)
    trials = [_trial(0, 0.91, text), _trial(1, None, text), _trial(2, 0.95, text)]
    (path / "trials.jsonl").write_bytes(b"".join(msgspec.json.encode(trial) + b"\n" for trial in trials))
    summary = msgspec.json.decode((path / "summary.json").read_bytes(), type=dict[str, Any])
    winner = make_candidate("trial_2", 0.95, [0.94, 0.95], {text: text})
    candidates = [winner, make_candidate("default", None, [0.9, 0.91])]
    search = {
        "objective": "val_accuracy", "num_trials": 3, "num_completed": 2, "search_s": 60.0, "ended_by": text,
        "winner": "trial_2", "candidates": candidates, "winner_test_accuracies": [0.93, 0.95],
        "difference": 0.04, "difference_interval": (0.01, 0.07), "verdict": text,
    }  # fmt: skip
    write_json(path / "summary.json", msgspec.convert(summary | search, SearchSummary, from_attributes=True))
    return path


def _trial(number: int, score: float | None, text: str) -> TrialRecord:
    values = {"model.activation": text, text: text, "optimizer.learning_rate": 0.001}
    trial = make_trial(number, score or 0.0, values, "completed" if score else "failed", num_epochs=2)
    error = None if score else ErrorRecord(type=text, message=text, hint=text)
    return msgspec.structs.replace(trial, worker=text, error=error)
