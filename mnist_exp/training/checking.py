"""Builds networks to see whether they can be."""

import contextlib
from collections.abc import Sequence

import keras
import msgspec

from mnist_exp.errors import explain
from mnist_exp.processes.messages import Network, Refusal
from mnist_exp.training.networks import build_network
from mnist_exp.training.optimizers import build_optimizer


def check_networks(networks: Sequence[Network]) -> list[int | Refusal]:
    """Gives each network's number of weights, or why it or its optimizer cannot be built."""
    smallest = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    known: dict[bytes, int | Refusal] = {}
    results: list[int | Refusal] = []
    for network in networks:
        key = msgspec.json.encode((network.model, network.image_shape, network.num_classes))
        if key not in known:
            known[key] = _examine(network)
        results.append(_check_optimizer(network, smallest) or known[key])
    keras.utils.clear_session()
    return results


def _examine(network: Network) -> int | Refusal:
    """Builds a network, without giving its weights values: a large one takes no memory here."""
    described = network.model, network.image_shape, network.num_classes
    keras.utils.clear_session()
    with contextlib.suppress(Exception), keras.StatelessScope(initialize_variables=False):
        return int(build_network(*described).count_params())
    # What cannot be built without values may be buildable with them.
    try:
        return int(build_network(*described).count_params())
    except Exception as error:  # Whatever comes here would have ended the job.
        return _refusal(error)


def _check_optimizer(network: Network, smallest: keras.Sequential) -> Refusal | None:
    """Builds an optimizer; which arguments Keras refuses is the same for any network."""
    try:
        build_optimizer(network.optimizer, network.ema_momentum, smallest)
    except Exception as error:
        return _refusal(error)
    return None


def _refusal(error: Exception) -> Refusal:
    known = explain(error)
    return Refusal(message=known.message, hint=known.hint)
