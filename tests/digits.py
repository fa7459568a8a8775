"""Real digits for tests: the bundled sample."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from mnist_exp.config.schema import DataConfig
from mnist_exp.data import completing
from mnist_exp.data.dataset import find_source

completing.register()
CONF_DIR = Path(__file__).parent.parent / "conf"


def sample_digits(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gives images uint8 (count, 28, 28) and labels uint8 (count,), all classes mixed."""
    node = OmegaConf.to_container(OmegaConf.load(CONF_DIR / "data" / "sample.yaml"), resolve=True)
    images = find_source(msgspec.convert(node, DataConfig)).load("train")
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    return images.images[chosen], images.labels[chosen]
