"""Images: found, downloaded, bundled, checked, split. No network: downloads come from loopback."""

import gzip
import hashlib
import http.server
import io
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from omegaconf import OmegaConf

from mnist_exp.config.schema import DataConfig, MirrorConfig
from mnist_exp.data import dataset, locating
from mnist_exp.errors import ConfigError

ROOT = Path(__file__).parents[1]
FULL_MNIST = Path(os.environ.get("MNIST_EXP_TEST_DATA") or ROOT.parent / "shared" / "data" / "mnist.npz")
needs_full_mnist = pytest.mark.skipif(
    not FULL_MNIST.is_file(),
    reason=f"needs the 60,000 + 10,000 images of MNIST at {FULL_MNIST} (MNIST_EXP_TEST_DATA)",
)
IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def load_config(name, **changes):
    node = msgspec.convert(
        OmegaConf.to_container(OmegaConf.load(ROOT / f"conf/data/{name}.yaml")), DataConfig
    )
    return msgspec.structs.replace(node, **changes)


def offline(name="mnist", **changes):
    """A configuration that finds nothing and asks nobody."""
    return load_config(name, **{"places": [], "mirrors": []} | changes)


def small_arrays(num_train=40, num_test=20, side=28):
    rng = np.random.default_rng(7)
    return {
        "x_train": rng.integers(0, 256, (num_train, side, side), dtype=np.uint8),
        "y_train": (np.arange(num_train) % 10).astype(np.uint8),
        "x_test": rng.integers(0, 256, (num_test, side, side), dtype=np.uint8),
        "y_test": (np.arange(num_test) % 10).astype(np.uint8),
    }


def write_npz(path, arrays):
    np.savez_compressed(path, **arrays)
    return path


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, arrays, gzipped=False):
    folder.mkdir()
    for key, name in IDX_NAMES.items():
        content = idx_bytes(arrays[key])
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def fingerprint(images, labels):
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def load_both(config):
    source = dataset.find_source(config)
    return source.load("train"), source.load("test")


