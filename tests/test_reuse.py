"""A model that is used again trains to the bits of a fresh one, and compiles nothing."""

import functools
import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from mnist_exp.config.schema import (
    Config,
    ConstantScheduleConfig,
    CosineScheduleConfig,
    PlateauScheduleConfig,
    StepScheduleConfig,
)
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.engine import EpochModel
from mnist_exp.training.model import ExperimentModel, resident
from mnist_exp.training.optimizers import learning_rates
from mnist_exp.training.reuse import ModelStore

from . import trainings
from .digits import sample_digits

pytestmark = pytest.mark.slow

DIGITS = LabelledImages(*sample_digits(300))
HELD_OUT = LabelledImages(DIGITS.images[:100], DIGITS.labels[:100])
QUICK = (
    *("data=sample", "training.epochs=2", "training.batch_size=64", "training.label_smoothing=0.1"),
    *("model=bn_dnn", "model.units=[16]", "model.dropout=0.2", "model.input_dropout=0.1"),
)
accepted = functools.partial(trainings.accepted, *QUICK)


@dataclass(frozen=True)
class Trained:
    """A training: its model, its rows without seconds, its weights, and the best ones."""

    model: ExperimentModel
    rows: list[EpochMetrics]
    weights: list[np.ndarray]
    best: BestWeights
    compile_s: float


def train(store: ModelStore, config: Config, check: Callable[[], None] = lambda: None) -> Trained:
    model, _ = store.get(config, DIGITS, (28, 28), 10)
    rows: list[EpochMetrics] = []
    best = BestWeights(model.network, config.training.monitor, config.training.direction)
    fit = fitting.fit(config, model, DIGITS, HELD_OUT, best, lambda row, is_best: rows.append(row), check)
    return Trained(model, rows, model.network.get_weights(), best, fit.compile_s)


def curve(rows: list[EpochMetrics]) -> list[tuple[float | None, ...]]:
    return [(row.loss, row.accuracy, row.val_loss, row.val_accuracy, row.learning_rate) for row in rows]


def assert_same(ours: Trained, expected: Trained) -> None:
    assert curve(ours.rows) == curve(expected.rows)
    pairs = zip(ours.weights, expected.weights, strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


RATES = ("seed=3", "model.dropout=0.4", "model.input_dropout=0.3", "training.label_smoothing=0.2")
DECAY = ("optimizer.learning_rate=0.01", "optimizer.weight_decay=0.3", "schedule=step")
WATCHED = ("training.epochs=3", "training.monitor=val_loss", "training.direction=min")
AVERAGED = ("training.ema_momentum=0.9", "augmentation=shift", "training.mixup=0.2", "model.input_noise=0.1")
MIXED = ("training.mixup=1", "model.input_noise=0.3")


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        (("training.engine=graph",), (*RATES, *WATCHED, "schedule=plateau")),
        (("training.engine=compiled", *AVERAGED), (*MIXED, *RATES, *DECAY, *WATCHED)),
    ],
    ids=["graph", "compiled"],
)
def test_a_model_used_again_trains_to_the_bits_of_a_fresh_one(
    given: tuple[str, ...], changes: tuple[str, ...]
) -> None:
    chosen, changed = accepted(*given), accepted(*given, *changes)
    fresh, store = train(ModelStore(), changed), ModelStore()
    first = train(store, chosen)
    again = train(store, changed)
    assert again.model is first.model and again.compile_s == 0 < fresh.compile_s
    assert again.model._full_steps.experimental_get_tracing_count() == 1  # type: ignore[attr-defined]
    assert_same(again, fresh)
    assert_same(train(store, chosen), first)


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer=rmsprop", "+optimizer.centered=true"),
        ("optimizer=sgd", "+optimizer.gradient_accumulation_steps=3"),
        ("optimizer=adam", "optimizer.name=nadam", "training.ema_momentum=0.9"),
    ],
    ids=" ".join,
)
def test_an_optimizer_starts_again_from_nothing(overrides: tuple[str, ...]) -> None:
    chosen, store = accepted("training.engine=graph", "model.batch_norm=false", *overrides), ModelStore()
    first, again = train(store, chosen), train(store, chosen)
    assert again.model is first.model
    assert_same(again, first)


def test_a_network_says_its_own_numbers_when_saved(tmp_path: Path) -> None:
    store = ModelStore()
    train(store, accepted("training.engine=graph"))
    changes = ("model.dropout=0.45", "optimizer.weight_decay=0.07", "schedule=constant")
    model = train(store, accepted("training.engine=graph", *changes)).model
    model.network.compile(model.optimizer)
    model.network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    dropouts = [layer.rate for layer in loaded.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == [0.1, 0.45]
    assert loaded.optimizer.weight_decay == 0.07
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.003)


