"""A data set: its source, its parts, and the validation images that are set apart."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import DataConfig
from mnist_exp.data import locating
from mnist_exp.data.formats import FILES_ACCEPTED, StoredArray, open_arrays
from mnist_exp.data.locating import DOWNLOADED, Place, describe_search, existing_place, given_place, place_at
from mnist_exp.errors import ConfigError
from mnist_exp.runs.archives import FormatError

_MOST_NAMED = 8
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
SAMPLE_PATH = Path(__file__).with_name("sample") / "mnist_sample.npz"
SAMPLE_NUM_TRAIN = 4000
_KINDS: dict[Split, str] = {"train": "training", "test": "test"}
_DIGITS = ("mnist", "sample")
_MNIST_NUM_TRAIN = 60_000
_BUNDLED = Place("the bundled sample", SAMPLE_PATH, "5,000 digits bundled with mnist-exp")


def absent_classes(labels: NDArray[np.uint8], class_names: Sequence[str]) -> list[str]:
    """Names the classes that none of the labels, uint8 (N,), stands for."""
    counts = np.bincount(labels, minlength=len(class_names))
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def describe_absent(kind: str, absent: Sequence[str]) -> str:
    """Says which classes have no image of a kind: `training`, `validation` or `test`."""
    named = ", ".join(absent[:_MOST_NAMED])
    others = len(absent) - _MOST_NAMED
    more = f" and {others} more" if others > 0 else ""
    return f"No {kind} image shows {named}{more}."


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


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, uint8 (N, height, width), and their labels, uint8 (N,), below the number of classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
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
        place: Where it is, and the configuration's key that led there.
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
        """Reads one split; raises ConfigError for damage, a label without a name, one class to train on."""
        images, labels = self._read(f"x_{split}"), self.labels(split)
        sha256 = hashlib.sha256(images.data)
        sha256.update(labels.data)
        difference = self._difference(split, sha256.hexdigest())
        sentences = describe_split(_KINDS[split], images, labels, self.class_names)
        return Images(images, labels, sha256.hexdigest(), _joined([difference, *sentences]))

    def labels(self, split: Split) -> NDArray[np.uint8]:
        """Reads the labels of one split, uint8 (images,), without its images; raises as `load` does."""
        labels = self._read(f"y_{split}")
        if labels.max() >= len(self.class_names):
            raise ConfigError(
                f"{self.place.setting}: {self.description}: y_{split} has labels up to {labels.max()}, "
                f"data.class_names has {len(self.class_names)} names.",
                "Name every class in data.class_names, or correct the labels.",
            )
        if split == "train":
            self.refuse_one_class(labels, "y_train")
        return labels

    def refuse_one_class(self, labels: NDArray[np.uint8], what: str) -> None:
        """Refuses, by a ConfigError, training labels of one class only, which messages call `what`."""
        if labels.min() == labels.max():
            raise ConfigError(
                f"{self.place.setting}: {self.description}: {what} has the label {labels[0]} alone.",
                "Training images of two classes or more are needed.",
            )

    def _read(self, key: str) -> NDArray[np.uint8]:
        try:
            return self.arrays[key].read()
        except FormatError as error:
            raise self.place.refusal(str(error)) from error

    def _difference(self, split: Split, sha256: str) -> str | None:
        known = self.known_sha256[split]
        if known is None or known == sha256:
            return None
        return (
            f"These are not the {_KINDS[split]} images of {self.name}: the {self.num_images(split):,} in "
            f"{self.description} have the SHA-256 {sha256}, the known ones {known}."
        )


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What training sees.

    Attributes:
        validation: The images to choose the best epoch or trial by; null without any. When
            `selected_on_test`, the `Images` of the test split.
        train_sha256: Content of the whole training split, validation images included.
        split_sha256: SHA-256 of the validation images' indices in the training split, ascending
            little-endian int64; null unless validation images were set apart.
    """

    training: LabelledImages
    validation: LabelledImages | None
    train_sha256: str
    split_sha256: str | None
    selected_on_test: bool
    notice: str | None


def find_source(config: DataConfig, *, progress: locating.Progress | None = None) -> Source:
    """Finds a data set: on disk, among earlier downloads, on a mirror, or the bundled digits.

    Raises:
        ConfigError: None was found and `data.on_missing` is `error`, or what was found is not accepted.
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
        path = locating.fetch(config.name, config.mirrors, progress)
    except locating.DownloadError as error:
        return _fall_back(config, f"{config.name} was not found ({describe_search(config)}; {error})")
    return _open_source(config, place_at(DOWNLOADED, path))


def load_training_data(source: Source) -> TrainingData:
    """Reads the training images and sets the validation images apart.

    The choice depends on the labels, `source.validation` and `source.split_seed` alone. The test
    images are read only when `source.validation` is `test`.

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
        notice=_joined(notices),
    )


def _joined(notices: Sequence[str | None]) -> str | None:
    return " ".join(notice for notice in notices if notice) or None


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
    """Chooses images, ascending int64 (count,), each class in proportion to its size (largest remainders)."""
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
    is_scaled = validation != config.validation
    scaled = f" data.validation becomes {validation}, in proportion." if is_scaled else ""
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
