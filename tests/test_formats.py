"""Data sets in the files that people have: each form with its public file's names and layout, made small."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from mnist_exp import CONF_DIR
from mnist_exp.config.schema import DataConfig
from mnist_exp.data import completing
from mnist_exp.data.dataset import Images, Source, find_source, load_training_data
from mnist_exp.data.description import describe
from mnist_exp.data.formats import open_data
from mnist_exp.data.parts import stratified_folds
from mnist_exp.errors import ConfigError
from mnist_exp.runs.run import Run
from tests.support.data_files import idx_bytes, npz_bytes
from tests.trees import composed_data

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)


def pixels(count: int, *sides: int) -> Array:
    return RNG.integers(0, 256, (count, *sides), dtype=np.uint8)


def labels(count: int, classes: int, first: int = 0) -> Array:
    return (np.arange(count) % classes + first).astype(np.uint8)


X, Y, X_TEST, Y_TEST = pixels(60, 28, 28), labels(60, 6), pixels(24, 28, 28), labels(24, 6)


def keras(folder: Path, **changes: Array) -> Path:
    arrays = {"x_train": X, "y_train": Y, "x_test": X_TEST, "y_test": Y_TEST} | changes
    path = folder / "own.npz"
    path.write_bytes(npz_bytes(**arrays))
    return path


def medmnist(folder: Path) -> Path:
    """As pathmnist.npz: a validation part, labels (N, 1)."""
    path = folder / "bloodmnist.npz"
    arrays = {"train_images": X, "train_labels": Y[:, None], "val_images": X[:12], "val_labels": Y[:12, None]}
    arrays |= {"test_images": X_TEST, "test_labels": Y_TEST[:, None]}
    path.write_bytes(npz_bytes(**arrays))
    return path


def kmnist(folder: Path) -> Path:
    """As KMNIST's four files, each with arr_0."""
    for name, array in {
        "train-imgs": X,
        "train-labels": Y,
        "test-imgs": X_TEST,
        "test-labels": Y_TEST,
    }.items():
        np.savez_compressed(folder / f"kmnist-{name}.npz", array)
    return folder


def npy_pairs(folder: Path) -> Path:
    """Floats from 0 to 1 and one-hot labels, as people save what they trained on."""
    for name, images, classes in (("train", X, Y), ("test", X_TEST, Y_TEST)):
        np.save(folder / f"{name}_images.npy", (images / 255).astype(np.float32)[..., None])
        np.save(folder / f"{name}_labels.npy", np.eye(6)[classes])
    return folder


