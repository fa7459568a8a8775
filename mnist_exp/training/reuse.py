"""Images and models that are used again: where only numbers changed, nothing is read, traced or compiled."""

import gc
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import Config, DataConfig
from mnist_exp.data.dataset import (
    Images,
    LabelledImages,
    Source,
    TrainingData,
    find_source,
    load_training_data,
)
from mnist_exp.data.found import Progress
from mnist_exp.runs.records import DataRecord, EngineRecord
from mnist_exp.training import fitting
from mnist_exp.training.device import start_fresh
from mnist_exp.training.engine import EpochModel
from mnist_exp.training.model import ExperimentModel
from mnist_exp.training.networks import build_network
from mnist_exp.training.preprocessing import prepare_training
from mnist_exp.training.randomness import drawn_rate, rate_of
from mnist_exp.training.scoring import data_record


class StoredImages(NamedTuple):
    """A data set in memory: what training sees, after `data.preprocessing`, and test images as filed."""

    source: Source
    seen: TrainingData
    test: Images
    record: DataRecord


class ImageStore:
    """Gives images, and keeps those that were given last."""

    def __init__(self) -> None:
        self._kept: tuple[DataConfig, StoredImages] | None = None

    def get(self, config: DataConfig, progress: Progress) -> StoredImages:
        """Gives a data set, the same object for the same configuration, or raises ConfigError."""
        if self._kept is None or self._kept[0] != config:
            self._kept = None
            source = find_source(config, progress=progress)
            filed, test = load_training_data(source), source.load("test")
            record = data_record(source, filed, test)
            seen = prepare_training(config.preprocessing, filed)
            self._kept = (config, StoredImages(source, seen, test, record))
        return self._kept[1]


class _Kept(NamedTuple):
    """A model, and its optimizer's variables as they were before the first step."""

    model: EpochModel
    optimizer_state: list[NDArray[Any]]


class ModelStore:
    """Gives models to train, and uses those again whose graph is the same.

    A graph is the same where only these differ: seed, learning rate and schedule, epochs, early
    stopping, monitor, and numbers that are above zero in both: weight decay, label smoothing, mixup, the
    rates of dropout and noise. What a used model trains to is, bit for bit, what a fresh one does.

    Args:
        capacity: Number of models kept; the one unused for longest goes first.

    Attributes:
        is_fresh: Whether the model given last has to be compiled.
    """

    def __init__(self, capacity: int = 4) -> None:
        self.capacity = capacity
        self.is_fresh = True
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def get(
        self, config: Config, data: LabelledImages, image_shape: tuple[int, int], num_classes: int
    ) -> tuple[ExperimentModel, EngineRecord]:
        """Gives a model with fresh weights; the one given before must not be in use any more.

        Another `data` object of the same content is other data.

        Raises:
            ConfigError: The network or the optimizer cannot be built.
        """
        start_fresh(config.seed, config.training.threads)
        network = build_network(config.model, image_shape, num_classes, config.data.preprocessing)
        engine = fitting.pick_engine(config, network, len(data))
        fresh = fitting.build_model(config, network, engine, len(data))
        if not isinstance(fresh, EpochModel):
            return fresh, engine
        key = (_structure(config, fresh, engine), data)
        kept = self._kept.pop(key, None)
        self.is_fresh = kept is None
        if kept is None:
            kept = self._keep(fresh)
        else:
            _start_again(kept, fresh)
        self._kept[key] = kept
        return kept.model, engine

    def _keep(self, model: EpochModel) -> _Kept:
        while len(self._kept) >= self.capacity:
            self._kept.popitem(last=False)
            # A Keras model is full of cycles.
            gc.collect()
        model.optimizer.build(model.trainable_variables)
        return _Kept(model, [_compact(variable.numpy()) for variable in model.optimizer.variables])


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    """Keeps one element of an array whose elements are all the same, as an optimizer's first state is."""
    array = np.asarray(array)
    first = array.reshape(-1)[0]
    return np.broadcast_to(first, array.shape) if (array == first).all() else array


def _start_again(kept: _Kept, fresh: EpochModel) -> None:
    """Gives a used model everything of a fresh one that is not in its graph."""
    model, optimizer = kept.model, kept.model.optimizer
    model.network.set_weights(fresh.network.get_weights())
    for variable, value in zip(optimizer.variables, kept.optimizer_state, strict=True):
        variable.assign(value)
    optimizer.learning_rate = float(fresh.optimizer.learning_rate)
    optimizer.weight_decay = fresh.optimizer.weight_decay
    model.seed = fresh.seed
    model.label_smoothing, model.mixup_alpha = fresh.label_smoothing, fresh.mixup_alpha
    model.learning_rates = fresh.learning_rates
    for layer, other in zip(model.network.layers, fresh.network.layers, strict=True):
        if attribute := drawn_rate(layer):
            setattr(layer, attribute, rate_of(other))


def _structure(config: Config, model: EpochModel, engine: EngineRecord) -> str:
    """Describes a model's graph: two with one description differ in numbers only."""
    optimizer = model.optimizer.get_config()
    del optimizer["learning_rate"]
    optimizer["weight_decay"] = _sign(optimizer["weight_decay"])
    parts = (
        engine.name,
        model.network.name,
        config.data.preprocessing,
        [_layer_structure(layer) for layer in model.own_layers],
        optimizer,
        config.augmentation,
        config.training.batch_size,
        _sign(config.training.label_smoothing),
        _sign(config.training.mixup),
        config.training.class_weight,
    )
    return repr(parts)


def _layer_structure(layer: keras.Layer) -> tuple[str, dict[str, Any]]:
    """Describes a layer without the rate that its graph reads."""
    settings = layer.get_config()
    if attribute := drawn_rate(layer):
        settings[attribute] = _sign(settings[attribute])
    return type(layer).__name__, settings


def _sign(number: float | None) -> bool | None:
    """Says whether a number is above zero; None stays None."""
    return None if number is None else number > 0
