"""Images: found, downloaded, bundled, checked, split. No network: downloads come from loopback.

Files that mean harm are in tests/faults/test_hostile_data.py.
"""

import gzip
import hashlib
import http.server
import os
import struct
import threading
import time
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from omegaconf import OmegaConf

from mnist_exp import environment
from mnist_exp.config.schema import DataConfig, MirrorConfig
from mnist_exp.data import dataset, locating
from mnist_exp.errors import ConfigError
from tests.support.data_files import (
    IDX_NAMES,
    idx_bytes,
    npy_bytes,
    npz_bytes,
    small_arrays,
    write_idx,
    zipped,
)

ROOT = Path(__file__).parents[1]
FULL_MNIST = Path(os.environ.get("MNIST_EXP_TEST_DATA") or ROOT.parent / "shared" / "data" / "mnist.npz")
needs_full_mnist = pytest.mark.skipif(
    not FULL_MNIST.is_file(),
    reason=f"needs the 60,000 + 10,000 images of MNIST at {FULL_MNIST} (MNIST_EXP_TEST_DATA)",
)
FOREIGN = ("KERAS_HOME", "MNIST_EXP_DATA", "MNIST_EXP_FASHION_DATA", "http_proxy", "HTTP_PROXY", "all_proxy")
FORMS = ["npz", "idx", "gz"]


def load_config(name, **changes):
    node = OmegaConf.to_container(OmegaConf.load(ROOT / f"conf/data/{name}.yaml"), resolve=True)
    return msgspec.structs.replace(msgspec.convert(node, DataConfig), **changes)


def offline(name="mnist", **changes):
    """A configuration that finds nothing and asks nobody."""
    return load_config(name, **{"places": [], "mirrors": []} | changes)


def write_npz(path, **arrays):
    path.write_bytes(npz_bytes(**arrays))
    return path


def write_form(folder, form, arrays):
    """Writes arrays in one of the three forms; gives the path that `data.path` would be."""
    if form == "npz":
        return write_npz(folder / "some.npz", **arrays)
    return write_idx(folder / "folder", arrays, gzipped=form == "gz")


def fingerprint(images, labels):
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def load_both(config):
    source = dataset.find_source(config)
    return source.load("train"), source.load("test")


