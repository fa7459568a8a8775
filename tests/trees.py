"""What Hydra composes, without TensorFlow."""

from typing import Any

from hydra import compose, initialize_config_dir

from mnist_exp import CONF_DIR
from mnist_exp.config.parsing import parse_tree, resolve
from mnist_exp.config.schema import DataConfig
from mnist_exp.data import completing

completing.register()


def composed(*overrides: str) -> dict[str, Any]:
    """Gives the tree that Hydra composes."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return resolve(compose("config", list(overrides)))


def composed_data(*overrides: str) -> DataConfig:
    """Gives its node `data`, once it was accepted."""
    return parse_tree(composed(*overrides)).data
