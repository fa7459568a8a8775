"""What goes wrong while a run is going on, provoked for real: each in a process of its own."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import keras
import pytest

from mnist_exp.training.checkpoints import read_checkpoint
from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    Scenario,
    after_epochs,
    ended,
    read_json,
    run_in,
    wait_for,
)

pytestmark = pytest.mark.slow

FOREVER = ("data=sample", "schedule=constant", "training.epochs=100000", "training.threads=1")
GRAPH = "training.engine=graph"


def manifest_in(folder: Path) -> dict[str, Any]:
    """Reads the manifest of the only run that was made in a folder."""
    return read_json(run_in(folder) / "manifest.json")


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Reads the epochs of the only run that was made in a folder."""
    return [json.loads(line) for line in (run_in(folder) / "metrics.jsonl").read_text().splitlines()]


def assert_no_leftovers(run: Path) -> None:
    """Asserts that there is nothing that a finished write would have taken away."""
    assert [path for path in run.rglob("*") if path.name.startswith(".")] == []


def assert_one_line(outcome: Ended, *words: str) -> None:
    assert outcome.stderr.startswith("mnist-exp: ") and outcome.stderr.count("\n") == 1, outcome.stderr
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr
    assert "Traceback" not in outcome.stdout


def second_signal_within_a_long_epoch(start: Start, folder: Path) -> None:
    """Stops at once."""
    long_epoch = ("model.units=[4000,4000]", "training.batch_size=1", "training.epochs=2", GRAPH)
    process = start("data=sample", "training.threads=1", *long_epoch, cwd=folder)
    wait_for(lambda: list(folder.glob("runs/*/train.log")), process)
    begun_s = processor_seconds(process)
    # Tracing takes a second, the epoch itself minutes.
    wait_for(lambda: processor_seconds(process) > begun_s + 6, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=8)
    outcome = ended(process, folder)
    assert outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert manifest_in(folder)["status"] == "interrupted"
    assert_no_leftovers(run_in(folder))


def processor_seconds(process: "subprocess.Popen[str]") -> float:
    """How long a process has computed, by its own and the kernel's doing."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signal_while_tensorflow_is_imported(start: Start, folder: Path) -> None:
    """Leaves nothing."""
    process = start(*FOREVER, cwd=folder, cold=True)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "tensorflow" in maps.read_text(), process)
    process.send_signal(signal.SIGINT)
    outcome = ended(process, folder)
    assert (outcome.status, outcome.stdout, list(folder.iterdir())) == (130, "", [])
    assert_one_line(outcome, "SIGINT")


def loss_that_is_no_number(start: Start, folder: Path) -> None:
    """Fails the run with a hint, and leaves the last good checkpoint."""
    # Each step multiplies every weight by 1 - 0.001 * 4000: in the second epoch they overflow.
    growth = ("schedule=constant", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    outcome = ended(start("data=sample", "training.epochs=4", *growth, cwd=folder), folder)
    run, manifest = run_in(folder), manifest_in(folder)
    assert outcome.status == 1
    assert_one_line(outcome, "loss became nan in epoch 2", "optimizer.learning_rate")
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert manifest["error"]["type"] == "RunError" and "nan" in manifest["error"]["message"]
    assert "optimizer.learning_rate" in manifest["error"]["hint"]
    assert "loss became nan" in (run / "train.log").read_text()
    assert [row["epoch"] for row in rows_in(folder)] == [1]
    assert not (run / "summary.json").exists()
    assert_no_leftovers(run)
    for name in ("best", "last"):
        model = keras.models.load_model(run / "checkpoints" / f"{name}.keras")
        assert all(bool(keras.ops.all(keras.ops.isfinite(weight))) for weight in model.weights)


def accuracy_that_collapses(start: Start, folder: Path) -> None:
    """Fails the run with a hint, before a checkpoint is overwritten."""
    # Thin layers learn while the rate is small, and die on its way up to 1: of any seed, on any processor.
    growing = ("optimizer=adam", "optimizer.learning_rate=1", "schedule.warmup_fraction=0.9")
    thin = ("model.units=[32,32,32,32]", "training.epochs=12", "training.threads=1")
    outcome = ended(start("data=sample", *growing, *thin, cwd=folder), folder)
    run, manifest = run_in(folder), manifest_in(folder)
    accuracies = [row["accuracy"] for row in rows_in(folder)]
    assert outcome.status == 1
    assert_one_line(outcome, "accuracy collapsed from ", "optimizer.learning_rate", "best.keras")
    assert manifest["status"] == "failed"
    assert f"from {100 * max(accuracies):.1f}% to" in manifest["error"]["message"]
    assert max(accuracies) > 0.5 and min(accuracies) > 0.15, "an epoch too late"
    last = read_checkpoint(run / "checkpoints" / "last.keras")
    assert last is not None and len(last.state.rows) == len(accuracies), "it was overwritten"
    assert not (run / "summary.json").exists()
    assert_no_leftovers(run)


def out_of_memory_in_training(start: Start, folder: Path) -> None:
    """Is one line with a hint, and in the manifest."""
    # 22 MB of weights, and 5.6 GB for one batch's activations. TensorFlow's own kernels for processors with
    # AVX512 end the process with signal 11 then (MklFusedMatMulOp does not look at what it was given).
    wide = ("model.units=[16,400000]", "training.batch_size=3500", "training.epochs=1")
    options = ("data=sample", "training.engine=compiled", *wide)
    assert_out_of_memory(ended(start(*options, cwd=folder, before=in_memory(5)), folder))
    manifest = manifest_in(folder)
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert "memory" in manifest["error"]["message"] and "batch_size" in manifest["error"]["hint"]


def out_of_memory_for_weights(start: Start, folder: Path) -> None:
    """Is one line with a hint."""
    wide = ("model.units=[1000000,1000000]", "training.epochs=1")
    assert_out_of_memory(ended(start("data=sample", *wide, cwd=folder, before=in_memory(8)), folder))


def in_memory(num_gigabytes: int) -> tuple[str, ...]:
    """Words that start a command with so much memory and no more."""
    return ("bash", "-c", f'ulimit -v {num_gigabytes * 2**20}; exec "$@"', "bash")


def assert_out_of_memory(outcome: Ended) -> None:
    assert outcome.status == 1
    assert_one_line(outcome, "Out of memory", "training.batch_size", "model")


def directory_that_vanishes(start: Start, folder: Path) -> None:
    """Is one line, and the directory is not made again."""
    process = start(*FOREVER, cwd=folder)
    run = after_epochs(process, folder, 1)
    run.rename(folder / "gone")  # at once, where deleting would race with the next write
    outcome = ended(process, folder)
    assert outcome.status == 1
    assert_one_line(outcome, run.name, "No such file or directory")
    assert list((folder / "runs").iterdir()) == []


def reader_that_goes_away(start: Start, folder: Path) -> None:
    """Does not end the run."""
    process = start("data=sample", "training.epochs=20", "training.threads=1", cwd=folder)
    after_epochs(process, folder, 1)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(120)) == ("", 0)
    assert manifest_in(folder)["status"] == "completed" and len(rows_in(folder)) == 20


SCENARIOS = (
    second_signal_within_a_long_epoch,
    signal_while_tensorflow_is_imported,
    loss_that_is_no_number,
    accuracy_that_collapses,
    out_of_memory_in_training,
    out_of_memory_for_weights,
    directory_that_vanishes,
    reader_that_goes_away,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_run_ends_well(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome_of(scenario)