def torchvision(folder: Path) -> Path:
    """As torchvision leaves MNIST/raw: unpacked files beside packed ones."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, images, classes in (("train", X, Y), ("t10k", X_TEST, Y_TEST)):
        for kind, array in (("images-idx3", images), ("labels-idx1", classes)):
            (raw / f"{name}-{kind}-ubyte").write_bytes(idx_bytes(array))
            (raw / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return folder


FORMS: list[Callable[[Path], Path]] = [keras, medmnist, kmnist, npy_pairs, torchvision]


def own(path: Path, **changes: Any) -> DataConfig:
    """The configuration that `data.path=` composes, with other values."""
    return msgspec.structs.replace(composed_data(f"data.path={path}", "data.validation=6"), **changes)


def read(config: DataConfig) -> tuple[Source, Images, Images]:
    source = find_source(config)
    return source, source.load("train"), source.load("test")


@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_images_and_completes_the_configuration(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    config = own(write(tmp_path))
    assert (config.class_names, config.num_classes, config.image_shape) == (list("012345"), 6, [28, 28, 1])
    source, train, test = read(config)
    assert config.name == source.name == Path(config.path or "").stem and train.notice is None
    for part, images, classes in ((train, X, Y), (test, X_TEST, Y_TEST)):
        assert np.array_equal(part.images, images) and np.array_equal(part.labels, classes)
        assert part.images.dtype == part.labels.dtype == np.uint8 and not part.images.flags.writeable
    assert source.test_part == "official" and source.found.kind


def test_medmnists_validation_part_is_used_as_such(tmp_path: Path) -> None:
    source = find_source(own(medmnist(tmp_path), validation=5000))
    seen = load_training_data(source)
    assert seen.validation is not None and len(seen.training) == 60
    assert np.array_equal(seen.validation.images, X[:12]) and seen.split_sha256 is not None
    assert not seen.selected_on_test
    notes = describe(source, seen, source.load("test")).notes
    own_part = "The files' own validation images are used; data.validation does not count."
    assert notes == [own_part, "Also among the training images: 12 validation images."]
    assert load_training_data(find_source(own(medmnist(tmp_path), validation="test"))).selected_on_test


def emnist(folder: Path, name: str, classes: int, first: int) -> Array:
    """As EMNIST's gzip folder: IDX, transposed; gives the upright training images."""
    upright = pixels(2 * classes, 28, 28)
    for part in ("train", "test"):
        stem = folder / f"emnist-{name}-{part}"
        for kind, array in (
            ("images-idx3", upright.transpose(0, 2, 1)),
            ("labels-idx1", labels(2 * classes, classes, first)),
        ):
            Path(f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return upright


def test_emnist_is_upright_named_by_its_mapping_and_counted_from_0(tmp_path: Path) -> None:
    upright = emnist(tmp_path, "letters", 26, 1)
    mapping = "".join(f"{number} {64 + number} {96 + number}\n" for number in range(1, 27))
    (tmp_path / "emnist-letters-mapping.txt").write_text(mapping)
    config = own(tmp_path)
    source, train, test = read(config)
    assert config.class_names[:2] == ["Aa", "Bb"] and config.num_classes == 26
    assert np.array_equal(train.images, upright)
    assert train.labels.tolist() == list(range(26)) * 2 == test.labels.tolist()
    found = describe(source, load_training_data(source), test)
    assert {
        "The images lie transposed in their files and were put upright.",
        "Labels 1 to 26 became 0 to 25.",
    } < {*found.notes}
    assert (found.kind, found.image_shape, found.counts["test"]) == ("EMNIST's IDX files", [28, 28], [2] * 26)


def test_one_of_several_sets_in_a_folder_is_named_by_the_path(tmp_path: Path) -> None:
    emnist(tmp_path, "letters", 26, 1)
    emnist(tmp_path, "balanced", 47, 0)
    with pytest.raises(
        ConfigError, match="several data sets: emnist-balanced, emnist-letters; accepted: the path with"
    ):
        find_source(own(tmp_path))
    config = own(tmp_path / "emnist-balanced")
    assert config.num_classes == 47 and find_source(config).found.label_range == (0, 46)
    with pytest.raises(ConfigError, match="does not exist"):
        find_source(own(tmp_path / "emnist-digits"))


def test_colours_become_grey_as_in_pillow_and_are_noted(tmp_path: Path) -> None:
    colours = pixels(60, 28, 28, 3)
    grey = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in colours])
    for form in (colours, np.moveaxis(colours, 3, 1)):
        source, train, _ = read(own(keras(tmp_path, x_train=form)))
        assert np.array_equal(train.images, grey)
        assert source.found.notes == ["RGB images became grey, by Pillow's weights."]


ROUNDED = "Values between two grey levels were rounded."


