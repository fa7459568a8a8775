"""Clothes from a package that sorts them by class become images that a run takes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("benchmarks") / "clothes.py"
EMPTY: list[int] = []


def test_the_first_thousand_of_each_class_are_test_images(tmp_path: Path) -> None:
    folder = tmp_path / "package" / "src" / "clothes"
    folder.mkdir(parents=True)
    for number in range(10):
        rows = [[number] * 784 for _ in range(1_000)] + [EMPTY, [100 + number] * 784, EMPTY]
        (folder / f"{number}.json").write_text(json.dumps({"data": rows}))
    output = tmp_path / "clothes.npz"
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "package"), str(output)], check=True)
    with np.load(output) as arrays:
        assert arrays["x_test"].shape == (10_000, 28, 28) and arrays["x_train"].shape == (10, 28, 28)
        assert np.array_equal(arrays["x_test"][:, 14, 14], arrays["y_test"])
        assert np.array_equal(arrays["x_train"][:, 14, 14], arrays["y_train"] + 100)
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8)}
