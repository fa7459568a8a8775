"""A Keras model of an experiment: a network, what only its training needs, and what `fit` is given."""

from functools import lru_cache
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnist_exp.config.schema import ClassWeight
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.training import augmentation, randomness
from mnist_exp.training.augmentation import Augmentation
from mnist_exp.training.optimizers import LearningRates
from mnist_exp.training.preprocessing import layers_behind


class Resident(NamedTuple):
    """Images on the device, uint8 (N, H, W), and their labels, uint8 (N,)."""

    images: tf.Tensor
    labels: tf.Tensor


@lru_cache(maxsize=2)
def resident(data: LabelledImages) -> Resident:
    """Puts images on the device, once for all models of the process; the last two used are kept."""
    return Resident(tf.constant(data.images), tf.constant(data.labels))


def shuffle(seed: int, epoch: int, num_images: int) -> npt.NDArray[np.int32]:
    """Orders the images for an epoch, 0 for the first: a permutation, a function of the arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


def balanced_weights(labels: npt.NDArray[np.uint8], num_classes: int) -> npt.NDArray[np.float32]:
    """Weighs each class by N / (C' n): N images, n of them its own, C' classes that have any.

    Every class then counts alike, and an image 1 on average (King and Zeng 2001, "Logistic regression in rare
    events data"; scikit-learn's `class_weight="balanced"`).

    Returns:
        float32 (C,), 0 for a class without images.
    """
    counts = np.bincount(labels, minlength=num_classes)
    is_present = counts > 0
    weights = np.zeros(num_classes, np.float32)
    weights[is_present] = len(labels) / (is_present.sum() * counts[is_present])
    return weights


def batches_of(data: LabelledImages, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
    """Gives what `EpochModel` trains on, batch by batch without end, from an epoch on: for stock `fit`."""
    images, labels = resident(data)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.numpy_function(lambda number: shuffle(seed, number, len(data)), [epoch], tf.int32)
        order = tf.ensure_shape(order, (len(data),))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    def take(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(images, indices), tf.gather(labels, indices)

    return epoch_numbers(first_epoch).flat_map(epoch_batches).map(take).prefetch(2)


def epoch_numbers(first_epoch: int) -> tf.data.Dataset:
    """Counts epochs without end.

    Not by a Python generator, which makes an XLA epoch twice as long: memory goes back to the system at every
    turn. Nothing is fetched ahead: TensorFlow would put millions of numbers by during an epoch.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return tf.data.Dataset.range(first_epoch, 2**31).with_options(options)


class Feed(NamedTuple):
    """What to give to `fit`: data without end, batches or numbers of epochs, and how many make an epoch."""

    elements: tf.data.Dataset
    steps_per_epoch: int
    compile_s: float


class GraphNumbers(NamedTuple):
    """Numbers that a training graph reads: the seed int64, shares of mixup float32, the others float64.

    float64 rounds a number to float32 where it is used, as it would be rounded as a constant.
    """

    seed: tf.Variable
    label_smoothing: tf.Variable
    weight_decay: tf.Variable
    rates: tf.Variable
    mixup_shares: tf.Variable

    @classmethod
    def zeros(cls, num_layers: int) -> Self:
        """Makes the variables, with a rate for each layer."""

        def variable(value: Any, dtype: tf.DType = tf.float64) -> tf.Variable:
            return tf.Variable(value, trainable=False, dtype=dtype)

        shares = variable(augmentation.share_quantiles(0), tf.float32)
        return cls(variable(0, tf.int64), variable(0), variable(0), variable([0] * num_layers), shares)


class ExperimentModel(keras.Model):
    """A network together with what only training needs: augmentation, smoothing, randomness.

    It takes images as bytes. The network itself stays a plain Keras model that shares its
    weights with this one, takes float32 in [0, 1] and can be saved without this package. What it has
    in front (`mnist_exp.training.preprocessing`), the images given to this model have been through.

    Args:
        network: Built; ends in probabilities (B, C).
        seed: Of dropout, noise and augmentation.
        augmentation: Changes training images; None leaves them alone.
        label_smoothing: Share of each training target spread evenly over the classes
            (Szegedy et al. 2016). Validation and test losses are plain cross-entropy.
        mixup_alpha: Mixes training images in pairs, see `mnist_exp.training.augmentation`; 0 mixes none.
        class_weight: `balanced` weighs each image's loss by its class, see `balanced_weights`, as Keras does
            with `class_weight`: their sum is divided by the size of the batch.
        learning_rates: Gives each step's rate; None leaves the optimizer's alone.

    Attributes:
        traced_statistics: Kept here by `mnist_exp.training.averaging`, so that it lasts as long as the
            model; None before.
    """

    def __init__(
        self,
        network: keras.Sequential,
        *,
        seed: int,
        augmentation: Augmentation | None = None,
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        class_weight: ClassWeight = "none",
        learning_rates: LearningRates | None = None,
    ) -> None:
        super().__init__(name=f"{network.name}_training")
        self.network = network
        self.seed = seed
        self.augmentation = augmentation
        self.label_smoothing, self.mixup_alpha = label_smoothing, mixup_alpha
        self.is_balanced = class_weight == "balanced"
        self._class_weights = np.ones(network.output_shape[-1], np.float32)
        self.learning_rates: LearningRates = learning_rates or (lambda first, count: None)
        self.traced_statistics: object | None = None
        self._numbers = GraphNumbers.zeros(len(self.own_layers))

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes class probabilities (B, C) from images uint8 (B, H, W)."""
        if not training:
            return self._infer(_as_pixels(images))
        key = self.step_key()
        pixels = self.augmented(images, randomness.derive(key, 0))
        if self.mixup_alpha:
            pixels = augmentation.mix(pixels, self._shares(images))
        for number, layer in enumerate(self.own_layers):
            rate = self._numbers.rates[number] if randomness.drawn_rate(layer) else 0.0
            pixels = randomness.apply(layer, pixels, randomness.derive(key, number + 1), rate)
        return pixels

    @property
    def own_layers(self) -> list[keras.Layer]:
        """The network's layers without what stands in front of them."""
        return layers_behind(self.network)

    def _infer(self, pixels: tf.Tensor) -> tf.Tensor:
        """Computes class probabilities (B, C) from images float32 (B, H, W)."""
        if len(self.own_layers) == len(self.network.layers):
            return self.network(pixels, training=False)
        for layer in self.own_layers:
            pixels = layer(pixels, training=False)
        return pixels

    def step_key(self) -> tf.Tensor:
        """Gives the key of the random numbers of the next training step, a uint32 scalar."""
        # The public `iterations` counts updates: steps whose gradients accumulate would draw the same.
        return randomness.derive(randomness.make_key(self._numbers.seed), self.optimizer._iterations.value)

    def augmented(self, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Changes images uint8 (B, H, W) as training does; gives float32 (B, H, W) in [0, 1]."""
        pixels = _as_pixels(images)
        return pixels if self.augmentation is None else self.augmentation(key, pixels)

    def _shares(self, batch: tf.Tensor) -> tf.Tensor:
        """Draws how much of itself each of a batch keeps in this step: the same for images and targets."""
        key = randomness.derive(self.step_key(), randomness.MIXUP_STREAM)
        return augmentation.draw_shares(key, self._numbers.mixup_shares, keras.ops.shape(batch)[0])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Computes the objective: mixed, weighted, smoothed, regularised in training, else cross-entropy."""
        if not training or not (self.label_smoothing or self.mixup_alpha or self.is_balanced):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        num_classes, smoothing = y_pred.shape[-1], self._numbers.label_smoothing
        sharp = tf.one_hot(tf.cast(y, tf.int32), num_classes)
        if self.mixup_alpha:
            sharp = augmentation.mix(sharp, self._shares(y))
        if self.is_balanced:
            # Each part of a mixed image by its own class. TensorFlow needs targets that sum to 1.
            weighted = sharp * self._class_weights
            sample_weight = tf.reduce_sum(weighted, axis=1)
            sharp = weighted / sample_weight[:, None]
        targets = sharp * tf.cast(1.0 - smoothing, tf.float32) + tf.cast(smoothing / num_classes, tf.float32)
        objective = keras.losses.CategoricalCrossentropy()(targets, y_pred, sample_weight)
        return tf.add_n([objective, *self.losses])

    def prepare(self, data: LabelledImages, batch_size: int, first_epoch: int = 0) -> Feed:
        """Makes ready for `fit` from an epoch on, 0 for the first; call it after `compile`."""
        self._build_all(data)
        self._write_numbers()
        batches = batches_of(data, batch_size, self.seed, first_epoch)
        return Feed(batches, steps_per_epoch=-(-len(data) // batch_size), compile_s=0.0)

    def _build_all(self, data: LabelledImages) -> None:
        """Builds optimizer, loss and metrics, so that `fit` need not peek at its data for that."""
        if self.is_balanced:
            self._class_weights = balanced_weights(data.labels, len(self._class_weights))
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        self._symbolic_build(data_batch=(tf.constant(data.images[:1]), tf.constant(data.labels[:1])))

    def _write_numbers(self) -> None:
        numbers = self._numbers
        numbers.seed.assign(self.seed)
        numbers.label_smoothing.assign(self.label_smoothing)
        numbers.mixup_shares.assign(augmentation.share_quantiles(self.mixup_alpha))
        numbers.weight_decay.assign(self.optimizer.weight_decay or 0.0)
        numbers.rates.assign([randomness.rate_of(layer) for layer in self.own_layers])

    def seed_states(self) -> list[keras.Variable]:
        """Lists the states of Keras' own generators, wherever layers hold them; int64 (2,) each."""
        weights = {id(weight) for weight in self.network.weights}
        # Keras: `variables` are the weights and the states of generators.
        return [variable for variable in self.network.variables if id(variable) not in weights]


def _as_pixels(images: tf.Tensor) -> tf.Tensor:
    """Gives images uint8 (B, H, W) as float32 in [0, 1]."""
    return tf.cast(images, tf.float32) * (1.0 / 255.0)
