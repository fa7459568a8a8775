"""What a training left in its directory, which may be anybody's: rows, weights, predictions, result."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs import predictions
from mnist_exp.runs.folder import RunFolder
from mnist_exp.runs.records import EpochMetrics, Manifest, Summary
from mnist_exp.runs.run import RunResult

_FOLDER, _CHECKPOINTS = "checkpoints", ("best.keras", "last.keras")
_WEIGHTS = "model.weights.h5"
_MAX_BYTES = 2_000_000_000
_WEIGHTS_ERRORS = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, zlib.error, BadZipFile,
)  # fmt: skip
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training left.

    Attributes:
        manifest: The run's.
        rows: Its metrics, a row an epoch.
        arrays: File to its arrays by their names, in the order to compare them in: checkpoints, then
            `predictions.npz`. Files that are missing are left out.
        summary: What it came to.
    """

    manifest: Manifest
    rows: Sequence[EpochMetrics]
    arrays: Mapping[str, Arrays]
    summary: Summary


def read_trained(run: RunResult) -> Trained:
    """Reads everything of a completed training that another one can be compared with.

    Neither TensorFlow nor Keras is loaded, and nothing that a file says is run.

    Args:
        run: Completed, with a summary.

    Raises:
        DamagedRun: A file is damaged, too large, or holds something else.
    """
    arrays = _read_checkpoints(run.path)
    if run.has_predictions:
        arrays[predictions.NAME] = _read_predictions(run)
    return Trained(manifest=run.manifest, rows=run.read_metrics(), arrays=arrays, summary=run.result)


def _read_checkpoints(path: Path) -> dict[str, Arrays]:
    """Reads the checkpoints that are there; a link is not followed, and counts as missing."""
    with RunFolder(path) as folder:
        found = [name for name in _CHECKPOINTS if folder.size_of(_FOLDER, name) is not None]
    return {f"{_FOLDER}/{name}": _read_checkpoint(path / _FOLDER, name) for name in found}


def _read_checkpoint(path: Path, name: str) -> Arrays:
    with RunFolder(path) as folder:
        try:
            with ZipFile(BytesIO(folder.read(name, _MAX_BYTES))) as archive:
                if archive.getinfo(_WEIGHTS).file_size > _MAX_BYTES:
                    raise folder.damaged(name, f"unpacks to more than {_MAX_BYTES:,} bytes")
                content = archive.read(_WEIGHTS)
            return _read_arrays(content)
        except _WEIGHTS_ERRORS as error:
            raise folder.damaged(name, " ".join(str(error).split())[:200]) from error


def _read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Reads every array of an HDF5 file; links are not followed.

    Returns:
        From the array's path in the file, such as `layers/dense/vars/0`, to the array.
    """
    # Imported here: most modes have no use for it.
    import h5py

    found: dict[str, NDArray[Any]] = {}

    def read(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual or item.dtype.hasobject:
            raise ValueError(f"{name} does not hold its own numbers")
        if item.nbytes + sum(array.nbytes for array in found.values()) > _MAX_BYTES:
            raise ValueError(f"unpacks to more than {_MAX_BYTES:,} bytes")
        found[name] = np.asarray(item[()])

    with h5py.File(BytesIO(content), "r") as file:
        file.visititems(read)
    return found


def _read_predictions(run: RunResult) -> Arrays:
    """Reads probabilities and labels, after the file was found to hold what the summary says."""
    assert run.predictions is not None
    with RunFolder(run.path) as folder, folder.open(predictions.NAME, predictions.MAX_BYTES) as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in ("probabilities", "labels")}
        except _WEIGHTS_ERRORS as error:
            raise folder.damaged(predictions.NAME, str(error)) from error
