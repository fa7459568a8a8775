"""How many of the scored images a network was trained on: it knows those by heart."""

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.reading import RunResult
from mnist_exp.comparison.scored_images import load_training_images

Pixels = NDArray[np.uint8]


def count_trained_on(run: RunResult, images: Pixels) -> int | None:
    """Counts the images that a run was trained on, pixel for pixel.

    Args:
        run: Completed.
        images: uint8 (N, H, W).

    Returns:
        Their number; None where the run's training images are not on this machine.
    """
    own = load_training_images(run)
    return None if own is None else count_common(images, own)


def count_common(images: Pixels, others: Pixels) -> int:
    """Counts the images, uint8 (N, H, W), that stand among others, uint8 (M, H, W)."""
    if images.shape[1:] != others.shape[1:]:
        return 0
    known = {image.tobytes() for image in others}
    return sum(image.tobytes() in known for image in images)
