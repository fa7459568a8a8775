"""How many of the scored images a network was trained on: it knows those by heart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.fingerprints import load_training_images
from mnist_exp.runs.run import Run

Pixels = NDArray[np.uint8]
Flags = NDArray[np.bool_]


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