STRUCTURES = (
    *("", "model.units=[17]", "model.dropout=0", "model.activation=gelu", "model.max_norm=3"),
    *("model.input_noise=0.1", "optimizer.weight_decay=0", "optimizer.beta_1=0.8"),
    *("training.label_smoothing=0", "training.batch_size=32", "training.mixup=0.2"),
    "training.class_weight=balanced",
    *("augmentation=shift", "augmentation=shift augmentation.horizontal_flip=true"),
)


def test_another_structure_is_another_model() -> None:
    store = ModelStore(capacity=14)
    configs = [accepted(*text.split()) for text in STRUCTURES]
    first, again = ([id(store.get(one, DIGITS, (28, 28), 10)[0]) for one in configs] for _ in range(2))
    assert len(set(first)) == len(configs) == 14
    assert again == first
    other = LabelledImages(DIGITS.images, DIGITS.labels)
    assert id(store.get(accepted(), other, (28, 28), 10)[0]) not in first


def test_the_model_unused_for_longest_is_forgotten() -> None:
    store = ModelStore(capacity=2)

    def get(units: int) -> ExperimentModel:
        return store.get(accepted(f"model.units=[{units}]"), DIGITS, (28, 28), 10)[0]

    first, second = get(1), get(2)
    assert get(1) is first
    get(3)
    assert get(1) is first
    assert get(2) is not second


def test_nothing_holds_the_graph_of_a_forgotten_model_and_all_share_the_images_on_the_device() -> None:
    store = ModelStore(capacity=1)

    def graphs(units: int) -> list[weakref.ref[object]]:
        chosen = accepted("training.engine=graph", f"model.units=[{units}]", "model.activation=silu")
        model = train(store, chosen).model
        assert isinstance(model, EpochModel)
        assert model._data.images is resident(DIGITS).images
        functions = (model._full_steps, model._validate)
        return [weakref.ref(function.get_concrete_function().graph) for function in functions]

    first, second = graphs(3), graphs(4)
    gc.collect()
    assert [graph() for graph in first] == [None, None]
    assert all(graph() is not None for graph in second)


def test_the_keras_engine_is_never_used_again() -> None:
    store, chosen = ModelStore(), accepted("training.engine=keras")
    first, again = (store.get(chosen, DIGITS, (28, 28), 10)[0] for _ in range(2))
    assert first is not again and not isinstance(first, EpochModel)


def test_every_engine_takes_the_same_learning_rates() -> None:
    ours, expected = (
        train(ModelStore(), accepted(f"training.engine={engine}", "schedule=cosine", "training.epochs=3"))
        for engine in ("graph", "keras")
    )
    assert [row.learning_rate for row in ours.rows] == [row.learning_rate for row in expected.rows]
    for one, other in zip(ours.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_best_weights_are_those_of_the_best_epoch() -> None:
    chosen = accepted("training.engine=graph", "training.epochs=4", "optimizer.learning_rate=0.3")
    trained = train(ModelStore(), chosen)
    values = [row.val_accuracy or 0.0 for row in trained.rows]
    assert trained.best.best_epoch == int(np.argmax(values)) + 1
    assert trained.best.best_value == pytest.approx(max(values))
    trained.model.network.set_weights(trained.best.weights)
    _, accuracy = trained.model.evaluate(HELD_OUT.images.copy(), HELD_OUT.labels, verbose=0)
    assert accuracy == pytest.approx(max(values))


def test_a_check_may_stop_the_training_after_the_epoch_is_reported() -> None:
    def check() -> None:
        raise trainings.Stopped

    store, chosen = ModelStore(), accepted("training.engine=graph")
    expected = train(store, chosen)
    with pytest.raises(trainings.Stopped):
        train(store, chosen, check)
    assert_same(train(store, chosen), expected)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.1, 1.0])
def test_cosine_rates_are_those_of_keras(warmup_fraction: float) -> None:
    config = CosineScheduleConfig(warmup_fraction=warmup_fraction, final_fraction=0.02)
    warmup_steps = round(warmup_fraction * 200)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else 0.3,
        decay_steps=max(200 - warmup_steps, 1),
        alpha=0.02,
        warmup_target=0.3 if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    rates = learning_rates(config, 0.3, 200, 20, first=0, count=200)
    assert rates is not None and rates.dtype == np.float32
    np.testing.assert_allclose(rates, [float(schedule(step)) for step in range(200)], rtol=1e-5, atol=1e-8)


def test_step_rates_are_those_of_keras() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2 * 7, 0.3, staircase=True)
    rates = learning_rates(StepScheduleConfig(every_epochs=2, factor=0.3), 0.1, 70, 7, first=10, count=50)
    np.testing.assert_allclose(rates, [float(schedule(step)) for step in range(10, 60)], rtol=1e-5)


def test_constant_and_plateau_leave_the_learning_rate_alone() -> None:
    plateau = PlateauScheduleConfig(patience=1, factor=0.5, min_learning_rate=0.0)
    for config in (ConstantScheduleConfig(), plateau):
        assert learning_rates(config, 0.1, 70, 7, first=0, count=7) is None
