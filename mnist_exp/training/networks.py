"""YAML to Keras networks: plain `Sequential` models from [0, 1] images to class probabilities."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import MlpConfig, ModelConfig, SequentialConfig
from mnist_exp.errors import ConfigError, words_of
from mnist_exp.training.preprocessing import Preprocessing, build_front

EVALUATION_BATCH_SIZE = 1000
EVALUATION: dict[str, Any] = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
"""What a saved network is compiled with beside its optimizer."""


def build_network(
    config: ModelConfig, image_shape: tuple[int, int], num_classes: int, preprocessing: Preprocessing = "none"
) -> keras.Sequential:
    """Builds a network with fresh weights, a function of Keras' global seed.

    It goes from float32 (B, H, W) in [0, 1] to probabilities float32 (B, C).

    Raises:
        ConfigError: The layers do not fit together, or do not end in C probabilities.
    """
    match config:
        case MlpConfig():
            layers = list(_mlp_layers(config, num_classes))
        case SequentialConfig():
            layers = [_build_layer(entry, number) for number, entry in enumerate(config.layers)]
    try:
        layers = [*build_front(preprocessing, image_shape), *layers]
        name = config.name.replace(".", "_").replace("-", "_")
        network = keras.Sequential([keras.layers.Input(image_shape), *layers], name=name)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.layers: they do not fit together: {words_of(error)}") from error
    _check_output(network, num_classes)
    return network


def _mlp_layers(config: MlpConfig, num_classes: int) -> Iterable[keras.Layer]:
    """Stacks (Dense, BatchNormalization, Dropout) for each hidden layer, then softmax."""
    yield keras.layers.Flatten()
    if config.input_noise:
        yield keras.layers.GaussianNoise(config.input_noise)
    if config.input_dropout:
        yield keras.layers.Dropout(config.input_dropout)
    activations = _one_each(config.activation, len(config.units))
    rates = _one_each(config.dropout, len(config.units))
    for units, activation, rate in zip(config.units, activations, rates, strict=True):
        # An object of its own for each layer: Keras does not say that it may be shared.
        limit = keras.constraints.MaxNorm(config.max_norm) if config.max_norm else None
        yield keras.layers.Dense(units, activation=activation, kernel_constraint=limit)
        if config.batch_norm:
            yield keras.layers.BatchNormalization()
        if rate:
            yield keras.layers.Dropout(rate)
    yield keras.layers.Dense(num_classes, activation="softmax")


def _one_each(value: Any, count: int) -> list[Any]:
    return value if isinstance(value, list) else [value] * count


def _build_layer(entry: str | dict[str, dict[str, Any] | None], number: int) -> keras.Layer:
    name, arguments = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    try:
        return getattr(keras.layers, name)(**(arguments or {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.layers[{number}]: Keras refuses this {name}: {words_of(error)}") from error


def _check_output(network: keras.Sequential, num_classes: int) -> None:
    last = network.layers[-1]
    activation = getattr(last, "activation", None)
    is_softmax = isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax
    if network.output_shape == (None, num_classes) and is_softmax:
        return
    raise ConfigError(
        f"model.layers: the network ends in {type(last).__name__} with output {network.output_shape}.",
        f"It must end in {num_classes} probabilities: Dense: {{units: {num_classes}, activation: softmax}}.",
    )


def for_use(network: keras.Sequential) -> keras.Sequential:
    """Wraps a network, weights shared, for saving: without optimizer, ready to evaluate once loaded."""
    copy = keras.Sequential([keras.layers.Input(network.input_shape[1:]), *network.layers], name=network.name)
    copy.compile("sgd", **EVALUATION)
    return copy


def predict_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Computes class probabilities, float32 (N, C), of images, uint8 (N, H, W)."""
    pixels = images.astype(np.float32) * np.float32(1 / 255)
    # Bit for bit what `predict` gives, which builds a pipeline of a tenth of a second first.
    batches = [
        model.predict_on_batch(pixels[first : first + EVALUATION_BATCH_SIZE])
        for first in range(0, len(pixels), EVALUATION_BATCH_SIZE)
    ]
    return np.concatenate(batches).astype(np.float32, copy=False)