def refused(config):
    with pytest.raises(ConfigError) as caught:
        load_both(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    for name in (
        "KERAS_HOME",
        "MNIST_EXP_DATA",
        "MNIST_EXP_FASHION_DATA",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


# The bundled sample


def test_sample_is_4000_and_1000_digits_of_every_class_alike():
    train, test = load_both(offline("sample"))
    assert train.images.shape == (4000, 28, 28) and test.images.shape == (1000, 28, 28)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert train.notice is None and test.notice is None


def test_sample_has_the_hashes_that_its_readme_and_yaml_state():
    readme = (ROOT / "mnist_exp/data/sample/README.md").read_text()
    config = load_config("sample")
    assert hashlib.sha256(dataset.SAMPLE_PATH.read_bytes()).hexdigest() in readme
    assert config.train_sha256 in readme and config.test_sha256 in readme
    train, test = load_both(config)
    assert (train.sha256, test.sha256) == (config.train_sha256, config.test_sha256)
    assert train.sha256 == fingerprint(train.images, train.labels)


def test_sample_is_small_and_loads_at_once():
    assert dataset.SAMPLE_PATH.stat().st_size < 1_100_000
    source = dataset.find_source(offline("sample"))
    started = time.perf_counter()
    source.load("train")
    assert time.perf_counter() - started < 0.1


@needs_full_mnist
def test_sample_digits_are_exact_mnist_training_images():
    with np.load(FULL_MNIST) as mnist:
        known = {
            image.tobytes(): label for image, label in zip(mnist["x_train"], mnist["y_train"], strict=True)
        }
    for split in load_both(offline("sample")):
        for image, label in zip(split.images, split.labels, strict=True):
            assert known[image.tobytes()] == label


# Falling back, or not


def test_missing_mnist_falls_back_to_the_sample_with_a_notice():
    source = dataset.find_source(offline(on_missing="sample"))
    assert (source.name, source.validation) == ("sample", 333)
    assert "mnist was not found" in source.notice
    assert "5,000 bundled digits" in source.notice and "becomes 333" in source.notice
    assert dataset.load_training_data(source).notice == source.notice


@pytest.mark.parametrize(("asked", "scaled"), [(0, 0), (1, 1), (6000, 400), ("test", "test")])
def test_fallback_scales_validation_in_proportion(asked, scaled):
    source = dataset.find_source(offline(validation=asked))
    assert source.validation == scaled
    assert ("data.validation becomes" in source.notice) == (asked == 6000)


def test_on_missing_error_refuses():
    message = refused(offline(on_missing="error"))
    assert message.startswith("mnist was not found (data.path and MNIST_EXP_DATA unset")
    assert "Set data.path" in message


def test_digits_never_stand_in_for_clothing(tmp_path):
    path = write_npz(tmp_path / "a.npz", small_arrays())
    message = refused(offline("fashion_mnist", on_missing="sample", path=str(path)))
    assert "data.on_missing=sample" in message and "fashion_mnist" in message


def test_sample_asked_for_by_name_is_no_fallback():
    source = dataset.find_source(load_config("sample"))
    assert (source.name, source.notice, source.validation) == ("sample", None, 500)
    assert source.class_names == tuple("0123456789")


# Where it looks


@pytest.mark.parametrize("form", ["npz", "idx", "gz"])
def test_every_form_gives_the_same_arrays(tmp_path, form):
    arrays = small_arrays()
    if form == "npz":
        path = write_npz(tmp_path / "some.npz", arrays)
    else:
        path = write_idx(tmp_path / "folder", arrays, gzipped=form == "gz")
    train, test = load_both(offline(path=str(path), validation=10))
    for split, images in (("train", train), ("test", test)):
        assert np.array_equal(images.images, arrays[f"x_{split}"])
        assert np.array_equal(images.labels, arrays[f"y_{split}"])
        assert images.sha256 == fingerprint(arrays[f"x_{split}"], arrays[f"y_{split}"])
        assert len(images) == len(arrays[f"y_{split}"])


def test_column_major_uncompressed_arrays_and_dotted_idx_names_are_read(tmp_path):
    arrays = small_arrays(side=9)
    np.savez(tmp_path / "a.npz", **arrays | {"x_train": np.asfortranarray(arrays["x_train"])})
    folder = write_idx(tmp_path / "folder", arrays)
    (folder / "train-images-idx3-ubyte").rename(folder / "train-images.idx3-ubyte")
    for path in (tmp_path / "a.npz", folder):
        train, _ = load_both(offline(path=str(path), validation=1))
        assert np.array_equal(train.images, arrays["x_train"])


def test_arrays_are_read_only(tmp_path):
    train, _ = load_both(offline("sample"))
    with pytest.raises(ValueError, match="read-only"):
        train.images[0, 0, 0] = 1


def test_path_then_variable_then_keras_cache(tmp_path, monkeypatch, own_home):
    paths = {}
    for count, name in ((31, "path"), (32, "variable"), (33, "keras_home"), (34, "dot_keras")):
        paths[name] = write_npz(tmp_path / f"{name}.npz", small_arrays(num_train=count))
    for folder, name in ((own_home / ".keras", "dot_keras"), (tmp_path / "elsewhere", "keras_home")):
        (folder / "datasets").mkdir(parents=True)
        paths[name].rename(folder / "datasets" / "mnist.npz")
    config = load_config("mnist", mirrors=[], validation=5)

    def num_train(config):
        return dataset.find_source(config).num_images("train")

    assert num_train(config) == 34
    assert dataset.find_source(config).description == "~/.keras/datasets/mnist.npz"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert num_train(config) == 33
    monkeypatch.setenv("MNIST_EXP_DATA", str(paths["variable"]))
    assert num_train(config) == 32
    assert num_train(msgspec.structs.replace(config, path=str(paths["path"]))) == 31


def test_fashion_is_found_in_a_folder_among_places(tmp_path):
    folder = write_idx(tmp_path / "fashion", small_arrays(), gzipped=True)
    config = load_config("fashion_mnist", places=[str(tmp_path / "none"), str(folder)], validation=5)
    source = dataset.find_source(config)
    assert source.name == "fashion_mnist" and source.class_names[9] == "Ankle boot"
    assert source.load("train").notice.startswith("These are not the training images of fashion_mnist")


def test_an_incomplete_folder_among_places_is_passed_over(tmp_path):
    folder = write_idx(tmp_path / "half", small_arrays())
    (folder / IDX_NAMES["x_test"]).unlink()
    assert dataset.find_source(offline(places=[str(folder), "x" * 5000, "~nobody-here/x"])).name == "sample"


def test_a_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv("MNIST_EXP_DATA", "~/nowhere.npz")
    message = refused(offline())
    assert message.startswith(
        "data.path (environment variable MNIST_EXP_DATA): ~/nowhere.npz: it does not exist."
    )


def test_a_broken_file_in_keras_cache_is_named_not_skipped(own_home):
    path = own_home / ".keras/datasets/mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    message = refused(load_config("mnist", mirrors=[]))
    assert message.startswith("data.places: ~/.keras/datasets/mnist.npz: it is not a whole .npz file.")
    assert "Delete it" in message


# Known by content


def test_changed_content_is_named_and_still_usable(tmp_path):
    arrays = small_arrays()
    config = offline(path=str(write_npz(tmp_path / "a.npz", arrays)), validation=10)
    train, _ = load_both(config)
    assert train.notice.startswith("These are not the training images of mnist: the 40 in ")
    assert train.sha256 in train.notice and config.train_sha256 in train.notice
    right = msgspec.structs.replace(config, train_sha256=train.sha256, test_sha256=None)
    assert [images.notice for images in load_both(right)] == [None, None]
    assert dataset.load_training_data(dataset.find_source(config)).notice == train.notice


@needs_full_mnist
@pytest.mark.parametrize("form", ["npz", "idx", "gz"])
def test_canonical_mnist_is_recognised_in_every_form(tmp_path, form):
    path = FULL_MNIST
    if form != "npz":
        with np.load(FULL_MNIST) as arrays:
            path = write_idx(tmp_path / "mnist", arrays, gzipped=form == "gz")
    config = load_config("mnist", path=str(path))
    train, test = load_both(config)
    assert (train.sha256, test.sha256) == (config.train_sha256, config.test_sha256)
    assert train.notice is None and test.notice is None


@needs_full_mnist
def test_mnist_split_is_the_same_5000_images_for_ever():
    source = dataset.find_source(load_config("mnist", path=str(FULL_MNIST)))
    parts = dataset.load_training_data(source)
    assert (len(parts.training), len(parts.validation)) == (55_000, 5_000)
    assert parts.split_sha256 == "a107832f29321a21570c9a86abf0445aeb125255dedb9555115af1980d082927"
    shares = np.bincount(parts.validation.labels) / np.bincount(source.load("train").labels)
    assert np.abs(shares * 60_000 - 5_000).max() < 15


# The split


def test_split_is_exact_stratified_sorted_and_seeded():
    labels = np.repeat(np.arange(5), [100, 50, 7, 1, 42]).astype(np.uint8)
    for count in (1, 3, 20, 57, 199):
        chosen = dataset.choose_stratified(labels, count, seed=3)
        assert len(chosen) == count and (np.diff(chosen) > 0).all()
        exact = np.bincount(labels) * count / len(labels)
        assert (np.abs(np.bincount(labels[chosen], minlength=5) - exact) < 1).all()
        assert np.array_equal(chosen, dataset.choose_stratified(labels, count, seed=3))
    assert not np.array_equal(
        dataset.choose_stratified(labels, 57, seed=3), dataset.choose_stratified(labels, 57, seed=4)
    )


def test_training_and_validation_are_the_whole_apart():
    source = dataset.find_source(offline("sample"))
    whole, parts = source.load("train"), dataset.load_training_data(source)
    chosen = dataset.choose_stratified(whole.labels, 500, seed=0)
    assert np.array_equal(parts.validation.images, whole.images[chosen])
    assert np.array_equal(parts.training.labels, np.delete(whole.labels, chosen))
    assert np.array_equal(parts.training.images, np.delete(whole.images, chosen, axis=0))
    assert parts.train_sha256 == whole.sha256 and not parts.selected_on_test
    assert parts.split_sha256 == "08c1194003865fae15e47a2003f9012bc498c8a07c6e4397a26630bfbdee8c6b"
    assert parts.split_sha256 == hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()


def test_no_validation_trains_on_everything():
    parts = dataset.load_training_data(dataset.find_source(offline("sample", validation=0)))
    assert len(parts.training) == 4000
    assert parts.validation is None and parts.split_sha256 is None


def test_validation_on_test_says_so():
    source = dataset.find_source(offline("sample", validation="test"))
    parts = dataset.load_training_data(source)
    assert len(parts.training) == 4000 and parts.selected_on_test and parts.split_sha256 is None
    assert parts.validation.sha256 == source.load("test").sha256


@pytest.mark.parametrize("count", [4000, 4001, 10_000_000])
def test_too_many_validation_images_are_refused_before_reading(count):
    message = refused(offline("sample", validation=count))
    assert (
        message.startswith(f"data.validation={count} leaves nothing to train on") and "0 to 3,999" in message
    )


def test_training_never_reads_test_values(tmp_path):
    folder = write_idx(tmp_path / "folder", small_arrays(), gzipped=True)
    path = folder / f"{IDX_NAMES['x_test']}.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    source = dataset.find_source(offline(path=str(folder), validation=5))
    assert len(dataset.load_training_data(source).training) == 35
    with pytest.raises(ConfigError, match="t10k-images-idx3-ubyte.gz cannot be read"):
        source.load("test")


# Broken and hostile files


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def objects(path):
    array = np.empty(40, object)
    array[:] = [Bomb(path.with_name("marker"))] * 40
    return array


def deflated_npz(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content)


def npy_bytes(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_header(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def with_header(text, content=b""):
    """Small arrays with another header, and other content, for x_train."""
    members = {key: npy_bytes(array) for key, array in small_arrays().items()}
    return members | {"x_train": npy_header(text) + content}


U1 = "{'descr': '|u1', 'fortran_order': False, 'shape': %s}"
WRONG_NPZ = {
    "float images": (
        {"x_train": np.zeros((40, 28, 28), np.float32)},
        "x_train holds float32; accepted: uint8",
    ),
    "int64 labels": ({"y_train": np.zeros(40, np.int64)}, "y_train holds int64; accepted: uint8"),
    "flat images": ({"x_train": np.zeros((40, 784), np.uint8)}, "x_train has shape (40, 784)"),
    "coloured images": ({"x_test": np.zeros((20, 28, 28, 3), np.uint8)}, "x_test has shape (20, 28, 28, 3)"),
    "tiny images": ({"x_train": np.zeros((40, 7, 28), np.uint8)}, "sides of 8 to 256 pixels"),
    "large images": ({"x_train": np.zeros((40, 28, 257), np.uint8)}, "sides of 8 to 256 pixels"),
    "two sizes": ({"x_test": np.zeros((20, 27, 28), np.uint8)}, "x_test of (27, 28); accepted: the same"),
    "no images": ({"x_train": np.zeros((0, 28, 28), np.uint8)}, "x_train is empty"),
    "few labels": ({"y_train": np.zeros(39, np.uint8)}, "x_train holds 40 images, y_train 39 labels"),
    "one-hot labels": ({"y_test": np.zeros((20, 10), np.uint8)}, "y_test has shape (20, 10)"),
    "label 10": (
        {"y_test": np.full(20, 10, np.uint8)},
        "y_test has labels up to 10, data.class_names has 10",
    ),
}
WRONG_BYTES = {
    "empty": b"",
    "text": b"hello\n" * 100,
    "IDX file": idx_bytes(np.zeros((40, 28, 28), np.uint8)),
    "npy file": npy_bytes(np.zeros(3, np.uint8)),
}
WRONG_HEADERS = {
    "claims 2**40 images": (U1 % "(1099511627776, 28, 28)", "x_train claims 862,017,116,176,384 bytes"),
    "claims 1 GiB": (U1 % "(1300000, 28, 28)", "its header promises 1,019,200,"),
    "negative": (U1 % "(-1, 28, 28)", "x_train is empty"),
    "no tuple": (U1 % "'many'", "x_train has no readable .npy header"),
    "not a literal": ("__import__('os').system('touch marker')", "x_train has no readable .npy header"),
    "nested": ("(" * 800, "x_train has no readable .npy header"),
    "minuses": ("-" * 900 + "1", "x_train has no readable .npy header"),
    "cut": ("{'descr': '|u1'", "x_train has no readable .npy header"),
}


@pytest.mark.parametrize("name", WRONG_NPZ)
def test_wrong_arrays_are_refused_in_one_line(tmp_path, name):
    changes, expected = WRONG_NPZ[name]
    path = write_npz(tmp_path / "a.npz", small_arrays() | changes)
    message = refused(offline(path=str(path), validation=5))
    assert message.startswith(f"data.path: {path}: ") and expected in message


@pytest.mark.parametrize("name", WRONG_BYTES)
def test_what_is_no_npz_is_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    path.write_bytes(WRONG_BYTES[name])
    assert "it is not a whole .npz file" in refused(offline(path=str(path)))


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_lying_headers_are_refused(tmp_path, name):
    header, expected = WRONG_HEADERS[name]
    deflated_npz(tmp_path / "a.npz", with_header(header))
    assert expected in refused(offline(path=str(tmp_path / "a.npz")))


def test_missing_keys_are_named_with_what_is_there(tmp_path):
    arrays = small_arrays()
    del arrays["x_test"], arrays["y_test"]
    path = write_npz(tmp_path / "a.npz", arrays | {"extra": np.zeros(1)})
    assert "it lacks x_test, y_test; it holds x_train, y_train, extra" in refused(offline(path=str(path)))


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, small_arrays() | {"y_train": objects(path)})
    assert "y_train holds pickled Python objects" in refused(offline(path=str(path)))
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "marker")))
    assert "it is not a whole .npz file" in refused(offline(path=str(path)))
    with zipfile.ZipFile(path, "w") as archive:
        for key in small_arrays():
            archive.writestr(f"{key}.npy", pickle.dumps(Bomb(tmp_path / "marker")))
    assert "x_train has no readable .npy header" in refused(offline(path=str(path)))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("form", ["npz", "idx", "gz"])
