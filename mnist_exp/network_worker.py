"""Builds networks to see whether they can be: `python -m mnist_exp.network_worker`, fed by a planner.

For each line of JSON with questions it answers with one line. It ends with its input, so a planner that
is killed leaves nobody behind.
"""

import contextlib
import faulthandler
import math
import os
import sys
import threading
from queue import SimpleQueue
from typing import Any

import keras
import msgspec

from mnist_exp.errors import ConfigError
from mnist_exp.runs import writer
from mnist_exp.sweeps.checker import Answer, Question, Refusal
from mnist_exp.sweeps.network_facts import NetworkFacts
from mnist_exp.training.networks import build_network
from mnist_exp.training.optimizers import build_optimizer, is_kernel

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def main() -> None:
    """Answers until the input ends."""
    faulthandler.enable()
    answers, sys.stdout = sys.stdout, sys.stderr
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    while True:
        questions = msgspec.json.decode(lines.get(), type=list[Question])
        answers.write(f"{msgspec.json.encode(answer_all(questions)).decode()}\n")
        answers.flush()


def _listen(lines: SimpleQueue[str]) -> None:
    """Passes lines on, and ends the process at once when whoever started it is gone."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def answer_all(questions: list[Question]) -> list[Answer]:
    """Says of each network what it costs, or why it or its optimizer cannot be built."""
    smallest = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    networks: dict[bytes, Answer] = {}
    answers: list[Answer] = []
    for question in questions:
        key = msgspec.json.encode((question.model, question.image_shape, question.num_classes))
        if key not in networks:
            networks[key] = _examine(question)
        answers.append(_check_optimizer(question, smallest) or networks[key])
    return answers


def _examine(question: Question) -> Answer:
    """Builds a network, without giving its weights values: a large one takes no memory here."""
    described = question.model, question.image_shape, question.num_classes
    keras.utils.clear_session()
    with contextlib.suppress(Exception), keras.StatelessScope(initialize_variables=False):
        return _facts(build_network(*described))
    # What cannot be built without values may be buildable with them.
    try:
        return _facts(build_network(*described))
    except Exception as error:  # Whatever comes here would have ended the job.
        return _refusal(error)


def _check_optimizer(question: Question, network: keras.Sequential) -> Refusal | None:
    """Builds an optimizer; which arguments Keras refuses is the same for any network."""
    try:
        build_optimizer(question.optimizer, question.ema_momentum, network)
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
    known = error if isinstance(error, ConfigError) else writer.explain(error)
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


if __name__ == "__main__":
    main()
