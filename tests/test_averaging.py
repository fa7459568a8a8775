"""Averaged weights: kept with batch normalisation's statistics of their own, and no part of the training."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import ConfigError
from mnist_exp.training.averaging import BatchStatistics
from mnist_exp.training.checkpoints import read_checkpoint
from mnist_exp.training.model import shuffle
from tests import trainings
from tests.digits import sample_digits
from tests.support.fitted import stopped, trained
from tests.trainings import built

pytestmark = pytest.mark.slow

DIGITS = LabelledImages(*sample_digits(450))
HELD_OUT = LabelledImages(DIGITS.images[:50], DIGITS.labels[:50])
QUICK = (
    *("data=sample", "model=bn_dnn", "model.units=[16,8]", "model.dropout=0.2"),
    *("training.batch_size=64", "training.epochs=4", "training.ema_momentum=0.9"),
)
accepted = functools.partial(trainings.accepted, *QUICK)


def test_statistics_are_those_of_the_images_that_the_epoch_began_with() -> None:
    model = built(accepted("training.engine=graph", "model.dropout=0.5"), DIGITS)
    model.prepare(DIGITS, 64)
    BatchStatistics(model, DIGITS).take(epoch=0)
    pixels = DIGITS.images.astype(np.float64) / 255
    for layer in model.network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            mean, variance = pixels.mean(axis=0), pixels.var(axis=0)
            np.testing.assert_allclose(layer.moving_mean, mean, atol=1e-5)
            np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-3, atol=1e-5)
            assert layer.momentum == 0.99
        pixels = np.asarray(layer(pixels.astype(np.float32), training=False), np.float64)


def test_batches_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_exp.training.averaging.BATCH_SIZE", 100)
    model = built(accepted("training.engine=graph"), DIGITS)
    model.prepare(DIGITS, 64)
    BatchStatistics(model, DIGITS).take(epoch=3)
    dense, layer = model.network.layers[1], model.network.layers[2]
    batches = (DIGITS.images[shuffle(model.seed, 3, 450)[:200]] / np.float32(255)).reshape(2, 100, 784)
    seen = [np.asarray(dense(batch)) for batch in batches]
    mean, variance = (np.mean([getattr(one, name)(axis=0) for one in seen], 0) for name in ("mean", "var"))
    np.testing.assert_allclose(layer.moving_mean, mean, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-3)


def test_averaging_changes_no_bit_of_the_training() -> None:
    # Of an average with no memory the weights are the raw ones.
    plain, averaged = (
        trained(accepted("training.engine=graph", f"training.ema_momentum={momentum}"), DIGITS, HELD_OUT).rows
        for momentum in (0, 0.9)
    )
    assert [(row.loss, row.accuracy) for row in averaged] == [(row.loss, row.accuracy) for row in plain]
    assert [row.val_loss for row in averaged] != [row.val_loss for row in plain]


def test_every_engine_gives_the_same_average() -> None:
    reference, *others = (
        trained(
            accepted(f"training.engine={engine}", "augmentation=shift", "training.epochs=2"), DIGITS, HELD_OUT
        )
        for engine in ("keras", "compiled", "graph")
    )
    for ours in others:
        for one, other in zip(ours.curve(), reference.curve(), strict=True):
            assert one == pytest.approx(other, abs=2e-3)
        for weight, expected in zip(ours.best.weights, reference.best.weights, strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-3)


# Trainings that are validated are killed in tests/faults/test_resume.py.
def test_without_validation_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = accepted("training.engine=graph", "augmentation=shift", "training.mixup=0.3")
    whole = trained(config, DIGITS)
    earlier = stopped(config, DIGITS, None, tmp_path / "last.keras", epochs=2)
    again = trained(config, DIGITS, earlier=earlier)
    assert again.curve() == whole.curve() and again.bits() == whole.bits()


def test_a_checkpoint_holds_the_averages_own_statistics_and_those_of_the_raw_weights(tmp_path: Path) -> None:
    path = tmp_path / "last.keras"
    config = accepted("training.engine=graph", "training.ema_momentum=0.95")
    rows = trained(config, DIGITS, HELD_OUT, path=path).rows
    loaded = keras.models.load_model(path)
    loss, accuracy = loaded.evaluate(HELD_OUT.images / np.float32(255), HELD_OUT.labels, verbose=0)
    assert loss == pytest.approx(rows[-1].val_loss, abs=1e-5)
    assert accuracy == pytest.approx(rows[-1].val_accuracy)
    own, _ = loaded.evaluate(DIGITS.images / np.float32(255), DIGITS.labels, verbose=0)
    checkpoint = read_checkpoint(path)
    assert checkpoint is not None
    kept = checkpoint.state.watchers["AveragedWeights"]["raw_statistics"]
    assert isinstance(kept, list) and len(kept) == 4
    layers = [layer for layer in loaded.layers if isinstance(layer, keras.layers.BatchNormalization)]
    variables = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    for variable, content in zip(variables, kept, strict=True):
        assert variable.numpy().tobytes() != content
        variable.assign(np.frombuffer(content, np.float32))
    with_raw, _ = loaded.evaluate(DIGITS.images / np.float32(255), DIGITS.labels, verbose=0)
    assert with_raw > own + 0.1, "taking them anew is of no use"


def test_statistics_of_another_network_are_refused_and_none_are_taken_anew(tmp_path: Path) -> None:
    config = accepted("training.engine=graph", "training.epochs=2")
    earlier = stopped(config, DIGITS, HELD_OUT, tmp_path / "last.keras", epochs=1)
    watchers = earlier.state.watchers
    watchers["AveragedWeights"]["raw_statistics"] = [b"1234"]
    with pytest.raises(ConfigError, match="statistics of another network"):
        trained(config, DIGITS, HELD_OUT, earlier=earlier)
    # A checkpoint from before they were kept.
    del watchers["AveragedWeights"]
    watchers["SwapEMAWeights"] = {"_ema_weights_in_model": True}
    rows = trained(config, DIGITS, HELD_OUT, earlier=earlier).rows
    assert len(rows) == 2 and rows[-1].loss < rows[0].loss
