"""Images mixed in pairs: as much as the Beta distribution says, and the labels as much as the images."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import beta

from mnist_exp.training import randomness
from mnist_exp.training.augmentation import draw_shares, mix, share_quantiles
from tests.test_engine import BATCH_SIZE, DIGITS, IMAGES, LABELS, build, train


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 8.0])
def test_shares_follow_the_beta_distribution_folded_at_one_half(alpha: float) -> None:
    quantiles = tf.constant(share_quantiles(alpha))
    shares = draw_shares(randomness.make_key(0), quantiles, 50_000).numpy()
    assert shares.dtype == np.float32 and shares.min() >= 0.5 and shares.max() <= 1
    for place in (0.55, 0.7, 0.9, 0.99):
        expected = beta.cdf(place, alpha, alpha) - beta.cdf(1 - place, alpha, alpha)
        assert (shares <= place).mean() == pytest.approx(expected, abs=0.01)


def test_no_alpha_mixes_nothing() -> None:
    shares = draw_shares(randomness.make_key(0), tf.constant(share_quantiles(0)), 5)
    images = tf.constant(IMAGES[:5], tf.float32)
    np.testing.assert_array_equal(mix(images, shares), images)


def test_each_image_is_mixed_with_the_one_before_it() -> None:
    images = np.array([[[0.0]], [[1.0]], [[2.0]]], np.float32)
    mixed = mix(tf.constant(images), tf.constant([1.0, 0.75, 0.5]))
    np.testing.assert_allclose(mixed.numpy().ravel(), [0, 0.75, 1.5])


def test_the_objective_is_that_of_both_labels_as_much_as_the_images_are_mixed() -> None:
    model = build("graph", mixup_alpha=0.5, label_smoothing=0.2)
    model.prepare(DIGITS, BATCH_SIZE)
    images, labels = IMAGES[:32], LABELS[:32]
    probabilities = tf.clip_by_value(model(images), 1e-6, 1)
    shares = model._shares(tf.constant(labels)).numpy()
    assert 0.05 < (shares < 0.95).mean() < 0.95
    losses = -np.log(probabilities.numpy())
    own, others = losses[np.arange(32), labels], losses[np.arange(32), np.roll(labels, 1)]
    sharp = shares * own + (1 - shares) * others
    expected = np.mean(0.8 * sharp + 0.2 * losses.mean(axis=1))
    objective = model.compute_loss(y=tf.constant(labels), y_pred=probabilities, training=True)
    assert float(objective) == pytest.approx(expected, rel=1e-4)
    validation = model.compute_loss(y=tf.constant(labels), y_pred=probabilities, training=False)
    assert float(validation) == pytest.approx(own.mean(), rel=1e-4)


@pytest.mark.slow
def test_a_compiled_training_mixes_the_images_that_stock_fit_mixes() -> None:
    model, reference = build("compiled", mixup_alpha=0.4), build("keras", mixup_alpha=0.4)
    curves, expected = train(model, epochs=2), train(reference, epochs=2)
    assert curves["loss"] == pytest.approx(expected["loss"], abs=1e-4)
    assert curves["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-4)
    for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
