"""A teacher's network: loaded from a finished run, as carefully as any file of unknown origin."""

import functools
import hashlib
from pathlib import Path

import keras

from mnist_exp.config.schema import Config, TeacherConfig
from mnist_exp.data.dataset import LabelledImages, TrainingData
from mnist_exp.data.overlap import TrainedOn
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import TeacherRecord
from mnist_exp.runs.run import Run
from mnist_exp.training.distillation import Teacher
from mnist_exp.training.loading import check_fit, network_of, read_weights
from mnist_exp.training.preprocessing import is_front
from mnist_exp.training.teacher_runs import TEACHER_KEY, read_teacher


def load_teacher(
    config: Config, seen: TrainingData, shape: tuple[int, int], test: LabelledImages | None
) -> Teacher | None:
    """Loads the network that a run is to learn from; None where it has no teacher.

    Args:
        config: The run's; says who teaches.
        seen: The images that it trains and validates on.
        shape: Height and width of the images.
        test: The test images, to find out whether the teacher was trained on them; None where they must
            not be looked at yet.

    Raises:
        ConfigError: There is no such run, it is not completed, or its network is none that Keras can load
            or does not fit.
    """
    run = read_teacher(config)
    if run is None:
        return None
    try:
        content = read_weights(run.path)
        network = _network(run.path, content)
        check_fit(network, shape, config.data.class_names, config.data.name)
    except ConfigError as error:
        problem = error.message.removeprefix("run: ").removeprefix("data: ")
        raise ConfigError(f"{TEACHER_KEY}: {problem}", error.hint) from error
    return Teacher(_layers(network, config), _record(config, run, content, seen, test))


def describe_again(
    earlier: TeacherRecord | None, config: Config, seen: TrainingData, test: LabelledImages
) -> TeacherRecord | None:
    """Says who taught a run, now that the test images may be looked at.

    Args:
        earlier: What was known before; returned where the teacher is gone by now.
        seen: The images that it trained and validated on.
        test: The test images, as they are in the file.
    """
    try:
        run = read_teacher(config)
        return None if run is None else _record(config, run, read_weights(run.path), seen, test)
    except ConfigError:
        return earlier


def _record(
    config: Config, run: Run, content: bytes, seen: TrainingData, test: LabelledImages | None
) -> TeacherRecord:
    """Writes down who teaches, and what a reader must know of that."""
    is_known = run.result.selected_on_test
    # Of the same training images it is known that the test images are not among them.
    if test is not None and run.data.train_sha256 != seen.train_sha256:
        is_known = is_known or bool(TrainedOn(test.images).count(run))
    return TeacherRecord(
        run_id=run.manifest.run_id,
        path=str(config.training.teacher.run),
        sha256=hashlib.sha256(content).hexdigest(),
        knows_test=is_known,
        notice=_notice(run, seen, is_known),
    )


@functools.lru_cache(maxsize=2)
def _network(path: Path, content: bytes) -> keras.Model:
    """Loads a network once for all students of this process: each one costs memory for good."""
    network = network_of(path, content)
    network.trainable = False
    return network


def _layers(network: keras.Model, config: Config) -> list[keras.Layer]:
    """Lists a network's own layers; the student's images have been through what stands in front."""
    layers = network.layers if isinstance(network, keras.Sequential) else [network]
    fronts = [layer for layer in layers if is_front(layer)]
    num_expected = 0 if config.data.preprocessing == "none" else 1
    if len(fronts) != num_expected or fronts != layers[:num_expected]:
        raise ConfigError(
            f"{TEACHER_KEY}: best.keras of {config.training.teacher.run} is not what its config.yaml says."
        )
    return layers[len(fronts) :]


def _notice(run: Run, seen: TrainingData, is_known: bool) -> str | None:
    """Says what a reader of the student's results must know about its teacher."""
    if is_known:
        return f"The teacher, {run.manifest.run_id}, was trained on test images or chosen by them."
    own = run.data
    if own.train_sha256 == seen.train_sha256 and own.split_sha256 != seen.split_sha256:
        return (
            f"The teacher, {run.manifest.run_id}, was trained on this run's validation images: validation "
            "accuracy is optimistic."
        )
    return None


def describe_teacher(teacher: TeacherRecord | None, config: TeacherConfig) -> str:
    """Names the teacher and what it counts; empty without one."""
    if teacher is None:
        return ""
    return f"{teacher.run_id}, weight {config.weight:g}, temperature {config.temperature:g}"


def check_same_teacher(path: Path, was: TeacherRecord | None, now: TeacherRecord | None) -> None:
    """Makes sure that a run is resumed with the teacher that it began with.

    Args:
        was: What its manifest says; None where it had not come that far.
        now: The teacher found now.

    Raises:
        ConfigError: Its `best.keras` is another one.
    """
    if was is not None and now is not None and was.sha256 != now.sha256:
        raise ConfigError(
            f"resume: {path} learnt from another teacher: best.keras of {was.path} had the SHA-256 "
            f"{was.sha256[:12]}…, now it has {now.sha256[:12]}….",
            "Put it back, or begin a new run.",
        )
