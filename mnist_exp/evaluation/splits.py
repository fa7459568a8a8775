"""The images that a network is scored on: a split of the run's own data, or of other data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mnist_exp.config.checks import check_data
from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import read_request
from mnist_exp.config.schema import DataConfig, SplitName
from mnist_exp.data.dataset import Images, LabelledImages, Source, find_source, load_training_data
from mnist_exp.data.found import Progress
from mnist_exp.errors import ConfigError

_DATA = "data"


@dataclass(frozen=True, eq=False)
class ScoredSplit:
    """Images to score on; `sha256` is of the test images or of the whole training split.

    `split_sha256` is of the validation images' indices; null where none were set apart.
    """

    source: Source
    split: SplitName
    seen: LabelledImages
    sha256: str
    split_sha256: str | None
    notice: str | None

    @property
    def is_test(self) -> bool:
        """Whether these are the test images, by whatever name."""
        return self.split == "test" or (self.split == "validation" and self.source.validation == "test")


class _Holder(msgspec.Struct):
    data: DataConfig


def choose_data(own: dict[str, Any], composed: dict[str, Any], typed: Sequence[str]) -> DataConfig:
    """Decides which data a run is scored on; raises ConfigError for a value that is not accepted.

    `data=…` puts its node in place of the run's own; `data.path=…` and its like change values of that.
    """
    keys = [plain_key(override) for override in typed]
    if _DATA in keys:
        node = composed
    else:
        changed = [key.partition(".")[2].partition(".")[0] for key in keys if key.startswith(f"{_DATA}.")]
        node = own | {name: composed[name] for name in changed if name in composed}
    config = read_request({_DATA: node}, _Holder).data
    check_data(config)
    return config


def load_split(config: DataConfig, split: SplitName, progress: Progress) -> ScoredSplit:
    """Finds a data set and reads one part of it; test images are read only when they are asked for.

    Raises:
        ConfigError: The data cannot be had, or there are no validation images.
    """
    if split == "test" and config.validation != "test":
        # Of no concern to the test images, and perhaps more than other data has.
        config = msgspec.structs.replace(config, validation=0)
    source = find_source(config, progress=progress)
    if split == "test" or (split == "validation" and source.validation == "test"):
        test = source.load("test")
        notice = " ".join(filter(None, (source.notice, test.notice))) or None
        return ScoredSplit(source, split, test, test.sha256, None, notice)
    training = load_training_data(source)
    seen = training.training if split == "train" else training.validation
    if seen is None:
        raise ConfigError(
            "split: validation was asked for, and data.validation is 0.", "Accepted: test, train."
        )
    sha256 = seen.sha256 if isinstance(seen, Images) else training.train_sha256
    return ScoredSplit(source, split, seen, sha256, training.split_sha256, training.notice)