def refused(config):
    with pytest.raises(ConfigError) as caught:
        dataset.load_training_data(dataset.find_source(config))
        load_both(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    for name in (*FOREIGN, "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return home


# The bundled sample


def test_sample_is_4000_and_1000_digits_of_every_class_alike():
    train, test = load_both(offline("sample"))
    assert train.images.shape == (4000, 28, 28) and test.images.shape == (1000, 28, 28)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert train.notice is None and test.notice is None
    with pytest.raises(ValueError, match="read-only"):
        train.images[0, 0, 0] = 1


def test_sample_has_the_hashes_that_its_readme_and_yaml_state_and_is_small():
    readme = (ROOT / "mnist_exp/data/sample/README.md").read_text()
    content = dataset.SAMPLE_PATH.read_bytes()
    assert hashlib.sha256(content).hexdigest() in readme and len(content) < 1_100_000
    config = load_config("sample")
    assert config.train_sha256 in readme and config.test_sha256 in readme
    train, test = load_both(config)
    assert (train.sha256, test.sha256) == (config.train_sha256, config.test_sha256)
    assert train.sha256 == fingerprint(train.images, train.labels)


# Falling back, or not


@pytest.mark.parametrize(("asked", "scaled"), [(5000, 333), (0, 0), (1, 1), ("test", "test")])
def test_missing_mnist_falls_back_to_the_sample_with_a_notice(asked, scaled):
    source = dataset.find_source(offline(on_missing="sample", validation=asked))
    assert (source.name, source.validation) == ("sample", scaled)
    assert "mnist was not found" in source.notice and "5,000 bundled digits" in source.notice
    assert (f"data.validation becomes {scaled}" in source.notice) == (asked == 5000)
    assert source.notice in dataset.load_training_data(source).notice


def test_sample_asked_for_by_name_is_no_fallback():
    source = dataset.find_source(load_config("sample"))
    assert (source.name, source.notice, source.validation) == ("sample", None, 500)
    assert source.class_names == tuple("0123456789")


def test_where_nothing_may_stand_in_it_is_refused():
    message = refused(offline(on_missing="error"))
    assert message.startswith("mnist was not found (data.path and MNIST_EXP_DATA unset")
    assert "Set data.path" in message
    message = refused(offline("fashion_mnist", on_missing="sample"))
    assert "data.on_missing=sample" in message and "fashion_mnist" in message


# Where it looks


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(tmp_path, form):
    arrays = small_arrays()
    config = offline(path=str(write_form(tmp_path, form, arrays)), validation=10)
    for split, images in zip(("train", "test"), load_both(config), strict=True):
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


def test_path_then_variable_then_keras_cache(tmp_path, monkeypatch, own_home):
    paths = {
        "path": tmp_path / "path.npz",
        "variable": tmp_path / "variable.npz",
        "keras_home": tmp_path / "elsewhere/datasets/mnist.npz",
        "dot_keras": own_home / ".keras/datasets/mnist.npz",
    }
    for number, path in enumerate(paths.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, **small_arrays(num_train=31 + number))
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


def test_places_are_looked_through_and_incomplete_ones_passed_over(tmp_path):
    half, folder = (write_idx(tmp_path / name, small_arrays(), gzipped=True) for name in ("half", "whole"))
    (half / f"{IDX_NAMES['x_test']}.gz").unlink()
    nowhere = [str(tmp_path / "none"), str(half), "x" * 5000, "~nobody-here/x"]
    config = load_config("fashion_mnist", places=[*nowhere, str(folder)], validation=5)
    source = dataset.find_source(config)
    assert source.name == "fashion_mnist" and source.class_names[9] == "Ankle boot"
    assert source.load("train").notice.startswith("These are not the training images of fashion_mnist")
    assert dataset.find_source(offline(places=nowhere)).name == "sample"


def test_what_a_variable_or_keras_cache_leads_to_is_named_not_skipped(monkeypatch, own_home):
    path = own_home / ".keras/datasets/mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    message = refused(load_config("mnist", mirrors=[]))
    assert message.startswith("data.places: ~/.keras/datasets/mnist.npz: it is not a whole .npz file.")
    assert "Delete it" in message
    monkeypatch.setenv("MNIST_EXP_DATA", "~/nowhere.npz")
    named = "data.path (environment variable MNIST_EXP_DATA): ~/nowhere.npz: it does not exist."
    assert refused(offline()).startswith(named)


# Known by content


def test_changed_content_is_named_and_still_usable(tmp_path):
    config = offline(path=str(write_npz(tmp_path / "a.npz", **small_arrays())), validation=10)
    train, _ = load_both(config)
    assert train.notice.startswith("These are not the training images of mnist: the 40 in ")
    assert train.sha256 in train.notice and config.train_sha256 in train.notice
    right = msgspec.structs.replace(config, train_sha256=train.sha256, test_sha256=None)
    assert [images.notice for images in load_both(right)] == [None, None]
    assert dataset.load_training_data(dataset.find_source(config)).notice == train.notice


# The split


@needs_full_mnist
def test_canonical_mnist_is_recognised_and_its_split_is_the_same_5000_images_for_ever():
    config = load_config("mnist", path=str(FULL_MNIST))
    train, test = load_both(config)
    assert (train.sha256, test.sha256) == (config.train_sha256, config.test_sha256)
    assert train.notice is None and test.notice is None
    parts = dataset.load_training_data(dataset.find_source(config))
    assert (len(parts.training), len(parts.validation)) == (55_000, 5_000)
    assert parts.split_sha256 == "a107832f29321a21570c9a86abf0445aeb125255dedb9555115af1980d082927"
    shares = np.bincount(parts.validation.labels) / np.bincount(train.labels)
    assert np.abs(shares * 60_000 - 5_000).max() < 15


def test_split_is_exact_stratified_sorted_and_seeded():
    labels = np.repeat(np.arange(5), [100, 50, 7, 1, 42]).astype(np.uint8)
    for count in (1, 3, 20, 57, 199):
        chosen = dataset.choose_stratified(labels, count, seed=3)
        assert len(chosen) == count and (np.diff(chosen) > 0).all()
        exact = np.bincount(labels) * count / len(labels)
        assert (np.abs(np.bincount(labels[chosen], minlength=5) - exact) < 1).all()
        assert np.array_equal(chosen, dataset.choose_stratified(labels, count, seed=3))
    chosen, other = (dataset.choose_stratified(labels, 57, seed=seed) for seed in (3, 4))
    assert not np.array_equal(chosen, other)


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


def test_no_validation_images_and_those_of_the_test_leave_all_to_train_on():
    parts = dataset.load_training_data(dataset.find_source(offline("sample", validation=0)))
    assert len(parts.training) == 4000
    assert parts.validation is None and parts.split_sha256 is None
    source = dataset.find_source(offline("sample", validation="test"))
    parts = dataset.load_training_data(source)
    assert len(parts.training) == 4000 and parts.selected_on_test and parts.split_sha256 is None
    assert parts.validation.sha256 == source.load("test").sha256


@pytest.mark.parametrize("count", [4000, 10_000_000])
def test_too_many_validation_images_are_refused_before_reading(count):
    message = refused(offline("sample", validation=count))
    assert message.startswith(f"data.validation={count} leaves nothing to train on")
    assert "0 to 3,999" in message


def test_training_never_reads_test_values(tmp_path):
    folder = write_idx(tmp_path / "folder", small_arrays(), gzipped=True)
    path = folder / f"{IDX_NAMES['x_test']}.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    source = dataset.find_source(offline(path=str(folder), validation=5))
    assert len(dataset.load_training_data(source).training) == 35
    with pytest.raises(ConfigError, match="t10k-images-idx3-ubyte.gz cannot be read"):
        source.load("test")


# Files that are wrong


NPY = {key: npy_bytes(array) for key, array in small_arrays().items()}


def changed(**arrays):
    return npz_bytes(**small_arrays() | arrays)


def with_header(text):
    """Small arrays, and another header without content for x_train."""
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    return zipped(NPY | {"x_train": header})


def with_shape(shape):
    return with_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}")


def zeros(*shape):
    return np.zeros(shape, np.uint8)


UNREADABLE = "x_train has no readable .npy header"
# Bytes of an .npz file, and what the one line must contain.
WRONG_NPZ = {
    "complex images": (changed(x_train=zeros(40, 28, 28) * 1j), "x_train holds complex128; accepted: whole"),
    "no numbers": (changed(x_train=zeros(40, 28, 28) * np.nan), "x_train has values from nan to nan"),
    "negative": (changed(x_train=zeros(40, 28, 28) - 1.0), "x_train has values from -1.0 to -1.0; accepted"),
    "too bright": (changed(x_train=zeros(40, 28, 28) + np.int64(256)), "x_train has values from 256 to 256"),
    "many labels": (changed(y_train=np.full(40, 256)), "y_train has labels from 256 to 256; accepted: whole"),
    "half labels": (changed(y_train=np.full(40, 0.5)), "y_train has labels from 0.5 to 0.5; accepted: whole"),
    "flat oblongs": (changed(x_train=zeros(40, 783)), "x_train has shape (40, 783)"),
    "transparent": (changed(x_test=zeros(20, 28, 28, 4)), "x_test has shape (20, 28, 28, 4)"),
    "tiny images": (changed(x_train=zeros(40, 7, 28)), "sides of 8 to 256 pixels"),
    "large images": (changed(x_train=zeros(40, 28, 257)), "sides of 8 to 256 pixels"),
    "two sizes": (changed(x_test=zeros(20, 27, 28)), "x_test of (27, 28); accepted: the same"),
    "no images": (changed(x_train=zeros(0, 28, 28)), "x_train is empty"),
    "few labels": (changed(y_train=zeros(39)), "x_train holds 40 images, y_train 39 labels"),
    "one-hot labels": (changed(y_test=zeros(20, 10)), "y_test has rows that are not one-hot"),
    "label 10": (changed(y_test=zeros(20) + 10), "y_test has labels up to 10, data.class_names has 10"),
    "objects": (changed(y_train=np.array([{}] * 40)), "y_train holds pickled Python objects"),
    "nothing": (b"", "it is not a whole .npz file"),
    "npy file": (npy_bytes(np.zeros(3)), "it is not a whole .npz file"),
    "missing keys": (
        npz_bytes(x_train=zeros(4, 28, 28), y_test=zeros(4), extra=zeros(1)),
        "it lacks y_train, x_test; it holds x_train, y_test, extra",
    ),
    "twice": (changed(train_images=zeros(40, 28, 28)), "x_train and train_images may both be x_train"),
    "lzma": (zipped(NPY, zipfile.ZIP_LZMA), "is compressed as numpy never does"),
    "claims 2**40 images": (with_shape("(1099511627776, 28, 28)"), "claims 862,017,116,176,384 bytes"),
    "claims 1 GiB": (with_shape("(1300000, 28, 28)"), "its header promises 1,019,200,"),
    "below none": (with_shape("(-1, 28, 28)"), "x_train is empty"),
    "no tuple": (with_shape("'many'"), UNREADABLE),
    "call": (with_header("__import__('os').abort()"), UNREADABLE),
    "nested": (with_header("(" * 800), UNREADABLE),
    "minuses": (with_header("-" * 900 + "1"), UNREADABLE),
    "cut": (with_header("{'descr': '|u1'"), UNREADABLE),
}
# Bytes of the IDX file of training images, and what the one line must contain.
WRONG_IDX = {
    "labels for images": (idx_bytes(zeros(40)), "accepted: [00 00 08 03]"),
    "32-bit": (b"\0\0\x0c\x03" + bytes(12), "starts with the bytes [00 00 0c 03]"),
    "no header": (b"\0\0\x08\x03\0", "ends within its header"),
    "empty": (b"", "starts with the bytes []"),
    "2**31 images": (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28), "claims 1,683,627,180,032 bytes"),
    "images that are not there": (b"\0\0\x08\x03" + struct.pack(">3I", 40, 28, 28), "its header promises"),
    "too long": (idx_bytes(zeros(40, 28, 28)) + b"x", "promises"),
}


