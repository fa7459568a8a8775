"""Loads the network of a finished run, from a file of unknown origin."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.archives import open_archive
from mnist_exp.runs.folder import BEST
from mnist_exp.runs.provenance import num_threads
from mnist_exp.runs.run import Run, refused
from mnist_exp.training.device import start_fresh
from mnist_exp.training.networks import predict_probabilities

# What Keras packs; an archive with anything else in it was packed by someone else.
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


def load_network(run: Run) -> keras.Model:
    """Loads the network of a completed run's best epoch.

    It goes from float32 (B, H, W) in [0, 1] to probabilities float32 (B, C). Keras' safe mode is on: a
    network that holds code is refused.

    Raises:
        ConfigError: The file is missing, a link, too large, or no network that Keras can load.
    """
    return network_of(run.path, read_weights(run.path))


def network_of(run_path: Path, content: bytes) -> keras.Model:
    """Loads a network from the content of `best.keras`; see `load_network`.

    Raises:
        ConfigError: It holds no network that Keras can load.
    """
    try:
        with _copied(content) as path:
            network = keras.models.load_model(path, safe_mode=True)
        _check(network)
        return network
    except Exception as error:  # what a hostile or outdated file makes Keras raise is not known beforehand
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"run: {run_path / BEST}: Keras cannot load it: {words}") from error


def start_as(run: Run, config: Config) -> int:
    """Sets random generators and a run's number of threads, which is returned: its bits depend on them."""
    threads, recorded = config.training.threads, run.manifest.threads
    if recorded is not None and recorded != num_threads(threads):
        threads = recorded
    start_fresh(config.seed, threads)
    return num_threads(threads)


def check_fit(network: keras.Model, shape: Sequence[int], class_names: Sequence[str], name: str) -> None:
    """Raises ConfigError for a network of another image size (H, W) or another number of classes."""
    known_shape, num_classes = tuple(network.input_shape[1:]), network.output_shape[-1]
    if known_shape != tuple(shape):
        sides, own = (" × ".join(map(str, each)) for each in (shape, known_shape))
        raise ConfigError(f"data: {name} has images of {sides} pixels; the run's network takes {own}.")
    if num_classes != len(class_names):
        raise ConfigError(
            f"data: {name} has {len(class_names)} classes; the run's network knows {num_classes}."
        )


def read_weights(path: Path) -> bytes:
    """Reads `best.keras` of a run's directory, without following a link.

    Raises:
        ConfigError: The file is missing, a link, too large, or holds what Keras does not write.
    """
    with refused("run: "):
        run = Run(path)
        content = run.read_checkpoint(BEST)
        with open_archive(BytesIO(content)) as archive:
            if not set(archive.namelist()) <= _MEMBERS:
                raise run.damaged(BEST, "holds files that Keras does not write")
        return content


@contextmanager
def _copied(content: bytes) -> Iterator[Path]:
    """Gives what was checked as a file of this process, which cannot change in between."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(BEST).name)
        path.write_bytes(content)
        yield path


def _check(network: keras.Model) -> None:
    takes, gives = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    if not isinstance(takes, tuple) or not isinstance(gives, tuple) or (len(takes), len(gives)) != (3, 2):
        raise ValueError(f"it maps {takes} to {gives}, not images to class probabilities")


def predict(network: keras.Model, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Computes class probabilities, float32 (N, C), of any number of images, uint8 (H, W) each."""
    if not images:
        return np.zeros((0, network.output_shape[-1]), np.float32)
    return predict_probabilities(network, np.stack(images))
