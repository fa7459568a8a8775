"""The images of one file, labelled or not: CSV, `.npz`, `.npy` or IDX; what `mode=predict` takes whole."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.found import PARTS, choose_set, content_sha256, find_sets
from mnist_exp.data.storage import TRANSPOSED, open_stored, opened_archive
from mnist_exp.data.tables import conversion_of, is_emnist, is_table, read_table
from mnist_exp.runs.archives import FormatError, explained

_NAME = re.compile(r"\.(csv|csv\.gz|npz|npy|arff|parquet)$|[-.]idx[13]?(-ubyte)?(\.gz)?$", re.IGNORECASE)


class ImageFile(NamedTuple):
    """Images, uint8 (N, height, width), their labels as filed, uint8 (N,), or null, and sentences on both."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    notes: list[str]

    @property
    def sha256(self) -> str | None:
        """As a run's data record has it; null without labels."""
        return None if self.labels is None else content_sha256(self.images, self.labels)


def is_called_image_file(name: str) -> bool:
    """Says whether a file's name ends as one of many images does."""
    return _NAME.search(name) is not None


def read_image_file(path: Path) -> ImageFile:
    """Reads a file's images; of several parts the test part.

    Raises:
        FormatError: It is damaged, of another form, or holds something else.
    """
    if conversion := conversion_of(path):
        raise FormatError(conversion)
    if is_table(path):
        return ImageFile(*read_table(path), [TRANSPOSED] if is_emnist(path) else [])
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    notes: list[str] = []
    return ImageFile(
        open_stored(path, None, notes, is_images=True, is_transposed=is_emnist(path)).read(), None, notes
    )


def _read_npz(path: Path) -> ImageFile:
    with explained("it"), opened_archive(path) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist()]
    found = {key: names[0] for key, names in choose_set(find_sets(members), None).items()}
    parts = [part for part in reversed(PARTS) if f"x_{part}" in found]
    if not parts and len(members) == 1:
        found, parts = {"x_": members[0]}, [""]
    if not parts:
        raise FormatError(f"it holds {', '.join(members):.200}; accepted: a single array, or x_test")
    notes = [f"Of its {len(parts)} parts, these are the {parts[0]} images."] if len(parts) > 1 else []
    images = open_stored(path, found[f"x_{parts[0]}"], notes, is_images=True).read()
    key = found.get(f"y_{parts[0]}")
    labels = None if key is None else open_stored(path, key, notes, is_images=False).read()
    if labels is not None and len(labels) != len(images):
        raise FormatError(f"it holds {len(images):,} images and {len(labels):,} labels of them")
    return ImageFile(images, labels, notes)


def as_classes(labels: NDArray[np.uint8] | None, class_names: Sequence[str]) -> NDArray[np.uint8] | None:
    """Says which class each label, (N,), means: by name, or else by number; None where one means none."""
    if labels is None:
        return None
    numbers = {name: number for number, name in enumerate(class_names)}
    named = {label: numbers.get(str(label), label) for label in np.unique(labels).tolist()}
    classes = np.array([named[label] for label in labels.tolist()], np.uint8)
    return classes if classes.max() < len(class_names) else None
