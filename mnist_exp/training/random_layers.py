"""Layers that draw random numbers in training: dropout and noise, drawn from a key.

Their rates are given as tensors, so that a compiled epoch serves any rate.
"""

import keras
import tensorflow as tf

from mnist_exp.training import randomness


def drawn_rate(layer: keras.Layer) -> str | None:
    """Names the attribute that holds the rate of a layer that is drawn here.

    Returns:
        `rate` or `stddev`; None for a layer that draws nothing or draws by itself.
    """
    match layer:
        case keras.layers.SpatialDropout2D(data_format="channels_first") | keras.layers.SpatialDropout3D():
            return None
        case keras.layers.Dropout(noise_shape=None) | keras.layers.GaussianDropout():
            return "rate"
        case keras.layers.GaussianNoise():
            return "stddev"
        case _:
            return None


def rate_of(layer: keras.Layer) -> float:
    """Gives the rate of a layer that is drawn here, the deviation of noise; 0 for any other layer."""
    attribute = drawn_rate(layer)
    return float(getattr(layer, attribute)) if attribute else 0.0


def apply(layer: keras.Layer, inputs: tf.Tensor, key: tf.Tensor, rate: float | tf.Tensor) -> tf.Tensor:
    """Applies a layer as in training, drawing the commonest random layers from the key.

    Args:
        layer: Built.
        inputs: Whatever the layer takes; cast to the type that it computes in, as Keras does.
        key: uint32 scalar.
        rate: From `rate_of`, or a float64 scalar with that value.
    """
    if drawn_rate(layer) is None:
        return layer(inputs, training=True)
    inputs = tf.cast(inputs, layer.compute_dtype)
    shape = keras.ops.shape(inputs)
    match layer:
        case keras.layers.SpatialDropout1D() | keras.layers.SpatialDropout2D():
            mask_shape = (shape[0], *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
            return randomness.dropout(key, inputs, rate, mask_shape)
        case keras.layers.Dropout():
            return randomness.dropout(key, inputs, rate, shape)
        case keras.layers.GaussianDropout():
            deviation = (rate / (1.0 - rate)) ** 0.5
            factors = 1.0 + tf.cast(deviation, tf.float32) * randomness.normal(key, shape)
            return inputs * tf.cast(factors, inputs.dtype)
        case _:
            noise = tf.cast(rate, tf.float32) * randomness.normal(key, shape)
            return inputs + tf.cast(noise, inputs.dtype)