def test_truncated_files_are_refused(tmp_path, form, share):
    if form == "npz":
        path = cut = write_npz(tmp_path / "a.npz", small_arrays())
    else:
        path = write_idx(tmp_path / "folder", small_arrays(), gzipped=form == "gz")
        cut = path / (IDX_NAMES["x_train"] + (".gz" if form == "gz" else ""))
    content = cut.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    assert refused(offline(path=str(path), validation=5)).startswith("data.path: ")


@pytest.mark.parametrize("form", ["npz", "gz"])
def test_a_flipped_byte_is_noticed(tmp_path, form):
    if form == "npz":
        path = changed = write_npz(tmp_path / "a.npz", small_arrays())
    else:
        path = write_idx(tmp_path / "folder", small_arrays(), gzipped=True)
        changed = path / f"{IDX_NAMES['x_train']}.gz"
    content = bytearray(changed.read_bytes())
    content[3000] ^= 0xFF
    changed.write_bytes(content)
    assert "cannot be read" in refused(offline(path=str(path), validation=5))


WRONG_IDX = {
    "labels for images": (idx_bytes(np.zeros(40, np.uint8)), "accepted: [00 00 08 03]"),
    "32-bit": (b"\0\0\x0c\x03" + bytes(12), "starts with the bytes [00 00 0c 03]"),
    "no header": (b"\0\0\x08\x03\0", "ends within its header"),
    "empty": (b"", "starts with the bytes []"),
    "2**31 images": (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28), "claims 1,683,627,180,032 bytes"),
    "images that are not there": (b"\0\0\x08\x03" + struct.pack(">3I", 40, 28, 28), "its header promises"),
    "too long": (idx_bytes(np.zeros((40, 28, 28), np.uint8)) + b"x", "promises"),
}


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("name", WRONG_IDX)
def test_wrong_idx_files_are_refused(tmp_path, name, gzipped):
    content, expected = WRONG_IDX[name]
    folder = write_idx(tmp_path / "folder", small_arrays())
    (folder / IDX_NAMES["x_train"]).write_bytes(gzip.compress(content) if gzipped else content)
    assert expected in refused(offline(path=str(folder), validation=5))


