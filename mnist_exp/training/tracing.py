"""Tracing a graph without keeping it alive for ever."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.framework.ops import gradient_registry


@contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Within the block, TensorFlow's registry takes no gradient functions for good.

    Each use of a custom gradient in a graph, one of which is in every Keras optimizer, leaves a
    function there that holds the whole graph: 8 MB a model, whatever else is deleted
    (TensorFlow 2.21). It is of no use once the graph's own gradients have been taken.
    """
    known = set(gradient_registry.list())
    try:
        yield
    finally:
        for name in set(gradient_registry.list()) - known:
            # The registry has no way of its own to forget.
            del gradient_registry._registry[name]
