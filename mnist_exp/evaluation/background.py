"""Paper in uneven light: a smooth surface that is fitted to a picture and taken off it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.float32]
Flags = NDArray[np.bool_]

# The border's width as a share of the picture's shorter side.
_BORDER = 0.08
_MOST_FITTED = 64
_DEGREES = (0, 1, 1, 2, 2, 2)


def without_background(grey: Grey) -> tuple[Grey, float]:
    """Subtracts a smooth surface, the background, from a picture (H, W), 0 black to 1 white.

    First the border's median, then a plane, then a paraboloid through all that is near the one
    before: what is far from it is ink and does not count (least squares, trimmed again and again).

    Returns:
        The rest, 0 for background; and the standard deviation of the background.
    """
    small = shrunk(grey, _MOST_FITTED)
    border = _border(small.shape)
    surface = np.full_like(small, np.median(small[border]))
    terms = np.zeros(1)
    for degree in _DEGREES:
        distance = np.abs(small - surface)
        near = distance <= max(2.5 * _scatter((small - surface)[border]), 0.02)
        fitted = near if near.sum() > 20 else border
        columns = _columns(small.shape, degree)
        terms = np.linalg.lstsq(columns[fitted], small[fitted], rcond=None)[0]
        surface = (columns @ terms).astype(np.float32)
    rest = (grey - _columns(grey.shape, _DEGREES[-1]) @ terms).astype(np.float32)
    return rest, min(_scatter(rest[_border(grey.shape)]), _scatter(rest))


def shrunk(grey: Grey, side: int) -> Grey:
    """Averages a picture down until its longer side has so many pixels; a small one stays as it is."""
    factor = max(grey.shape) / side
    if factor <= 1:
        return grey
    size = tuple(max(1, round(length / factor)) for length in reversed(grey.shape))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def _border(shape: tuple[int, ...]) -> Flags:
    width = max(1, round(_BORDER * min(shape)))
    marked = np.ones(shape, bool)
    marked[width:-width, width:-width] = False
    return marked


def _columns(shape: tuple[int, ...], degree: int) -> NDArray[np.float64]:
    """Returns the terms of a surface of some degree at each pixel, float64 (H, W, terms)."""
    down, across = np.meshgrid(
        *(2 * (np.arange(length) + 0.5) / length - 1 for length in shape), indexing="ij"
    )
    powers = ((i, j) for i in range(degree + 1) for j in range(degree + 1 - i))
    return np.stack([down**i * across**j for i, j in powers], axis=-1)


def _scatter(values: Grey) -> float:
    """Estimates a standard deviation by the median, which ink does not move."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
