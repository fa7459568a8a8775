"""Sentences on images that results would say little about."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnist_exp.words import name_some

_MOST_NAMED = 8


def absent_classes(labels: NDArray[np.uint8], class_names: Sequence[str]) -> list[str]:
    """Names the classes that none of the labels, uint8 (N,), stands for."""
    counts = np.bincount(labels, minlength=len(class_names))
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def describe_absent(kind: str, absent: Sequence[str]) -> str:
    """Says which classes have no image of a kind: `training`, `validation` or `test`."""
    return f"No {kind} image shows {name_some(absent, _MOST_NAMED)}."


def describe_split(
    kind: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], class_names: Sequence[str]
) -> list[str]:
    """Says in sentences why results on `training` or `test` images, one or more, would say little."""
    sentences = []
    if absent := absent_classes(labels, class_names):
        sentences.append(describe_absent(kind, absent))
    if len(images) > 1 and not (images[:100] != images[0]).any() and not (images != images[0]).any():
        sentences.append(f"All {len(images):,} {kind} images are the same picture.")
    return sentences