def test_a_folder_without_the_files_names_what_is_missing(tmp_path):
    folder = write_idx(tmp_path / "folder", small_arrays())
    (folder / IDX_NAMES["y_test"]).unlink()
    message = refused(offline(path=str(folder)))
    assert "the folder lacks t10k-labels-idx1-ubyte (with or without .gz)" in message


@pytest.mark.parametrize("path", ["~/none.npz", "a\0b", "x" * 5000, "~nobody-here/x", "/dev/zero"])
def test_paths_that_lead_nowhere_are_refused(path):
    assert refused(offline(path=path)).startswith("data.path: ")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    assert "neither a file nor a folder" in refused(offline(path=str(tmp_path / "a.npz")))


def test_lzma_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        for key, array in small_arrays().items():
            archive.writestr(f"{key}.npy", npy_bytes(array))
    assert "is compressed as numpy never does" in refused(offline(path=str(tmp_path / "a.npz")))


BOMB_SCRIPT = """
import resource, sys
from mnist_exp.data import formats
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    arrays = formats.open_arrays(Path(sys.argv[1]))
    arrays["x_train"].read()
except formats.FormatError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)
"""


def zeros_npz(path, num_bytes):
    """x_train unpacks to far more than its header says."""
    header = npy_header(U1 % "(40, 28, 28)")
    deflated_npz(path, with_header(U1 % "(40, 28, 28)", bytes(num_bytes - len(header))))
    return path


