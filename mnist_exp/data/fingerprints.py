"""Whether images are those that a run saw, and the images where they are at hand; nothing is downloaded.

How many of the scored images a network was trained on: it knows those by heart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp import environment
from mnist_exp.config.schema import DataConfig
from mnist_exp.data.dataset import SAMPLE_PATH, Images, Source, TrainingData, find_source, load_training_data
from mnist_exp.data.found import Progress
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.run import Run

Part = Literal["train", "test", "split"]
Pixels = NDArray[np.uint8]
Flags = NDArray[np.bool_]
_Read = TypeVar("_Read")

_MOST_CONFIGS = 3
_NOWHERE: dict[str, Any] = {"path": None, "path_variable": None, "places": [], "mirrors": []}
_PARTS: dict[Part, str] = {
    "train": "training images",
    "test": "test images",
    "split": "images of the validation split",
}


class OtherImages(NamedTuple):
    """Images that are not those that a run saw: SHA-256 in the run and here, null where there are none."""

    part: Part
    was: str | None
    now: str | None

    @property
    def name(self) -> str:
        """Names the part in the plural."""
        return _PARTS[self.part]

    def __str__(self) -> str:
        return f"{self.name} have the SHA-256 {self.now or 'none'}, the run's {self.was or 'none'}"


def find_other_images(seen: DataRecord, found: Mapping[Part, str | None]) -> OtherImages | None:
    """Finds the first part whose SHA-256 here differs from what a run saw; None where none does."""
    saw: dict[Part, str | None] = {
        "train": seen.train_sha256,
        "test": seen.test_sha256,
        "split": seen.split_sha256,
    }
    for part, sha256 in found.items():
        if sha256 != saw[part]:
            return OtherImages(part, saw[part], sha256)
    return None


def own_data_node(run: Run, path: str | None) -> dict[str, Any]:
    """Says where a run's images are looked for: at a path, or where the run found them."""
    node: dict[str, Any] = run.config["data"]
    if path is not None:
        return node | {"path": path}
    if run.data.name != node["name"]:
        # The bundled digits stood in; images that this machine has by now must not replace them.
        return node | _NOWHERE
    return node


def load_own_data(run: Run, config: DataConfig, progress: Progress) -> tuple[TrainingData, Images]:
    """Loads the very images that a run saw: those to train and validate on, and the test images.

    Raises:
        ConfigError: They are not there, or others are.
    """
    source = find_source(config, progress=progress)
    seen, test = load_training_data(source), source.load("test")
    found: dict[Part, str | None] = {
        "train": seen.train_sha256,
        "test": test.sha256,
        "split": seen.split_sha256,
    }
    if (other := find_other_images(run.data, found)) is not None:
        raise ConfigError(
            f"data: in {source.description}, the {other} ({run.path}).",
            "Say where the run's images are: data.path=…",
        )
    return seen, test


def load_test_images(runs: Sequence[Run]) -> NDArray[np.uint8] | None:
    """Reads runs' common test images, uint8 (N, height, width); None where no file at hand has them."""
    for found in _read_candidates(runs, lambda source: source.load("test")):
        if found.sha256 == runs[0].data.test_sha256:
            return found.images
    return None


def load_whole_images(run: Run) -> NDArray[np.uint8] | None:
    """Reads what a cross-validation folds, uint8 (N, height, width); None where no file at hand has it."""
    if run.data.fold is None:
        return None
    for parts in _read_candidates([run], lambda source: [source.load("train"), source.load("test")]):
        if parts[0].whole_sha256 == run.data.fold.whole_sha256:
            whole = np.empty((sum(map(len, parts)), *parts[0].images.shape[1:]), np.uint8)
            for part in parts:
                whole[part.indices] = part.images
            return whole
    return None


def load_training_images(run: Run) -> NDArray[np.uint8] | None:
    """Reads what a run was trained on, uint8 (N, height, width); None where no file at hand has it."""
    own = run.data
    for found in _read_candidates([run], load_training_data, own.num_validation):
        if (found.train_sha256, found.split_sha256) == (own.train_sha256, own.split_sha256):
            return found.training.images
    return None


def _read_candidates(
    runs: Sequence[Run], read: Callable[[Source], _Read], num_validation: int = 0
) -> Iterator[_Read]:
    """Yields what can be read at each place where runs' images may lie."""
    for config in _data_configs(runs):
        apart = 0 if config.validation == "test" else num_validation
        for candidate in _candidates(config, apart):
            try:
                found = read(find_source(candidate))
            except (ExperimentError, OSError, ValueError):
                continue
            yield found


def _data_configs(runs: Iterable[Run]) -> list[DataConfig]:
    found: dict[str, DataConfig] = {}
    for run in runs:
        node = run.config.get("data")
        try:
            found.setdefault(repr(node), msgspec.convert(node, DataConfig))
        except msgspec.ValidationError:
            continue
        if len(found) == _MOST_CONFIGS:
            break
    return list(found.values())


def _candidates(config: DataConfig, validation: int) -> Iterator[DataConfig]:
    """Yields where the images may lie: where the run looked, among downloads, in this package."""
    # A run of unknown origin may not name hosts to connect to, and its fingerprints raise no notice.
    at_hand = msgspec.structs.replace(
        config, mirrors=[], on_missing="error", validation=validation, train_sha256=None, test_sha256=None
    )
    yield at_hand
    folder: Path = environment.cache_folder(config.name)
    for path in (*sorted(folder.glob("*.npz")), folder, SAMPLE_PATH):
        yield msgspec.structs.replace(at_hand, path=str(path))


class TrainedOn:
    """Which of some images, uint8 (N, H, W), runs were trained on, pixel for pixel."""

    def __init__(self, images: Pixels) -> None:
        self.images = images
        self._found: dict[tuple[str, str | None], Flags | None] = {}

    def count(self, run: Run) -> int | None:
        """Counts the images that a run was trained on; None where its training images are not here."""
        flags = self._flags(run)
        return None if flags is None else int(flags.sum())

    def count_any(self, runs: Sequence[Run]) -> int | None:
        """Counts the images that at least one of several runs was trained on; see `count`."""
        flags = [known for known in map(self._flags, runs) if known is not None]
        count = int(np.any(flags, axis=0).sum()) if flags else 0
        return count if count or len(flags) == len(runs) else None

    def _flags(self, run: Run) -> Flags | None:
        key = run.data.train_sha256, run.data.split_sha256
        if key not in self._found:
            own = load_training_images(run)
            self._found[key] = None if own is None else mark_common(self.images, own)
        return self._found[key]


def mark_common(images: Pixels, others: Pixels) -> Flags:
    """Marks the images, uint8 (N, H, W), that stand among others, uint8 (M, H, W)."""
    if images.shape[1:] != others.shape[1:]:
        return np.zeros(len(images), bool)
    # 64 bits tell images apart, and take a hundredth of the memory.
    known = {hash(image.tobytes()) for image in others}
    return np.array([hash(image.tobytes()) in known for image in images], bool)
