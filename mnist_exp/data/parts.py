"""Parts of a data set: which training images are set apart, and of which results would say little.

They are set apart to validate on, or in place of test images, held out or as a fold.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import DataConfig
from mnist_exp.data.found import FoundData
from mnist_exp.errors import ConfigError
from mnist_exp.words import name_some

_HELD_OUT_SHARE = 0.1
_MOST_NAMED = 8


def choose_stratified(labels: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.int64]:
    """Chooses images, ascending int64 (count,), each class in proportion to its size (largest remainders)."""
    class_sizes = np.bincount(labels).astype(np.int64)
    quotas, remainders = np.divmod(count * class_sizes, len(labels))
    largest = np.argsort(-remainders, kind="stable")[: count - quotas.sum()]
    quotas[largest] += 1
    # Sorting plain random numbers leans on the part of numpy's generators that does not change.
    order = np.argsort(np.random.default_rng(seed).random(len(labels)), kind="stable")
    chosen = [order[labels[order] == label][:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(chosen))


def stratified_folds(labels: NDArray[np.uint8], folds: int, seed: int) -> NDArray[np.int64]:
    """Deals images out to folds, int64 (N,) from 0: as many of each class to each, give or take one."""
    order = np.argsort(np.random.default_rng(seed).random(len(labels)), kind="stable")
    by_class = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), np.int64)
    fold_of[by_class] = np.arange(len(labels)) % folds
    return fold_of


def read_fold(config: DataConfig, found: FoundData) -> tuple[int, int] | None:
    """Gives the number of folds and the one left out; raises ConfigError where there are too few images."""
    if config.folds is None or config.fold is None:
        return None
    if config.folds > (most := found.arrays["y_train"].shape[0]):
        raise ConfigError(f"data.folds: got {config.folds:,} for {most:,} training images.")
    return config.folds, config.fold


def num_taken(found: FoundData, fold: tuple[int, int] | None) -> int:
    """Says how many training images take the place of test images, where they do."""
    num_images: int = found.arrays["y_train"].shape[0]
    if fold is None:
        return max(1, round(_HELD_OUT_SHARE * num_images))
    return len(range(fold[1], num_images, fold[0]))


def num_left(found: FoundData, fold: tuple[int, int] | None) -> int:
    """Says how many training images are left, those to validate on included."""
    num_images: int = found.arrays["y_train"].shape[0]
    return num_images if fold is None and "x_test" in found.arrays else num_images - num_taken(found, fold)


def count_validation(
    config: DataConfig, found: FoundData, fold: tuple[int, int] | None
) -> int | Literal["test"]:
    """Counts the images that `data.validation` sets apart, a share at least one."""
    if isinstance(config.validation, float):
        return max(1, round(config.validation * num_left(found, fold)))
    return config.validation


def describe_taken(
    config: DataConfig, description: str, found: FoundData, fold: tuple[int, int] | None
) -> str | None:
    """Says that training images take the place of test images; None where they do not."""
    if fold is not None:
        return f"The test images are one of {fold[0]} folds of the training images: no official test set."
    if "x_test" in found.arrays:
        return None
    return (
        f"{description} has no test images: {num_taken(found, None):,} of the training images, a "
        f"stratified tenth (data.split_seed={config.split_seed}), take their place: no official test set."
    )


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
