"""Images made harder, and what is left of a network's accuracy: shifts, rotations, noise and blur.

After Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and
perturbations", and Mu and Gilmer 2019, "MNIST-C".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.data.parts import choose_stratified
from mnist_exp.evaluation.results import Distorted, Robustness
from mnist_exp.statistics import wilson_interval

Pixels = NDArray[np.float32]
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_SEED = 0
_MNIST_SIDE = 28


class Distortion(NamedTuple):
    """A way of making images float32 (N, H, W) in [0, 255] harder, by severities above 0, mildest first."""

    name: str
    unit: str
    severities: tuple[float, ...]
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]


def _shift(images: Pixels, pixels: float, generator: np.random.Generator) -> Pixels:
    """Moves each image up or down, to the left or right, or both; what leaves the picture is lost."""
    directions = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
    distance = pixels * images.shape[1] / _MNIST_SIDE
    moves = [(0.0, distance * down, distance * across) for down, across in directions]
    chosen = generator.integers(0, len(moves), len(images))
    return _in_groups(images, chosen, lambda group, place: ndimage.shift(group, moves[place], order=1))


def _rotate(images: Pixels, degrees: float, generator: np.random.Generator) -> Pixels:
    def turn(group: Pixels, place: int) -> Pixels:
        angle = degrees if place else -degrees
        return np.asarray(ndimage.rotate(group, angle, axes=(1, 2), reshape=False, order=1))

    return _in_groups(images, generator.integers(0, 2, len(images)), turn)


def _add_noise(images: Pixels, deviation: float, generator: np.random.Generator) -> Pixels:
    """Adds normal noise to each pixel; a deviation of 1 is the way from black to white."""
    return images + np.float32(255 * deviation) * generator.standard_normal(images.shape, np.float32)


def _blur(images: Pixels, pixels: float, generator: np.random.Generator) -> Pixels:
    deviation = pixels * images.shape[1] / _MNIST_SIDE
    return np.asarray(ndimage.gaussian_filter(images, (0, deviation, deviation)))


def _in_groups(images: Pixels, chosen: NDArray[np.int64], change: Callable[[Pixels, int], Pixels]) -> Pixels:
    """Changes images by groups, all of one group alike."""
    changed = np.empty_like(images)
    for place in np.unique(chosen):
        changed[chosen == place] = change(images[chosen == place], int(place))
    return changed


DISTORTIONS = (
    Distortion("shift", "pixels", (0, 1, 2, 3, 4, 6), _shift),
    Distortion("rotation", "degrees", (0, 10, 20, 30, 45, 60), _rotate),
    Distortion("noise", "sd of a pixel", (0, 0.1, 0.2, 0.3, 0.4, 0.5), _add_noise),
    Distortion("blur", "pixels", (0, 0.5, 1, 1.5, 2, 2.5), _blur),
)
"""Lengths are those of images 28 pixels wide, and grow with other ones."""


def distort(images: NDArray[np.uint8], distortion: Distortion, severity: float) -> NDArray[np.uint8]:
    """Makes images, uint8 (N, H, W), harder, the same way every time; severity 0 leaves them."""
    if severity == 0:
        return images
    # Of one distortion, every severity has the same directions and the same noise.
    place = [other.name for other in DISTORTIONS].index(distortion.name)
    changed = distortion.apply(images.astype(np.float32), severity, np.random.default_rng([_SEED, place]))
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)


def choose_images(seen: LabelledImages, most: int) -> LabelledImages:
    """Chooses at most so many images, each class in proportion; the same ones every time."""
    if len(seen) <= most:
        return seen
    chosen = choose_stratified(seen.labels, most, _SEED)
    return LabelledImages(seen.images[chosen], seen.labels[chosen])


def measure_robustness(
    seen: LabelledImages, predict: Predict, distortions: Sequence[Distortion] = DISTORTIONS
) -> list[Robustness]:
    """Measures accuracy against severity; `predict` goes from uint8 (N, H, W) to float32 (N, C)."""
    return [_measure(seen, predict, distortion) for distortion in distortions]


def _measure(seen: LabelledImages, predict: Predict, distortion: Distortion) -> Robustness:
    levels = []
    for severity in distortion.severities:
        predicted = predict(distort(seen.images, distortion, severity)).argmax(axis=1)
        num_right = int((predicted == seen.labels).sum())
        interval = wilson_interval(num_right, len(seen))
        levels.append(Distorted(severity=severity, accuracy=num_right / len(seen), interval=interval))
    return Robustness(distortion=distortion.name, unit=distortion.unit, num_images=len(seen), levels=levels)
