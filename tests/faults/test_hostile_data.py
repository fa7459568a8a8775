"""Data files and pictures from someone who means harm: refused in bounded time and memory, or read whole."""

import gzip
import io
import os
import pickle
import random
import struct
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.lib import format as npy
from PIL import Image, PngImagePlugin

from mnist_exp.config.schema import DataConfig
from mnist_exp.data.dataset import find_source, load_training_data
from mnist_exp.data.pictures import UnreadableImage, read_grey
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.pictures import find_images
from tests.fuzzing import bounded, cases, changed, changes
from tests.support.data_files import (
    IDX_NAMES,
    idx_bytes,
    npy_bytes,
    npz_bytes,
    small_arrays,
    write_idx,
    zipped,
)

ARRAYS = small_arrays(num_train=6, num_test=3, side=8)
NPZ = {"stored": npz_bytes(np.savez, **ARRAYS), "deflated": npz_bytes(**ARRAYS)}
NPY = {key: npy_bytes(values) for key, values in ARRAYS.items()}
IDX = {key: idx_bytes(values) for key, values in ARRAYS.items()}


def check_reading(path: Path) -> str | None:
    """Reads all of a data set; gives the line that it is refused with, None where it is accepted."""
    config = DataConfig(
        name="mnist", path=str(path), path_variable=None, places=[], mirrors=[], on_missing="error",
        validation=2, split_seed=0, class_names=list("0123456789"), train_sha256=None, test_sha256=None,
    )  # fmt: skip
    try:
        with bounded(megabytes=20):
            source = find_source(config)
            data, test = load_training_data(source), source.load("test")
    except ConfigError as error:
        line = str(error)
        assert line.startswith("data.") and len(line) < 1500 and "object at 0x" not in line
        return line
    for part in (data.training, data.validation, test):
        assert part is not None and len(part.images) == len(part.labels) > 0
        assert part.images.dtype == part.labels.dtype == np.uint8 and part.images.ndim == 3
        assert all(8 <= side <= 256 for side in part.images.shape[1:]) and part.labels.max() < 10
    return None


def refusal(path: Path, content: bytes) -> str:
    """Gives the line that bytes in an `.npz` file are refused with."""
    path.write_bytes(content)
    line = check_reading(path)
    assert line is not None
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the four IDX files, each in a plain form."""
    return write_idx(tmp_path_factory.mktemp("hostile") / "idx", ARRAYS)


@cases(250)
@given(st.sampled_from(sorted(NPZ)), changes())
def test_a_changed_npz_file_is_read_or_refused(
    folder: Path, form: str, made: list[tuple[int, int, bytes]]
) -> None:
    path = folder / "digits.npz"
    path.write_bytes(changed(NPZ[form], made))
    check_reading(path)


@cases(250)
@given(st.sampled_from(sorted(IDX)), st.booleans(), changes())
@example("x_train", True, [(0, 1, b"\x1f\x8b")])
def test_a_changed_idx_file_is_read_or_refused(
    folder: Path, key: str, gzipped: bool, made: list[tuple[int, int, bytes]]
) -> None:
    path = folder / IDX_NAMES[key]
    path.write_bytes(changed(gzip.compress(IDX[key]) if gzipped else IDX[key], made))
    try:
        check_reading(folder)
    finally:
        path.write_bytes(IDX[key])


@cases(100)
@given(
    st.sampled_from(["<u1", "|u1", "u1", "|O", "O8", "<f8", "V1"]),
    st.lists(st.integers(-3, 10**13), max_size=5),
    st.binary(max_size=30),
)
@example("|u1", [10**12, 28, 28], b"")
@example("|u1", [10**12, 0, 28], b"")
@example("|u1", [2**63, 2, 2**62], b"")
@example("|u1", [-6, 8, -8], b"")
def test_a_header_that_lies_is_refused(folder: Path, kind: str, shape: list[int], content: bytes) -> None:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": tuple(shape)})
    member = stream.getvalue() + content
    assert refusal(folder / "digits.npz", zipped(dict.fromkeys(NPY, member)))


@cases(150)
@given(st.binary(max_size=300))
@example(b"{'descr': '|u1', 'fortran_order': False, 'shape': (6L, 8L, 8L), }")
@example(b"{'descr': '\\d', 'fortran_order': False, 'shape': (6, 8, 8), }")
@example(b"(" * 290)
@example(b"__import__('os').mkdir('mark')")
def test_a_header_is_never_run_and_warns_of_nothing(folder: Path, text: bytes) -> None:
    member = npy.magic(1, 0) + struct.pack("<H", len(text)) + text + bytes(6 * 64)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert refusal(folder / "digits.npz", zipped(dict.fromkeys(NPY, member)))
    assert warned == [] and not Path("mark").exists()


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@cases(100)
@given(changes())
def test_a_pickle_is_never_loaded_however_it_is_changed(
    tmp_path: Path, made: list[tuple[int, int, bytes]]
) -> None:
    bomb, path = Bomb(tmp_path / "mark"), tmp_path / "digits.npz"
    pickled = pickle.dumps(bomb)
    objects = npz_bytes(np.savez, **dict.fromkeys(NPY, np.array([bomb], object)))
    for content in (objects, pickled, zipped(dict.fromkeys(NPY, pickled)), changed(objects, made)):
        assert refusal(path, content)
    assert not (tmp_path / "mark").exists()


VAST = 2**31
ZEROS = bytes(50 * 2**20)
UNPACKED = len(NPY["x_train"]) + len(ZEROS)


def vast_list(path: Path) -> None:
    """An archive of two gigabytes, all of them its list of contents."""
    with path.open("wb") as file:
        file.truncate(VAST)
        file.seek(0, os.SEEK_END)
        file.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65_535, 65_535, VAST, 0, 0))


def zip_bomb(path: Path) -> None:
    """Images that unpack to far more than their header says."""
    path.write_bytes(zipped(NPY | {"x_train": NPY["x_train"] + ZEROS}))


def lying_zip(path: Path) -> None:
    """As `zip_bomb`, and the archive's list of contents lies about the size as well."""
    content = zipped(NPY | {"x_train": NPY["x_train"] + ZEROS})
    promised = struct.pack("<I", len(NPY["x_train"]))
    path.write_bytes(content.replace(struct.pack("<I", UNPACKED), promised))


