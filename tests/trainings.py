"""Trainings within the test's own process, as the command line would have asked for them."""

from typing import Any

from hydra import compose, initialize_config_dir

from mnist_exp.config.parsing import parse_tree, resolve
from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.training import fitting
from mnist_exp.training.device import start_fresh
from mnist_exp.training.model import ExperimentModel
from mnist_exp.training.networks import build_network
from tests.digits import CONF_DIR


class Stopped(Exception):  # noqa: N818 - as a signal would
    """A training ended before its time."""


def composed(*overrides: str) -> dict[str, Any]:
    """Gives the tree that Hydra composes."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return resolve(compose("config", list(overrides)))


def accepted(*overrides: str) -> Config:
    """Gives what is asked for, once it was accepted."""
    return parse_tree(composed(*overrides))


def built(config: Config, images: LabelledImages) -> ExperimentModel:
    """Makes the model as a process of its own would."""
    start_fresh(config.seed, config.training.threads)
    network = build_network(config.model, (28, 28), 10)
    engine = fitting.pick_engine(config, network, len(images))
    return fitting.build_model(config, network, engine, len(images))
