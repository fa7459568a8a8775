"""Images mixed in pairs, and their labels with them.

Zhang et al. 2018, "mixup: Beyond empirical risk minimization".

Each image of a batch is mixed with the one before it; batches are shuffled, so that is any other. The
share that it keeps is drawn from Beta(alpha, alpha), for each image apart, and is the larger of the two
shares: which of a pair counts as the first is as likely either way. So an image's own label is always
the one that it has most of, and training accuracy counts that one.
"""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.training import randomness

NUM_QUANTILES = 1024
"""Number of shares to draw from, each as likely; the usual samplers of Beta draw until they accept."""


def share_quantiles(alpha: float) -> NDArray[np.float32]:
    """Gives the quantiles of the larger of two shares that follow Beta(alpha, alpha).

    Args:
        alpha: Small ones leave most images nearly alone, 1 makes every share as likely; 0 for no mixing.

    Returns:
        float32 (NUM_QUANTILES,), rising, 0.5 to 1; all 1 without mixing.
    """
    if alpha == 0:
        return np.ones(NUM_QUANTILES, np.float32)
    # Imported here: most trainings have no use for it.
    from scipy.special import betaincinv

    middles = (np.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES
    return np.asarray(betaincinv(alpha, alpha, 0.5 + 0.5 * middles), np.float32)


def draw_shares(key: tf.Tensor, quantiles: tf.Tensor, batch_size: int | tf.Tensor) -> tf.Tensor:
    """Draws how much of itself each image keeps, float32 (B,).

    Args:
        key: uint32 scalar.
        quantiles: From `share_quantiles`.
        batch_size: B.
    """
    places = randomness.uniform(key, (batch_size,), high=float(NUM_QUANTILES))
    return tf.gather(quantiles, tf.cast(places, tf.int32))


def mix(values: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Mixes each image, or each row of targets, with the one before it; the first with the last.

    Args:
        values: float32 (B, …).
        shares: From `draw_shares`.
    """
    own = tf.reshape(shares, (-1, *[1] * (len(values.shape) - 1)))
    return values * own + keras.ops.roll(values, 1, axis=0) * (1.0 - own)
