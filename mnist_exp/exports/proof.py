"""A format measured in its own runtime: by its own script, in a process that knows nothing else.

`python -m mnist_exp.exports.proof <script> <file> <folder> <distributions>` is that process.
"""

import os
import platform
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import RunError
from mnist_exp.evaluation.results import Latency
from mnist_exp.evaluation.timing import BATCH_SIZES, measure_calls
from mnist_exp.exports.formats import Format, Proof
from mnist_exp.processes.last_words import find_reason
from mnist_exp.statistics import accuracy, wilson_interval

HOW = (
    f"All test images, in batches of {' and of '.join(map(str, BATCH_SIZES))}, by each file's own script, in "
    "a process of its own and on one thread; against the probabilities that Keras computes here."
)
_IMAGES, _PROBABILITIES, _MEASURED = "images.npy", "probabilities.npy", "measured.json"
_MOST_DIFFERENCE = 1e-3


class _Measured(Struct):
    latency: list[Latency]
    versions: dict[str, str]


def prove(
    row: Format, script: Path, file: Path, test: LabelledImages, reference: NDArray[np.float32]
) -> Proof:
    """Runs a format on the test images, and compares its probabilities, (N, C), with Keras'.

    Raises:
        RunError: It cannot be run, or a format in float32 gives another answer.
    """
    with TemporaryDirectory() as folder:
        np.save(Path(folder, _IMAGES), test.images)
        _run(row, script, file, folder)
        found = np.load(Path(folder, _PROBABILITIES))
        measured = msgspec.json.decode(Path(folder, _MEASURED).read_bytes(), type=_Measured)
    difference = float(np.abs(found - reference).max())
    is_equal = (found.argmax(axis=2) == reference.argmax(axis=1)).all(axis=0)
    if row.is_exact and not (is_equal.all() and difference <= _MOST_DIFFERENCE):
        raise RunError(f"export.format: {row.name}: {_describe_difference(found, reference)}.")
    num_images, share = len(test), accuracy(found[0], test.labels)
    return Proof(
        num_images=num_images,
        num_equal=int(is_equal.sum()),
        agreement_interval=wilson_interval(int(is_equal.sum()), num_images),
        largest_difference=difference,
        accuracy=share,
        accuracy_interval=wilson_interval(round(share * num_images), num_images),
        latency=measured.latency,
        versions=measured.versions,
    )


def _run(row: Format, script: Path, file: Path, folder: str) -> None:
    module = "mnist_exp.exports.proof"
    # `-P`: nothing in the folder that the user happens to be in is imported.
    command = [sys.executable, "-P", "-m", module, str(script), str(file), folder, row.runtime]
    ended = subprocess.run(
        command, env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if ended.returncode:
        reason = find_reason(ended.stderr) or f"it ended with status {ended.returncode}"
        raise RunError(f"export.format: {row.name} was written, but cannot be run: {reason}.")


def _describe_difference(found: NDArray[np.float32], reference: NDArray[np.float32]) -> str:
    """Says how many answers differ, and where; or by how much, where none does.

    Args:
        found: By batch size, (2, N, C).
    """
    expected, answers = reference.argmax(axis=1), found.argmax(axis=2)
    places = np.flatnonzero((answers != expected).any(axis=0))
    if not len(places):
        return f"its probabilities differ from Keras' by up to {np.abs(found - reference).max():.2g}"
    first = int(places[0])
    at = int(np.flatnonzero(answers[:, first] != expected[first])[0])
    return (
        f"{len(places):,} of {len(expected):,} answers are not Keras'; the first, to test image {first} in "
        f"batches of {BATCH_SIZES[at]}, is class {answers[at, first]} instead of {expected[first]}"
    )


def _measure(script: str, file: str, folder: Path, distributions: str) -> None:
    """Predicts all images at every batch size, then times a call of each."""
    predict = runpy.run_path(script)["load"](Path(file))
    pixels = np.load(folder / _IMAGES) * np.float32(1 / 255)
    found, latency = [], []
    for batch_size in BATCH_SIZES:
        starts = range(0, len(pixels), batch_size)
        found.append(np.concatenate([predict(pixels[start : start + batch_size]) for start in starts]))
        batch = np.resize(pixels, (batch_size, *pixels.shape[1:]))
        latency.append(measure_calls(batch_size, lambda batch=batch: predict(batch)))  # type: ignore[misc]
    np.save(folder / _PROBABILITIES, np.stack(found).astype(np.float32))
    versions = {name: version(name) for name in ("numpy", *distributions.split(", "))}
    measured = _Measured(latency, {"python": platform.python_version()} | versions)
    (folder / _MEASURED).write_bytes(msgspec.json.encode(measured))


if __name__ == "__main__":
    _measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
