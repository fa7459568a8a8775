"""What goes wrong while a run is going on, provoked for real: each in a process of its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
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
    side_by_side,
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


def stopped_twice_within_a_long_epoch(start: Start, folder: Path) -> tuple[Ended, float]:
    """Gives the seconds from the second signal to the end, too."""
    long_epoch = ("model.units=[4000,4000]", "training.batch_size=1", "training.epochs=2", GRAPH)
    process = start("data=sample", "training.threads=1", *long_epoch, cwd=folder)
    wait_for(lambda: list(folder.glob("runs/*/train.log")), process)
    begun_s = processor_seconds(process)
    # Tracing takes a second, the epoch itself minutes.
    wait_for(lambda: processor_seconds(process) > begun_s + 6, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
    return ended(process, folder), time.monotonic() - asked


def processor_seconds(process: "subprocess.Popen[str]") -> float:
    """How long a process has computed, by its own and the kernel's doing."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stopped_while_tensorflow_is_imported(start: Start, folder: Path) -> Ended:
    process = start(*FOREVER, cwd=folder, cold=True)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "tensorflow" in maps.read_text(), process)
    process.send_signal(signal.SIGINT)
    return ended(process, folder)


def loss_without_end(start: Start, folder: Path) -> Ended:
    # Each step multiplies every weight by 1 - 0.001 * 4000: in the second epoch they overflow.
    growth = ("schedule=constant", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    return ended(start("data=sample", "training.epochs=4", *growth, cwd=folder), folder)


def accuracy_that_collapses(start: Start, folder: Path) -> Ended:
    # Thin layers learn while the rate is small, and die on its way up to 1: of any seed, on any processor.
    growing = ("optimizer=adam", "optimizer.learning_rate=1", "schedule.warmup_fraction=0.9")
    thin = ("model.units=[32,32,32,32]", "training.epochs=12", "training.threads=1")
    return ended(start("data=sample", *growing, *thin, cwd=folder), folder)


def training_beyond_the_memory(start: Start, folder: Path) -> Ended:
    # 22 MB of weights, and 5.6 GB for one batch's activations. TensorFlow's own kernels for processors with
    # AVX512 end the process with signal 11 then (MklFusedMatMulOp does not look at what it was given).
    wide = ("model.units=[16,400000]", "training.batch_size=3500", "training.epochs=1")
    options = ("data=sample", "training.engine=compiled", *wide)
    return ended(start(*options, cwd=folder, before=_in_memory(5)), folder)


def weights_beyond_the_memory(start: Start, folder: Path) -> Ended:
    wide = ("model.units=[1000000,1000000]", "training.epochs=1")
    return ended(start("data=sample", *wide, cwd=folder, before=_in_memory(8)), folder)


def _in_memory(num_gigabytes: int) -> tuple[str, ...]:
    """Words that start a command with so much memory and no more."""
    return ("bash", "-c", f'ulimit -v {num_gigabytes * 2**20}; exec "$@"', "bash")


def directory_deleted_while_training(start: Start, folder: Path) -> tuple[Ended, str]:
    """Gives the directory's name, too."""
    process = start(*FOREVER, cwd=folder)
    run = after_epochs(process, folder, 1)
    run.rename(folder / "gone")  # at once, where deleting would race with the next write
    return ended(process, folder), run.name


def reader_of_the_output_goes_away(start: Start, folder: Path) -> tuple[int, str, Path]:
    """Gives the status, what was said on stderr, and the folder."""
    process = start("data=sample", "training.epochs=20", "training.threads=1", cwd=folder)
    after_epochs(process, folder, 1)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read()
    return process.wait(120), stderr, folder


SCENARIOS = (
    stopped_twice_within_a_long_epoch,
    stopped_while_tensorflow_is_imported,
    loss_without_end,
    accuracy_that_collapses,
    training_beyond_the_memory,
    weights_beyond_the_memory,
    directory_deleted_while_training,
    reader_of_the_output_goes_away,
)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, SCENARIOS)


def assert_no_leftovers(run: Path) -> None:
    """Asserts that there is nothing that a finished write would have taken away."""
    assert [path for path in run.rglob("*") if path.name.startswith(".")] == []