def lying_zip(path):
    """As `zeros_npz`, and the archive's directory lies about the size as well."""
    content = bytearray(zeros_npz(path, 300_000_000).read_bytes())
    promised = len(npy_header(U1 % "(40, 28, 28)")) + 40 * 28 * 28
    path.write_bytes(content.replace(struct.pack("<I", 300_000_000), struct.pack("<I", promised)))
    return path


def gzip_bomb(path):
    folder = write_idx(path.with_suffix(""), small_arrays(), gzipped=True)
    content = idx_bytes(np.zeros((40, 28, 28), np.uint8)) + bytes(300_000_000)
    (folder / f"{IDX_NAMES['x_train']}.gz").write_bytes(gzip.compress(content, 1))
    return folder


def lying_gzip(path):
    """A header that promises a gigabyte before a file of 16 bytes."""
    folder = write_idx(
        path.with_suffix(""), small_arrays() | {"y_train": np.zeros(1_300_000, np.uint8)}, gzipped=True
    )
    content = gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 1_300_000, 28, 28))
    (folder / f"{IDX_NAMES['x_train']}.gz").write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "make",
    [lambda path: zeros_npz(path, 300_000_000), lying_zip, gzip_bomb, lying_gzip],
    ids=["zip bomb", "zip bomb, lying directory", "gzip bomb", "lying gzip"],
)
def test_bombs_are_refused_in_little_memory(tmp_path, make):
    command = [sys.executable, "-c", BOMB_SCRIPT, str(make(tmp_path / "a.npz"))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=20)
    assert "promise" in done.stdout or "cannot be read" in done.stdout
    assert int(done.stderr) < 64


