"""Digits as a user might bring them: written on paper, photographed, scanned, drawn on a screen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_exp.data.dataset import SAMPLE_PATH

Grey = NDArray[np.float32]
ORIENTATION = 0x0112
# What a camera stores when it was held so: the orientation's number, and how the sensor saw it.
TURNS = {1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
         6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip


def bundled_digits(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gives the first bundled test digits, uint8 (count, 28, 28), and what they are."""
    with np.load(SAMPLE_PATH) as arrays:
        return arrays["x_test"][:count], arrays["y_test"][:count]


def enlarged(image: NDArray[np.uint8], factor: int) -> Grey:
    """Enlarges a digit smoothly: white on black, 0 to 1."""
    side = factor * image.shape[0]
    grown = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(grown, np.float32) / np.float32(255)


def distance(seen: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """Grey levels on average; a digit moved by one pixel is 26 from itself, and another digit 45."""
    return float(np.abs(seen.astype(float) - image).mean())


def on_paper(image: NDArray[np.uint8], generator: np.random.Generator, noise: float = 0.03) -> Grey:
    """Writes a digit somewhere on paper that lies in uneven light, and scans it with noise."""
    ink = enlarged(image, 4)
    height, width = generator.integers(len(ink) + 10, 2 * len(ink), 2)
    top, left = generator.integers(0, height - len(ink)), generator.integers(0, width - len(ink))
    page = np.zeros((height, width), np.float32)
    page[top : top + len(ink), left : left + len(ink)] = ink
    slopes = generator.uniform(-0.15, 0.15, 2)
    down, across = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    light = 0.78 + slopes[0] * down + slopes[1] * across - 0.05 * (down**2 + across**2)
    seen = light * (1 - 0.75 * page) + noise * generator.standard_normal(page.shape)
    return np.clip(seen, 0, 1).astype(np.float32)


def save(grey: Grey, path: Path, orientation: int = 1) -> Path:
    """Saves a picture as a camera held some way would: turned, with a note that says so."""
    image = Image.fromarray(np.rint(255 * grey).astype(np.uint8))
    if (turn := TURNS[orientation]) is not None:
        image = image.transpose(Image.Transpose[turn])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.convert("RGB").save(path, exif=exif)
    return path


WAYS: dict[str, Callable[[NDArray[np.uint8], np.random.Generator], Grey]] = {
    "as they are": lambda image, _: image.astype(np.float32) / 255,
    "dark on light": lambda image, _: 1 - image.astype(np.float32) / 255,
    "enlarged, dark on light": lambda image, _: 1 - enlarged(image, 5),
    "cut out tightly": lambda image, _: enlarged(image, 5)[18:-18, 18:-18],
    "off centre": lambda image, _: np.pad(enlarged(image, 4), ((0, 90), (140, 0))),
    "on paper, in uneven light, with noise": on_paper,
    "on paper, with much noise": lambda image, generator: on_paper(image, generator, 0.08),
}
