"""Asks a process of its own whether networks can be built, so that TensorFlow is imported meanwhile."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mnist_exp.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig
from mnist_exp.data.dataset import SPLITS, find_source
from mnist_exp.data.locating import Progress
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.processes.last_words import HeldOutput, find_reason
from mnist_exp.sweeps.network_facts import NetworkFacts, known_facts
from mnist_exp.training.teacher_runs import read_teacher


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A network and what is to train it.

    Attributes:
        model: The `model` node.
        optimizer: The `optimizer` node.
        ema_momentum: As in `training`.
        image_shape: Height and width.
        num_classes: Number of labels.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    ema_momentum: float
    image_shape: tuple[int, int]
    num_classes: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Why a network or its optimizer cannot be built, and what to do."""

    message: str
    hint: str


Answer = NetworkFacts | Refusal


@dataclass(frozen=True)
class DataFacts:
    """What is known of images before they are read.

    Attributes:
        image_shape: Height and width.
        num_classes: Number of labels.
        num_train: Number of images to train on.
        num_validation: Number of images to validate on.
        num_test: Number of test images.
        notice: What a reader must know about them; None when they are as named.
    """

    image_shape: tuple[int, int]
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    notice: str | None


@dataclass(frozen=True)
class Checked:
    """A job that can be begun: its images are there, its network can be built."""

    network: NetworkFacts
    data: DataFacts


class Checker:
    """A process that imports TensorFlow as soon as it is made, and answers when asked.

    Args:
        progress: Told about downloads of images.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._words = HeldOutput()
        # `-P`: nothing in the folder that the user happens to be in is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mnist_exp.environment", "mnist_exp.network_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words.descriptor,
            start_new_session=True,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        )

    def check(self, configs: Sequence[Config]) -> list[Checked | ConfigError]:
        """Finds each job's images and builds its network.

        Args:
            configs: The jobs'.

        Returns:
            In their order, what each job costs, or why it cannot be begun.

        Raises:
            ExperimentError: The process died.
        """
        keys = [_data_key(config) for config in configs]
        found = {key: self._find(config.data) for key, config in zip(keys, configs, strict=True)}
        # Whether a teacher is accepted depends on the data too: their classes and preprocessing.
        pupils = [(config.training.teacher.run, key) for key, config in zip(keys, configs, strict=True)]
        teachers = {
            pupil: _refuse_teacher(config)
            for pupil, config in dict(zip(pupils, configs, strict=True)).items()
        }
        data = [teachers[pupil] or found[pupil[1]] for pupil in pupils]
        known = [_known(config, facts) for config, facts in zip(configs, data, strict=True)]
        questions = [
            None if answer is not None or isinstance(facts, ConfigError) else _question(config, facts)
            for config, facts, answer in zip(configs, data, known, strict=True)
        ]
        distinct = sorted({question for question in questions if question is not None})
        answers = dict(zip(distinct, self._ask(distinct), strict=True))
        return [
            _together(facts, answers[question] if question is not None else answer)
            for facts, question, answer in zip(data, questions, known, strict=True)
        ]

    def close(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            # What a dead process did not read is lost.
            with contextlib.suppress(BrokenPipeError):
                assert stream is not None
                stream.close()
        self._process.wait()
        self._words.close()

    def _find(self, config: DataConfig) -> DataFacts | ConfigError:
        """Looks at the headers and labels of a data set; downloads it where it is missing."""
        try:
            source = find_source(config, progress=self._progress)
            for split in SPLITS:
                source.labels(split)
        except ConfigError as error:
            return error
        num_images, num_test = source.num_images("train"), source.num_images("test")
        num_validation = 0 if source.validation == "test" else source.validation
        height, width = source.arrays["x_train"].shape[1:]
        return DataFacts(
            image_shape=(height, width),
            num_classes=len(source.class_names),
            num_train=num_images - num_validation,
            num_validation=num_test if source.validation == "test" else num_validation,
            num_test=num_test,
            notice=source.notice,
        )

    def _ask(self, questions: list[bytes]) -> list[Answer]:
        """Sends one line of JSON and reads one."""
        if not questions:
            return []
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(b"[" + b",".join(questions) + b"]\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            raise ExperimentError(f"The networks could not be checked: {self._last_words()}.")
        return msgspec.json.decode(line, type=list[Answer])

    def _last_words(self) -> str:
        status = self._process.wait()
        reason = find_reason(self._words.drain()) or "no message"
        ended = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the process that builds them ended with {ended}: {reason}"


def _data_key(config: Config) -> bytes:
    return msgspec.json.encode(config.data)


def _refuse_teacher(config: Config) -> ConfigError | None:
    """Says why a job cannot learn from the teacher that it names; None where it can, or names none."""
    try:
        read_teacher(config)
    except ConfigError as error:
        return error
    return None


def _known(config: Config, data: DataFacts | ConfigError) -> NetworkFacts | None:
    if isinstance(data, ConfigError):
        return None
    return known_facts(config.model, config.optimizer, data.image_shape, data.num_classes)


def _question(config: Config, data: DataFacts) -> bytes:
    question = Question(
        model=config.model,
        optimizer=config.optimizer,
        ema_momentum=config.training.ema_momentum,
        image_shape=data.image_shape,
        num_classes=data.num_classes,
    )
    return msgspec.json.encode(question)


def _together(data: DataFacts | ConfigError, answer: Answer | None) -> Checked | ConfigError:
    if isinstance(data, ConfigError):
        return data
    if isinstance(answer, NetworkFacts):
        return Checked(answer, data)
    assert answer is not None
    return ConfigError(answer.message, answer.hint)