@pytest.mark.parametrize(
    ("images", "expected", "notes"),
    [
        (X.reshape(60, 784).astype(np.int64), X, []),
        (X.astype(np.float64), X, []),
        (X.astype(">f4") - 0.25 * (X > 0), X, [ROUNDED]),
        ((X / 255).astype(np.float16), X, ["Floats from 0 to 1 became grey levels."]),
        (np.full(X.shape, 0.5), np.full(X.shape, 128), ["Floats from 0 to 1 became grey levels.", ROUNDED]),
        (X > 127, (X > 127) * 255, []),
        (X[..., None], X, []),
    ],
    ids=["flat int64", "whole floats", "between", "shares", "half", "flags", "one channel"],
)  # fmt: skip
def test_any_number_type_becomes_grey_levels(
    tmp_path: Path, images: Array, expected: Array, notes: list[str]
) -> None:
    source, train, _ = read(own(keras(tmp_path, x_train=images)))
    assert np.array_equal(train.images, expected)
    assert source.found.notes == notes


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.float32])
def test_labels_of_any_number_type_are_read(tmp_path: Path, kind: type) -> None:
    _, train, _ = read(own(keras(tmp_path, y_train=Y.astype(kind)[:, None])))
    assert np.array_equal(train.labels, Y)


def test_several_labels_an_image_are_refused_whatever_their_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="y_train has rows that are not one-hot; accepted: one label an"):
        read(composed_data(f"data.path={keras(tmp_path, y_train=np.eye(60)[:, :14] + 1)}"))


def test_labels_from_1_keep_their_names_and_named_classes_their_labels(tmp_path: Path) -> None:
    path = keras(tmp_path, y_train=Y + 1, y_test=Y_TEST + 1)
    config = own(path)
    assert config.class_names == list("123456") and np.array_equal(read(config)[1].labels, Y)
    tens = keras(tmp_path, y_train=labels(60, 10, 1), y_test=labels(24, 10, 1))
    assert own(tens).class_names == [str(label) for label in range(1, 11)]
    path = keras(tmp_path, y_train=Y + 1, y_test=Y_TEST + 1)
    ten = msgspec.structs.replace(config, class_names=list("0123456789"))
    assert np.array_equal(read(ten)[1].labels, Y + 1)


def test_without_test_images_a_tenth_is_set_apart_and_said_to_be_no_official_test_set(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(npz_bytes(images=X, targets=Y))
    source, train, test = read(own(path, validation=0.2))
    assert source.test_part == "held_out" and (len(train), len(test), source.validation) == (54, 6, 11)
    assert np.bincount(test.labels).tolist() == [1] * 6 and np.array_equal(test.images, X[test.indices])
    assert np.array_equal(train.images, np.delete(X, test.indices, axis=0))
    assert test.whole_sha256 == train.whole_sha256 not in (train.sha256, test.sha256)
    assert "no official test set" in load_training_data(source).notice
    assert not np.array_equal(read(own(path, split_seed=1))[2].indices, test.indices)


def test_folds_part_the_training_images_and_never_look_at_the_test_images(tmp_path: Path) -> None:
    path = keras(tmp_path)
    content = path.read_bytes()
    seen: list[int] = []
    wholes = set()
    for fold in range(4):
        source, train, test = read(own(path, folds=4, fold=fold))
        assert source.test_part == "fold" and (len(train), len(test)) == (45, 15)
        assert np.array_equal(test.images, X[test.indices]) and np.array_equal(test.labels, Y[test.indices])
        assert np.ptp(np.bincount(test.labels)) <= 1
        parts = load_training_data(source)
        assert (len(parts.training), len(parts.validation)) == (39, 6) and parts.train_sha256 == train.sha256
        seen += test.indices.tolist()
        wholes.add(parts.whole_sha256)
    assert sorted(seen) == list(range(60))
    assert wholes == {find_source(own(path)).load("train").sha256}
    assert path.read_bytes() == content


def test_folds_are_stratified_and_as_large_as_each_other() -> None:
    uneven = np.repeat(np.arange(4), [50, 23, 7, 1]).astype(np.uint8)
    folds = stratified_folds(uneven, 5, seed=1)
    assert np.ptp(np.bincount(folds)) <= 1
    for label in range(4):
        assert np.ptp(np.bincount(folds[uneven == label], minlength=5)) <= 1
    assert np.array_equal(folds, stratified_folds(uneven, 5, seed=1))
    assert not np.array_equal(folds, stratified_folds(uneven, 5, seed=2))


def test_what_is_odd_is_noted(tmp_path: Path) -> None:
    images = X.copy()
    images[:3], images[5] = 7, X_TEST[2]
    source = find_source(own(keras(tmp_path, x_train=images), validation=0))
    notes = describe(source, load_training_data(source), source.load("test")).notes
    assert notes == [
        "Of one grey level throughout: 3 training images.",
        "Also among the training images: 1 test image.",
    ]


def test_what_was_typed_wins_and_what_cannot_be_read_leaves_the_usual_names(tmp_path: Path) -> None:
    path = keras(tmp_path)
    names = "data.class_names=[a,b,c,d,e,f,g]"
    assert composed_data(f"data.path={path}", names).class_names == list("abcdefg")
    for broken in (tmp_path / "none.npz", tmp_path):
        assert composed_data(f"data.path={broken}").class_names == list("0123456789")
    path.write_bytes(npz_bytes(x_train=X, y_train=labels(60, 10)))
    config = composed_data("data=fashion_mnist", f"data.path={path}")
    assert config.class_names[0] == "T-shirt" and config.validation == 0.1


@pytest.mark.parametrize("validation", [0, 5000, "test"])
def test_a_single_image_is_too_few(tmp_path: Path, validation: int | str) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(npz_bytes(x_train=X[:1], y_train=Y[:1]))
    with pytest.raises(ConfigError, match="it has a single training image; accepted: two or more"):
        find_source(own(path, validation=validation))


def test_a_size_is_for_pictures_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.size: got 64, and .* is no folder of pictures"):
        find_source(own(keras(tmp_path), size=64))


def test_a_link_that_leads_nowhere_hides_no_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / ".#lock").symlink_to("nowhere")
    assert own(kmnist(tmp_path)).num_classes == 6
    with pytest.raises(ConfigError, match="it does not exist"):
        find_source(own(tmp_path / "none"))