# Downloads, from loopback


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(send_body=False)

    def do_GET(self):
        self.answer(send_body=True)

    def answer(self, send_body):
        self.server.requests.append((self.command, self.path))
        if self.server.hangs == self.command or self.server.hangs == "both":
            self.server.released.wait(20)
            return
        content = self.server.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if send_body:
            self.wfile.write(content or b"")

    def log_message(self, *arguments):
        pass


class Mirror:
    """A server on loopback; `content` is what it sends, `digests` what the YAML says."""

    def __init__(self, files, digests=None, hangs=None):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.files = {f"/data/{name}": content for name, content in files.items()}
        self.server.requests = []
        self.server.hangs = hangs
        self.server.released = threading.Event()
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        digests = digests or {
            name: f"sha256:{hashlib.sha256(body).hexdigest()}" for name, body in files.items()
        }
        self.config = MirrorConfig(f"http://127.0.0.1:{self.server.server_port}/data/", digests)

    def close(self):
        self.server.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror():
    mirrors = []

    def start(*arguments, **keywords):
        mirrors.append(Mirror(*arguments, **keywords))
        return mirrors[-1]

    yield start
    for each in mirrors:
        each.close()


@pytest.fixture
def npz_file(tmp_path):
    return {"mnist.npz": write_npz(tmp_path / "made.npz", small_arrays()).read_bytes()}


