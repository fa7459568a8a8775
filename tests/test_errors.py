"""What an exception of Keras comes to in one line."""

import keras
import numpy as np
import pytest

from mnist_exp.config.schema import SequentialConfig
from mnist_exp.errors import ConfigError, explain
from mnist_exp.training.networks import build_network


def test_what_went_wrong_inside_a_layer_is_said_on_the_same_line() -> None:
    layer = keras.layers.Embedding(3, 4)
    with pytest.raises(Exception, match="7 is not in") as raised:
        layer(np.array([7.0]))
    error = explain(raised.value)
    beginning = "InvalidArgumentError: Exception encountered when calling Embedding.call(). "
    assert error.message.startswith(beginning) and "indices[0] = 7 is not in [0, 3)" in error.message
    assert error.message.isprintable() and "Arguments received" not in error.message


def test_of_any_other_exception_the_first_line_is_said() -> None:
    assert explain(ValueError("\n one\x1b[0m \n\ntwo")).message == "ValueError: one"
    assert explain(ValueError()).message == "ValueError: "


def test_layers_that_do_not_fit_together_say_why() -> None:
    layers = [{"Reshape": {"target_shape": [3, 3]}}, "Flatten", {"Dense": {"units": 10}}]
    config = SequentialConfig(name="own", layers=layers, numbers={})
    with pytest.raises(ConfigError, match="together: .*Reshape.* total size of the tensor must be unchanged"):
        build_network(config, (28, 28), 10)
