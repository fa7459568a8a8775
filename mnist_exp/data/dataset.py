"""Where images come from: found or downloaded, checked, known by their content, split.

`find_source` looks for the files and reads their headers; a `Source` reads the values of one
split when asked, so that whoever never asks for the test images never sees them. What a reader
must know about the whole source (the bundled digits stand in) is `Source.notice`; what only the
values tell (these are not the canonical images) is `Images.notice`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import DataConfig
from mnist_exp.data import download
from mnist_exp.data.formats import FILES_ACCEPTED, FormatError, open_arrays
from mnist_exp.data.locating import DOWNLOADED, Place, describe_search, existing_place, given_place, place_at
from mnist_exp.data.poor_data import absent_classes, describe_absent
from mnist_exp.data.source import Images, LabelledImages, Source, Split
from mnist_exp.errors import ConfigError

__all__ = [
    "Images",
    "LabelledImages",
    "Source",
    "Split",
    "TrainingData",
    "choose_stratified",
    "find_source",
    "load_training_data",
]

SAMPLE_PATH = Path(__file__).with_name("sample") / "mnist_sample.npz"
SAMPLE_NUM_TRAIN = 4000
_DIGITS = ("mnist", "sample")
_MNIST_NUM_TRAIN = 60_000
_BUNDLED = Place("the bundled sample", SAMPLE_PATH, "5,000 digits bundled with mnist-exp")


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What training sees.

    Attributes:
        training: The images to train on.
        validation: The images to choose the best epoch or trial by; null without any. When
            `selected_on_test`, the `Images` of the test split.
        train_sha256: Content of the whole training split, validation images included.
        split_sha256: SHA-256 of the validation images' indices in the training split, ascending
            little-endian int64; null unless validation images were set apart.
        selected_on_test: Whether `validation` is the test split.
        notice: What a reader must know about the data, the source's notice included; null when
            they are as named.
    """

    training: LabelledImages
    validation: LabelledImages | None
    train_sha256: str
    split_sha256: str | None
    selected_on_test: bool
    notice: str | None


def find_source(config: DataConfig, *, progress: download.Progress | None = None) -> Source:
    """Finds a data set: on disk, among earlier downloads, on a mirror, or the bundled digits.

    Args:
        config: What to look for and where.
        progress: Told about a download's progress.

    Returns:
        The source; its values have not been read.

    Raises:
        ConfigError: Nothing was found and `data.on_missing` is `error`, or what was found is not
            accepted.
    """
    if config.on_missing == "sample" and config.name not in _DIGITS:
        raise ConfigError(
            f"data.on_missing=sample: the bundled sample holds digits and cannot stand in for {config.name}.",
            "Set data.on_missing=error.",
        )
    place = given_place(config) or existing_place(config)
    if place is not None:
        return _open_source(config, place)
    if config.name == "sample":
        return _open_source(config, _BUNDLED)
    try:
        path = download.fetch(config.name, config.mirrors, progress)
    except download.DownloadError as error:
        return _fall_back(config, f"{config.name} was not found ({describe_search(config)}; {error})")
    return _open_source(config, place_at(DOWNLOADED, path))


def load_training_data(source: Source) -> TrainingData:
    """Reads the training images and sets the validation images apart.

    The choice depends on the labels, `source.validation` and `source.split_seed` alone. The test
    images are read only when `source.validation` is `test`.

    Args:
        source: Where from.

    Returns:
        Images to train on and images to validate on.

    Raises:
        ConfigError: The files are damaged, or all images to train on have the same label.
    """
    whole = source.load("train")
    notices = [source.notice, whole.notice]
    training: LabelledImages = whole
    validation: LabelledImages | None = None
    split_sha256 = None
    if source.validation == "test":
        validation = test = source.load("test")
        notices.append(test.notice)
    elif source.validation > 0:
        chosen = choose_stratified(whole.labels, source.validation, source.split_seed)
        split_sha256 = hashlib.sha256(chosen.astype("<i8").data).hexdigest()
        training, validation = _set_apart(whole, chosen)
        source.refuse_one_class(training.labels, "what data.validation leaves to train on")
        notices += _describe_parts(source, whole, training, validation)
    return TrainingData(
        training=training,
        validation=validation,
        train_sha256=whole.sha256,
        split_sha256=split_sha256,
        selected_on_test=source.validation == "test",
        notice=" ".join(notice for notice in notices if notice) or None,
    )


def _describe_parts(
    source: Source, whole: Images, training: LabelledImages, validation: LabelledImages
) -> list[str]:
    """Says which classes have images, but none to train on, or none to validate on."""
    nowhere = absent_classes(whole.labels, source.class_names)
    sentences = []
    for kind, part in (("training", training), ("validation", validation)):
        absent = [name for name in absent_classes(part.labels, source.class_names) if name not in nowhere]
        if absent:
            sentences.append(describe_absent(kind, absent))
    return sentences


def choose_stratified(labels: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.int64]:
    """Chooses images at random, each class in proportion to its size (largest remainders).

    Args:
        labels: uint8 (images,).
        count: How many to choose, at most as many as there are.
        seed: The same seed chooses the same images.

    Returns:
        Their indices, ascending, int64 (count,).
    """
    class_sizes = np.bincount(labels).astype(np.int64)
    quotas, remainders = np.divmod(count * class_sizes, len(labels))
    largest = np.argsort(-remainders, kind="stable")[: count - quotas.sum()]
    quotas[largest] += 1
    # Sorting plain random numbers leans on the part of numpy's generators that does not change.
    order = np.argsort(np.random.default_rng(seed).random(len(labels)), kind="stable")
    chosen = [order[labels[order] == label][:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(chosen))


def _open_source(config: DataConfig, place: Place, notice: str | None = None) -> Source:
    try:
        arrays = open_arrays(place.path)
    except FormatError as error:
        raise place.refusal(str(error)) from error
    return Source(
        name=config.name,
        notice=notice,
        class_names=tuple(config.class_names),
        validation=config.validation,
        split_seed=config.split_seed,
        place=place,
        arrays=arrays,
        known_sha256={"train": config.train_sha256, "test": config.test_sha256},
    )


def _fall_back(config: DataConfig, problem: str) -> Source:
    """Puts the bundled digits in place of MNIST, with a validation part of the same proportion."""
    if config.on_missing == "error":
        raise ConfigError(f"{problem}.", f"Set data.path. {FILES_ACCEPTED}")
    validation = config.validation
    if validation != "test" and validation > 0:
        validation = max(1, round(validation * SAMPLE_NUM_TRAIN / _MNIST_NUM_TRAIN))
    scaled = (
        "" if validation == config.validation else f" data.validation becomes {validation}, in proportion."
    )
    notice = (
        f"{problem}. 5,000 bundled digits stand in for it, {SAMPLE_NUM_TRAIN:,} to train on and 1,000 to "
        "test on; all of them are MNIST training images, so accuracies are not those of the MNIST test "
        f"images.{scaled} Set data.path to use the whole set, or data.on_missing=error to refuse."
    )
    stand_in = msgspec.structs.replace(
        config, name="sample", validation=validation, train_sha256=None, test_sha256=None
    )
    return _open_source(stand_in, _BUNDLED, notice)


def _set_apart(whole: Images, chosen: NDArray[np.int64]) -> tuple[LabelledImages, LabelledImages]:
    is_chosen = np.zeros(len(whole), bool)
    is_chosen[chosen] = True
    rest, part = (LabelledImages(whole.images[mask], whole.labels[mask]) for mask in (~is_chosen, is_chosen))
    return rest, part
