"""The engines: same batches, same random numbers, same weights, whichever executes the epoch."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_exp.config.schema import AffineConfig, ElasticConfig, Engine, NoAugmentationConfig, ShiftConfig
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.training import randomness
from mnist_exp.training.augmentation import build_augmentation, shift, warp
from mnist_exp.training.callbacks import LayerSeeds
from mnist_exp.training.engine import EpochModel, choose_engine
from mnist_exp.training.model import ExperimentModel, shuffle
from mnist_exp.training.randomness import apply, rate_of

from .digits import sample_digits
from .trainings import accepted, built

IMAGES, LABELS = sample_digits(450)
DIGITS = LabelledImages(IMAGES, LABELS)
BATCH_SIZE = 64
# Training losses of three epochs below: a change of these numbers is a change of what users get.
GOLDEN_LOSSES = (1.9167, 0.8409, 0.6191)


def build(
    engine: str,
    *,
    random: bool = False,
    extra: tuple[keras.Layer, ...] = (),
    seed: int = 0,
    **options: object,
) -> ExperimentModel:
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    stack = [layers.Flatten(), layers.Dense(32, activation="relu"), layers.BatchNormalization()]
    if random:
        noise = [layers.Reshape((28, 28, 1)), layers.GaussianNoise(0.1)]
        stack = noise + [layers.SpatialDropout2D(0.1), layers.Dropout(0.2)] + stack
        stack += [layers.GaussianDropout(0.1), *extra]
        options["augmentation"] = build_augmentation(ShiftConfig(max_pixels=2))
    network = keras.Sequential([layers.Input((28, 28)), *stack, layers.Dense(10, activation="softmax")])
    model: ExperimentModel
    if engine == "keras":
        model = ExperimentModel(network, seed=seed, **options)  # type: ignore[arg-type]
    else:
        model = EpochModel(network, seed=seed, xla=engine == "compiled", **options)  # type: ignore[arg-type]
    compile_with(model, keras.optimizers.Adam(0.003))
    return model


def compile_with(model: ExperimentModel, optimizer: keras.optimizers.Optimizer) -> None:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)


def train(
    model: ExperimentModel,
    epochs: int = 3,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    batch_size: int = BATCH_SIZE,
) -> dict[str, list[float]]:
    feed = model.prepare(DIGITS, batch_size)
    options = {"steps_per_epoch": feed.steps_per_epoch, "shuffle": False, "epochs": epochs, "verbose": 0}
    history = model.fit(feed.elements, callbacks=list(callbacks), **options)
    return dict(history.history)


# With random layers, a compiled training follows it in test_averaging.py.
@pytest.mark.parametrize(("engine", "random"), [("compiled", False), ("graph", True)])
def test_every_engine_follows_stock_fit(engine: str, random: bool) -> None:
    model, reference = build(engine, random=random), build("keras", random=random)
    curves, expected = train(model), train(reference)
    assert curves["loss"] == pytest.approx(expected["loss"], abs=1e-4)
    if not random:
        assert curves["loss"] == pytest.approx(GOLDEN_LOSSES, abs=2e-3)
        assert int(model.optimizer.iterations) == 3 * -(-len(IMAGES) // BATCH_SIZE), "the last batch is small"
    assert curves["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-4)
    for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_shuffling_depends_on_seed_and_epoch_alone() -> None:
    assert np.array_equal(shuffle(3, 5, 1000), shuffle(3, 5, 1000))
    assert not np.array_equal(shuffle(3, 5, 1000), shuffle(3, 6, 1000))
    assert not np.array_equal(shuffle(3, 5, 1000), shuffle(4, 5, 1000))
    assert np.array_equal(np.sort(shuffle(3, 5, 1000)), np.arange(1000))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        # AlphaDropout draws from Keras' own generator, as every layer does that the engine does not know.
        model = build("graph", random=True, extra=(keras.layers.AlphaDropout(0.1),), seed=seed)
        train(model, epochs=2, callbacks=[LayerSeeds(seed, model.seed_states())])
        return model.get_weights()

    first, again = weights(1), weights(1)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0], weights(2)[0])


def test_preparing_trains_nothing_and_a_batch_may_be_larger_than_the_training_set() -> None:
    model = build("graph")
    before = model.get_weights()
    feed = model.prepare(LabelledImages(IMAGES[:50], LABELS[:50]), batch_size=64)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert int(model.optimizer.iterations) == 0
    model.fit(feed.elements, steps_per_epoch=1, shuffle=False, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 2


def test_spatial_dropout_drops_whole_channels() -> None:
    layers = keras.layers
    for layer, shape in (
        (layers.SpatialDropout1D(0.5), (9, 7, 40)),
        (layers.SpatialDropout2D(0.5), (9, 5, 5, 40)),
    ):
        kept = apply(layer, tf.ones(shape), randomness.make_key(0), 0.5).numpy().reshape(9, -1, 40)
        assert np.all(kept == kept[:, :1])
        assert 0.3 < (kept == 0).mean() < 0.7


@pytest.mark.parametrize("engine", ["graph", "keras"])
def test_accumulated_gradients_are_those_of_a_larger_batch(engine: str) -> None:
    plain = ("data=sample", "model.units=[8]", "optimizer=sgd", "schedule=constant")

    def weights(batch_size: int, *overrides: str) -> list[np.ndarray]:
        model = built(accepted(*plain, f"training.engine={engine}", *overrides), DIGITS)
        train(model, epochs=1, batch_size=batch_size)
        return model.get_weights()

    accumulated = weights(45, "+optimizer.gradient_accumulation_steps=2")
    for ours, expected in zip(accumulated, weights(90), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_every_step_draws_anew_where_gradients_accumulate() -> None:
    model, keys = build("keras"), []
    compile_with(model, keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))

    def note(batch: int, logs: object) -> None:
        keys.append(int(model.step_key()))

    train(model, epochs=1, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=note)])
    assert len(set(keys)) == len(keys) == -(-len(IMAGES) // BATCH_SIZE)


RANDOM_LAYERS = [
    lambda **options: keras.layers.Dropout(0.5, **options),
    lambda **options: keras.layers.SpatialDropout1D(0.5, **options),
    lambda **options: keras.layers.GaussianDropout(0.2, **options),
    lambda **options: keras.layers.GaussianNoise(0.3, **options),
]


@pytest.mark.parametrize("make", RANDOM_LAYERS, ids=["dropout", "spatial", "gaussian", "noise"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float64"])
def test_a_random_layer_computes_in_the_type_that_keras_would(
    make: Callable[..., keras.Layer], precision: str
) -> None:
    inputs, key = tf.random.stateless_uniform((40, 7, 5), (1, 2)), randomness.make_key(0)

    def applied(layer: keras.Layer, inputs: tf.Tensor) -> tf.Tensor:
        return apply(layer, inputs, key, rate_of(layer))

    expected = applied(make(), inputs)
    after_another = applied(make(), tf.cast(inputs, precision))
    assert after_another.dtype == make()(tf.cast(inputs, precision), training=True).dtype == tf.float32
    by_itself = applied(make(dtype=precision), inputs)
    assert by_itself.dtype == make(dtype=precision)(inputs, training=True).dtype == precision
    for ours in (after_another, by_itself):
        np.testing.assert_allclose(tf.cast(ours, tf.float32), expected, atol=0.02)


def test_auto_compiles_long_trainings_of_dense_layers_and_leaves_convolutions_to_onednn() -> None:
    dense = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    convolution = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    assert choose_engine(Engine.AUTO, dense.layers, "CPU", 10_000).name == "compiled"
    assert choose_engine(Engine.AUTO, dense.layers, "CPU", 1_000).name == "graph"
    assert choose_engine(Engine.AUTO, convolution.layers, "CPU", 10_000).name == "graph"
    assert choose_engine(Engine.AUTO, convolution.layers, "GPU", 1_000).name == "compiled"
    assert choose_engine(Engine.KERAS, dense.layers, "CPU", 10_000).name == "keras"


def test_random_numbers_are_uniform_and_streams_are_unrelated() -> None:
    drawn = []
    for seed in (0, 1):
        for step in (0, 1, 2, 1000):
            key = randomness.derive(randomness.make_key(seed), step)
            drawn.append(randomness.uniform(key, (20_000,)))
    streams = np.array(drawn)
    counts = np.stack([np.histogram(stream, 100, (0, 1))[0] for stream in streams])
    chi_squared = ((counts - 200) ** 2 / 200).sum(axis=1)
    is_likely = (chi_squared > 55) & (chi_squared < 160)
    assert np.all(is_likely), "99 degrees of freedom, about 1 in 10,000 outside"
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlations).max() < 0.035, "5 standard errors"
    assert abs(np.corrcoef(streams[0, :-1], streams[0, 1:])[0, 1]) < 0.035


def test_normal_numbers_have_the_moments_of_a_normal_distribution() -> None:
    numbers = randomness.normal(randomness.make_key(0), (100_000,)).numpy()
    assert np.isfinite(numbers).all()
    moments = (numbers.mean(), numbers.std(), (numbers**3).mean(), (numbers**4).mean())
    assert moments == pytest.approx((0, 1, 0, 3), abs=0.06)


def test_dropout_keeps_the_mean_and_zeroes_the_given_share() -> None:
    kept = randomness.dropout(randomness.make_key(0), tf.ones((200, 500)), 0.2, (200, 500)).numpy()
    assert (kept == 0).mean() == pytest.approx(0.2, abs=0.007)
    assert np.unique(kept) == pytest.approx([0, 1.25])


def test_a_shift_moves_whole_images_and_every_move_is_as_likely() -> None:
    dot = np.zeros((2000, 28, 28), np.float32)
    dot[:, 14, 14] = 1
    moved = shift(randomness.make_key(0), tf.constant(dot), 1).numpy()
    assert np.allclose(moved.sum(axis=(1, 2)), 1)
    heat = moved.sum(axis=0)[13:16, 13:16]
    assert heat.sum() == 2000
    assert np.all(np.abs(heat - 2000 / 9) < 75)


STILL = {"rotation_degrees": 0, "scale_fraction": 0, "shear_degrees": 0, "translation_pixels": 0}
MOVING = {"rotation_degrees": 15, "scale_fraction": 0.1, "shear_degrees": 5, "translation_pixels": 1}


def test_an_affine_change_of_nothing_changes_nothing_and_any_keeps_digits_in_the_image() -> None:
    images, key = tf.constant(IMAGES, tf.float32) / 255, randomness.make_key(0)
    np.testing.assert_allclose(warp(key, images, AffineConfig(**STILL)), images, atol=1e-4)
    changed = warp(key, images, AffineConfig(**MOVING)).numpy()
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-5
    assert not np.allclose(changed, images)
    assert changed.sum() == pytest.approx(float(tf.reduce_sum(images)), rel=0.05)


def test_an_elastic_change_pulls_as_far_as_it_is_told_and_smoothly() -> None:
    # From images that say where their pixels are; two pixels from the border nothing is read from outside.
    columns = np.broadcast_to(np.arange(28, dtype=np.float32), (400, 28, 28))
    config = ElasticConfig(**STILL, elastic_pixels=0.5, elastic_grid=5)
    pulls = (warp(randomness.make_key(0), tf.constant(columns), config).numpy() - columns)[:, 3:-3, 3:-3]
    assert np.abs(pulls.mean()) < 0.02
    assert pulls.std(axis=0) == pytest.approx(0.5, abs=0.09)
    steps = np.abs(np.diff(pulls, axis=2))
    assert steps.mean() < 0.1 and steps.max() < 0.5, "neighbours are pulled alike"
    assert np.corrcoef(pulls[:, 2, 2], pulls[:, -3, -3])[0, 1] < 0.2, "far apart they are not"


def test_an_elastic_change_of_nothing_is_the_affine_one() -> None:
    images, key = tf.constant(IMAGES[:8], tf.float32) / 255, randomness.make_key(1)
    affine = warp(key, images, AffineConfig(**MOVING))
    still, bent = (
        warp(key, images, ElasticConfig(**MOVING, elastic_pixels=pixels, elastic_grid=4)) for pixels in (0, 1)
    )
    np.testing.assert_allclose(still, affine, atol=1e-5)
    assert not np.allclose(bent, affine)


def test_no_augmentation_costs_no_function() -> None:
    assert build_augmentation(NoAugmentationConfig()) is None


def test_keras_callbacks_and_schedules_work() -> None:
    model = build("graph")
    compile_with(model, keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.01, 16)))
    feed = model.prepare(DIGITS, BATCH_SIZE)
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=100)
    history = model.fit(
        feed.elements, steps_per_epoch=1, shuffle=False, epochs=9, verbose=0,
        validation_data=(IMAGES, LABELS), callbacks=[stopping],
    )  # fmt: skip
    assert len(history.history["val_accuracy"]) == 2
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0)
