"""Random changes of the training images, as functions inside the training step."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mnist_exp import randomness
from mnist_exp.schema import AffineConfig, AugmentationConfig, ShiftConfig

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From a uint32 key and float32 images (B, H, W) in [0, 1] to such images, changed."""


def build_augmentation(config: AugmentationConfig) -> Augmentation | None:
    """Makes the function that changes a batch of training images; None leaves them alone."""
    match config:
        case ShiftConfig():
            return lambda key, images: shift(key, images, config.max_pixels)
        case AffineConfig():
            return lambda key, images: affine(key, images, config)
        case _:
            return None


def shift(key: tf.Tensor, images: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Moves each image by a whole number of pixels on each axis, filling with background.

    Args:
        key: uint32 scalar.
        images: float32 (B, H, W).
        max_pixels: The farthest move in each direction; every move is equally likely.

    Returns:
        float32 (B, H, W).
    """
    batch, height, width = keras.ops.shape(images)

    def draw(number: int) -> tf.Tensor:
        moves = randomness.uniform(randomness.derive(key, number), (batch, 1, 1), -max_pixels, max_pixels + 1)
        return tf.floor(moves)

    rows = tf.range(height, dtype=tf.float32)[None, :, None] + draw(0)
    columns = tf.range(width, dtype=tf.float32)[None, None, :] + draw(1)
    return _sample(images, rows, columns)


def affine(key: tf.Tensor, images: tf.Tensor, config: AffineConfig) -> tf.Tensor:
    """Rotates, scales, shears and moves each image about its centre, by bilinear sampling.

    Args:
        key: uint32 scalar.
        images: float32 (B, H, W).
        config: The largest change of each kind; all are drawn uniformly either way.

    Returns:
        float32 (B, H, W); what lies outside an image is background.
    """
    rows, columns = _source_positions(key, keras.ops.shape(images), config)
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = rows - top, columns - left
    corners = (
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    )
    return tf.add_n([weight * _sample(images, row, column) for row, column, weight in corners])


def _source_positions(
    key: tf.Tensor, shape: randomness.Shape, config: AffineConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """Says from where each output pixel is taken: rows and columns, float32 (B, H, W)."""
    batch, height, width = shape

    def draw(number: int, largest: float) -> tf.Tensor:
        return randomness.uniform(randomness.derive(key, number), (batch, 1, 1), -largest, largest)

    angle = draw(0, np.deg2rad(config.rotation_degrees))
    shear = tf.tan(draw(1, np.deg2rad(config.shear_degrees)))
    row_scale, column_scale = 1 + draw(2, config.scale_fraction), 1 + draw(3, config.scale_fraction)
    y = tf.range(height, dtype=tf.float32)[None, :, None] - (height - 1) / 2
    x = tf.range(width, dtype=tf.float32)[None, None, :] - (width - 1) / 2
    y = y + draw(4, config.translation_pixels)
    x = x + draw(5, config.translation_pixels)
    rows = (tf.sin(angle) * x + tf.cos(angle) * y) / row_scale
    columns = (tf.cos(angle) * x - tf.sin(angle) * y) / column_scale + shear * rows
    return rows + (height - 1) / 2, columns + (width - 1) / 2


def _sample(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Reads the pixels at whole positions, float32 (B, H, W); 0 outside the image."""
    batch, height, width = keras.ops.shape(images)
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    positions = tf.cast(tf.where(inside, rows * width + columns, 0.0), tf.int32)
    pixels = tf.gather(
        tf.reshape(images, (batch, height * width)), tf.reshape(positions, (batch, -1)), batch_dims=1
    )
    return tf.where(inside, tf.reshape(pixels, (batch, height, width)), 0.0)
