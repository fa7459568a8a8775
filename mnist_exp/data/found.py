"""What was found at a path: arrays of images and labels, and what they are called in files."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs.archives import FormatError

# Called with the file's name, what is done and the total (0 when unknown), in bytes or files.
Progress = Callable[[str, int, int], None]
MAX_BYTES = 2**30
MIN_PIXELS, MAX_PIXELS = 8, 256
PARTS = ("train", "validation", "test")
PART_WORDS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip
_KIND_WORDS = {
    "x": "x", "images": "x", "image": "x", "imgs": "x", "img": "x", "data": "x",
    "y": "y", "labels": "y", "label": "y", "targets": "y", "target": "y",
}  # fmt: skip


class ImageArray(Protocol):
    """Images, (N, height, width), or labels, (N,), that have not been read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As `read` gives them."""

    def read(self) -> NDArray[np.uint8]:
        """Reads the values, read-only; raises FormatError for damage."""


@dataclass(frozen=True, eq=False)
class ReadArray:
    """Images or labels that have been read; they are read-only."""

    values: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, ...]:
        """As `read` gives them."""
        return self.values.shape

    def read(self) -> NDArray[np.uint8]:
        """Gives the values."""
        return self.values


@dataclass(frozen=True)
class FoundData:
    """A data set as it lies in files, whatever their form; only headers have been looked at.

    Attributes:
        kind: The form of the files, in words.
        arrays: `x_train` and `y_train`, and where there are such `x_validation`, `x_test` and their labels;
            labels count from 0 or 1.
        class_names: Where the files name them.
        notes: Sentences on what was made of them; reading may add some.

    Raises:
        FormatError: Parts have other sizes or counts.
    """

    kind: str
    arrays: Mapping[str, ImageArray]
    class_names: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.image_shape
        for part in self.parts:
            images, labels = self.arrays[f"x_{part}"].shape, self.arrays[f"y_{part}"].shape
            if images[0] != labels[0]:
                raise FormatError(f"x_{part} holds {images[0]:,} images, y_{part} {labels[0]:,} labels")
            if images[1:] != size:
                problem = f"x_train has images of {size} pixels, x_{part} of {images[1:]}"
                raise FormatError(f"{problem}; accepted: the same")

    @property
    def parts(self) -> list[str]:
        """Lists those of `PARTS` that there are."""
        return [part for part in PARTS if f"x_{part}" in self.arrays]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.arrays["x_train"].shape[1:]
        return height, width

    @cached_property
    def label_range(self) -> tuple[int, int]:
        """The least and the greatest label of all parts; reads them."""
        labels = [self.arrays[f"y_{part}"].read() for part in self.parts]
        return min(int(part.min()) for part in labels), max(int(part.max()) for part in labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names each class, 0 upwards: as the files do, or by its label; reads the labels."""
        if self.class_names is not None:
            return self.class_names
        least, greatest = self.label_range
        # From any other label on, earlier classes are more likely missing.
        return tuple(str(label) for label in range(1 if least == 1 else 0, greatest + 1))


def note(notes: list[str], sentence: str) -> None:
    """Adds a sentence that is not among them yet."""
    if sentence not in notes:
        notes.append(sentence)


def read_only(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keeps an array from being written to."""
    array.flags.writeable = False
    return array


def content_sha256(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str:
    """Gives the SHA-256 of the images' bytes, then the labels'."""
    sha256 = hashlib.sha256(images.data)
    sha256.update(labels.data)
    return sha256.hexdigest()


def find_sets(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Sorts names, such as `emnist-letters-train-images`, by data set and the array that they stand for.

    Returns:
        What stands before the words for part and kind, empty without any; then as in `FoundData.arrays`.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        part, kind, start = None, None, len(name)
        for word in re.finditer(r"[a-z0-9]+", name.lower()):
            part = PART_WORDS.get(word[0], part)
            kind = _KIND_WORDS.get(word[0], kind)
            if word[0] in PART_WORDS.keys() | _KIND_WORDS.keys():
                start = min(start, word.start())
        if kind is not None:
            key = f"{kind}_{part or 'train'}"
            found.setdefault(name[:start].rstrip("-_. "), {}).setdefault(key, []).append(name)
    return found


def choose_set(sets: Mapping[str, dict[str, list[str]]], wanted: str | None) -> dict[str, list[str]]:
    """Takes the set of that name, or else the one without a name, or else the only one, whole ones first.

    Raises:
        FormatError: Several are there.
    """
    if wanted is not None:
        return sets.get(wanted, {})
    sets = {name: arrays for name, arrays in sets.items() if not missing_arrays(arrays)} or sets
    if "" in sets or not sets:
        return sets.get("", {})
    if len(sets) > 1:
        raise FormatError(
            f"it holds several data sets: {', '.join(sorted(sets)):.300}; accepted: the path with one of "
            f"these names after it, such as …/{min(sets)}"
        )
    return next(iter(sets.values()))


def missing_arrays(keys: Iterable[str]) -> list[str]:
    """Lists the arrays without which others are of no use, those to train on first."""
    there = set(keys)
    needed = ["x_train", "y_train"]
    for part in PARTS[1:]:
        if there & {f"x_{part}", f"y_{part}"}:
            needed += [f"x_{part}", f"y_{part}"]
    return [key for key in needed if key not in there]
