"""A data set: its source, its parts, and the validation images that are set apart."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.schema import DataConfig
from mnist_exp.data import locating
from mnist_exp.data.formats import FILES_ACCEPTED, open_data
from mnist_exp.data.found import FoundData, Progress, content_sha256, read_only
from mnist_exp.data.locating import DOWNLOADED, Place, describe_search, existing_place, given_place, place_at
from mnist_exp.data.parts import (
    absent_classes,
    choose_stratified,
    count_validation,
    describe_absent,
    describe_split,
    describe_taken,
    num_left,
    num_taken,
    read_fold,
    stratified_folds,
)
from mnist_exp.errors import ConfigError
from mnist_exp.runs.archives import FormatError
from mnist_exp.runs.records import TestPart

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
SAMPLE_PATH = Path(__file__).with_name("sample") / "mnist_sample.npz"
SAMPLE_NUM_TRAIN = 4000
_KINDS: dict[Split, str] = {"train": "training", "test": "test"}
_DIGITS = ("mnist", "sample")
_MNIST_NUM_TRAIN = 60_000
_BUNDLED = Place("the bundled sample", SAMPLE_PATH, "5,000 digits bundled with mnist-exp")


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
        indices: Where test images were taken from the file's training images: their positions there (N,);
            null for a whole split.
        whole_sha256: As `sha256`, of all the file's training images, where these are some of them.
    """

    sha256: str
    notice: str | None
    indices: NDArray[np.int64] | None = None
    whole_sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set that has been found, its files' headers checked, its values not yet read.

    Where the files have no test images, or a fold is left out, training images take their place.

    Attributes:
        name: The data set; `sample` when the bundled digits stand in for it.
        notice: What a reader must know about the set as a whole; null without anything to say.
        class_names: Name of each label, 0 upwards.
        validation: Number of training images to set apart, or `test` for the test images.
        place: Where it is, and the configuration's key that led there.
        known_sha256: The canonical content of each split, where there is one.
        fold: Number of folds, and the one that is left out, from 0; null without folds.

    Raises:
        ConfigError: There are fewer than two classes, or `validation` leaves nothing to train on.
    """

    name: str
    notice: str | None
    class_names: tuple[str, ...]
    validation: int | Literal["test"]
    split_seed: int
    place: Place = field(repr=False)
    found: FoundData = field(repr=False)
    known_sha256: Mapping[Split, str | None] = field(repr=False)
    fold: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.class_names) < 2:
            raise ConfigError(
                f"data.class_names: got {len(self.class_names)}; names of two classes or more are needed.",
                "Name every class, those without images too.",
            )
        if not self.num_images("train"):
            raise self.place.refusal("it has a single training image; accepted: two or more")
        if self.validation == "test" or self.has_own_validation:
            return
        if self.validation >= self.num_images("train"):
            raise ConfigError(
                f"data.validation={self.validation} leaves nothing to train on: there are "
                f"{self.num_images('train'):,} training images in {self.description}.",
                f"Accepted: 0 to {self.num_images('train') - 1:,}, or test.",
            )

    @property
    def description(self) -> str:
        """The file or folder; `~` stands for the home folder."""
        return self.place.description

    @property
    def test_part(self) -> TestPart:
        """Says where the test images come from."""
        if self.fold is not None:
            return "fold"
        return "official" if "x_test" in self.found.arrays else "held_out"

    @property
    def has_own_validation(self) -> bool:
        """Whether the files' own validation images choose the best epoch."""
        return "x_validation" in self.found.arrays and self.validation != "test"

    def num_images(self, split: Split) -> int:
        """Says how many images a split has, without reading them."""
        if split == "train":
            return num_left(self.found, self.fold)
        if self.test_part == "official":
            return self.found.arrays["x_test"].shape[0]
        return num_taken(self.found, self.fold)

    def load(self, split: Split) -> Images:
        """Reads one split; raises ConfigError for damage, a label without a name, one class to train on."""
        images, labels, indices = self._read(f"x_{self._part(split)}"), self.labels(split), None
        whole_sha256 = None
        if (chosen := self._chosen(split)) is not None:
            whole_sha256 = content_sha256(images, self._read_labels("train"))
            images, indices = read_only(images[chosen]), chosen
        sha256 = content_sha256(images, labels)
        sentences = [self._difference(split, sha256 if split == "test" else whole_sha256 or sha256)]
        sentences += describe_split(_KINDS[split], images, labels, self.class_names)
        return Images(images, labels, sha256, _joined(sentences), indices, whole_sha256)

    def labels(self, split: Split) -> NDArray[np.uint8]:
        """Reads the labels of one split, uint8 (images,), without its images; raises as `load` does."""
        labels = self._read_labels(self._part(split))
        if (chosen := self._chosen(split)) is not None:
            labels = read_only(labels[chosen])
        if split == "train":
            self.refuse_one_class(labels, "y_train")
        return labels

    def load_own_validation(self) -> Images:
        """Reads the files' own validation images; raises as `load` does."""
        images, labels = self._read("x_validation"), self._read_labels("validation")
        sentences = describe_split("validation", images, labels, self.class_names)
        return Images(images, labels, content_sha256(images, labels), _joined(sentences))

    def refuse_one_class(self, labels: NDArray[np.uint8], what: str) -> None:
        """Refuses, by a ConfigError, training labels of one class only, which messages call `what`."""
        if labels.min() == labels.max():
            raise ConfigError(
                f"{self.place.setting}: {self.description}: {what} has the label {labels[0]} alone.",
                "Training images of two classes or more are needed.",
            )

    @cached_property
    def first_label(self) -> int:
        """1 where the files count their classes from 1, and each has a name; else 0."""
        if self._read("y_train").min() == 0:
            return 0
        with self._refusing():
            return int(self.found.label_range == (1, len(self.class_names)))

    @cached_property
    def _taken(self) -> NDArray[np.int64]:
        """Positions of the training images that take the place of test images, ascending."""
        labels = self._read("y_train")
        if self.fold is None:
            return choose_stratified(labels, num_taken(self.found, None), self.split_seed)
        folds, fold = self.fold
        return np.flatnonzero(stratified_folds(labels, folds, self.split_seed) == fold)

    def _chosen(self, split: Split) -> NDArray[np.int64] | None:
        """Gives the positions in the file's training images of a split's; None where it is a file's own."""
        if self.test_part == "official":
            return None
        if split == "test":
            return self._taken
        return np.delete(np.arange(self.found.arrays["y_train"].shape[0]), self._taken)

    def _part(self, split: Split) -> str:
        return split if self.test_part == "official" else "train"

    def _read_labels(self, part: str) -> NDArray[np.uint8]:
        labels = self._read(f"y_{part}")
        if self.first_label:
            labels = read_only(labels - np.uint8(1))
        if labels.max() >= len(self.class_names):
            raise ConfigError(
                f"{self.place.setting}: {self.description}: y_{part} has labels up to {labels.max()}, "
                f"data.class_names has {len(self.class_names)} names.",
                "Name every class in data.class_names, or correct the labels.",
            )
        return labels

    def _read(self, key: str) -> NDArray[np.uint8]:
        with self._refusing():
            return self.found.arrays[key].read()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except FormatError as error:
            raise self.place.refusal(str(error)) from error

    def _difference(self, split: Split, sha256: str) -> str | None:
        known = self.known_sha256[split]
        if known is None or known == sha256 or (split == "test" and self.test_part != "official"):
            return None
        return (
            f"These are not the {_KINDS[split]} images of {self.name}: the "
            f"{self.found.arrays[f'x_{split}'].shape[0]:,} in "
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
            little-endian int64; of the files' own validation images, of those; null unless validation
            images were set apart.
        whole_sha256: See `Images`.
    """

    training: LabelledImages
    validation: LabelledImages | None
    train_sha256: str
    split_sha256: str | None
    selected_on_test: bool
    notice: str | None
    whole_sha256: str | None = None


def find_source(config: DataConfig, *, progress: Progress | None = None) -> Source:
    """Finds a data set: on disk, among earlier downloads, on a mirror, or the bundled digits.

    Raises:
        ConfigError: None was found and `data.on_missing` is `error`, or what was found is not accepted.
    """
    place = given_place(config) or existing_place(config)
    if place is not None:
        return _open_source(config, place)
    if config.on_missing == "sample" and config.name not in _DIGITS:
        raise ConfigError(
            f"data.on_missing=sample: the bundled sample holds digits and cannot stand in for {config.name}.",
            "Set data.on_missing=error.",
        )
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
    elif source.has_own_validation:
        validation = own = source.load_own_validation()
        split_sha256 = own.sha256
        notices.append(own.notice)
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
        whole_sha256=whole.whole_sha256,
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


def _open_source(config: DataConfig, place: Place, notice: str | None = None) -> Source:
    try:
        found = open_data(place.path, config.size)
    except FormatError as error:
        raise place.refusal(str(error)) from error
    if config.size not in (None, found.image_shape[0]):
        raise ConfigError(
            f"data.size: got {config.size}, and {place.description} is no folder of pictures.",
            "Leave it out.",
        )
    fold = read_fold(config, found)
    return Source(
        name=config.name,
        notice=_joined([notice, describe_taken(config, place.description, found, fold)]),
        class_names=tuple(config.class_names),
        validation=count_validation(config, found, fold),
        split_seed=config.split_seed,
        place=place,
        found=found,
        known_sha256={"train": config.train_sha256, "test": config.test_sha256},
        fold=fold,
    )


def _fall_back(config: DataConfig, problem: str) -> Source:
    """Puts the bundled digits in place of MNIST, with a validation part of the same proportion."""
    if config.on_missing == "error":
        raise ConfigError(f"{problem}.", f"Set data.path. {FILES_ACCEPTED}")
    validation = config.validation
    if isinstance(validation, int) and validation > 0:
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
