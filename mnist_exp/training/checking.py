"""Builds networks to see whether they can be, and what they cost."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import keras
import msgspec

from mnist_exp.errors import explain
from mnist_exp.processes.messages import Network, NetworkFacts, Refusal
from mnist_exp.training.networks import build_network
from mnist_exp.training.optimizers import build_optimizer, is_kernel

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def check_networks(networks: Sequence[Network]) -> list[NetworkFacts | Refusal]:
    """Says of each network what it costs, or why it or its optimizer cannot be built."""
    smallest = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    known: dict[bytes, NetworkFacts | Refusal] = {}
    results: list[NetworkFacts | Refusal] = []
    for network in networks:
        key = msgspec.json.encode((network.model, network.image_shape, network.num_classes))
        if key not in known:
            known[key] = _examine(network)
        results.append(_check_optimizer(network, smallest) or known[key])
    keras.utils.clear_session()
    return results


def _examine(network: Network) -> NetworkFacts | Refusal:
    """Builds a network, without giving its weights values: a large one takes no memory here."""
    described = network.model, network.image_shape, network.num_classes
    keras.utils.clear_session()
    with contextlib.suppress(Exception), keras.StatelessScope(initialize_variables=False):
        return _facts(build_network(*described))
    # What cannot be built without values may be buildable with them.
    try:
        return _facts(build_network(*described))
    except Exception as error:  # Whatever comes here would have ended the job.
        return _refusal(error)


def _check_optimizer(network: Network, smallest: keras.Sequential) -> Refusal | None:
    """Builds an optimizer; which arguments Keras refuses is the same for any network."""
    try:
        build_optimizer(network.optimizer, network.ema_momentum, smallest)
    except Exception as error:
        return _refusal(error)
    return None


def _facts(network: keras.Sequential) -> NetworkFacts:
    return NetworkFacts(
        num_params=network.count_params(),
        num_layers=len(network.layers),
        dense_multiply_adds=_multiply_adds(network, keras.layers.Dense),
        convolution_multiply_adds=_multiply_adds(network, _CONVOLUTIONS),
    )


def _refusal(error: Exception) -> Refusal:
    known = explain(error)
    return Refusal(message=known.message, hint=known.hint)


def _multiply_adds(network: keras.Sequential, kinds: type | tuple[type, ...]) -> int:
    """Counts multiplications for one image: each kernel, once for each place that it is laid on."""
    layers: list[Any] = [layer for layer in network.layers if isinstance(layer, kinds)]
    return sum(
        _num_places(layer) * math.prod(weight.shape)
        for layer in layers
        for weight in layer.weights
        if is_kernel(weight)
    )


def _num_places(layer: keras.Layer) -> int:
    """Counts the places of a layer's output, channels and batch left out."""
    shape = layer.output.shape[1:]
    is_channels_first = getattr(layer, "data_format", None) == "channels_first"
    return math.prod(shape[1:] if is_channels_first else shape[:-1])
