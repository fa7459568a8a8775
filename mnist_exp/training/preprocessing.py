"""What is done to every image before a network sees it, by a small Keras model in front of the network.

Training images go through it once, when they are loaded; a saved network has it in front, and so
takes images as they are in the files. Both see the same bits: every number that is added up is a
whole number or a multiple of 1/64, exact in floating point in any order, so that neither the batch nor
the engine nor the device counts.
"""

from dataclasses import replace
from typing import Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mnist_exp.data.dataset import LabelledImages, TrainingData

Preprocessing = Literal["none", "deskew"]

_BATCH_SIZE = 1000
# The steepest slant of one MNIST digit in a thousand; beyond 45 degrees it is the shape that leans.
_STEEPEST = 1.0
_PARTS = 64
# Half a part exactly is a frequent move, of which no machine shall round one bit elsewhere.
_OFF_TIES = 2.0**-20


def build_front(preprocessing: Preprocessing, image_shape: tuple[int, int]) -> list[keras.Model]:
    """Builds the model in front of a network, of plain Keras operations; none where images stay as they are.

    It goes from float32 (B, H, W) in [0, 1] to the same, and loads without this package.
    """
    return [_build_deskewing(*image_shape)] if preprocessing == "deskew" else []


def layers_behind(network: keras.Sequential) -> list[keras.Layer]:
    """Lists a network's own layers, without what stands in front of them."""
    return [layer for layer in network.layers if not is_front(layer)]


def is_front(layer: keras.Layer) -> bool:
    """Says whether a layer is from `build_front`: a model among layers, which YAML cannot name."""
    return isinstance(layer, keras.Model)


def prepare_images(preprocessing: Preprocessing, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Does to images, uint8 (N, H, W), what `build_front` does; the very array where none is built."""
    front = build_front(preprocessing, images.shape[1:])
    if not front:
        return images
    prepared = np.empty_like(images)
    for start in range(0, len(images), _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        pixels = images[part].astype(np.float32) * np.float32(1 / 255)
        prepared[part] = np.rint(front[0].predict_on_batch(pixels) * 255)
    return prepared


def prepare_training(preprocessing: Preprocessing, data: TrainingData) -> TrainingData:
    """Does the same to the images to train and to validate on; fingerprints stay those of the files."""
    if preprocessing == "none":
        return data

    def prepared(images: LabelledImages) -> LabelledImages:
        return LabelledImages(prepare_images(preprocessing, images.images), images.labels)

    validation = data.validation and prepared(data.validation)
    return replace(data, training=prepared(data.training), validation=validation)


def _build_deskewing(height: int, width: int) -> keras.Model:
    """Builds what makes slanted digits upright and centres them (LeCun et al. 1998, section III.A).

    The slant is that of the line that the ink's columns follow over the rows, by second moments. Each
    row is moved sideways, by whole 64ths of a pixel, so that this line becomes the middle column; what
    falls between pixels is interpolated and rounded to a whole grey level. An image without ink, or with
    ink in one row only, stays as it is.
    """
    pixels = keras.Input((height, width))
    grey = ops.floor(pixels * 255 + 0.5)
    moved = _moved(grey, ops.expand_dims(_moves(grey, height, width), -1), width)
    return keras.Model(pixels, ops.floor(moved + 0.5) * (1 / 255), name="deskew")


def _moved(grey: keras.KerasTensor, moves: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Moves each row of (B, H, W) to the left by its pixels, (B, H, 1): by powers of 2, then by what is left.

    That is far less work than to weigh every pixel of a row for every other.
    """
    num_bits = (2 * width).bit_length()
    rows = ops.pad(grey, ((0, 0), (0, 0), (width, 2**num_bits - width)))
    left = ops.subtract(ops.clip(moves, -width, width), -width)
    for step in (2**bit for bit in reversed(range(num_bits))):
        is_far = ops.greater_equal(left, step)
        rows = ops.where(is_far, rows[:, :, step:], rows[:, :, :-step])
        left = ops.where(is_far, ops.subtract(left, step), left)
    here, next_to_it = rows[:, :, :-1], rows[:, :, 1:]
    return ops.subtract(here, left * ops.subtract(here, next_to_it))


def _moves(grey: keras.KerasTensor, height: int, width: int) -> keras.KerasTensor:
    """Says how far to the right of a pixel its value is found; pixels, float32 (B, H).

    Tensors are subtracted, never added: Keras takes some sums for those with a layer's bias, and
    aligns them by the wrong axis where height and width are the same.
    """
    rows, columns = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    ink = ops.cast(grey, "float64")
    in_rows, by_column = ops.sum(ink, axis=2), ops.sum(ink * columns, axis=2)

    def total(values: keras.KerasTensor) -> keras.KerasTensor:
        return ops.sum(values, axis=1, keepdims=True)

    mass, row_sum, column_sum = total(in_rows), total(in_rows * rows), total(by_column)
    variance = ops.subtract(mass * total(in_rows * rows**2), row_sum * row_sum)
    covariance = ops.subtract(mass * total(by_column * rows), row_sum * column_sum)
    leans = ops.greater(variance, 0.0)
    slant = ops.clip(covariance / ops.where(leans, variance, 1.0), -_STEEPEST, _STEEPEST)
    mass = ops.where(leans, mass, 1.0)
    below_centre = ops.subtract(rows, row_sum / mass)
    moves = ops.subtract(slant * below_centre, ops.subtract((width - 1) / 2, column_sum / mass))
    rounded = ops.floor(moves * _PARTS + (0.5 + _OFF_TIES)) / _PARTS
    return ops.cast(ops.where(leans, rounded, 0.0), "float32")