@pytest.mark.parametrize("name", WRONG_NPZ)
def test_wrong_npz_files_are_refused_in_one_line(tmp_path, name):
    content, expected = WRONG_NPZ[name]
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    message = refused(offline(path=str(path), validation=5))
    assert message.startswith(f"data.path: {path}: ") and expected in message


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("name", WRONG_IDX)
def test_wrong_idx_files_are_refused(tmp_path, name, gzipped):
    content, expected = WRONG_IDX[name]
    folder = write_idx(tmp_path / "folder", small_arrays())
    (folder / IDX_NAMES["x_train"]).write_bytes(gzip.compress(content) if gzipped else content)
    assert expected in refused(offline(path=str(folder), validation=5))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("damage", ["cut", "flipped byte"])
def test_damaged_files_are_refused(tmp_path, form, damage):
    path = write_form(tmp_path, form, small_arrays())
    damaged = path if form == "npz" else next(path.glob("train-images*"))
    content = bytearray(damaged.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif form == "idx":
        content[3] ^= 0xFF  # of its pixels nobody knows a sum
    else:
        content[3000] ^= 0xFF
    damaged.write_bytes(content)
    assert refused(offline(path=str(path), validation=5)).startswith("data.path: ")


def test_a_folder_without_the_files_names_what_is_missing(tmp_path):
    folder = write_idx(tmp_path / "folder", small_arrays())
    (folder / IDX_NAMES["y_test"]).unlink()
    message = refused(offline(path=str(folder)))
    assert "the folder lacks y_test; it holds t10k-images-idx3-ubyte" in message


@pytest.mark.parametrize("path", ["~/none.npz", "a\0b", "x" * 5000, "~nobody-here/x", "/dev/zero", "pipe"])
def test_paths_that_lead_nowhere_are_refused_at_once(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert refused(offline(path=path)).startswith("data.path: ")


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
    """A server on loopback; `files` is what it sends, `digests` what the YAML says."""

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


MNIST = {"mnist.npz": npz_bytes(**small_arrays())}
WRONG_DIGEST = {"mnist.npz": "sha256:" + "0" * 64}
CLOSED_PORT = MirrorConfig("http://127.0.0.1:9/", WRONG_DIGEST)


def test_download_is_kept_used_again_and_fetched_again_when_damaged(mirror, capfd):
    server = mirror(MNIST)
    config = offline(mirrors=[server.config], validation=5)
    seen = []
    source = dataset.find_source(config, progress=lambda *news: seen.append(news))
    assert source.name == "mnist" and len(source.load("train")) == 40
    assert source.description == "~/cache/mnist-exp/mnist/mnist.npz"
    size = len(MNIST["mnist.npz"])
    assert seen[-1] == ("mnist.npz", size, size) and max(done for _, done, _ in seen) == size
    num_requests = len(server.server.requests)
    assert dataset.find_source(config).name == "mnist"
    assert len(server.server.requests) == num_requests
    (environment.cache_folder("mnist") / "mnist.npz").write_bytes(b"half")
    assert len(dataset.find_source(config).load("train")) == 40
    assert capfd.readouterr() == ("", "")


def test_idx_files_are_downloaded_to_one_folder(mirror):
    files = {f"{name}.gz": gzip.compress(idx_bytes(small_arrays()[key])) for key, name in IDX_NAMES.items()}
    digests = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in files.items()}
    config = offline("fashion_mnist", mirrors=[mirror(files, digests).config], validation=5)
    source = dataset.find_source(config)
    assert source.description == "~/cache/mnist-exp/fashion_mnist" and len(source.load("test")) == 20


def test_a_wrong_hash_is_refused_and_the_next_mirror_used(mirror):
    right = mirror(MNIST)
    wrong = mirror({"mnist.npz": b"<html>log in to this network</html>"}, digests=right.config.files)
    source = dataset.find_source(offline(mirrors=[wrong.config, right.config], validation=5))
    assert source.name == "mnist" and source.notice is None
    assert ("GET", "/data/mnist.npz") in wrong.server.requests


def test_when_every_mirror_fails_it_falls_back_or_refuses(mirror):
    gone, wrong = (mirror(files, digests=WRONG_DIGEST) for files in ({}, MNIST))
    mirrors = [gone.config, wrong.config, CLOSED_PORT]
    source = dataset.find_source(offline(mirrors=mirrors))
    assert source.name == "sample"
    for message in (source.notice, refused(offline(mirrors=mirrors, on_missing="error"))):
        for reason in ("HTTP status 404", "does not match the known hash", "127.0.0.1:9: no connection"):
            assert reason in message
    assert not list(environment.cache_folder("mnist").glob("*"))


@pytest.mark.parametrize(
    ("limit", "hangs", "words"),
    [("REPLY_S", "both", "no reply within 0.4 s"), ("READ_S", "GET", "ReadTimeout")],
)
def test_servers_that_hang_cost_seconds_not_minutes(mirror, monkeypatch, limit, hangs, words):
    assert locating.REPLY_S <= 5 and locating.READ_S <= 10
    monkeypatch.setattr(locating, limit, 0.4)
    servers = [mirror(MNIST, hangs=hangs).config for _ in range(3 if hangs == "both" else 1)]
    started = time.monotonic()
    source = dataset.find_source(offline(mirrors=servers))
    assert source.name == "sample" and words in source.notice
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("name", ["", ".", "..", "../../evil.npz", "/etc/passwd", "a/b", "a\\b"])
def test_a_mirror_cannot_write_outside_the_cache(name):
    message = refused(offline(mirrors=[MirrorConfig("http://127.0.0.1:9/", {name: "md5:0"})]))
    assert f'data.mirrors: "{name}" is a path; accepted: a file name without folders' in message


def test_an_endless_download_is_cut_off(mirror, monkeypatch):
    monkeypatch.setattr(locating, "MAX_BYTES", 10_000)
    source = dataset.find_source(offline(mirrors=[mirror(MNIST).config]))
    assert source.name == "sample" and "more than 10,000 bytes" in source.notice


# Images that say little


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
        (labelled([3] * 50), {}, "y_train has the label 3 alone"),
        (labelled([0] * 49 + [1]), {"validation": 49}, "leaves to train on has the label 0 alone"),
    ],
)
def test_fewer_than_two_classes_are_refused(tmp_path, arrays, changes, words):
    path = write_npz(tmp_path / "own.npz", **arrays)
    assert words in refused(offline(**{"path": str(path), "validation": 5} | changes))


@pytest.mark.parametrize(
    ("arrays", "validation", "train", "test"),
    [
        (labelled([0, 1, 2, 3, 4, 5, 6] * 5), 7, "No training image shows 7, 8, 9.", None),
        (labelled(TENS, [4] * 9), 10, None, "No test image shows 0, 1, 2, 3, 5, 6, 7, 8 and 1 more."),
        (labelled(TENS), 10, None, None),
        (labelled([*TENS, 1]), 3, "No validation image shows", None),
        (labelled(TENS, images=zeros(50, 28, 28)), 10, "All 50 training images are the", None),
    ],
)
def test_what_makes_numbers_say_little_is_noted(tmp_path, arrays, validation, train, test):
    path = write_npz(tmp_path / "own.npz", **arrays)
    changes = {"train_sha256": None, "test_sha256": None, "validation": validation}
    source = dataset.find_source(offline(path=str(path), **changes))
    notices = (dataset.load_training_data(source).notice, source.load("test").notice)
    for notice, words in zip(notices, (train, test), strict=True):
        assert notice is None if words is None else words in notice
