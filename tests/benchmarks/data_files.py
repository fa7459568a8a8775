"""What own files cost: a folder of PNGs first and again, the same as .npz, CSV, predicting a CSV file.

uv run python tests/benchmarks/data_files.py --data mnist.npz --num-pictures 100000 --run runs/…
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

READ = (
    "import sys, pathlib, mnist_exp.data.formats as f; "
    "found = f.open_data(pathlib.Path(sys.argv[1])); [each.read() for each in found.arrays.values()]"
)
"""Opens a data set and reads all of it, as a training does."""


def measure(words: Sequence[str], environment: dict[str, str], repeats: int) -> str:
    """Runs a command so many times; says the medians of its seconds and of its CPU's."""
    seconds, cpu = [], []
    for _ in range(repeats):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(time.monotonic() - start)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return f"{median(seconds):6.2f} s, CPU {median(cpu):6.2f} s, median of {repeats}"


def save_pictures(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int) -> None:
    for number in range(count):
        index = number % len(images)
        place = folder / str(labels[index])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index]).save(place / f"{number:06}.png")


def save_table(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8] | None) -> None:
    rows = images.reshape(len(images), -1)
    if labels is not None:
        rows = np.concatenate([labels[:, np.newaxis], rows], axis=1)
    with path.open("wb") as file:
        for row in rows.tolist():
            file.write(",".join(map(str, row)).encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="an .npz file with Keras' keys")
    parser.add_argument("--num-pictures", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", type=Path, help="a finished run, to predict 28,000 rows")
    arguments = parser.parse_args()
    with np.load(arguments.data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    with TemporaryDirectory() as place:
        folder = Path(place)
        environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
        count, repeats = arguments.num_pictures, arguments.repeats
        save_pictures(folder / "pictures", images, labels, count)
        several = np.arange(count) % len(images)
        np.savez(folder / "same.npz", x_train=images[several], y_train=labels[several])
        save_table(folder / "train.csv", images, labels)
        save_table(folder / "test.csv", images[:28_000], None)
        for title, name, times in (
            (f"{count:,} PNGs, first", "pictures", 1),
            (f"{count:,} PNGs, again", "pictures", repeats),
            ("the same as .npz", "same.npz", repeats),
            (f"CSV, {len(images):,} rows", "train.csv", repeats),
        ):
            words = [sys.executable, "-c", READ, str(folder / name)]
            print(f"{title:25} {measure(words, environment, times)}", flush=True)
        if arguments.run is not None:
            command = [
                str(Path(sys.executable).with_name("mnist-exp")),
                "mode=predict",
                f"run={arguments.run}",
            ]
            command += [f"images={folder / 'test.csv'}", f"runs_dir={folder / 'runs'}", "predict.first_id=1"]
            words = [*command, "predict.columns=[ImageId,Label]"]
            print(f"{'predict 28,000 rows':25} {measure(words, environment, repeats)}")


if __name__ == "__main__":
    main()
