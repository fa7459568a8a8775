"""What keeps a network from learning its images by heart: limits of weights, noise, cut-out squares."""

import copy
import functools
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import keras
import msgspec.yaml
import numpy as np
import pytest
import tensorflow as tf

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import AffineConfig, ElasticConfig, ShiftConfig
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.runs.job import resumed_tree
from mnist_exp.runs.run import read_config
from mnist_exp.training import randomness
from mnist_exp.training.augmentation import build_augmentation, cut_out, flip
from mnist_exp.training.networks import build_network, for_use
from tests import trainings
from tests.digits import sample_digits
from tests.support.fitted import trained
from tests.trainings import built

DIGITS = LabelledImages(*sample_digits(450))
QUICK = ("data=sample", "training.batch_size=64", "training.epochs=3", "model.units=[24,16]")
YOUNGER = {
    "training": ["mixup", "class_weight"],
    "model": ["input_noise", "max_norm"],
    "augmentation": ["cutout_pixels", "horizontal_flip"],
}
composed_tree = functools.partial(trainings.composed, *QUICK)
OWN_MODEL = """\
family: sequential
name: own
layers:
  - Flatten
  - GaussianNoise: {stddev: 0.2}
  - Dense: {units: 16, activation: relu, kernel_constraint: max_norm}
  - Dense: {units: 10, activation: softmax}
"""


def norms(layer: keras.layers.Dense) -> np.ndarray:
    return np.linalg.norm(np.asarray(layer.kernel), axis=0)


def dense_layers(network: keras.Sequential) -> list[keras.layers.Dense]:
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]


@pytest.fixture(scope="module")
def free() -> keras.Sequential:
    """A network whose weights nothing limits, trained as the limited ones are."""
    changes = ("training.engine=graph", "optimizer.learning_rate=0.03")
    return trained(parse_tree(composed_tree(*changes)), DIGITS).model.network


@pytest.mark.parametrize("engine", [pytest.param("compiled", marks=pytest.mark.slow), "graph"])
def test_no_hidden_unit_has_larger_weights_than_the_limit(engine: str, free: keras.Sequential) -> None:
    changes = (f"training.engine={engine}", "optimizer.learning_rate=0.03", "model.max_norm=0.7")
    limited = trained(parse_tree(composed_tree(*changes)), DIGITS).model.network
    for layer in dense_layers(limited)[:-1]:
        assert norms(layer).max() == pytest.approx(0.7, abs=1e-4)
    assert all(norms(layer).max() > 0.75 for layer in dense_layers(free)), "the limit is not put to use"
    assert norms(dense_layers(limited)[-1]).max() > 0.7, "the limit is for hidden units"


@pytest.mark.slow
def test_a_limited_and_noisy_network_is_saved_as_one_of_keras_own(tmp_path: Path) -> None:
    config = parse_tree(composed_tree("model.max_norm=2", "model.input_noise=0.1", "model.batch_norm=true"))
    path = tmp_path / "network.keras"
    for_use(build_network(config.model, (28, 28), 10)).save(path)
    with ZipFile(path) as archive:
        assert b"mnist_exp" not in archive.read("config.json")
    network = keras.models.load_model(path, safe_mode=True)
    limits = [layer.kernel_constraint.max_value for layer in dense_layers(network)[:-1]]
    assert (limits, network.layers[1].stddev) == ([2.0, 2.0], 0.1)


def test_noise_is_on_the_pixels_and_in_training_only() -> None:
    model = built(parse_tree(composed_tree("model.input_noise=0.3", "training.engine=graph")), DIGITS)
    model.prepare(DIGITS, 64)
    images = tf.constant(DIGITS.images[:64])
    assert np.array_equal(model(images), model(images))
    noisy = model(images, training=True).numpy()
    assert 0.001 < np.abs(noisy - model(images).numpy()).mean() < 0.5
    names = [type(layer).__name__ for layer in model.network.layers[:3]]
    assert names == ["Flatten", "GaussianNoise", "Dense"]


@pytest.mark.slow
def test_a_models_own_yaml_can_name_noise_and_limits(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text(OWN_MODEL)
    own = ("model=own", f"hydra.searchpath=[file://{tmp_path}]", "data=sample")
    options = ("training.epochs=3", "training.engine=graph", "optimizer.learning_rate=0.1")
    network = trained(trainings.accepted(*own, *options), DIGITS).model.network
    assert network.layers[1].stddev == 0.2
    assert norms(network.layers[2]).max() == pytest.approx(2, abs=1e-4)


def test_a_square_is_cut_out_anywhere_and_parts_of_it_may_lie_outside() -> None:
    images = tf.ones((4000, 28, 28))
    cut = 1 - cut_out(randomness.make_key(0), images, 8).numpy()
    areas = cut.sum(axis=(1, 2))
    assert areas.max() == 64 and areas.min() == 16
    rows, columns = cut.any(axis=2).sum(axis=1), cut.any(axis=1).sum(axis=1)
    assert np.array_equal(rows * columns, areas), "each is one rectangle"
    assert abs((areas == 64).mean() - (21 / 28) ** 2) < 0.03
    heat = cut.mean(axis=0)
    assert heat[8:-8, 8:-8].std() < 0.01 and heat[14, 14] == pytest.approx(64 / 784, abs=0.02)
    assert np.corrcoef(cut[:, 14, 10], cut[:, 10, 14])[0, 1] < 0.6, "rows and columns are drawn apart"


STILL = {"rotation_degrees": 0, "scale_fraction": 0, "shear_degrees": 0, "translation_pixels": 0}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ShiftConfig, {"max_pixels": 2}),
        (AffineConfig, STILL),
        (ElasticConfig, STILL | {"elastic_pixels": 0.5, "elastic_grid": 4}),
    ],
)
def test_every_augmentation_begins_with_the_flip_and_ends_with_the_cut(
    kind: Any, options: dict[str, float]
) -> None:
    key, images = randomness.make_key(3), tf.constant(DIGITS.images[:40], tf.float32) / 255
    plain = build_augmentation(kind(**options))
    framed = build_augmentation(kind(**options, horizontal_flip=True, cutout_pixels=10))
    assert plain is not None and framed is not None
    flipped = plain(key, flip(key, images))
    expected = cut_out(key, flipped, 10)
    np.testing.assert_array_equal(framed(key, images), expected)
    assert float(tf.reduce_sum(expected)) < 0.95 * float(tf.reduce_sum(flipped))


def test_half_of_the_images_are_flipped() -> None:
    images = tf.constant(DIGITS.images, tf.float32) / 255
    flipped = flip(randomness.make_key(5), images).numpy()
    is_whole = (flipped == images.numpy()).all(axis=(1, 2))
    is_mirrored = (flipped == images.numpy()[:, :, ::-1]).all(axis=(1, 2))
    assert (is_whole | is_mirrored).all()
    assert abs(is_mirrored.mean() - 0.5) < 0.1


@pytest.mark.parametrize("augmentation", ["none", "shift"])
def test_a_run_from_before_these_keys_is_what_it_was(augmentation: str, tmp_path: Path) -> None:
    tree = composed_tree(f"augmentation={augmentation}")
    older = copy.deepcopy(tree)
    for group, keys in YOUNGER.items():
        for key in keys:
            older[group].pop(key, None)
    assert older != tree
    (tmp_path / "config.yaml").write_bytes(msgspec.yaml.encode(older))
    assert read_config(tmp_path) == parse_tree(tree)
    assert parse_tree(resumed_tree(tmp_path, tree, ["training.epochs=3"])) == parse_tree(tree)
