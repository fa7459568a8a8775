"""A Keras model of an experiment: a network and what only its training needs.

What `fit` is given, and the numbers that a training graph reads: seed, weight decay, label
smoothing and the rates of dropout and noise. Another value of them needs no new graph.
"""

from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf

from mnist_exp import random_layers, randomness
from mnist_exp.augmentation import Augmentation
from mnist_exp.batches import batches_of
from mnist_exp.schedules import LearningRates
from mnist_exp.source import LabelledImages


class Feed(NamedTuple):
    """What to give to `fit`.

    Attributes:
        elements: Its data, without end: batches, or numbers of epochs.
        steps_per_epoch: How many of them make an epoch.
        compile_s: Seconds that tracing and compiling took.
    """

    elements: tf.data.Dataset
    steps_per_epoch: int
    compile_s: float


class GraphNumbers(NamedTuple):
    """Numbers that a training graph reads: the seed int64, the others float64.

    float64 rounds a number to float32 where it is used, as it would be rounded as a constant.
    """

    seed: tf.Variable
    label_smoothing: tf.Variable
    weight_decay: tf.Variable
    rates: tf.Variable

    @classmethod
    def zeros(cls, num_layers: int) -> Self:
        """Makes the variables, with a rate for each layer."""

        def variable(value: Any, dtype: tf.DType = tf.float64) -> tf.Variable:
            return tf.Variable(value, trainable=False, dtype=dtype)

        return cls(variable(0, tf.int64), variable(0), variable(0), variable([0] * num_layers))


class ExperimentModel(keras.Model):
    """A network together with what only training needs: augmentation, smoothing, randomness.

    It takes images as bytes. The network itself stays a plain Keras model that shares its
    weights with this one, takes float32 in [0, 1] and can be saved without this package.

    Args:
        network: Built; ends in probabilities (B, C).
        seed: Of dropout, noise and augmentation.
        augmentation: Changes training images; None leaves them alone.
        label_smoothing: Share of each training target spread evenly over the classes
            (Szegedy et al. 2016). Validation and test losses are plain cross-entropy.
        learning_rates: Gives each step's rate; None leaves the optimizer's alone.
    """

    def __init__(
        self,
        network: keras.Sequential,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        label_smoothing: float = 0.0,
        learning_rates: LearningRates | None = None,
    ) -> None:
        super().__init__(name=f"{network.name}_training")
        self.network = network
        self.seed = seed
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.learning_rates: LearningRates = learning_rates or (lambda first, count: None)
        self._numbers = GraphNumbers.zeros(len(network.layers))

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes class probabilities (B, C) from images uint8 (B, H, W)."""
        pixels = tf.cast(images, tf.float32) * (1.0 / 255.0)
        if not training:
            return self.network(pixels, training=False)
        key = randomness.derive(randomness.make_key(self._numbers.seed), self.optimizer.iterations.value)
        if self.augmentation is not None:
            pixels = self.augmentation(randomness.derive(key, 0), pixels)
        for number, layer in enumerate(self.network.layers):
            rate = self._numbers.rates[number] if random_layers.drawn_rate(layer) else 0.0
            pixels = random_layers.apply(layer, pixels, randomness.derive(key, number + 1), rate)
        return pixels

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Computes the objective: smoothed and regularised in training, else cross-entropy."""
        if not training or self.label_smoothing == 0:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        num_classes, smoothing = y_pred.shape[-1], self._numbers.label_smoothing
        sharp = tf.one_hot(tf.cast(y, tf.int32), num_classes)
        targets = sharp * tf.cast(1.0 - smoothing, tf.float32) + tf.cast(smoothing / num_classes, tf.float32)
        return tf.add_n([keras.losses.CategoricalCrossentropy()(targets, y_pred), *self.losses])

    def prepare(self, data: LabelledImages, batch_size: int, first_epoch: int = 0) -> Feed:
        """Makes ready for `fit`; call it after `compile`.

        Args:
            data: To train on.
            batch_size: Number of images a step; each epoch's last batch takes what remains.
            first_epoch: 0 for the first.
        """
        self._build_all(data)
        self._write_numbers()
        batches = batches_of(data, batch_size, self.seed, first_epoch)
        return Feed(batches, steps_per_epoch=-(-len(data) // batch_size), compile_s=0.0)

    def _build_all(self, data: LabelledImages) -> None:
        """Builds optimizer, loss and metrics, so that `fit` need not peek at its data for that."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        self._symbolic_build(data_batch=(tf.constant(data.images[:1]), tf.constant(data.labels[:1])))

    def _write_numbers(self) -> None:
        """Gives the graph the numbers of now."""
        numbers = self._numbers
        numbers.seed.assign(self.seed)
        numbers.label_smoothing.assign(self.label_smoothing)
        numbers.weight_decay.assign(self.optimizer.weight_decay or 0.0)
        numbers.rates.assign([random_layers.rate_of(layer) for layer in self.network.layers])

    def seed_generators(self) -> list[keras.random.SeedGenerator]:
        """Lists the generators of layers that draw from Keras' own stateful source."""
        generators = (getattr(layer, "seed_generator", None) for layer in self.network.layers)
        return [generator for generator in generators if generator is not None]
