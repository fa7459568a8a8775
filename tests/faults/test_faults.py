"""What goes wrong while a run is going on, provoked for real: each in processes of their own.

A scenario returns what its process left. All are started by the first test, two at a time, as most
of their time goes into importing TensorFlow.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import pytest

from mnist_exp.training.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow

FOREVER = ("data=sample", "schedule=constant", "training.epochs=100000", "training.threads=1")
MANY_EPOCHS = 3
TIME_OUT_S = 120


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what its run's directory held then."""

    status: int
    stdout: str
    stderr: str
    runs: list[Path]
    facts: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        (run,) = self.runs
        return json.loads((run / "manifest.json").read_text())

    def rows(self) -> list[dict[str, Any]]:
        (run,) = self.runs
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


Scenario = Callable[[Callable, Path], Outcome]
Outcomes = Callable[[Scenario], Outcome]


def wait_for(condition: Callable[[], Any], process: subprocess.Popen) -> None:
    """Waits until something is so; fails if the process ends before."""
    deadline = time.monotonic() + TIME_OUT_S
    while not condition():
        assert process.poll() is None, f"ended early: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def num_epochs(folder: Path) -> int:
    """Counts the epochs that each of the runs in a folder has recorded, at least."""
    tables = [path.with_name("metrics.jsonl") for path in folder.glob("runs/**/train.log")]
    return min((table.read_text().count("\n") if table.exists() else 0 for table in tables), default=0)


def runs_in(folder: Path) -> list[Path]:
    """Lists the run directories in a folder."""
    return sorted(path for path in folder.glob("runs/*") if path.is_dir())


def ended(process: subprocess.Popen, folder: Path, **facts: Any) -> Outcome:
    """Waits for a process to end."""
    stdout, stderr = process.communicate(timeout=TIME_OUT_S)
    return Outcome(
        process.returncode,
        stdout,
        stderr,
        runs_in(folder),
        facts,
    )


def two_at_once_stopped_by_two_signals(start: Callable, folder: Path) -> Outcome:
    both = [start(*FOREVER, cwd=folder) for _ in range(2)]
    for process in both:
        wait_for(lambda: len(list(folder.glob("runs/*/train.log"))) == 2, process)
        wait_for(lambda: num_epochs(folder) >= MANY_EPOCHS, process)
    for process, number in zip(both, (signal.SIGINT, signal.SIGTERM), strict=True):
        process.send_signal(number)
    outcomes = [ended(process, folder) for process in both]
    return Outcome(0, "", "", outcomes[1].runs, {"each": outcomes})


