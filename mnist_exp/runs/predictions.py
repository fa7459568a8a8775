"""What a run's network said of the test images, from `predictions.npz`, which may be anybody's."""

import zlib
from dataclasses import dataclass
from typing import IO, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnist_exp.runs.folder import open_archive

NAME = "predictions.npz"
MAX_BYTES = 500_000_000
MOST_IMAGES, _MOST_CLASSES = 5_000_000, 256
_BLOCK_BYTES = 4 * 2**20
_READING_ERRORS = (OSError, EOFError, RuntimeError, OverflowError, zlib.error, BadZipFile, KeyError)


class PredictionsError(ValueError):
    """A file does not hold predictions; the message says what it holds."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A network's choices.

    Attributes:
        labels: True classes, uint8 (N,).
        predicted: The most probable classes, uint8 (N,).
        num_classes: Number of classes that it chose from.
    """

    labels: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    num_classes: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each choice is right (N,)."""
        return self.labels == self.predicted


def read_predictions(file: BinaryIO) -> Predictions:
    """Reads `predictions.npz`; nothing is unpickled, and memory follows what is there.

    Args:
        file: Open, of bounded size.

    Raises:
        PredictionsError: It is damaged, or holds something else.
    """
    try:
        with open_archive(file) as archive:
            labels = _read_labels(archive)
            predicted, num_classes = _read_choices(archive, len(labels))
    except PredictionsError:
        raise
    except (*_READING_ERRORS, ValueError, NotImplementedError) as error:
        raise PredictionsError(str(error) or type(error).__name__) from error
    if int(labels.max()) >= num_classes:
        raise PredictionsError(f"labels up to {labels.max()} with {num_classes} classes")
    return Predictions(labels, predicted, num_classes)


def _read_labels(archive: ZipFile) -> NDArray[np.uint8]:
    """Reads the true classes."""
    with _open(archive, "labels") as stream:
        (count,) = _shape(stream, "labels", np.dtype(np.uint8), 1)
        labels = np.frombuffer(_read_exactly(stream, count), np.uint8)
        _expect_end(stream)
    return labels


def _read_choices(archive: ZipFile, count: int) -> tuple[NDArray[np.uint8], int]:
    """Reads the most probable classes and the number of classes, a block of images at a time."""
    with _open(archive, "probabilities") as stream:
        num_images, num_classes = _shape(stream, "probabilities", np.dtype(np.float32), 2)
        if num_images != count:
            raise PredictionsError(f"probabilities of {num_images:,} images with {count:,} labels")
        predicted = np.empty(count, np.uint8)
        rows = max(1, _BLOCK_BYTES // (4 * num_classes))
        for start in range(0, count, rows):
            part = predicted[start : start + rows]
            content = _read_exactly(stream, 4 * num_classes * len(part))
            probabilities = np.frombuffer(content, np.float32).reshape(-1, num_classes)
            if not np.isfinite(probabilities).all():
                raise PredictionsError("probabilities that are no finite numbers")
            part[:] = probabilities.argmax(axis=1)
        _expect_end(stream)
    return predicted, num_classes


def _open(archive: ZipFile, name: str) -> IO[bytes]:
    """Opens an array, packed as numpy packs it."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise PredictionsError(f"{name} is compressed as numpy never does")
    return archive.open(member)


def _shape(stream: IO[bytes], name: str, kind: np.dtype[np.generic], dimensions: int) -> tuple[int, ...]:
    """Reads an array's header and checks what it promises."""
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, is_fortran, found = read(stream)
    except Exception as error:  # numpy's parser lets out whatever a hostile header makes it raise
        raise PredictionsError(f"{name} has no readable header") from error
    if found != kind or is_fortran:
        raise PredictionsError(f"{name} holds {'pickled objects' if found.hasobject else found}, not {kind}")
    limits = (MOST_IMAGES, _MOST_CLASSES)[:dimensions]
    if len(shape) != dimensions or not all(
        1 <= side <= most for side, most in zip(shape, limits, strict=True)
    ):
        raise PredictionsError(f"{name} has shape {shape}")
    return tuple(int(side) for side in shape)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise PredictionsError("ends before its last image")
    return content


def _expect_end(stream: IO[bytes]) -> None:
    if stream.read(1):
        raise PredictionsError("goes on after its last image")
