"""Averaged weights: kept with batch normalisation's statistics of their own, and no part of the training."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting
from mnist_exp.training.averaging import BatchStatistics
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.checkpoints import Checkpoint, TrainingState, read_checkpoint, write_checkpoint
from mnist_exp.training.model import ExperimentModel

from . import trainings
from .digits import sample_digits
from .trainings import Stopped, built

pytestmark = pytest.mark.slow

DIGITS = LabelledImages(*sample_digits(450))
HELD_OUT = LabelledImages(DIGITS.images[:50], DIGITS.labels[:50])
QUICK = (
    "data=sample",
    "model=bn_dnn",
    "model.units=[16,8]",
    "model.dropout=0.2",
    "training.batch_size=64",
    "training.epochs=4",
    "training.ema_momentum=0.9",
)
accepted = functools.partial(trainings.accepted, *QUICK)


def train(
    config: Config,
    path: Path | None = None,
    stop_after: int = 0,
    earlier: Checkpoint | None = None,
    held_out: LabelledImages | None = HELD_OUT,
) -> tuple[list[EpochMetrics], BestWeights, ExperimentModel]:
    model, rows = built(config, DIGITS), list(earlier.state.rows) if earlier else []
    best = BestWeights(model.network, config.training.monitor, config.training.direction)

    def check() -> None:
        if len(rows) == stop_after:
            raise Stopped

    def keep(state: TrainingState) -> None:
        if path is not None:
            write_checkpoint(path, model.network, state)

    report = lambda row, is_best: rows.append(row)  # noqa: E731
    fitting.fit(config, model, DIGITS, held_out, best, report, check, keep=keep, earlier=earlier)
    return rows, best, model


def stopped_after(
    epochs: int, config: Config, folder: Path, held_out: LabelledImages | None = HELD_OUT
) -> Checkpoint:
    with pytest.raises(Stopped):
        train(config, folder / "last.keras", stop_after=epochs, held_out=held_out)
    earlier = read_checkpoint(folder / "last.keras")
    assert earlier is not None
    return earlier


def curve(rows: list[EpochMetrics]) -> list[tuple[float | None, ...]]:
    return [(row.loss, row.accuracy, row.val_loss, row.val_accuracy) for row in rows]


def bits(model: ExperimentModel) -> list[bytes]:
    variables = (*model.network.weights, *model.optimizer.variables)
    return [np.asarray(variable).tobytes() for variable in variables]


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
    dense, layer = model.network.layers[1], model.network.layers[2]
    statistics = BatchStatistics(model, DIGITS)
    statistics.take(epoch=3)
    from mnist_exp.training.model import shuffle

    batches = (DIGITS.images[shuffle(model.seed, 3, 450)[:200]] / np.float32(255)).reshape(2, 100, 784)
    seen = [np.asarray(dense(batch)) for batch in batches]
    np.testing.assert_allclose(layer.moving_mean, np.mean([one.mean(axis=0) for one in seen], 0), atol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance, np.mean([one.var(axis=0) for one in seen], 0), rtol=1e-3
    )


def test_averaging_changes_no_bit_of_the_training() -> None:
    # Of an average with no memory the weights are the raw ones.
    plain = train(accepted("training.engine=graph", "training.ema_momentum=0"))[0]
    averaged = train(accepted("training.engine=graph", "training.ema_momentum=0.9"))[0]
    assert [(row.loss, row.accuracy) for row in averaged] == [(row.loss, row.accuracy) for row in plain]
    assert [row.val_loss for row in averaged] != [row.val_loss for row in plain]


@pytest.mark.parametrize(
    ("engine", "augmentation"), [("compiled", "shift"), ("graph", "none"), ("graph", "shift")]
)
def test_every_engine_gives_the_same_average(engine: str, augmentation: str) -> None:
    changes = (f"augmentation={augmentation}", "training.epochs=2")
    ours, mine, _ = train(accepted(f"training.engine={engine}", *changes))
    theirs, reference, _ = train(accepted("training.engine=keras", *changes))
    for one, other in zip(curve(ours), curve(theirs), strict=True):
        assert one == pytest.approx(other, abs=2e-3)
    for weight, expected in zip(mine.weights, reference.weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-3)


# A compiled training that is validated is killed in tests/faults/test_resume.py.
@pytest.mark.parametrize(
    ("engine", "held_out"),
    [("compiled", None), ("graph", HELD_OUT), ("graph", None), ("keras", HELD_OUT), ("keras", None)],
)
def test_it_goes_on_bit_for_bit(engine: str, held_out: LabelledImages | None, tmp_path: Path) -> None:
    config = accepted(f"training.engine={engine}", "augmentation=shift", "training.mixup=0.3")
    whole, _, model = train(config, held_out=held_out)
    earlier = stopped_after(2, config, tmp_path, held_out)
    rows, _, again = train(config, earlier=earlier, held_out=held_out)
    assert curve(rows) == curve(whole) and bits(again) == bits(model)


def test_a_checkpoint_holds_the_averages_own_statistics_and_those_of_the_raw_weights(tmp_path: Path) -> None:
    path = tmp_path / "last.keras"
    rows, *_ = train(accepted("training.engine=graph", "training.ema_momentum=0.95"), path)
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


def test_statistics_of_another_network_are_refused(tmp_path: Path) -> None:
    config = accepted("training.engine=graph")
    earlier = stopped_after(1, config, tmp_path)
    earlier.state.watchers["AveragedWeights"]["raw_statistics"] = [b"1234"]
    with pytest.raises(ConfigError, match="statistics of another network"):
        train(config, earlier=earlier)


def test_a_checkpoint_from_before_statistics_were_taken_anew_can_be_gone_on_with(tmp_path: Path) -> None:
    config = accepted("training.engine=graph")
    earlier = stopped_after(2, config, tmp_path)
    state = earlier.state.watchers
    del state["AveragedWeights"]
    state["SwapEMAWeights"] = {"_ema_weights_in_model": True}
    rows, *_ = train(config, earlier=earlier)
    assert len(rows) == 4 and rows[-1].loss < rows[0].loss