def closed_port():
    return MirrorConfig("http://127.0.0.1:9/", {"mnist.npz": "sha256:" + "0" * 64})


def test_download_is_kept_and_used_again(mirror, npz_file, own_home, capfd):
    server = mirror(npz_file)
    config = offline(mirrors=[server.config], validation=5)
    seen = []
    source = dataset.find_source(config, progress=lambda *news: seen.append(news))
    assert source.name == "mnist" and len(source.load("train")) == 40
    assert source.description == "~/cache/mnist-exp/mnist/mnist.npz"
    size = len(npz_file["mnist.npz"])
    assert seen[-1] == ("mnist.npz", size, size) and max(done for _, done, _ in seen) == size
    num_requests = len(server.server.requests)
    assert dataset.find_source(config).name == "mnist"
    assert len(server.server.requests) == num_requests
    assert capfd.readouterr() == ("", "")


def test_idx_files_are_downloaded_to_one_folder(mirror):
    files = {f"{name}.gz": gzip.compress(idx_bytes(small_arrays()[key])) for key, name in IDX_NAMES.items()}
    digests = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in files.items()}
    source = dataset.find_source(
        offline("fashion_mnist", mirrors=[mirror(files, digests).config], validation=5)
    )
    assert source.description == "~/cache/mnist-exp/fashion_mnist" and len(source.load("test")) == 20


def test_a_wrong_hash_is_refused_and_the_next_mirror_used(mirror, npz_file):
    right = mirror(npz_file)
    wrong = mirror({"mnist.npz": b"<html>log in to this network</html>"}, digests=right.config.files)
    source = dataset.find_source(offline(mirrors=[wrong.config, right.config], validation=5))
    assert source.name == "mnist" and source.notice is None
    assert ("GET", "/data/mnist.npz") in wrong.server.requests


def test_a_damaged_earlier_download_is_fetched_again(mirror, npz_file):
    config = offline(mirrors=[mirror(npz_file).config], validation=5)
    dataset.find_source(config)
    (locating.cache_folder("mnist") / "mnist.npz").write_bytes(b"half")
    assert len(dataset.find_source(config).load("train")) == 40


@pytest.mark.parametrize("on_missing", ["sample", "error"])
def test_when_every_mirror_fails_it_falls_back_or_refuses(mirror, npz_file, on_missing):
    gone = mirror({}, digests={"mnist.npz": "sha256:" + "0" * 64})
    wrong = mirror(npz_file, digests={"mnist.npz": "sha256:" + "0" * 64})
    config = offline(mirrors=[gone.config, wrong.config, closed_port()], on_missing=on_missing)
    if on_missing == "error":
        message = refused(config)
    else:
        source = dataset.find_source(config)
        message = source.notice
        assert source.name == "sample"
    for reason in ("HTTP status 404", "does not match the known hash", "127.0.0.1:9: no connection"):
        assert reason in message
    assert not list(locating.cache_folder("mnist").glob("*"))


