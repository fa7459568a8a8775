"""`tracker=tensorboard`: event files while a run trains, as TensorBoard itself reads them."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_exp.comparison.labels import recipe
from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.requests import SweepPlanConfig
from mnist_exp.config.schema import NoTrackerConfig, TensorBoardTrackerConfig
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.runs.run import Run
from mnist_exp.sweeps.expansion import expand
from mnist_exp.sweeps.names import canonical, first_difference
from mnist_exp.trackers import events
from mnist_exp.trackers.copies import plain
from mnist_exp.trackers.tensorboard import EventFile, LiveTracker
from tests.comparison.run_makers import make_rows
from tests.conftest import FinishedRun, Start
from tests.conftest import Run as RunCommand
from tests.sweeps.sweeping import num_epochs, wait_for
from tests.trackers.reading import hparams, read_curve, read_events, read_hyperparameters, read_values
from tests.trainings import composed

FOLLOWED = "tracker=tensorboard"
PICTURES = {"learning_curves", "confusion_matrix", "sample_predictions", "mistakes", "first_layer_weights"}


@pytest.fixture(scope="module")
def followed(run_command: RunCommand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `finished_run` did, followed by TensorBoard."""
    folder = tmp_path_factory.mktemp("followed")
    done = run_command("data=sample", "training.epochs=3", "seed=0", FOLLOWED, cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "runs").iterdir()
    return path


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def expected(run: Path, tag: str) -> list[tuple[int, float]]:
    return [(row["epoch"], pytest.approx(row[tag], rel=1e-6)) for row in rows_of(run)]


def test_tensorboard_reads_curves_results_and_pictures(followed: Path) -> None:
    folder = followed / "tensorboard"
    for tag in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "duration_s"):
        assert read_curve(folder, tag) == expected(followed, tag)
    summary = json.loads((followed / "summary.json").read_text())
    assert read_curve(folder, "summary/test_accuracy") == [(3, pytest.approx(summary["test_accuracy"]))]
    images = {value.tag: value.image for _, value in read_values(folder) if value.HasField("image")}
    assert images.keys() == PICTURES
    for name, image in images.items():
        assert image.encoded_image_string == (followed / "plots" / f"{name}.png").read_bytes()
        assert image.width > 100 < image.height
    times = [event.wall_time for event in read_events(folder)]
    assert times == sorted(times) and abs(times[-1] - time.time()) < 3600


def test_tensorboard_reads_hyperparameters_and_the_end(followed: Path) -> None:
    found = read_hyperparameters(followed / "tensorboard")
    assert (found["seed"], found["model.name"], found["model.batch_norm"]) == (0, "ann", False)
    assert (found["model.units"], found["optimizer.learning_rate"]) == ("[128]", 0.003)
    assert not [key for key in found if key.startswith(("tracker", "data.path", "training.teacher"))]
    end = read_values(followed / "tensorboard")[-1][1]
    info = hparams.parse_session_end_info_plugin_data(end.metadata.plugin_data.content)
    assert (end.tag, info.status) == (hparams.SESSION_END_INFO_TAG, 1)


def test_following_changes_no_bits(followed: Path, finished_run: FinishedRun) -> None:
    was, now = Run(finished_run.path), Run(followed)
    for file, arrays in was.arrays.items():
        assert arrays.keys() == now.arrays[file].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, now.arrays[file][name], err_msg=f"{file} {name}")
    assert [row.loss for row in was.read_metrics()] == [row.loss for row in now.read_metrics()]


def test_recipes_and_jobs_do_not_notice() -> None:
    usual, followed = composed(), composed(FOLLOWED)
    assert usual["tracker"] == {"name": "none"} and followed["tracker"] == {"name": "tensorboard"}
    assert recipe(usual) == recipe(followed)
    assert canonical(usual) == canonical(followed)
    earlier = {key: value for key, value in usual.items() if key != "tracker"}
    assert parse_tree(earlier) == parse_tree(usual)
    assert canonical(earlier) == canonical(usual)


def sweep_of(tree: dict[str, Any]) -> SweepRecord:
    job = SweepJob(number=0, name="a", overrides=[], varied={}, config=tree, search=None, num_params=1)
    return SweepRecord(
        name="s", created_at="", argv=[], versions={}, git=None, working_dir="", cores_per_job=0, jobs=[job]
    )


def test_a_sweep_is_resumed_with_the_tracker_that_it_began_with() -> None:
    usual, followed = composed(), composed(FOLLOWED)
    earlier = {key: value for key, value in usual.items() if key != "tracker"}
    assert first_difference(sweep_of(earlier), sweep_of(usual)) is None
    told = first_difference(sweep_of(earlier), sweep_of(followed))
    assert told == "tracker.name: none → tensorboard"


def test_the_tracker_is_the_same_for_all_jobs() -> None:
    with pytest.raises(ConfigError, match="tracker: it is the same for all jobs of a sweep"):
        expand(["tracker=none,tensorboard"], SweepPlanConfig(), 0)


