"""Whether run directories are complete and true: every file there, and the numbers of their own seed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import mnist_file
import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.dataset import SAMPLE_PATH
from mnist_exp.runs.records import EpochMetrics, Manifest

FILES = {
    "config.yaml",
    "overrides.yaml",
    "manifest.json",
    "metrics.jsonl",
    "metrics.csv",
    "summary.json",
    "predictions.npz",
    "report.html",
    "train.log",
    "checkpoints/best.keras",
    "checkpoints/last.keras",
    "plots/confusion_matrix.png",
    "plots/first_layer_weights.png",
    "plots/learning_curves.png",
    "plots/mistakes.png",
    "plots/sample_predictions.png",
}
# Keras may add the products of a batch in another order.
_TOLERANCE = 1e-5


def find_problems(paths: Sequence[Path], alone: dict[int, Path]) -> Iterator[str]:
    """Yields what is wrong with run directories of the bundled sample.

    Args:
        paths: All that were made at once.
        alone: Each seed to the directory of a run that had the machine to itself.
    """
    seeds = []
    for path in paths:
        if wrong := sorted(FILES ^ _names(path)):
            yield f"{path.name}: files missing or left over: {', '.join(wrong)}"
            continue
        manifest = read_manifest(path)
        if (manifest.status, manifest.run_id) != ("completed", path.name):
            yield f"{path.name}: the manifest says {manifest.status}, {manifest.run_id}"
        seeds.append(manifest.seed)
        differences = _differences(path, alone[manifest.seed]) if manifest.seed in alone else ["its seed"]
        yield from (
            f"{path.name}: {words}: not as those of seed {manifest.seed} alone" for words in differences
        )
        yield from (f"{path.name}: {words}" for words in _bad_checkpoints(path))
    if sorted(seeds) != sorted(alone):
        yield f"complete directories of seeds {sorted(seeds)}, not of {sorted(alone)}"


def read_manifest(path: Path) -> Manifest:
    """Reads a run's manifest."""
    return msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)


def _names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def _differences(path: Path, alone: Path) -> Iterator[str]:
    """Yields in what a run differs from another of the same seed."""
    if _metrics(path) != _metrics(alone):
        yield "metrics"
    if not np.array_equal(_probabilities(path), _probabilities(alone)):
        yield "predictions"
    if read_manifest(path).data != read_manifest(alone).data:
        yield "images"


def _metrics(path: Path) -> list[EpochMetrics]:
    """Reads a run's epochs, without their durations."""
    lines = (path / "metrics.jsonl").read_bytes().splitlines()
    rows = (msgspec.json.decode(line, type=EpochMetrics) for line in lines)
    return [msgspec.structs.replace(row, duration_s=0.0) for row in rows]


def _probabilities(path: Path) -> NDArray[np.float32]:
    """Reads what a run predicts for the test images, (N, classes)."""
    with np.load(path / "predictions.npz", allow_pickle=False) as file:
        return file["probabilities"]


def _bad_checkpoints(path: Path) -> Iterator[str]:
    """Yields the checkpoints that cannot be loaded, and the best one if it predicts something else."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    for name in ("last", "best"):
        try:
            model = keras.models.load_model(path / "checkpoints" / f"{name}.keras")
        except (OSError, ValueError, TypeError, KeyError) as error:
            yield f"{name}.keras cannot be loaded: {error}"
            return
    images = mnist_file.load_arrays(SAMPLE_PATH).test_images.astype(np.float32) / 255
    found = model.predict(images, batch_size=1000, verbose=0)
    if not np.allclose(found, _probabilities(path), atol=_TOLERANCE):
        yield "best.keras predicts something other than predictions.npz"
