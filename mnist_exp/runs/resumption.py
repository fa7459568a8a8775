"""Going on with a training as if it had never stopped: the same arithmetic on the same images."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mnist_exp.config.parsing import read_config
from mnist_exp.config.schema import Config, CosineScheduleConfig, Engine
from mnist_exp.errors import ConfigError
from mnist_exp.processes.workplace import num_threads
from mnist_exp.runs import provenance
from mnist_exp.runs.records import Change, DataRecord, Manifest


def as_begun(config: Config, manifest: Manifest) -> Config:
    """Pins what a run's configuration leaves to the machine: the engine and the number of threads.

    Args:
        config: The run's.
        manifest: The run's; says what was used.

    Raises:
        ConfigError: It names an engine that there is not.
    """
    training = config.training
    if manifest.engine is not None:
        training = msgspec.structs.replace(training, engine=_engine(manifest.engine.name))
    if manifest.threads is not None and manifest.threads != num_threads(training.threads):
        training = msgspec.structs.replace(training, threads=manifest.threads)
    return msgspec.structs.replace(config, training=training)


def _engine(name: str) -> Engine:
    try:
        return Engine(name)
    except ValueError as error:
        raise ConfigError(f'resume: "{name[:50]}" in manifest.json is no engine.') from error


def check_same_images(path: Path, seen: DataRecord | None, found: DataRecord) -> None:
    """Makes sure that a run goes on with the images that it began with.

    Args:
        path: The run's directory.
        seen: The data that its manifest names; None where it had not come that far.
        found: What is there now.

    Raises:
        ConfigError: They are others, or set apart differently.
    """
    if seen is None:
        return
    for name in ("train_sha256", "test_sha256", "split_sha256"):
        was, now = getattr(seen, name), getattr(found, name)
        if was != now:
            raise ConfigError(
                f"resume: {path} saw other images: its data.{name} is {was}, "
                f"that of {found.source} is {now}.",
                "Give it its images again (data.path, MNIST_EXP_DATA), or begin a new run.",
            )


def check_can_be_longer(path: Path, config: Config, num_finished: int) -> None:
    """Makes sure that a training that has all its epochs can have more.

    Args:
        path: The run's directory, with the configuration of before.
        config: With the number of epochs of now.
        num_finished: Number of epochs finished.

    Raises:
        ConfigError: Keras gave up the weights that its average was made of.
    """
    planned = read_config(path).training.epochs
    if config.training.ema_momentum and num_finished == planned < config.training.epochs:
        raise ConfigError(
            f"training.epochs: {path} has averaged its weights for good after {planned} epochs.",
            "Leave training.epochs out: what is left to do is to score it.",
        )


def caveats(config: Config, planned: int, changes: Sequence[Change]) -> list[str]:
    """Says why a run that is gone on with may differ from one that was never stopped.

    Args:
        config: With the number of epochs of now.
        planned: The number of epochs of before.
        changes: What decides bits and is not as it was.
    """
    sentences = changed_circumstances(changes)
    if config.training.epochs != planned and isinstance(config.schedule, CosineScheduleConfig):
        sentences.append(
            f"The cosine schedule is stretched from {planned} to {config.training.epochs} epochs underway: "
            "a run of so many epochs from the start would have had other learning rates."
        )
    return sentences


def changed_circumstances(changes: Sequence[Change]) -> list[str]:
    """Says in a sentence under what other circumstances a run was begun; none where there are none."""
    if not changes:
        return []
    words = ", ".join(provenance.word(change) for change in changes)
    return [f"It was begun under other circumstances ({words}): last bits may differ."]