@pytest.mark.slow
def test_a_killed_run_has_no_epoch_twice(start: Start, run_command: RunCommand, tmp_path: Path) -> None:
    long = ("data=sample", "training.epochs=40", "model.units=[16]", "schedule=constant", FOLLOWED)
    process = start(*long, cwd=tmp_path)
    run = wait_for(lambda: next(tmp_path.glob("runs/*"), None), process)
    for wanted in (3, 6):
        wait_for(lambda wanted=wanted: num_epochs(run) >= wanted, process)
        process.kill()
        process.communicate()
        (events_file,) = (run / "tensorboard").iterdir()
        # As if it had been killed within an epoch, before that was part of any checkpoint.
        torn = events.scalars(0.0, 39, {"loss": 9.0}) + events.scalars(0.0, 40, {"loss": 9.0})[:-5]
        events_file.write_bytes(events_file.read_bytes() + torn)
        process = start(f"resume={run}", cwd=tmp_path)
    assert process.communicate(timeout=300) and process.returncode == 0
    assert [step for step, _ in read_curve(run / "tensorboard", "loss")] == list(range(1, 41))
    assert read_curve(run / "tensorboard", "val_loss") == expected(run, "val_loss")
    verified = run_command("mode=verify", f"run={run}", "hydra.run.dir=again", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert not (tmp_path / "again/tensorboard").exists()


@pytest.mark.slow
def test_a_stopped_run_is_followed_once_it_is_resumed_so(start: Start, tmp_path: Path) -> None:
    process = start("data=sample", "training.epochs=20", "model.units=[16]", cwd=tmp_path)
    run = wait_for(lambda: next(tmp_path.glob("runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 2, process)
    process.kill()
    process.communicate()
    resumed = start(f"resume={run}", FOLLOWED, cwd=tmp_path)
    _, stderr = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, stderr
    assert read_curve(run / "tensorboard", "accuracy") == expected(run, "accuracy")


@pytest.mark.slow
def test_a_search_is_one_log_directory(run_command: RunCommand, tmp_path: Path) -> None:
    budget = ("tuner.max_trials=2", "tuner.epochs=2", "training.epochs=2", "tuner.executions_per_trial=2")
    confirmed = ("tuner.confirm.top=1", "tuner.confirm.seeds=1", "tuner.workers=1")
    asked = ("mode=tune", "data=sample", *budget, *confirmed, FOLLOWED)
    done = run_command(*asked, "hydra.run.dir=search", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder, trials = tmp_path / "search/tensorboard", Run(tmp_path / "search").read_trials()
    names = {f"trial_{trial.trial}_seed_{one.seed}" for trial in trials for one in trial.executions}
    confirmations = {path.name for path in folder.iterdir()} - names
    assert "default_seed_1" in confirmations and 1 <= len(confirmations) <= 2
    for trial in trials:
        for one in trial.executions:
            place = folder / f"trial_{trial.trial}_seed_{one.seed}"
            rows = [(row.epoch, pytest.approx(row.loss, rel=1e-6)) for row in one.metrics]
            assert read_curve(place, "loss") == rows
            assert read_hyperparameters(place) == {"seed": one.seed} | plain(trial.values)


def test_what_goes_wrong_costs_a_sentence(tmp_path: Path) -> None:
    in_the_way = tmp_path / "tensorboard"
    in_the_way.write_text("no folder")
    said: list[str] = []
    tracker = LiveTracker(TensorBoardTrackerConfig(), in_the_way, dict, [], said.append)
    for row in make_rows(2, 0.9):
        tracker.epoch(row)
    tracker.end()
    (sentence,) = said
    assert "the run goes on" in sentence and str(in_the_way) in sentence
    assert in_the_way.read_text() == "no folder"


def test_a_folder_that_vanishes_costs_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = LiveTracker(TensorBoardTrackerConfig(), tmp_path / "a", dict, [], said.append)
    (events_file,) = (tmp_path / "a").iterdir()
    events_file.unlink()
    (tmp_path / "a").rmdir()
    for row in make_rows(3, None):
        tracker.epoch(row)
    assert len(said) == 1


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    tracker = LiveTracker(NoTrackerConfig(), tmp_path / "a", dict, make_rows(1, None), print)
    tracker.epoch(make_rows(1, None)[0])
    tracker.end()
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_value_is_read_back(tmp_path: Path) -> None:
    odd = {
        "yes": True,
        "no": False,
        "none": "",
        "ü": "naïve ✓",
        "many": 2**40,
        "small": -1e-300,
        "long": "x" * 300,
    }
    file = EventFile(tmp_path, odd, 1.5)
    file.epoch(2.5, make_rows(1, None)[0])
    file.end(3.5, {}, None)
    assert read_hyperparameters(tmp_path) == odd
    assert [event.wall_time for event in read_events(tmp_path)] == [1.5, 1.5, *[2.5] * 4, 3.5]
    assert read_events(tmp_path)[0].file_version == "brain.Event:2"
