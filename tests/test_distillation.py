"""Students that learn from a teacher's answers: the objective, the engines, and what is refused."""

import dataclasses
import functools
import shutil
from pathlib import Path

import keras
import msgspec
import msgspec.yaml
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import Images, LabelledImages, TrainingData, find_source, load_training_data
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting, networks
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.distillation import Teacher, distillation_loss
from mnist_exp.training.reuse import ModelStore
from mnist_exp.training.teachers import check_same_teacher, describe_again, load_teacher
from tests import trainings
from tests.comparison.run_makers import edited, make_unfinished
from tests.conftest import FinishedRun, Run, Start
from tests.digits import sample_digits
from tests.sweeps.sweeping import num_epochs, read_json, wait_for

pytestmark = pytest.mark.slow

DIGITS = LabelledImages(*sample_digits(600))
HELD_OUT = LabelledImages(DIGITS.images[:200], DIGITS.labels[:200])
SHAPE = (28, 28)
QUICK = ("data=sample", "training.epochs=2", "training.batch_size=64", "model.units=[16]")
accepted = functools.partial(trainings.accepted, *QUICK)


def taught_by(run: FinishedRun | Path, *overrides: str) -> Config:
    path = run.path if isinstance(run, FinishedRun) else run
    return accepted(f"training.teacher.run='{path}'", *overrides)


def sample() -> tuple[TrainingData, Images]:
    source = find_source(accepted().data)
    return load_training_data(source), source.load("test")


def teacher_for(config: Config) -> Teacher | None:
    return load_teacher(config, *(sample()[0], SHAPE), sample()[1])


def train(config: Config, store: ModelStore | None = None) -> tuple[keras.Sequential, list[EpochMetrics]]:
    """Trains; gives the network and its rows."""
    model, _ = (store or ModelStore()).get(config, DIGITS, SHAPE, 10, teacher_for(config))
    best = BestWeights(model.network, "val_accuracy", "max")
    rows: list[EpochMetrics] = []
    report = lambda row, is_best: rows.append(msgspec.structs.replace(row, duration_s=0.0))  # noqa: E731
    fitting.fit(config, model, DIGITS, HELD_OUT, best, report, lambda: None)
    return model.network, rows


def weights(network: keras.Sequential) -> NDArray[np.float32]:
    return np.concatenate([array.ravel() for array in network.get_weights()])