def stopped_twice_within_a_long_epoch(start: Callable, folder: Path) -> Outcome:
    long_epoch = ("model.units=[4000,4000]", "training.batch_size=1", "training.epochs=2")
    process = start("data=sample", "training.threads=1", *long_epoch, cwd=folder)
    _wait_for_files(folder, "runs/*/train.log", process)
    begun_s = processor_seconds(process)
    # Compiling takes a few, the epoch itself minutes.
    wait_for(lambda: processor_seconds(process) > begun_s + 15, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
    return ended(process, folder, stopping_s=time.monotonic() - asked)


def processor_seconds(process: subprocess.Popen) -> float:
    """How long a process has computed, by its own and the kernel's doing."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for_files(folder: Path, pattern: str, process: subprocess.Popen) -> list[Path]:
    wait_for(lambda: list(folder.glob(pattern)), process)
    return list(folder.glob(pattern))


def stopped_while_tensorflow_is_imported(start: Callable, folder: Path) -> Outcome:
    process = start(*FOREVER, cwd=folder)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "tensorflow" in maps.read_text(), process)
    process.send_signal(signal.SIGINT)
    return ended(process, folder)


def sweep_stopped_in_its_first_job(start: Callable, folder: Path) -> Outcome:
    process = start("-m", "seed=0,1", "hydra.sweep.dir=runs", *FOREVER, cwd=folder)
    wait_for(lambda: num_epochs(folder) >= 1, process)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
    return ended(process, folder)


def loss_without_end(start: Callable, folder: Path) -> Outcome:
    # Each step multiplies every weight by 1 - 0.001 * 4000: in the second epoch they overflow.
    growth = ("schedule=constant", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    return ended(start("data=sample", "training.epochs=4", *growth, cwd=folder), folder)


def loss_beyond_all_numbers(start: Callable, folder: Path) -> Outcome:
    # The same, and the weights' squares, which are part of this loss, overflow before the weights do.
    layers = "[Flatten, {Dense: {units: 10, activation: softmax, kernel_regularizer: l2}}]"
    growth = ("optimizer=sgd", "optimizer.learning_rate=0.001", "optimizer.weight_decay=4000")
    squared = ("model=cnn", f"model.layers={layers}", "schedule=constant", "training.epochs=4")
    return ended(start("data=sample", *squared, *growth, cwd=folder), folder)


def accuracy_that_collapses(start: Callable, folder: Path) -> Outcome:
    # Thin layers learn while the rate is small, and die on its way up to 1: of any seed, on any processor.
    growing = ("optimizer=adam", "optimizer.learning_rate=1", "schedule.warmup_fraction=0.9")
    thin = ("model.units=[32,32,32,32]", "training.epochs=12", "training.threads=1")
    return ended(start("data=sample", *growing, *thin, cwd=folder), folder)


def training_beyond_the_memory(start: Callable, folder: Path) -> Outcome:
    # 22 MB of weights, and 5.6 GB for one batch's activations. TensorFlow's own kernels for processors with
    # AVX512 end the process with signal 11 then (MklFusedMatMulOp does not look at what it was given).
    wide = ("model.units=[16,400000]", "training.batch_size=3500", "training.epochs=1")
    options = ("data=sample", "training.engine=compiled", *wide)
    return ended(start(*options, cwd=folder, before=_in_memory(5)), folder)


def weights_beyond_the_memory(start: Callable, folder: Path) -> Outcome:
    wide = ("model.units=[1000000,1000000]", "training.epochs=1")
    return ended(start("data=sample", *wide, cwd=folder, before=_in_memory(8)), folder)


def _in_memory(num_gigabytes: int) -> tuple[str, ...]:
    """Words that start a command with so much memory and no more."""
    return ("bash", "-c", f'ulimit -v {num_gigabytes * 2**20}; exec "$@"', "bash")


def disk_full_in_the_first_checkpoint(start: Callable, folder: Path) -> Outcome:
    with_room = folder / "runs"
    with_room.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(with_room)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return Outcome(0, "", "", [], {"skipped": "mounting a small file system is not permitted here"})
    try:
        outcome = ended(start("data=sample", "training.epochs=3", cwd=folder), folder)
        (run,) = outcome.runs
        return Outcome(
            outcome.status, outcome.stdout, outcome.stderr, [shutil.copytree(run, folder / "copy")]
        )
    finally:
        subprocess.run(["umount", str(with_room)], check=True)


def directory_deleted_while_training(start: Callable, folder: Path) -> Outcome:
    process = start(*FOREVER, cwd=folder)
    wait_for(lambda: num_epochs(folder) >= 1, process)
    (run,) = folder.glob("runs/*")
    run.rename(folder / "gone")  # at once, where deleting would race with the next write
    return ended(process, folder, name=run.name)


def reader_of_the_output_goes_away(start: Callable, folder: Path) -> Outcome:
    process = start("data=sample", "training.epochs=30", "training.threads=1", cwd=folder)
    wait_for(lambda: num_epochs(folder) >= 1, process)
    process.stdout.close()
    stderr = process.stderr.read()
    return Outcome(process.wait(TIME_OUT_S), "", stderr, runs_in(folder))


SCENARIOS: tuple[Scenario, ...] = (
    two_at_once_stopped_by_two_signals,
    stopped_twice_within_a_long_epoch,
    stopped_while_tensorflow_is_imported,
    sweep_stopped_in_its_first_job,
    loss_without_end,
    loss_beyond_all_numbers,
    accuracy_that_collapses,
    training_beyond_the_memory,
    weights_beyond_the_memory,
    disk_full_in_the_first_checkpoint,
    directory_deleted_while_training,
    reader_of_the_output_goes_away,
)


@pytest.fixture(scope="module")
def outcome_of(start: Callable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """Says what a scenario came to."""
    pool = ThreadPoolExecutor(2)
    futures: dict[Scenario, Future[Outcome]] = {
        scenario: pool.submit(scenario, start, tmp_path_factory.mktemp(scenario.__name__))
        for scenario in SCENARIOS
    }
    yield lambda scenario: futures[scenario].result(5 * TIME_OUT_S)
    pool.shutdown(wait=True, cancel_futures=True)


def leftovers(run: Path) -> list[str]:
    """Names what no finished write leaves behind."""
    return [path.name for path in run.rglob("*") if path.name.startswith(".")]


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.stderr.startswith("mnist-exp: ") and outcome.stderr.count("\n") == 1, outcome.stderr
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr
    assert "Traceback" not in outcome.stdout


def test_runs_started_at_the_same_instant_have_a_directory_each(outcome_of: Outcomes) -> None:
    outcome = outcome_of(two_at_once_stopped_by_two_signals)
    ids = {json.loads((run / "manifest.json").read_text())["run_id"] for run in outcome.runs}
    assert ids == {run.name for run in outcome.runs} and len(ids) == 2
    for run in outcome.runs:
        epochs = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize(("which", "name", "status"), [(0, "SIGINT", 130), (1, "SIGTERM", 143)])
def test_a_signal_ends_the_epoch_and_saves_everything(
    outcome_of: Outcomes, which: int, name: str, status: int
) -> None:
    outcome = outcome_of(two_at_once_stopped_by_two_signals)
    one = outcome.facts["each"][which]
    assert one.status == status
    assert_one_line(one, name)
    (run,) = (run for run in outcome.runs if run.name in one.stdout)
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "interrupted" and name in manifest["error"]["message"]
    assert manifest["finished_at"] > manifest["started_at"] and manifest["duration_s"] > 0
    assert name in (run / "train.log").read_text()
    assert not (run / "summary.json").exists()
    assert leftovers(run) == []


@pytest.mark.parametrize("which", [0, 1])
def test_an_interrupted_run_has_a_row_and_a_checkpoint_for_each_epoch_done(
    outcome_of: Outcomes, which: int
) -> None:
    run = outcome_of(two_at_once_stopped_by_two_signals).runs[which]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) >= MANY_EPOCHS
    assert len((run / "metrics.csv").read_text().splitlines()) == len(rows) + 1
    steps_per_epoch = -(-3500 // 128)
    last = keras.models.load_model(run / "checkpoints" / "last.keras")
    assert int(last.optimizer.iterations) == len(rows) * steps_per_epoch
    assert keras.models.load_model(run / "checkpoints" / "best.keras").count_params() == 101_770


def test_a_second_signal_stops_at_once_even_within_a_long_epoch(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(stopped_twice_within_a_long_epoch)
    assert outcome.facts["stopping_s"] < 8
    assert outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert outcome.manifest()["status"] == "interrupted"
    assert leftovers(outcome.runs[0]) == []


def test_a_signal_before_the_run_has_begun_leaves_nothing(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_while_tensorflow_is_imported)
    assert outcome.status == 130
    assert_one_line(outcome, "SIGINT")
    assert outcome.stdout == "" and outcome.runs == []


def test_a_signal_stops_a_whole_sweep(outcome_of: Outcomes) -> None:
    outcome = outcome_of(sweep_stopped_in_its_first_job)
    assert len(outcome.runs) == 1, "the next job was started"
    assert outcome.status == 130
    assert outcome.manifest()["status"] == "interrupted"


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
    assert "loss became nan" in (outcome.runs[0] / "train.log").read_text()


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(outcome_of: Outcomes) -> None:
    outcome = outcome_of(loss_without_end)
    assert [row["epoch"] for row in outcome.rows()] == [1]
    (run,) = outcome.runs
    assert leftovers(run) == [] and not (run / "summary.json").exists()
    for name in ("best", "last"):
        model = keras.models.load_model(run / "checkpoints" / f"{name}.keras")
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
    (run,) = outcome.runs
    last = read_checkpoint(run / "checkpoints" / "last.keras")
    assert last is not None and len(last.state.rows) == len(accuracies), "it was overwritten"
    assert leftovers(run) == [] and not (run / "summary.json").exists()
    record_property("provoked", 1)


@pytest.mark.parametrize("scenario", [training_beyond_the_memory, weights_beyond_the_memory])
def test_running_out_of_memory_is_one_line_with_a_hint(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(scenario)
    assert_one_line(outcome, "memory ran out", "training.batch_size", "model")
    assert outcome.status == 1
    record_property("provoked", 1)


def test_running_out_of_memory_is_in_the_manifest(outcome_of: Outcomes) -> None:
    manifest = outcome_of(training_beyond_the_memory).manifest()
    assert manifest["status"] == "failed" and manifest["finished_at"]
    assert "memory" in manifest["error"]["message"] and "batch_size" in manifest["error"]["hint"]


def test_a_full_disk_is_named_and_what_was_written_stays_whole(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    outcome = outcome_of(disk_full_in_the_first_checkpoint)
    if reason := outcome.facts.get("skipped"):
        pytest.skip(reason)
    record_property("provoked", 1)
    assert outcome.status == 1
    assert_one_line(outcome, "last.keras: cannot be written: No space left on device", "runs_dir")
    manifest = outcome.manifest()
    assert manifest["status"] == "failed" and "No space left" in manifest["error"]["message"]
    (run,) = outcome.runs
    assert leftovers(run) == [] and not (run / "checkpoints" / "last.keras").exists()
    with zipfile.ZipFile(run / "checkpoints" / "best.keras") as archive:
        assert archive.testzip() is None
    assert (run / "config.yaml").read_text() and (run / "overrides.yaml").read_text()


def test_a_run_directory_that_vanishes_is_one_line(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(directory_deleted_while_training)
    assert outcome.status == 1
    assert_one_line(outcome, outcome.facts["name"], "No such file or directory")
    assert outcome.runs == [], "it must not be made again"


def test_a_reader_that_goes_away_does_not_end_the_run(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", 1)
    outcome = outcome_of(reader_of_the_output_goes_away)
    assert outcome.manifest()["status"] == "completed" and len(outcome.rows()) == 30
    assert (outcome.status, outcome.stderr) == (0, "")
