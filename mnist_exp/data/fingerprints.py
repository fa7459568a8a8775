"""The images that runs were scored and trained on, if they are on this machine; nothing is downloaded."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import DataConfig
from mnist_exp.data import locating
from mnist_exp.data.dataset import SAMPLE_PATH, find_source, load_training_data
from mnist_exp.errors import ExperimentError
from mnist_exp.runs.run import Run

_MOST_CONFIGS = 3


def load_test_images(runs: Sequence[Run]) -> NDArray[np.uint8] | None:
    """Reads the test images of runs, known by their fingerprint.

    Args:
        runs: Completed trainings on the same test images.

    Returns:
        uint8 (N, height, width); None where no file at hand has them.
    """
    wanted = runs[0].data.test_sha256
    for config in _data_configs(runs):
        for candidate in _candidates(config):
            try:
                found = find_source(candidate).load("test")
            except (ExperimentError, OSError, ValueError):
                continue
            if found.sha256 == wanted:
                return found.images
    return None


def load_training_images(run: Run) -> NDArray[np.uint8] | None:
    """Reads the images that a run was trained on, those set apart left out; known by fingerprints.

    Args:
        run: Completed.

    Returns:
        uint8 (N, height, width); None where no file at hand has them.
    """
    own = run.data
    for config in _data_configs([run]):
        apart = 0 if config.validation == "test" else own.num_validation
        for candidate in _candidates(config):
            try:
                source = find_source(msgspec.structs.replace(candidate, validation=apart))
                found = load_training_data(source)
            except (ExperimentError, OSError, ValueError):
                continue
            if (found.train_sha256, found.split_sha256) == (own.train_sha256, own.split_sha256):
                return found.training.images
    return None


def _data_configs(runs: Iterable[Run]) -> list[DataConfig]:
    """Returns the runs' ways to their data, a few different ones."""
    found: dict[str, DataConfig] = {}
    for run in runs:
        node = run.config.get("data")
        try:
            found.setdefault(repr(node), msgspec.convert(node, DataConfig))
        except msgspec.ValidationError:
            continue
        if len(found) == _MOST_CONFIGS:
            break
    return list(found.values())


def _candidates(config: DataConfig) -> Iterator[DataConfig]:
    """Yields where the images may lie: where the run looked, among downloads, in this package."""

    def at(path: Any) -> DataConfig:
        # Neither may a stranger's run name hosts to ask, nor sets its fingerprints a notice off.
        return msgspec.structs.replace(
            config,
            path=path,
            mirrors=[],
            on_missing="error",
            validation=0,
            train_sha256=None,
            test_sha256=None,
        )

    yield at(config.path)
    folder: Path = locating.cache_folder(config.name)
    for path in (*sorted(folder.glob("*.npz")), folder, SAMPLE_PATH):
        yield at(str(path))
