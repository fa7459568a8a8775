"""A data set that has been found: what its files promise, and its values when asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.formats import FormatError, StoredArray
from mnist_exp.data.locating import Place
from mnist_exp.data.poor_data import describe_split
from mnist_exp.errors import ConfigError

Split = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and what they show.

    Attributes:
        images: uint8 (images, height, width), 0 to 255.
        labels: uint8 (images,), 0 to one less than the number of classes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Images(LabelledImages):
    """A whole split of a data set, in the order of its file; its arrays are read-only.

    Attributes:
        sha256: SHA-256 of the images' bytes, then the labels'.
        notice: How they differ from the canonical ones, and what they lack; null without anything to say.
    """

    sha256: str
    notice: str | None


@dataclass(frozen=True)
class Source:
    """A data set that has been found, its files' headers checked, its values not yet read.

    Attributes:
        name: The data set; `sample` when the bundled digits stand in for it.
        notice: Why it is not the data set that was asked for; null when it is.
        class_names: Name of each label, 0 upwards.
        validation: Number of training images to set apart, or `test` for the test images.
        split_seed: Seed of that choice.
        place: Where it is, and the configuration's key that led there.
        arrays: `x_train`, `y_train`, `x_test`, `y_test`, unread.
        known_sha256: The canonical content of each split, where there is one.

    Raises:
        ConfigError: There are fewer than two classes, or `validation` leaves nothing to train on.
    """

    name: str
    notice: str | None
    class_names: tuple[str, ...]
    validation: int | Literal["test"]
    split_seed: int
    place: Place = field(repr=False)
    arrays: Mapping[str, StoredArray] = field(repr=False)
    known_sha256: Mapping[Split, str | None] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.class_names) < 2:
            raise ConfigError(
                f"data.class_names: got {len(self.class_names)}; names of two classes or more are needed.",
                "Name every class, those without images too.",
            )
        if self.validation != "test" and self.validation >= self.num_images("train"):
            raise ConfigError(
                f"data.validation={self.validation} leaves nothing to train on: there are "
                f"{self.num_images('train'):,} training images in {self.description}.",
                f"Accepted: 0 to {self.num_images('train') - 1:,}, or test.",
            )

    @property
    def description(self) -> str:
        """The file or folder; `~` stands for the home folder."""
        return self.place.description

    def num_images(self, split: Split) -> int:
        """Says how many images a split has, without reading them."""
        return self.arrays[f"x_{split}"].shape[0]

    def load(self, split: Split) -> Images:
        """Reads one split.

        Args:
            split: `train` or `test`.

        Returns:
            Its images and labels, checked.

        Raises:
            ConfigError: The file is damaged, a label has no name, or all training images have the same.
        """
        try:
            images = self.arrays[f"x_{split}"].read()
            labels = self.arrays[f"y_{split}"].read()
        except FormatError as error:
            raise self.place.refusal(str(error)) from error
        if labels.max() >= len(self.class_names):
            raise ConfigError(
                f"{self.place.setting}: {self.description}: y_{split} has labels up to {labels.max()}, "
                f"data.class_names has {len(self.class_names)} names.",
                "Name every class in data.class_names, or correct the labels.",
            )
        if split == "train":
            self.refuse_one_class(labels, "y_train")
        sha256 = hashlib.sha256(images.data)
        sha256.update(labels.data)
        difference = self._difference(split, sha256.hexdigest())
        kind = "training" if split == "train" else "test"
        sentences = describe_split(kind, images, labels, self.class_names)
        notice = " ".join(filter(None, (difference, *sentences))) or None
        return Images(images, labels, sha256.hexdigest(), notice)

    def refuse_one_class(self, labels: NDArray[np.uint8], what: str) -> None:
        """Makes sure that there is something to tell apart.

        Args:
            labels: uint8 (N,), of the images to train on.
            what: What messages call them.

        Raises:
            ConfigError: All are the same.
        """
        if labels.min() == labels.max():
            raise ConfigError(
                f"{self.place.setting}: {self.description}: {what} has the label {labels[0]} alone.",
                "Training images of two classes or more are needed.",
            )

    def _difference(self, split: Split, sha256: str) -> str | None:
        known = self.known_sha256[split]
        if known is None or known == sha256:
            return None
        kind = "training" if split == "train" else "test"
        return (
            f"These are not the {kind} images of {self.name}: the {self.num_images(split):,} in "
            f"{self.description} have the SHA-256 {sha256}, the known ones {known}."
        )
