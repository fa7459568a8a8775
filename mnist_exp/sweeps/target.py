"""Which sweep a command means: its folder and its name."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from omegaconf import DictConfig, OmegaConf

from mnist_exp.config.parsing import resolve
from mnist_exp.config.refusals import explain_rejection
from mnist_exp.config.schema.values import Name
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.sweeps.directory import new_sweep_name

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 64


class _Place(Struct, frozen=True):
    """What all jobs of a sweep have in common."""

    runs_dir: Annotated[str, Meta(min_length=1)]
    sweep: Name | None


@dataclass(frozen=True)
class Target:
    """Where a sweep is, or will be.

    Attributes:
        path: Its folder.
        name: What its jobs call it.
        is_named: Whether the user said which; a new name otherwise.
    """

    path: Path
    name: str
    is_named: bool

    def missing(self) -> ConfigError:
        """Says that there is no such sweep, and which comes nearest."""
        siblings = [path.parent.name for path in self.path.parent.glob("*/sweep.json")]
        hint = nearest(self.path.name, siblings) if siblings else ""
        return ConfigError(
            f"sweep: there is no sweep in {self.path} to go on with.",
            f"{hint} To begin one, say what its jobs are, such as seed=0,1,2.".strip(),
        )


def find_target(config: DictConfig) -> Target:
    """Reads where a sweep goes; a sweep without a name gets a new one.

    Args:
        config: The sweep's configuration, with Hydra's own node.

    Raises:
        ConfigError: The name or the folder is not accepted.
    """
    tree = resolve(OmegaConf.masked_copy(config, ["runs_dir", "sweep"]))
    try:
        place = msgspec.convert(tree, _Place)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), tree) from error
    given = str(config.hydra.sweep.dir)
    if given != ".":
        safe = _UNSAFE.sub("_", Path(given).name).strip("_.-")[:_LONGEST_NAME]
        return Target(Path(given), place.sweep or safe or "sweep", is_named=True)
    name = place.sweep or new_sweep_name()
    return Target(Path(place.runs_dir, name), name, is_named=place.sweep is not None)