def gzip_bomb(path: Path) -> None:
    (write_idx(path, ARRAYS) / IDX_NAMES["x_train"]).write_bytes(gzip.compress(IDX["x_train"] + ZEROS, 1))


def lying_gzip(path: Path) -> None:
    """A header that promises eighty megabytes, in a file of 16 bytes."""
    write_idx(path, ARRAYS | {"y_train": np.zeros(1_300_000, np.uint8)})
    head = b"\0\0\x08\x03" + struct.pack(">3I", 1_300_000, 8, 8)
    (path / IDX_NAMES["x_train"]).write_bytes(gzip.compress(head))


def vast_gzip(path: Path) -> None:
    with (write_idx(path, ARRAYS) / IDX_NAMES["y_test"]).open("wb") as file:
        file.write(b"\x1f\x8b\x08\x08" + bytes(6) + b"x")
        file.truncate(2**40)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (vast_list, "list of contents"),
        (zip_bomb, "its header promises"),
        (lying_zip, "x_train cannot be read"),
        (gzip_bomb, "its header promises"),
        (lying_gzip, "ends after 0 of the 83,200,000 bytes its header promises"),
        (vast_gzip, "at most"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bombs_in_data_are_refused_in_little_memory(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "digits.npz")
    line = check_reading(tmp_path / "digits.npz")
    assert line is not None and words in line, line


def picture(ending: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, ending, **options)
    return stream.getvalue()


def noted() -> PngImagePlugin.PngInfo:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "x" * 1000, zip=True)
    return notes


PICTURES = {
    "png": picture("PNG", pnginfo=noted()),
    "jpeg": picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"),
    "progressive": picture("JPEG", progressive=True),
}


@cases(250)
@given(st.sampled_from(sorted(PICTURES)), changes())
def test_a_changed_picture_is_read_or_refused(
    folder: Path, kind: str, made: list[tuple[int, int, bytes]]
) -> None:
    path = folder / "picture.png"
    path.write_bytes(changed(PICTURES[kind], made))
    with bounded(megabytes=300, seconds=5):
        try:
            seen = read_grey(path)
        except UnreadableImage as error:
            assert str(error) and "\n" not in str(error) and len(str(error)) < 500
            return
    assert seen.dtype == np.float32 and seen.ndim == 2 and 0 <= seen.min() <= seen.max() <= 1


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Puts a PNG file together from chunks with correct sums."""
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def head(width: int, height: int, depth: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


BOMB = zlib.compress(bytes(300 * 2**20), 1)


@pytest.mark.parametrize(
    "content",
    [
        png(head(2**31 - 1, 2**31 - 1), (b"IDAT", b""), (b"IEND", b"")),
        png(head(40_000, 1200, 16, 6), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")),
        png(head(8, 8), (b"zTXt", b"x\0\0" + BOMB), (b"IDAT", zlib.compress(bytes(72))), (b"IEND", b"")),
        png(head(8, 8), (b"iCCP", b"x\0\0" + BOMB), (b"IDAT", zlib.compress(bytes(72))), (b"IEND", b"")),
        png(head(8, 8), (b"IDAT", BOMB), (b"IEND", b"")),
        png(*[head(8, 8)] * 20_000),
        PICTURES["jpeg"].replace(b"\xff\xc0\0\x11\x08\0\x18\0\x14", b"\xff\xc0\0\x11\x08\xff\xff\xff\xff"),
        PICTURES["jpeg"][:200],
        b"\xff\xd8" + b"\xff\xe1\xff\xff" + b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\xff\xff" + bytes(65_000),
    ],
    ids=["vast", "wide", "text", "profile", "pixels", "heads", "jpeg lies", "jpeg cut", "notes"],
)  # fmt: skip
def test_bombs_in_pictures_take_little_memory_and_time(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with bounded(megabytes=500, seconds=5):
        try:
            assert read_grey(path).size <= 2000 * 2000
        except UnreadableImage as error:
            assert str(error) and "\n" not in str(error)


@cases(100)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
@example("x" * 5000)
@example("~nobody-here/x.png")
@example("a\0b")
@example("\ud800")
@example("[")
def test_a_name_that_no_picture_can_have_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.process_time()
    if name.startswith("/") or ".." in name:
        name = f"x{random.Random(name).random()}"  # what lies elsewhere on this machine is not looked for
    try:
        assert all(path.exists() or path.is_symlink() for path in find_images([name]))
    except ConfigError as error:
        assert str(error).startswith("images: ") and len(str(error)) < 1500
    assert time.process_time() - started < 2
