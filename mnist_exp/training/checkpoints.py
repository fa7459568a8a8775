"""`last.keras`: a plain Keras model, with everything that resuming a training needs.

What Keras does not keep is one more entry of the same archive: a reader finds both of one epoch or neither,
whenever the process is killed.
"""

import os
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec
from msgspec import Struct

from mnist_exp.errors import ConfigError
from mnist_exp.runs import files
from mnist_exp.runs.archives import READING_ERRORS, open_archive, read_member
from mnist_exp.runs.records import EpochMetrics

if TYPE_CHECKING:
    import keras

Remembered = bool | int | float | list[bytes] | None

_ENTRY = "mnist_exp_training.json"
_MOST_BYTES = 100_000_000
_UNFIT = "Skipping variable loading for optimizer"


class TrainingState(Struct, frozen=True, kw_only=True):
    """Where a training stands after an epoch, beside the weights and the optimizer's state.

    Attributes:
        rows: One an epoch; `best_epoch` is 1-based.
        training_s: Seconds of each epoch's training steps alone.
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
    """Writes a compiled network with its optimizer's state and where its training stands.

    Raises:
        RunError: The file could not be written; `path` is as it was before.
    """

    def save(draft: Path) -> None:
        network.save(draft)
        with zipfile.ZipFile(draft, "a") as archive:
            archive.writestr(_ENTRY, msgspec.json.encode(state), zipfile.ZIP_DEFLATED, compresslevel=1)

    files.write_with(path, save)


class Checkpoint(NamedTuple):
    """A file to resume from."""

    path: Path
    state: TrainingState


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Reads where a training stands from its `last.keras`; None where no epoch was finished.

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
        hint = "It can be scored (mode=evaluate), but not resumed."
        raise ConfigError(f"resume: {path} holds weights only.", hint) from error
    except (*READING_ERRORS, msgspec.DecodeError) as error:
        raise ConfigError(f"resume: {path} cannot be read: {error}.") from error


def _opened(path: Path) -> BinaryIO:
    """Opens a file of a run of unknown origin, without following a link or waiting for a pipe."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def load_best(path: Path, network: "keras.Sequential") -> None:
    """Gives a network the weights of a `best.keras`: each new network would cost memory for good."""
    with warnings.catch_warnings():
        # The file is for use: it holds no state of the optimizer.
        warnings.filterwarnings("ignore", _UNFIT)
        network.load_weights(path)


def restore(checkpoint: Checkpoint, network: "keras.Sequential") -> None:
    """Gives a network and its built optimizer what a checkpoint holds; runs nothing that the file says.

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
