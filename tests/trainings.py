"""Trainings within the test's own process, as the command line would have asked for them."""

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.training import fitting
from mnist_exp.training.device import start_fresh
from mnist_exp.training.model import ExperimentModel
from mnist_exp.training.networks import build_network
from tests.trees import composed


class Stopped(Exception):  # noqa: N818 - as a signal would
    """A training ended before its time."""


def accepted(*overrides: str) -> Config:
    """Gives what is asked for, once it was accepted."""
    return parse_tree(composed(*overrides))


def built(config: Config, images: LabelledImages) -> ExperimentModel:
    """Makes the model as a process of its own would."""
    start_fresh(config.seed, config.training.threads)
    network = build_network(config.model, (28, 28), 10)
    engine = fitting.pick_engine(config, network, len(images))
    return fitting.build_model(config, network, engine, len(images))