def test_the_objective_is_the_divergence_of_softened_answers() -> None:
    random = np.random.default_rng(0)
    said, taught = (random.dirichlet(np.ones(10), 5).astype(np.float32) for _ in range(2))

    def softened(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        powers = probabilities.astype(np.float64) ** (1 / 3)
        return powers / powers.sum(axis=1, keepdims=True)

    teacher, student = softened(taught), softened(said)
    expected = 9 * (teacher * np.log(teacher / student)).sum(axis=1).mean()
    assert float(distillation_loss(said, taught, tf.constant(3.0))) == pytest.approx(expected, rel=1e-4)
    assert float(distillation_loss(taught, taught, tf.constant(3.0))) == pytest.approx(0, abs=1e-6)
    sure = np.eye(10, dtype=np.float32)[:5]
    assert np.isfinite(float(distillation_loss(said, sure, tf.constant(0.5))))


def test_a_student_comes_nearer_to_its_teacher_than_without(finished_run: FinishedRun) -> None:
    teacher = keras.models.load_model(finished_run.path / "checkpoints" / "best.keras")
    taught = networks.predict_probabilities(teacher, HELD_OUT.images)

    def distance(config: Config) -> float:
        said = networks.predict_probabilities(train(config)[0], HELD_OUT.images)
        return float((taught * np.log(taught / np.maximum(said, 1e-7))).sum(axis=1).mean())

    options = ("training.epochs=15", "schedule=constant", "training.label_smoothing=0")
    assert distance(taught_by(finished_run, *options)) < 0.5 * distance(accepted(*options))


@pytest.mark.parametrize("engine", ["compiled", "graph"])
def test_every_engine_learns_the_same(engine: str, finished_run: FinishedRun) -> None:
    options = ("augmentation=affine", "model.dropout=0.2", "training.mixup=0.2")
    expected, expected_rows = train(taught_by(finished_run, "training.engine=keras", *options))
    found, rows = train(taught_by(finished_run, f"training.engine={engine}", *options))
    np.testing.assert_allclose(weights(found), weights(expected), atol=2e-4)
    assert [row.loss for row in rows] == pytest.approx([row.loss for row in expected_rows], rel=1e-4)


def test_the_teacher_is_no_part_of_the_student(finished_run: FinishedRun) -> None:
    config = taught_by(finished_run)
    teacher = teacher_for(config)
    assert teacher is not None
    before = [array.copy() for layer in teacher.layers for array in layer.get_weights()]
    model, _ = ModelStore().get(config, DIGITS, SHAPE, 10, teacher)
    assert len(model.trainable_variables) == 4 and model.network.count_params() == 12_730
    fitting.fit(
        config, model, DIGITS, HELD_OUT, BestWeights(model.network, "loss", "min"), *[lambda *_: None] * 2
    )
    after = [array for layer in teacher.layers for array in layer.get_weights()]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_convolutions_of_a_teacher_choose_the_engine() -> None:
    network = keras.Sequential([keras.layers.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(10)])
    convolution = Teacher([keras.layers.Conv2D(4, 3)], record=None)  # type: ignore[arg-type]
    config = accepted("training.epochs=10000")
    assert fitting.pick_engine(config, network, 600).name == "compiled"
    assert fitting.pick_engine(config, network, 600, convolution).name == "graph"


def test_a_model_used_again_is_taught_as_a_fresh_one(finished_run: FinishedRun, tmp_path: Path) -> None:
    store = ModelStore()
    first, second = (
        taught_by(finished_run, "training.engine=graph", f"training.teacher.{key}", f"seed={seed}")
        for seed, key in enumerate(("weight=0.9", "temperature=5"))
    )
    train(first, store)
    again = train(second, store)
    assert not store.is_fresh
    np.testing.assert_array_equal(weights(again[0]), weights(train(second)[0]))
    train(accepted("training.engine=graph"), store)
    assert store.is_fresh
    other = Path(shutil.copytree(finished_run.path, tmp_path / "other"))
    network = keras.models.load_model(other / "checkpoints" / "best.keras")
    network.set_weights([array * 0.5 for array in network.get_weights()])
    network.save(other / "checkpoints" / "best.keras")
    train(taught_by(other, "training.engine=graph"), store)
    assert store.is_fresh


def test_a_teacher_that_knows_the_test_images_marks_its_student(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    usual = teacher_for(taught_by(finished_run))
    assert usual is not None and usual.record.knows_test is False and usual.record.notice is None
    chosen = edited(
        finished_run.path, tmp_path, "summary.json", lambda tree: tree.update(selected_on_test=True)
    )
    marked = teacher_for(taught_by(chosen))
    assert marked is not None and marked.record.knows_test and "test images" in str(marked.record.notice)
    data, test = sample()
    known = Images(np.concatenate([test.images, data.training.images[:1]]), test.labels, test.sha256, None)
    others = dataclasses.replace(data, train_sha256="0" * 64)
    trained = load_teacher(taught_by(finished_run), others, SHAPE, known)
    assert trained is not None and trained.record.knows_test
    unseen = load_teacher(taught_by(finished_run), others, SHAPE, None)
    assert unseen is not None and not unseen.record.knows_test
    assert describe_again(unseen.record, taught_by(finished_run), others, known) == trained.record
    assert describe_again(unseen.record, taught_by(tmp_path / "gone"), others, known) == unseen.record


def test_a_teacher_that_knows_the_validation_images_is_told_of(finished_run: FinishedRun) -> None:
    config = taught_by(finished_run, "data.split_seed=1")
    teacher = load_teacher(config, load_training_data(find_source(config.data)), SHAPE, sample()[1])
    assert teacher is not None and "validation accuracy is optimistic" in str(teacher.record.notice)


def other_classes(run: Path, folder: Path) -> Path:
    return edited(
        run, folder, "config.yaml", lambda tree: tree["data"].update(class_names=list("abcdefghij"))
    )


def deskewed(run: Path, folder: Path) -> Path:
    return edited(run, folder, "config.yaml", lambda tree: tree["data"].update(preprocessing="deskew"))


def without_network(run: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(run, folder / "copy"))
    (copy / "checkpoints" / "best.keras").write_bytes(b"no network")
    return copy


def other_size(run: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(run, folder / "copy"))
    layers = [keras.layers.Input((14, 14)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    keras.Sequential(layers).save(copy / "checkpoints" / "best.keras")
    return copy


REFUSED = {
    "does not exist": lambda run, folder: folder / "nowhere",
    "no such file": lambda run, folder: folder,
    "is interrupted": lambda run, folder: make_unfinished(folder, "stopped", "interrupted"),
    "10 classes": other_classes,
    "data.preprocessing=deskew": deskewed,
    "best.keras": without_network,
    "28 × 28 pixels": other_size,
}


@pytest.mark.parametrize("words", REFUSED)
def test_who_cannot_teach_is_refused(words: str, finished_run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        teacher_for(taught_by(REFUSED[words](finished_run.path, tmp_path)))
    assert caught.value.message.startswith("training.teacher.run: ") and "\n" not in str(caught.value)
    assert words.lower() in str(caught.value).lower()


def test_numbers_out_of_range_are_refused() -> None:
    for override in ("weight=0", "weight=1.5", "temperature=0"):
        with pytest.raises(ConfigError, match=rf"^training\.teacher\.{override.partition('=')[0]}: "):
            accepted(f"training.teacher.{override}")


def test_another_teacher_is_not_gone_on_with(finished_run: FinishedRun, tmp_path: Path) -> None:
    teacher = teacher_for(taught_by(finished_run))
    assert teacher is not None
    check_same_teacher(tmp_path, teacher.record, teacher.record)
    check_same_teacher(tmp_path, None, teacher.record)
    with pytest.raises(ConfigError, match="learnt from another teacher"):
        other = msgspec.structs.replace(teacher.record, sha256="0" * 64)
        check_same_teacher(tmp_path, other, teacher.record)


def test_the_command_refuses_before_anything_is_made(run_command: Run, tmp_path: Path) -> None:
    for sweep in ((), ("-m",)):
        result = run_command(*sweep, "data=sample", "training.teacher.run=nowhere", cwd=tmp_path)
        assert result.returncode == 2 and "training.teacher.run: nowhere does not exist" in result.stderr
        assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_a_killed_student_is_gone_on_with_to_the_bit(
    start: Start, run_command: Run, finished_run: FinishedRun, tmp_path: Path
) -> None:
    options = (
        *QUICK,
        "training.epochs=25",
        "augmentation=shift",
        f"training.teacher.run='{finished_run.path}'",
    )
    whole = run_command(*options, "runs_dir=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert f"teacher       {finished_run.path.name}, weight 0.9, temperature 2" in whole.stdout
    process = start(*options, "runs_dir=killed", cwd=tmp_path)
    run = wait_for(lambda: next(tmp_path.glob("killed/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 2, process)
    process.kill()
    process.communicate()
    assert run_command(f"resume={run}", cwd=tmp_path).returncode == 0
    record = read_json(run / "manifest.json")["teacher"]
    assert record["run_id"] == finished_run.path.name and record["path"] == str(finished_run.path)
    both = (np.load(path / "predictions.npz")["probabilities"] for path in (run, *tmp_path.glob("whole/*")))
    np.testing.assert_array_equal(*both)
    verified = run_command("mode=verify", f"run={run}", "runs_dir=again", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout


def search_with_teacher(run_command: Run, teacher: Path, folder: Path, *typed: str) -> tuple[str, Path]:
    """Searches with one trial; gives what was shown, on one line, and the run."""
    budget = ("tuner.max_trials=1", "tuner.workers=1", "tuner.confirm.seeds=1", "tuner.confirm.top=1")
    space = "+search_space.training.teacher.temperature={type: choice, values: [1.0, 4.0]}"
    asked = ("mode=tune", "training.epochs=2", f"training.teacher.run='{teacher}'", space, *budget, *typed)
    result = run_command(*asked, cwd=folder)
    assert result.returncode == 0, result.stderr
    (run,) = (folder / "runs").iterdir()
    return " ".join(result.stdout.split()), run


@pytest.mark.slow
def test_a_search_may_have_a_teacher(run_command: Run, finished_run: FinishedRun, tmp_path: Path) -> None:
    words, run = search_with_teacher(
        run_command, finished_run.path, tmp_path, "data=sample", "data.split_seed=1"
    )
    record, summary = (read_json(run / f"{name}.json") for name in ("manifest", "summary"))
    assert record["teacher"]["run_id"] == finished_run.path.name
    assert "validation accuracy is optimistic" in record["teacher"]["notice"]
    assert summary["data_notice"] == record["teacher"]["notice"] and not summary["selected_on_test"]
    # Before the first trial, and beside the result.
    assert words.count("The teacher, ") == 2


@pytest.mark.slow
def test_a_search_finds_out_at_its_end_that_its_teacher_knows_the_test_images(
    run_command: Run, finished_run: FinishedRun, tmp_path: Path
) -> None:
    known = sample()[0].training
    arrays = {"x_train": DIGITS.images, "y_train": DIGITS.labels}
    np.savez(tmp_path / "digits.npz", **arrays, x_test=known.images[:200], y_test=known.labels[:200])
    words, run = search_with_teacher(
        run_command, finished_run.path, tmp_path, "data.path=digits.npz", "data.validation=100"
    )
    record, summary = (read_json(run / f"{name}.json") for name in ("manifest", "summary"))
    assert record["teacher"]["knows_test"] and summary["selected_on_test"]
    assert record["teacher"]["notice"] in summary["data_notice"]
    assert "its teacher was trained on test images or chosen by them" in words
