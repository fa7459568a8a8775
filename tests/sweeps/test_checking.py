"""What is counted without Keras is what Keras counts, and only what Keras cannot refuse is."""

import random

import pytest

from mnist_exp.config.schema import MlpConfig, OptimizerConfig
from mnist_exp.processes.messages import Network
from mnist_exp.sweeps.checking import known_num_params
from mnist_exp.training.checking import check_networks

ARGUMENTS = {"weight_decay": 0.2, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
ADAMW = OptimizerConfig("adamw", 0.1, ARGUMENTS)


def drawn_model(seed: int) -> MlpConfig:
    draw = random.Random(seed)
    units = [draw.randint(1, 40) for _ in range(draw.randint(0, 4))]
    activation = draw.choice(["relu", "gelu", ["tanh"] * len(units)])
    dropout = draw.choice([0.0, 0.3, [draw.choice([0.0, 0.5]) for _ in units]])
    rest = (
        draw.random() < 0.5,
        dropout,
        draw.choice([0.0, 0.1]),
        draw.choice([0.0, 0.2]),
        draw.choice([0, 3]),
    )
    return MlpConfig("drawn", units, activation, *rest)


def network(model: MlpConfig, optimizer: OptimizerConfig = ADAMW) -> Network:
    return Network(model=model, optimizer=optimizer, ema_momentum=0.0, image_shape=(28, 28), num_classes=7)


@pytest.mark.parametrize("seed", range(12))
def test_a_perceptron_is_counted_as_keras_counts_it(seed: int) -> None:
    drawn = network(drawn_model(seed))
    assert known_num_params(drawn) == check_networks([drawn])[0]


def test_keras_is_asked_about_what_it_might_refuse() -> None:
    model = MlpConfig("mine", [8], "relu", False, 0.0, 0.0)
    assert known_num_params(network(model)) is not None
    unusual = OptimizerConfig("adamw", 0.1, ARGUMENTS | {"beta_1": 7})
    assert known_num_params(network(model, unusual)) is None
    halving = MlpConfig("mine", [8], "glu", False, 0.0, 0.0)
    assert known_num_params(network(halving)) is None
