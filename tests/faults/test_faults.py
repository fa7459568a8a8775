"""What goes wrong while a run is going on, provoked for real: each in a process of its own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    num_epochs,
    read_json,
    run_in,
    side_by_side,
    wait_for,
)
from tests.sweeps.sweeping import ended as ended_process

pytestmark = pytest.mark.slow

FOREVER = ("data=sample", "schedule=constant", "training.epochs=100000", "training.threads=1")
GRAPH = "training.engine=graph"


@dataclass(frozen=True)
class Outcome(Ended):
    """How a process ended, and what it left.

    Attributes:
        facts: What the scenario noted beside that.
    """

    facts: dict[str, Any]

    @property
    def run(self) -> Path:
        """The only run's directory."""
        return run_in(self.folder)

    def manifest(self) -> dict[str, Any]:
        return read_json(self.run / "manifest.json")

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]


def runs_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("runs/*") if path.is_dir())


def ended(process: "subprocess.Popen[str]", folder: Path, **facts: Any) -> Outcome:
    """Waits for a process to end."""
    done = ended_process(process, folder)
    return Outcome(folder, done.status, done.stdout, done.stderr, facts)


def begun(process: "subprocess.Popen[str]", folder: Path) -> Path:
    """Waits for a run's first epoch; gives its directory."""
    wait_for(lambda: any(map(num_epochs, runs_in(folder))), process)
    return run_in(folder)


def stopped_twice_within_a_long_epoch(start: Start, folder: Path) -> Outcome:
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
    return ended(process, folder, stopping_s=time.monotonic() - asked)


