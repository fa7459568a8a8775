"""Whether a data set's images are light on dark, as MNIST's are, or dark on light."""

import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs.records import Background

_MOST_IMAGES = 2000
_AGREEING = 0.8


def find_background(images: NDArray[np.uint8]) -> Background | None:
    """Measures whether things are lighter or darker than the edge of their images.

    The edge's median is background where a thing reaches it here and there, as Fashion-MNIST's clothes do.

    Args:
        images: uint8 (N, H, W); some of them, evenly spread, are looked at.

    Returns:
        None where fewer than four in five images agree.
    """
    some = images[:: max(1, len(images) // _MOST_IMAGES)].astype(np.float32)
    edges = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    background = np.median(np.concatenate(edges, axis=1), axis=1)
    lighter = np.sign(some.mean(axis=(1, 2)) - background)
    for name, sign in (("dark", 1), ("light", -1)):
        if np.mean(lighter == sign) >= _AGREEING:
            return "dark" if name == "dark" else "light"
    return None
