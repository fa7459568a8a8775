"""Pictures found and read without trusting what they say."""

import os
import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_exp.data.pictures import UnreadableImage, read_grey
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.pictures import find_images
from tests.evaluation.drawings import TURNS, save

PAGE = np.full((60, 40), 0.9, np.float32)
PAGE[5:20, 5:10] = 0.1


def test_a_picture_is_turned_as_its_note_says(tmp_path: Path) -> None:
    for orientation, ending in product(TURNS, ("png", "jpg")):
        seen = read_grey(save(PAGE, tmp_path / f"a.{ending}", orientation))
        assert seen.shape == PAGE.shape and np.abs(seen - PAGE).mean() < 0.02


def test_transparent_parts_are_white_unless_nothing_could_be_seen_then(tmp_path: Path) -> None:
    for ink, paper in ((20, 1.0), (255, 0.0)):
        image = Image.new("RGBA", (30, 30), (ink, ink, ink, 0))
        image.paste((ink, ink, ink, 255), (10, 10, 20, 20))
        image.save(tmp_path / "a.png")
        seen = read_grey(tmp_path / "a.png")
        assert seen[0, 0] == paper and seen[15, 15] == pytest.approx(ink / 255, abs=0.01)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_read(tmp_path: Path, mode: str) -> None:
    grey = np.rint(255 * (PAGE > 0.5)).astype(np.uint8)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    wide = Image.fromarray(257 * grey.astype(np.uint16))
    (wide if mode == "I;16" else Image.fromarray(grey).convert(mode)).save(path)
    assert np.abs(read_grey(path) - (PAGE > 0.5)).mean() < 0.01


def test_large_pictures_come_back_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 3000), "white").save(tmp_path / "a.jpg")
    Image.new("L", (6000, 3000), 255).save(tmp_path / "a.png")
    for name in ("a.jpg", "a.png"):
        seen = read_grey(tmp_path / name)
        assert 900 < seen.shape[1] < 2000 and seen.shape[1] == 2 * seen.shape[0] and seen.min() > 0.99


def hostile_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello", "not a PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a PNG, JPEG"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "not a PNG, JPEG"),
        (hostile_png(9000, 9000), "too many pixels"),
        (hostile_png(60_000, 60_000), "too many pixels"),
        (hostile_png(500, 500), "truncated"),
        (hostile_png(0, 5), "not a PNG"),
    ],
    ids=["empty", "text", "eps", "gif without a frame", "large", "bomb", "cut", "no width"],
)
def test_a_file_that_shows_no_picture_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableImage, match=words):
        read_grey(tmp_path / "a.png")


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, tmp_path / "missing.png"):
        with pytest.raises(UnreadableImage):
            read_grey(path)


def test_files_folders_globs_and_lists_are_found_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.jpeg", "notes.txt", "in/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def names(*patterns: str) -> list[str]:
        return [path.name for path in find_images([str(tmp_path / pattern) for pattern in patterns])]

    assert names("") == ["a.JPG", "b.png", "c.jpeg"]
    assert names("*") == ["a.JPG", "b.png", "c.jpeg"]
    assert names("**/*.png") == ["b.png", "d.png"]
    assert names("in", "b.png", "") == ["d.png", "b.png", "a.JPG", "c.jpeg"]
    assert names("notes.txt") == ["notes.txt"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("dgit.png", '"digit.png"'), ("*.jpg", "holds no picture"), ("empty", "holds no picture")],
)
def test_what_is_not_there_is_refused(tmp_path: Path, pattern: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "digit.png").write_bytes(b"x")
    with pytest.raises(ConfigError) as refused:
        find_images([str(tmp_path / pattern)])
    assert words in str(refused.value)
