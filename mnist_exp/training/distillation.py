"""A student that learns from a teacher's probabilities, not from labels alone.

Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network". Teacher and student are
shown the same image, changed in the same way (Beyer et al. 2022, "Knowledge distillation: A good teacher
is patient and consistent").
"""

from dataclasses import dataclass

import keras
import tensorflow as tf

from mnist_exp.runs.records import TeacherRecord

# Keras' own cross-entropy takes no smaller probability either.
_SMALLEST = 1e-7


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished run's network, as it is used.

    Attributes:
        layers: Its layers, without what stands in front of them.
        record: Which run it is from.
    """

    layers: list[keras.Layer]
    record: TeacherRecord

    def probabilities(self, pixels: tf.Tensor) -> tf.Tensor:
        """Computes class probabilities (B, C) from images float32 (B, H, W); nothing of it is trained."""
        for layer in self.layers:
            pixels = layer(pixels, training=False)
        return tf.stop_gradient(pixels)


def distillation_loss(predicted: tf.Tensor, taught: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """Computes how far a student is from its teacher: T² KL(teacher, student), both softened.

    T² makes up for gradients that shrink by it, so that one weight serves every temperature.

    Args:
        predicted: The student's probabilities, float32 (B, C).
        taught: The teacher's, float32 (B, C).
        temperature: T, a float32 scalar; above 1 the less likely classes count for more.

    Returns:
        The mean over the batch, a float32 scalar.
    """
    student, teacher = (tf.nn.log_softmax(_logarithm(each) / temperature) for each in (predicted, taught))
    divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1)
    return tf.square(temperature) * tf.reduce_mean(divergence)


def _logarithm(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(probabilities, _SMALLEST))