def test_servers_that_hang_cost_seconds_not_minutes(mirror, npz_file, monkeypatch):
    monkeypatch.setattr(locating, "REPLY_S", 0.4)
    servers = [mirror(npz_file, hangs="both").config for _ in range(3)]
    started = time.monotonic()
    source = dataset.find_source(offline(mirrors=servers))
    assert source.name == "sample" and "no reply within 0.4 s" in source.notice
    assert time.monotonic() - started < 1.5


def test_a_download_that_stalls_times_out(mirror, npz_file, monkeypatch):
    monkeypatch.setattr(locating, "READ_S", 0.4)
    started = time.monotonic()
    source = dataset.find_source(offline(mirrors=[mirror(npz_file, hangs="GET").config]))
    assert source.name == "sample" and "ReadTimeout" in source.notice
    assert time.monotonic() - started < 1.5


def test_shipped_time_outs_are_short():
    assert locating.REPLY_S <= 5 and locating.READ_S <= 10


def test_a_mirror_cannot_write_outside_the_cache(own_home):
    mirror = MirrorConfig("http://127.0.0.1:9/", {"../../evil.npz": "sha256:" + "0" * 64})
    assert 'data.mirrors: "../../evil.npz" is a path' in refused(offline(mirrors=[mirror]))


def test_an_endless_download_is_cut_off(mirror, npz_file, monkeypatch):
    monkeypatch.setattr(locating, "MAX_BYTES", 10_000)
    source = dataset.find_source(offline(mirrors=[mirror(npz_file).config]))
    assert source.name == "sample" and "more than 10,000 bytes" in source.notice


def labelled(train, test=range(10), images=None):
    """Small arrays with these labels; `images` replaces those to train on."""
    arrays = small_arrays(len(train), len(test))
    arrays |= {"y_train": np.array(train, np.uint8), "y_test": np.array(test, np.uint8)}
    return arrays if images is None else arrays | {"x_train": images}


TENS = list(range(10)) * 5


@pytest.mark.parametrize(
    ("arrays", "changes", "words"),
    [
        (labelled([0] * 50, [0] * 9), {"class_names": ["only"]}, "data.class_names: got 1; names of two"),
        (labelled(TENS), {"class_names": []}, "data.class_names: got 0; names of two"),
        (labelled([0] * 50, [0] * 9), {"class_names": ["a", "b"]}, "y_train has the label 0 alone"),
        (labelled([3] * 50), {}, "y_train has the label 3 alone"),
        (labelled([0] * 49 + [1]), {"validation": 49}, "leaves to train on has the label 0 alone"),
    ],
)
def test_fewer_than_two_classes_are_refused(tmp_path, arrays, changes, words):
    np.savez(tmp_path / "own.npz", **arrays)
    changes = {"validation": 5} | changes
    with pytest.raises(ConfigError, match=words) as caught:
        dataset.load_training_data(dataset.find_source(offline(path=str(tmp_path / "own.npz"), **changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "validation", "train", "test"),
    [
        (labelled([0, 1, 2, 3, 4, 5, 6] * 5), 7, "No training image shows 7, 8, 9.", None),
        (labelled(TENS, [4] * 9), 10, None, "No test image shows 0, 1, 2, 3, 5, 6, 7, 8 and 1 more."),
        (labelled(TENS), 10, None, None),
        (labelled([*TENS, 1]), 3, "No validation image shows", None),
        (
            labelled(TENS, images=np.full((50, 28, 28), 9, np.uint8)),
            10,
            "All 50 training images are the",
            None,
        ),
    ],
)
def test_what_makes_numbers_say_little_is_noted(tmp_path, arrays, validation, train, test):
    np.savez(tmp_path / "own.npz", **arrays)
    changes = {"train_sha256": None, "test_sha256": None, "validation": validation}
    source = dataset.find_source(offline(path=str(tmp_path / "own.npz"), **changes))
    notices = (dataset.load_training_data(source).notice, source.load("test").notice)
    for notice, words in zip(notices, (train, test), strict=True):
        assert notice is None if words is None else words in notice
