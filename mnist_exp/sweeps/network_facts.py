"""What a network costs, and which networks are known to be fine without building them."""

import functools
from itertools import pairwise

from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.schema import MlpConfig, ModelConfig, OptimizerConfig
from mnist_exp.processes.messages import NetworkFacts

_CHANGES_SHAPE = {"glu"}
"""Activations whose output has another size than their input."""

_WEIGHTS_OF_BATCH_NORM = 4


def known_facts(
    model: ModelConfig, optimizer: OptimizerConfig, image_shape: tuple[int, int], num_classes: int
) -> NetworkFacts | None:
    """Counts a multilayer perceptron's weights, where its optimizer is one that ships, as it ships.

    Args:
        model: The `model` node, checked.
        optimizer: The `optimizer` node, checked.
        image_shape: Height and width.
        num_classes: Number of labels.

    Returns:
        None for what only Keras can judge.
    """
    if not isinstance(model, MlpConfig) or not _is_shipped(optimizer):
        return None
    activations = model.activation if isinstance(model.activation, list) else [model.activation]
    if _CHANGES_SHAPE.intersection(activations):
        return None
    return _count(model, image_shape[0] * image_shape[1], num_classes)


def _count(model: MlpConfig, num_pixels: int, num_classes: int) -> NetworkFacts:
    sizes = [num_pixels, *model.units, num_classes]
    kernels = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    normalised = _WEIGHTS_OF_BATCH_NORM * sum(model.units) if model.batch_norm else 0
    rates = model.dropout if isinstance(model.dropout, list) else [model.dropout] * len(model.units)
    num_random = sum(map(bool, [model.input_noise, model.input_dropout, *rates]))
    return NetworkFacts(
        num_params=kernels + sum(sizes[1:]) + normalised,
        num_layers=2 + (2 if model.batch_norm else 1) * len(model.units) + num_random,
        dense_multiply_adds=kernels,
        convolution_multiply_adds=0,
    )


def _is_shipped(optimizer: OptimizerConfig) -> bool:
    """Says whether an optimizer has its file's arguments, with values from 0 to 1, which Keras accepts."""
    names = _shipped_optimizers().get(optimizer.name)
    values = optimizer.arguments.values()
    is_plain = all(isinstance(value, float | int) and 0 <= value <= 1 for value in values)
    return names == optimizer.arguments.keys() and is_plain


@functools.cache
def _shipped_optimizers() -> dict[str, set[str]]:
    """Lists the arguments in each optimizer's file."""
    nodes = map(OmegaConf.load, sorted((CONF_DIR / "optimizer").glob("*.yaml")))
    return {str(node.name): {str(key) for key in node} - {"name", "learning_rate"} for node in nodes}