def processor_seconds(process: "subprocess.Popen[str]") -> float:
    """How long a process has computed, by its own and the kernel's doing."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stopped_while_tensorflow_is_imported(start: Start, folder: Path) -> Outcome:
    process = start(*FOREVER, cwd=folder, cold=True)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "tensorflow" in maps.read_text(), process)
    process.send_signal(signal.SIGINT)
    return ended(process, folder)


def loss_without_end(start: Start, folder: Path) -> Outcome:
    # Each step multiplies every weight by 1 - 0.001 * 4000: in the second epoch they overflow.
    growth = ("schedule=constant", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    return ended(start("data=sample", "training.epochs=4", *growth, cwd=folder), folder)


def loss_beyond_all_numbers(start: Start, folder: Path) -> Outcome:
    # The same, and the weights' squares, which are part of this loss, overflow before the weights do.
    layers = "[Flatten, {Dense: {units: 10, activation: softmax, kernel_regularizer: l2}}]"
    growth = ("optimizer=sgd", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    squared = ("model=cnn", f"model.layers={layers}", "schedule=constant", "training.epochs=4")
    return ended(start("data=sample", *squared, *growth, cwd=folder), folder)


def accuracy_that_collapses(start: Start, folder: Path) -> Outcome:
    # Thin layers learn while the rate is small, and die on its way up to 1: of any seed, on any processor.
    growing = ("optimizer=adam", "optimizer.learning_rate=1", "schedule.warmup_fraction=0.9")
    thin = ("model.units=[32,32,32,32]", "training.epochs=12", "training.threads=1")
    return ended(start("data=sample", *growing, *thin, cwd=folder), folder)


def training_beyond_the_memory(start: Start, folder: Path) -> Outcome:
    # 22 MB of weights, and 5.6 GB for one batch's activations. TensorFlow's own kernels for processors with
    # AVX512 end the process with signal 11 then (MklFusedMatMulOp does not look at what it was given).
    wide = ("model.units=[16,400000]", "training.batch_size=3500", "training.epochs=1")
    options = ("data=sample", "training.engine=compiled", *wide)
    return ended(start(*options, cwd=folder, before=_in_memory(5)), folder)


def weights_beyond_the_memory(start: Start, folder: Path) -> Outcome:
    wide = ("model.units=[1000000,1000000]", "training.epochs=1")
    return ended(start("data=sample", *wide, cwd=folder, before=_in_memory(8)), folder)


def _in_memory(num_gigabytes: int) -> tuple[str, ...]:
    """Words that start a command with so much memory and no more."""
    return ("bash", "-c", f'ulimit -v {num_gigabytes * 2**20}; exec "$@"', "bash")


def directory_deleted_while_training(start: Start, folder: Path) -> Outcome:
    process = start(*FOREVER, cwd=folder)
    run = begun(process, folder)
    run.rename(folder / "gone")  # at once, where deleting would race with the next write
    return ended(process, folder, name=run.name)


def reader_of_the_output_goes_away(start: Start, folder: Path) -> Outcome:
    process = start("data=sample", "training.epochs=30", "training.threads=1", cwd=folder)
    begun(process, folder)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read()
    return Outcome(folder, process.wait(120), "", stderr, {})


SCENARIOS = (
    stopped_twice_within_a_long_epoch,
    stopped_while_tensorflow_is_imported,
    loss_without_end,
    loss_beyond_all_numbers,
    accuracy_that_collapses,
    training_beyond_the_memory,
    weights_beyond_the_memory,
    directory_deleted_while_training,
    reader_of_the_output_goes_away,
)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, SCENARIOS)


def leftovers(run: Path) -> list[str]:
    """Names what no finished write leaves behind."""
    return [path.name for path in run.rglob("*") if path.name.startswith(".")]


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.stderr.startswith("mnist-exp: ") and outcome.stderr.count("\n") == 1, outcome.stderr
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr
    assert "Traceback" not in outcome.stdout


def test_a_second_signal_stops_at_once_even_within_a_long_epoch(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(stopped_twice_within_a_long_epoch)
    assert outcome.facts["stopping_s"] < 8
    assert outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert outcome.manifest()["status"] == "interrupted"
    assert leftovers(outcome.run) == []


def test_a_signal_before_the_run_has_begun_leaves_nothing(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_while_tensorflow_is_imported)
    assert outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert outcome.stdout == "" and runs_in(outcome.folder) == []


def test_a_loss_that_is_no_number_fails_the_run_with_a_hint(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(loss_without_end)
    assert outcome.status == 1
    assert_one_line(outcome, "loss became nan in epoch 2", "optimizer.learning_rate")
    manifest = outcome.manifest()
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert manifest["error"]["type"] == "RunError" and "nan" in manifest["error"]["message"]
    assert "optimizer.learning_rate" in manifest["error"]["hint"]
    assert "loss became nan" in (outcome.run / "train.log").read_text()


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(outcome_of: Outcomes) -> None:
    outcome = outcome_of(loss_without_end)
    assert [row["epoch"] for row in outcome.rows()] == [1]
    assert leftovers(outcome.run) == [] and not (outcome.run / "summary.json").exists()
    for name in ("best", "last"):
        model = keras.models.load_model(outcome.run / "checkpoints" / f"{name}.keras")
        assert all(bool(keras.ops.all(keras.ops.isfinite(weight))) for weight in model.weights)


def test_a_loss_beyond_all_numbers_fails_the_run_with_a_hint(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(loss_beyond_all_numbers)
    assert outcome.status == 1
    assert_one_line(outcome, "loss became inf in epoch 2", "optimizer.learning_rate")
    assert outcome.manifest()["status"] == "failed" and [row["epoch"] for row in outcome.rows()] == [1]
    record_property("provoked", 1)


def test_an_accuracy_that_collapses_fails_the_run_with_a_hint(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(accuracy_that_collapses)
    assert outcome.status == 1
    assert_one_line(outcome, "accuracy collapsed from ", "optimizer.learning_rate", "best.keras")
    manifest, accuracies = outcome.manifest(), [row["accuracy"] for row in outcome.rows()]
    assert manifest["status"] == "failed"
    assert f"from {100 * max(accuracies):.1f}% to" in manifest["error"]["message"]
    assert max(accuracies) > 0.5 and min(accuracies) > 0.15, "an epoch too late"
    last = read_checkpoint(outcome.run / "checkpoints" / "last.keras")
    assert last is not None and len(last.state.rows) == len(accuracies), "it was overwritten"
    assert leftovers(outcome.run) == [] and not (outcome.run / "summary.json").exists()
    record_property("provoked", 1)


@pytest.mark.parametrize("scenario", [training_beyond_the_memory, weights_beyond_the_memory])
def test_running_out_of_memory_is_one_line_with_a_hint(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(scenario)
    assert_one_line(outcome, "Out of memory", "training.batch_size", "model")
    assert outcome.status == 1
    record_property("provoked", 1)


def test_running_out_of_memory_is_in_the_manifest(outcome_of: Outcomes) -> None:
    manifest = outcome_of(training_beyond_the_memory).manifest()
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert "memory" in manifest["error"]["message"] and "batch_size" in manifest["error"]["hint"]


def test_a_run_directory_that_vanishes_is_one_line(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(directory_deleted_while_training)
    assert outcome.status == 1
    assert_one_line(outcome, outcome.facts["name"], "No such file or directory")
    assert runs_in(outcome.folder) == [], "it must not be made again"


def test_a_reader_that_goes_away_does_not_end_the_run(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(reader_of_the_output_goes_away)
    assert outcome.manifest()["status"] == "completed" and len(outcome.rows()) == 30
    assert (outcome.status, outcome.stderr) == (0, "")
