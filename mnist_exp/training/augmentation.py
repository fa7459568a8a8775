"""Random changes of the training images, as functions inside the training step.

Keys are uint32 scalars, images float32 (B, H, W).
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.config.schema import AffineConfig, AugmentationConfig, ElasticConfig, ShiftConfig
from mnist_exp.training import randomness

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From a uint32 key and float32 images (B, H, W) in [0, 1] to such images, changed."""

NUM_QUANTILES = 1024
"""Number of shares to draw from, each as likely; the usual samplers of Beta draw until they accept."""


def build_augmentation(config: AugmentationConfig) -> Augmentation | None:
    """Makes the function that changes a batch of training images; None leaves them alone."""
    match config:
        case ShiftConfig():
            return _framed(lambda key, images: shift(key, images, config.max_pixels), config)
        case AffineConfig():
            return _framed(lambda key, images: warp(key, images, config), config)
        case _:
            return None


def _framed(change: Augmentation, config: ShiftConfig | AffineConfig) -> Augmentation:
    """Makes the function that flips images first and cuts squares out last, where it is asked for."""

    def changed(key: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        images = change(key, flip(key, images) if config.horizontal_flip else images)
        return cut_out(key, images, config.cutout_pixels) if config.cutout_pixels else images

    return changed


def flip(key: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Mirrors each image left to right or leaves it; each is as likely."""
    draws = randomness.uniform(randomness.derive(key, 10), (keras.ops.shape(images)[0], 1, 1))
    return tf.where(draws < 0.5, images[:, :, ::-1], images)


def cut_out(key: tf.Tensor, images: tf.Tensor, side: int) -> tf.Tensor:
    """Sets a square of each image, `side` pixels wide, to background (DeVries and Taylor 2017, "Cutout").

    Its middle is any pixel, each as likely: part of it may lie outside.
    """
    batch, height, width = keras.ops.shape(images)

    def is_cut(number: int, size: int | tf.Tensor) -> tf.Tensor:
        middle = randomness.uniform(randomness.derive(key, number), (batch, 1), high=float(size))
        places = tf.range(size, dtype=tf.float32)[None, :] - (tf.floor(middle) - side // 2)
        return (places >= 0) & (places < side)

    rows, columns = is_cut(8, height), is_cut(9, width)
    return tf.where(rows[:, :, None] & columns[:, None, :], 0.0, images)


def shift(key: tf.Tensor, images: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Moves each image by `max_pixels` at most on each axis, every whole move as likely; fills with 0."""
    batch, height, width = keras.ops.shape(images)

    def draw(number: int) -> tf.Tensor:
        moves = randomness.uniform(randomness.derive(key, number), (batch, 1, 1), -max_pixels, max_pixels + 1)
        return tf.floor(moves)

    rows = tf.range(height, dtype=tf.float32)[None, :, None] + draw(0)
    columns = tf.range(width, dtype=tf.float32)[None, None, :] + draw(1)
    return _sample(images, rows, columns)


def warp(key: tf.Tensor, images: tf.Tensor, config: AffineConfig) -> tf.Tensor:
    """Rotates, scales, shears, moves and bends images by up to the configured amounts, bilinearly.

    Each change is drawn uniformly, either way. What lies outside an image is background.
    """
    shape = keras.ops.shape(images)
    rows, columns = _source_positions(key, shape, config)
    if isinstance(config, ElasticConfig):
        down, right = _displacements(key, shape, config)
        rows, columns = rows + down, columns + right
    return _sample_between(images, rows, columns)


def _displacements(
    key: tf.Tensor, shape: randomness.Shape, config: ElasticConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws how far each pixel is pulled: two smooth fields of pixels, float32 (B, H, W)."""
    batch, height, width = shape
    count = config.elastic_grid
    across, along = (tf.constant(_spread(count, size)) for size in (height, width))

    def draw(number: int) -> tf.Tensor:
        nodes = randomness.normal(randomness.derive(key, number), (batch, count, count))
        return config.elastic_pixels * tf.einsum("hi,bij,wj->bhw", across, nodes, along)

    return draw(6), draw(7)


def _spread(count: int, size: int) -> NDArray[np.float32]:
    """Gives how much each of a line's nodes pulls at each of its pixels; float32 (size, count).

    A Gaussian as wide as the nodes are apart; nodes of variance 1 give pixels of variance 1.
    """
    nodes, pixels = np.linspace(0, size - 1, count), np.arange(size)
    pull = np.exp(-0.5 * ((pixels[:, None] - nodes) * (count - 1) / (size - 1)) ** 2)
    return (pull / np.linalg.norm(pull, axis=1, keepdims=True)).astype(np.float32)


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


def _sample_between(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Reads images between their pixels, weighing the four around each place; float32 (B, H, W)."""
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = rows - top, columns - left
    corners = (
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    )
    return tf.add_n([weight * _sample(images, row, column) for row, column, weight in corners])


def _sample(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Reads the pixels at whole positions, float32 (B, H, W); 0 outside the image."""
    batch, height, width = keras.ops.shape(images)
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    positions = tf.cast(tf.where(inside, rows * width + columns, 0.0), tf.int32)
    pixels = tf.gather(
        tf.reshape(images, (batch, height * width)), tf.reshape(positions, (batch, -1)), batch_dims=1
    )
    return tf.where(inside, tf.reshape(pixels, (batch, height, width)), 0.0)


def share_quantiles(alpha: float) -> NDArray[np.float32]:
    """Gives quantiles of the larger of two shares that follow Beta(alpha, alpha), rising, 0.5 to 1.

    float32 (NUM_QUANTILES,). Alpha 1 makes every share as likely, and 0 mixes nothing.
    """
    if alpha == 0:
        return np.ones(NUM_QUANTILES, np.float32)
    # Imported here: most trainings have no use for it.
    from scipy.special import betaincinv

    middles = (np.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES
    return np.asarray(betaincinv(alpha, alpha, 0.5 + 0.5 * middles), np.float32)


def draw_shares(key: tf.Tensor, quantiles: tf.Tensor, batch_size: int | tf.Tensor) -> tf.Tensor:
    """Draws how much of itself each image keeps, float32 (B,), from the `share_quantiles`."""
    places = randomness.uniform(key, (batch_size,), high=float(NUM_QUANTILES))
    return tf.gather(quantiles, tf.cast(places, tf.int32))


def mix(values: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Mixes each image, or each row of targets, with the one before it; the first with the last."""
    own = tf.reshape(shares, (-1, *[1] * (len(values.shape) - 1)))
    return values * own + keras.ops.roll(values, 1, axis=0) * (1.0 - own)
