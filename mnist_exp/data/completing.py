"""What a configuration leaves to the data at `data.path`: the names and number of classes, the images' shape.

OmegaConf's resolvers for `conf/`. A default command, which names no path, reads nothing.
"""

import functools
import os
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from mnist_exp.runs.archives import READING_ERRORS, FormatError

_USUAL_SHAPE, _USUAL_CLASSES = [28, 28, 1], 10
_MOST_STAMPED, _LONGEST_NAME = 100, 64


class _Facts(NamedTuple):
    """What files say: the path's name, and those of the classes; none where labels cannot be read."""

    name: str
    names: list[str]
    image_shape: list[int]
    num_train: int

    @property
    def is_another_set(self) -> bool:
        """Whether this is none of the shipped sets, which all have MNIST's shape and number of classes."""
        return self.image_shape != _USUAL_SHAPE or len(self.names) != _USUAL_CLASSES


def register() -> None:
    """Makes the resolvers known to OmegaConf."""
    for resolver in (own_name, own_sha256, own_class_names, own_num_classes, own_image_shape, own_validation):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def own_name(usual: str, *, _parent_: DictConfig) -> str:
    """Gives a set's `usual` name, or that of the path where another set lies there."""
    facts = _find(_parent_)
    return facts.name if facts is not None and facts.is_another_set else usual


def own_sha256(usual: str, *, _parent_: DictConfig) -> str | None:
    """Gives a set's fingerprint; None where another set lies at the path."""
    facts = _find(_parent_)
    return None if facts is not None and facts.is_another_set else usual


def own_class_names(usual: list[str], *, _parent_: DictConfig) -> ListConfig:
    """Gives the files' names of classes, or the set's `usual` ones for as many plain numbers from 0."""
    facts = _find(_parent_)
    numbers = [str(label) for label in range(len(usual))]
    if facts is None or len(facts.names) < 2 or facts.names == numbers:
        return OmegaConf.create(list(usual))
    return OmegaConf.create(facts.names)


def own_num_classes(*, _parent_: DictConfig) -> int | None:
    """Counts `class_names` beside it; None without any."""
    names = _parent_.get("class_names")
    return None if names is None else len(names)


def own_image_shape(*, _parent_: DictConfig) -> ListConfig:
    """Gives [height, width, 1] as the files have it, or MNIST's."""
    facts = _find(_parent_)
    return OmegaConf.create(_USUAL_SHAPE if facts is None else facts.image_shape)


def own_validation(usual: int, *, _parent_: DictConfig) -> int | float:
    """Gives a set's `usual` number of images to validate on, or a tenth where that were more than half."""
    facts = _find(_parent_)
    return usual if facts is None or usual <= facts.num_train / 2 else 0.1


def _find(data: DictConfig) -> _Facts | None:
    """Looks where the node `data` says that its files are; None where it does not, or they cannot be read."""
    path, variable = data.get("path"), data.get("path_variable")
    if path is None and variable:
        path = os.environ.get(str(variable))
    if not path:
        return None
    try:
        place = Path(str(path)).expanduser().absolute()
        return _read(place, _stamp(place), data.get("size"))
    except (*READING_ERRORS, TypeError):
        return None  # `find_source` refuses it in its own words


def _stamp(place: Path) -> tuple[Any, ...]:
    """Tells a file or folder from what lay there before."""
    paths = [place if place.exists() else place.parent]
    if paths[0].is_dir():
        paths += sorted(islice(paths[0].iterdir(), _MOST_STAMPED))
    found = [(path.name, path.stat()) for path in paths if path.exists()]  # links may lead nowhere
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)


@functools.lru_cache(maxsize=4)
def _read(place: Path, stamp: tuple[Any, ...], size: int | None) -> _Facts:
    from mnist_exp.data.formats import open_data

    found = open_data(place, size)
    name = re.sub(r"[^A-Za-z0-9]+", "_", place.stem).strip("_")[:_LONGEST_NAME] or "own"
    names: list[str] = []
    with suppress(FormatError):  # labels that cannot be read are refused in `Source`
        names = list(found.names)
    return _Facts(name, names, [*found.image_shape, 1], found.arrays["y_train"].shape[0])
