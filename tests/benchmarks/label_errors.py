"""How many labels that were changed on purpose a cross-validation finds.

    uv run python tests/benchmarks/label_errors.py [--changed N] [--first N] [--runs-dir DIR] [OVERRIDE…]

Gives training images other labels at random, sweeps over five folds by the command, and counts how many of
them are among the first of its `label_errors.csv`. Prints a row of the table in README.md. Overrides are of a
training; without any, a small convolutional network is trained.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mnist_file import add_data_argument, find_data, load_arrays
from numpy.typing import NDArray

HEADER = """\
| training | of {changed} changed labels among the first {first} | on the whole list | command |
|---|--:|--:|--:|"""
_NETWORK = ["model=cnn", "training.epochs=5"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", default=_NETWORK)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument("--first", type=int, default=150)
    parser.add_argument("--runs-dir", type=Path)
    add_data_argument(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.runs_dir or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        changed = change_labels(find_data(options.data), folder / "changed.npz", options.changed)
        started = time.monotonic()
        sweep(options.overrides, folder)
        seconds = time.monotonic() - started
        listed = read_places(folder / "sweep" / "label_errors.csv")
    ranks = np.flatnonzero(np.isin(listed, changed)) + 1
    num_found = int((ranks <= options.first).sum())
    network = " ".join(options.overrides)
    print(HEADER.format(changed=options.changed, first=options.first))
    print(f"| `{network}` | **{num_found}** | {len(ranks)} of {len(listed):,} | {seconds:.0f} s |")


def change_labels(source: Path, target: Path, count: int) -> NDArray[np.int64]:
    """Writes a data set with other labels of so many training images; returns their places."""
    arrays, generator = load_arrays(source), np.random.default_rng(0)
    labels = arrays.train_labels.copy()
    changed = generator.choice(len(labels), count, replace=False)
    labels[changed] = (labels[changed] + generator.integers(1, 10, count)) % 10
    np.savez_compressed(
        target,
        x_train=arrays.train_images,
        y_train=labels,
        x_test=arrays.test_images,
        y_test=arrays.test_labels,
    )
    return changed


def sweep(overrides: list[str], folder: Path) -> None:
    """Cross-validates in a folder of that name."""
    command = [sys.executable, "-m", "mnist_exp", "-m", *overrides, "data.folds=5", "data.fold=range(5)"]
    where = [f"data.path={folder / 'changed.npz'}", f"runs_dir={folder}", "sweep=sweep"]
    subprocess.run([*command, *where], check=True, stdout=sys.stderr)


def read_places(path: Path) -> list[int]:
    """Reads which training images are listed, the most suspicious first."""
    with path.open(newline="") as file:
        return [int(row["index"]) for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
