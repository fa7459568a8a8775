"""Random numbers that are a function of where they are drawn, inside a TensorFlow graph.

Keras' own generators carry a state that is not in a checkpoint, and the one behind them is
36 times slower than needed under XLA on a CPU. Here each number is a hash of a key and its
position (a counter-based generator, Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3"), and each key is a hash of the seed, the training step and the layer. So a resumed
run draws what an undisturbed one draws, every engine draws the same, and an XLA fusion makes
the numbers where they are used.

The hash is `lowbias32` (C. Wellons, "Prospecting for hash functions", 2018), a bijection of
32 bits whose avalanche bias is 0.17 of murmur3's finalizer.
"""

import keras
import numpy as np
import tensorflow as tf

Shape = tuple[int | tf.Tensor, ...]
"""As `keras.ops.shape` gives it: integers, and scalar tensors where a size is not known yet."""

# Streams of random numbers of a step: 0 is the augmentation's, 1 upwards the layers', below 0 other uses.
MIXUP_STREAM, STATISTICS_STREAM = -1, -2

_UINT32_PER_UNIT = 2.0**32


def _mix(bits: tf.Tensor) -> tf.Tensor:
    """Hashes uint32 to uint32, element by element."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32)))
        bits = bits * tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32)))


def make_key(seed: int | tf.Tensor) -> tf.Tensor:
    """Makes a uint32 scalar key, from which all of a run's random numbers derive; seed 0 to 2**31 - 1."""
    return _mix(tf.cast(seed, tf.uint32) + tf.constant(0x9E3779B9, tf.uint32))


def derive(key: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Derives an independent key, as a step's or layer's from the run's; `number` counts modulo 2**32."""
    number = tf.cast(tf.convert_to_tensor(number), tf.int64)
    return _mix(
        tf.cast(tf.bitwise.bitwise_and(number, 0xFFFFFFFF), tf.uint32) + _mix(key + tf.constant(1, tf.uint32))
    )


def _bits(key: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Draws uint32, uniform over all values."""
    positions = tf.reshape(tf.range(tf.reduce_prod(shape)), shape)
    return _mix(_mix(tf.bitcast(positions, tf.uint32) + key) + key)


def uniform(key: tf.Tensor, shape: Shape, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Draws float32 numbers uniform over [low, high); the same key gives the same numbers."""
    # 24 bits fit a float32 exactly, so no value rounds up to `high`.
    mantissa = tf.bitwise.right_shift(_bits(key, shape), tf.constant(8, tf.uint32))
    return tf.cast(tf.bitcast(mantissa, tf.int32), tf.float32) * ((high - low) * 2.0**-24) + low


def normal(key: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Draws float32 standard normal numbers (Box and Muller 1958)."""
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - uniform(derive(key, 0), shape)))
    return radius * tf.cos(uniform(derive(key, 1), shape, high=2.0 * np.pi))


def dropout(key: tf.Tensor, inputs: tf.Tensor, rate: float | tf.Tensor, mask_shape: Shape) -> tf.Tensor:
    """Sets a random share of the inputs to zero and scales up the rest (Srivastava et al. 2014).

    Args:
        rate: Share of zeros, 0 <= rate < 1; a number or a float64 scalar.
        mask_shape: Broadcast to the inputs.
    """
    # Exact in float64: a float32 holds 24 bits of the 32.
    rate = tf.cast(rate, tf.float64)
    threshold = tf.cast(tf.round(rate * _UINT32_PER_UNIT), tf.uint32)
    scale = tf.cast(1.0 / (1.0 - rate), inputs.dtype)
    return tf.where(_bits(key, mask_shape) >= threshold, inputs * scale, tf.zeros((), inputs.dtype))


def drawn_rate(layer: keras.Layer) -> str | None:
    """Names the attribute with a layer's rate, `rate` or `stddev`; None where nothing is drawn here."""
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
    """Applies a built layer as in training, drawing the commonest random layers from the key.

    Args:
        inputs: Whatever the layer takes; cast to the type that it computes in, as Keras does.
        rate: From `rate_of`, or a float64 scalar with that value.
    """
    if drawn_rate(layer) is None:
        return layer(inputs, training=True)
    inputs = tf.cast(inputs, layer.compute_dtype)
    shape = keras.ops.shape(inputs)
    match layer:
        case keras.layers.SpatialDropout1D() | keras.layers.SpatialDropout2D():
            mask_shape = (shape[0], *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
            return dropout(key, inputs, rate, mask_shape)
        case keras.layers.Dropout():
            return dropout(key, inputs, rate, shape)
        case keras.layers.GaussianDropout():
            deviation = (rate / (1.0 - rate)) ** 0.5
            factors = 1.0 + tf.cast(deviation, tf.float32) * normal(key, shape)
            return inputs * tf.cast(factors, inputs.dtype)
        case _:
            noise = tf.cast(rate, tf.float32) * normal(key, shape)
            return inputs + tf.cast(noise, inputs.dtype)
