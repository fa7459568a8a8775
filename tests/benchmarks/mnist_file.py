"""Which images the benchmarks read, and how every script is told."""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_REPOSITORY = Path(__file__).resolve().parents[2]
_BESIDE = _REPOSITORY.parent / "shared" / "data" / "mnist.npz"
_SAMPLE = _REPOSITORY / "mnist_exp" / "data" / "sample" / "mnist_sample.npz"


class Arrays(NamedTuple):
    """Images uint8 (N, 28, 28), 0 to 255, and labels uint8 (N,), 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--data`: an `.npz` file with Keras' keys."""
    parser.add_argument("--data", type=_file, default=None, help="an .npz file with Keras' keys")


def find_data(given: Path | None) -> Path:
    """Says which file to read: the given one, MNIST_EXP_DATA's, the one beside the repository, the sample."""
    if given:
        return given
    if named := os.environ.get("MNIST_EXP_DATA"):
        return _file(named)
    return _BESIDE if _BESIDE.is_file() else _SAMPLE


def remark_on(path: Path) -> str | None:
    """Says why figures made with this file cannot be held against the bars; None if they can."""
    num_images = len(load_arrays(path).train_labels)
    if num_images == 60_000:
        return None
    return f"REMARK: {path.name} holds {num_images:,} training images, not 60,000: the bars are not for it."


def load_arrays(path: Path) -> Arrays:
    """Reads the four arrays."""
    with np.load(path, allow_pickle=False) as file:
        return Arrays(*(file[key] for key in ("x_train", "y_train", "x_test", "y_test")))


def _file(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        sys.exit(f"{path} is not a file; give an .npz file with Keras' keys, by --data or MNIST_EXP_DATA")
    return path
