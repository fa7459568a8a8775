"""`last.keras`: a plain Keras model, with everything that a training needs to go on from it.

Weights and the optimizer's state are Keras' part of the file. What Keras does not keep, such as the
best value so far and how long early stopping has waited, is one more entry of the same archive: a
reader finds both of one epoch or neither, whenever the process is killed.
"""

import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import keras
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs import files
from mnist_exp.runs.archives import READING_ERRORS, open_archive, read_member
from mnist_exp.runs.folder import BEST
from mnist_exp.runs.provenance import num_threads
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.runs.run import Run, refused
from mnist_exp.training.device import start_fresh
from mnist_exp.training.networks import predict_probabilities

if TYPE_CHECKING:
    import keras

Remembered = bool | int | float | list[bytes] | None
"""What a callback remembers from one epoch to the next."""

_ENTRY = "mnist_exp_training.json"
_MOST_BYTES = 100_000_000
_UNFIT = "Skipping variable loading for optimizer"
# What Keras packs; an archive with anything else in it was packed by someone else.
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


class TrainingState(Struct, frozen=True, kw_only=True):
    """Where a training stands after an epoch, beside the weights and the optimizer's state.

    Attributes:
        rows: The metrics so far, one an epoch.
        training_s: Seconds of each epoch's training steps alone.
        compile_s: Seconds spent tracing and compiling so far.
        best_epoch: The best epoch so far, 1-based.
        best_value: The monitor's at that epoch; null where it is not measured.
        watchers: What each callback has to remember from one epoch to the next, by its class.
        has_ended: Whether early stopping has ended the training.
    """

    rows: list[EpochMetrics]
    training_s: list[float]
    compile_s: float
    best_epoch: int
    best_value: float | None
    watchers: dict[str, dict[str, Remembered]]
    has_ended: bool


def write_checkpoint(path: Path, network: "keras.Sequential", state: TrainingState) -> None:
    """Writes a network with its optimizer's state and where its training stands.

    Args:
        path: Replaced when all is written.
        network: Compiled with the optimizer that trains it.
        state: After the epoch whose weights it has.

    Raises:
        RunError: The file could not be written; `path` is as it was before.
    """

    def save(draft: Path) -> None:
        network.save(draft)
        with zipfile.ZipFile(draft, "a") as archive:
            archive.writestr(_ENTRY, msgspec.json.encode(state), zipfile.ZIP_DEFLATED, compresslevel=1)

    files.write_with(path, save)


class Checkpoint(NamedTuple):
    """A file to go on from.

    Attributes:
        path: From `write_checkpoint`.
        state: What it says.
    """

    path: Path
    state: TrainingState


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Reads where a training stands; None where no epoch was finished.

    Args:
        path: Of `last.keras`.

    Raises:
        ConfigError: The file is damaged, or was not written by `write_checkpoint`.
    """
    try:
        with _opened(path) as file, open_archive(file) as archive:
            if archive.getinfo(_ENTRY).file_size > _MOST_BYTES:
                raise ConfigError(f"resume: {path}: {_ENTRY} is larger than any training's.")
            content = read_member(archive, _ENTRY)
        return Checkpoint(path, msgspec.json.decode(content, type=TrainingState))
    except FileNotFoundError:
        return None
    except KeyError as error:
        hint = "It can be scored (mode=evaluate), not gone on with."
        raise ConfigError(f"resume: {path} holds weights only.", hint) from error
    except (*READING_ERRORS, msgspec.DecodeError) as error:
        raise ConfigError(f"resume: {path} cannot be read: {error}.") from error


def _opened(path: Path) -> BinaryIO:
    """Opens a file of a run, which may be anybody's, without following a link or waiting for a pipe."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def load_best(path: Path, network: "keras.Sequential") -> None:
    """Gives a network that is there already the weights on disk; each new one costs memory for good.

    Args:
        path: Of `best.keras`.
        network: The one that was trained.
    """
    with warnings.catch_warnings():
        # The file is for use: it holds no state of the optimizer.
        warnings.filterwarnings("ignore", _UNFIT)
        network.load_weights(path)


def restore(checkpoint: Checkpoint, network: "keras.Sequential") -> None:
    """Gives a network and its optimizer what a checkpoint holds; runs nothing that the file says.

    Args:
        checkpoint: Of the same architecture and the same kind of optimizer.
        network: Compiled with the optimizer that trains it, which is built.

    Raises:
        ConfigError: The file is of another network or optimizer.
    """
    try:
        with warnings.catch_warnings():
            # Keras only warns where the optimizer's part does not fit.
            warnings.filterwarnings("error", _UNFIT)
            network.load_weights(checkpoint.path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        raise ConfigError(
            f"resume: {checkpoint.path} cannot be loaded: it is damaged, or of another network or optimizer."
        ) from error


def load_network(run: Run) -> keras.Model:
    """Loads the network of a run's best epoch.

    Keras' safe mode is on: a network that holds code is refused.

    Args:
        run: Completed.

    Returns:
        A network from float32 (B, H, W) in [0, 1] to probabilities float32 (B, C).

    Raises:
        ConfigError: The file is missing, a link, too large, or no network that Keras can load.
    """
    return network_of(run.path, read_weights(run.path))


def network_of(run_path: Path, content: bytes) -> keras.Model:
    """Loads a network from what `read_weights` gave; see `load_network`.

    Args:
        run_path: The run's directory, for messages.
        content: Of `best.keras`.

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
    """Sets random generators and threads as they were in a run, whose bits depend on them.

    Returns:
        The number of threads of one operation.
    """
    recorded = run.manifest.threads
    is_usual = recorded is None or recorded == num_threads(config.training.threads)
    threads = config.training.threads if is_usual or recorded is None else recorded
    start_fresh(config.seed, threads)
    return num_threads(threads)


def check_fit(network: keras.Model, shape: Sequence[int], class_names: Sequence[str], name: str) -> None:
    """Makes sure that a network can be asked about such images.

    Args:
        network: From `load_network`.
        shape: Height and width of the images.
        class_names: Name of each class that they may show.
        name: What messages call the data.

    Raises:
        ConfigError: It takes images of another size, or knows another number of classes.
    """
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
    """Gives what was checked as a file of one's own, which nobody changes in between."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(BEST).name)
        path.write_bytes(content)
        yield path


def _check(network: keras.Model) -> None:
    """Refuses what is no classifier of images."""
    takes, gives = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    if not isinstance(takes, tuple) or not isinstance(gives, tuple) or (len(takes), len(gives)) != (3, 2):
        raise ValueError(f"it goes from {takes} to {gives}, not from images to class probabilities")


def predict(
    network: keras.Model, images: Sequence[NDArray[np.uint8]], shape: Sequence[int]
) -> NDArray[np.float32]:
    """Computes class probabilities of any number of images, none included.

    Args:
        network: From `load_network`.
        images: uint8 (H, W) each.
        shape: Their height and width.

    Returns:
        float32 (N, C).
    """
    if not images:
        return np.zeros((0, network.output_shape[-1]), np.float32)
    return predict_probabilities(network, np.stack(images))