def assert_one_line(outcome: Ended, *words: str) -> None:
    assert outcome.stderr.startswith("mnist-exp: ") and outcome.stderr.count("\n") == 1, outcome.stderr
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr
    assert "Traceback" not in outcome.stdout


def test_a_second_signal_stops_at_once_even_within_a_long_epoch(outcome_of: Outcomes) -> None:
    outcome, seconds = outcome_of(stopped_twice_within_a_long_epoch)
    assert seconds < 8 and outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert manifest_in(outcome.folder)["status"] == "interrupted"
    assert_no_leftovers(run_in(outcome.folder))


def test_a_signal_before_the_run_has_begun_leaves_nothing(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_while_tensorflow_is_imported)
    assert (outcome.status, outcome.stdout, list(outcome.folder.iterdir())) == (130, "", [])
    assert_one_line(outcome, "SIGINT")


def test_a_loss_that_is_no_number_fails_the_run_and_leaves_the_last_good_checkpoint(
    outcome_of: Outcomes,
) -> None:
    outcome = outcome_of(loss_without_end)
    run, manifest = run_in(outcome.folder), manifest_in(outcome.folder)
    assert outcome.status == 1
    assert_one_line(outcome, "loss became nan in epoch 2", "optimizer.learning_rate")
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert manifest["error"]["type"] == "RunError" and "nan" in manifest["error"]["message"]
    assert "optimizer.learning_rate" in manifest["error"]["hint"]
    assert "loss became nan" in (run / "train.log").read_text()
    assert [row["epoch"] for row in rows_in(outcome.folder)] == [1]
    assert not (run / "summary.json").exists()
    assert_no_leftovers(run)
    for name in ("best", "last"):
        model = keras.models.load_model(run / "checkpoints" / f"{name}.keras")
        assert all(bool(keras.ops.all(keras.ops.isfinite(weight))) for weight in model.weights)


def test_an_accuracy_that_collapses_fails_the_run_with_a_hint(outcome_of: Outcomes) -> None:
    outcome = outcome_of(accuracy_that_collapses)
    run, manifest = run_in(outcome.folder), manifest_in(outcome.folder)
    accuracies = [row["accuracy"] for row in rows_in(outcome.folder)]
    assert outcome.status == 1
    assert_one_line(outcome, "accuracy collapsed from ", "optimizer.learning_rate", "best.keras")
    assert manifest["status"] == "failed"
    assert f"from {100 * max(accuracies):.1f}% to" in manifest["error"]["message"]
    assert max(accuracies) > 0.5 and min(accuracies) > 0.15, "an epoch too late"
    last = read_checkpoint(run / "checkpoints" / "last.keras")
    assert last is not None and len(last.state.rows) == len(accuracies), "it was overwritten"
    assert not (run / "summary.json").exists()
    assert_no_leftovers(run)


@pytest.mark.parametrize("scenario", [training_beyond_the_memory, weights_beyond_the_memory])
def test_running_out_of_memory_is_one_line_with_a_hint(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome = outcome_of(scenario)
    assert outcome.status == 1
    assert_one_line(outcome, "Out of memory", "training.batch_size", "model")
    if scenario is training_beyond_the_memory:
        manifest = manifest_in(outcome.folder)
        assert manifest["status"] == "failed" and manifest["finished_at"]
        assert "memory" in manifest["error"]["message"] and "batch_size" in manifest["error"]["hint"]


def test_a_run_directory_that_vanishes_is_one_line(outcome_of: Outcomes) -> None:
    outcome, name = outcome_of(directory_deleted_while_training)
    assert outcome.status == 1
    assert_one_line(outcome, name, "No such file or directory")
    assert list((outcome.folder / "runs").iterdir()) == [], "it must not be made again"


def test_a_reader_that_goes_away_does_not_end_the_run(outcome_of: Outcomes) -> None:
    status, stderr, folder = outcome_of(reader_of_the_output_goes_away)
    assert (status, stderr) == (0, "")
    assert manifest_in(folder)["status"] == "completed" and len(rows_in(folder)) == 20
