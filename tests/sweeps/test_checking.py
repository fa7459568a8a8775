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
    others = [draw.choice([0.0, 0.1]), draw.choice([0.0, 0.2]), draw.choice([0, 3])]
    return MlpConfig("drawn", units, activation, draw.random() < 0.5, dropout, *others)


def network(model: MlpConfig, optimizer: OptimizerConfig = ADAMW) -> Network:
    return Network(model=model, optimizer=optimizer, ema_momentum=0.0, image_shape=(28, 28), num_classes=7)


def test_perceptrons_are_counted_as_keras_counts_them() -> None:
    drawn = [network(drawn_model(seed)) for seed in range(12)]
    assert [known_num_params(each) for each in drawn] == check_networks(drawn)


@pytest.mark.parametrize(
    ("activation", "arguments", "is_known"),
    [("relu", {}, True), ("relu", {"beta_1": 7}, False), ("glu", {}, False)],
)
def test_keras_is_asked_about_what_it_might_refuse(
    activation: str, arguments: dict[str, float], is_known: bool
) -> None:
    model = MlpConfig("mine", [8], activation, False, 0.0, 0.0)
    optimizer = OptimizerConfig("adamw", 0.1, ARGUMENTS | arguments)
    assert (known_num_params(network(model, optimizer)) is not None) == is_known