def test_the_largest_emnist_set_is_accepted_by_its_header(tmp_path: Path) -> None:
    for part, count in (("train", 697_932), ("test", 116_323)):
        head = b"\0\0\x08\x03" + struct.pack(">3I", count, 28, 28)
        with (tmp_path / f"emnist-byclass-{part}-images-idx3-ubyte").open("wb") as file:
            file.write(head)
            file.truncate(16 + count * 784)
        (tmp_path / f"emnist-byclass-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels(count, 62)))
    found = open_data(tmp_path)
    assert found.arrays["x_train"].shape == (697_932, 28, 28) and len(found.names) == 62


def test_a_default_command_opens_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_EXP_DATA", raising=False)
    monkeypatch.setattr(completing, "_read", None)
    assert composed_data().num_classes == 10


@pytest.mark.slow
def test_every_shipped_network_trains_on_images_of_any_size_and_number_of_classes(
    tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    arrays = {"x_train": pixels(188, 16, 16), "y_train": labels(188, 47)}
    path = keras(tmp_path, **arrays, x_test=pixels(94, 16, 16), y_test=labels(94, 47))
    models = sorted(file.stem for file in (CONF_DIR / "model").glob("*.yaml"))
    sweep = ("-m", f"model={','.join(models)}", "sweep=letters", "training.epochs=1")
    finished = run_command(*sweep, f"data.path={path}", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    folders = sorted((tmp_path / "runs" / "letters").glob("*/manifest.json"))
    runs = [Run(manifest.parent) for manifest in folders]
    assert [run.config["model"]["name"] for run in runs] == models
    for run in runs:
        found = run.read_predictions()
        assert found is not None and found.probabilities.shape == (94, 47)
        assert run.config["data"]["num_classes"] == 47 and run.config["data"]["image_shape"] == [16, 16, 1]
