"""Digits in scenes: what the network is shown of them, or a word that something else is there."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.data.pictures import read_grey
from mnist_exp.evaluation.framing import BlankImage, frame
from mnist_exp.evaluation.pictures import find_images, find_passed_over
from mnist_exp.evaluation.side_by_side import shows_several
from tests.evaluation.drawings import bundled_digits, distance, enlarged
from tests.evaluation.scenes import BARE, FORMATS, SURROUNDED, blank_pages, page

COUNT = 3
MOST_APART = 26
FOUND = {"box inset", "box without its right side", "circled", "thumb below", "shadow, slanted"}
FOUND |= {"dark corners, strong", "sheet on a table"}
"""Scenes in which the digit itself has to be found, most times; elsewhere a word will do."""


@pytest.mark.parametrize("name", SURROUNDED)
def test_what_is_no_digit_is_left_out_or_said(name: str) -> None:
    assert SURROUNDED.keys() >= FOUND
    generator = np.random.default_rng(3)
    images = bundled_digits(COUNT)[0]
    framed = [frame(SURROUNDED[name](image, generator)) for image in images]
    distances = [distance(found.image, image) for found, image in zip(framed, images, strict=True)]
    for found, apart in zip(framed, distances, strict=True):
        assert found.has_surroundings or apart < MOST_APART
    assert np.median(distances) < MOST_APART or name not in FOUND


@pytest.mark.parametrize("name", BARE)
def test_no_margin_and_few_greys_suffice(name: str) -> None:
    images = bundled_digits(5 * COUNT)[0]
    seen = [frame(BARE[name](image, np.random.default_rng(3))).image for image in images]
    distances = [distance(found, image) for found, image in zip(seen, images, strict=True)]
    assert np.mean(np.array(distances) < MOST_APART + 8) >= 0.9


def test_an_ordinary_page_is_not_called_anything_else() -> None:
    images = bundled_digits(5 * COUNT)[0]
    assert not any(frame(page(image, np.random.default_rng(3))).has_surroundings for image in images)


def test_an_empty_page_is_blank_in_any_light() -> None:
    not_blank = []
    for name, grey in blank_pages(np.random.default_rng(3)).items():
        with suppress(BlankImage):
            frame(np.rint(255 * grey).astype(np.float32) / 255)
            not_blank.append(name)
    assert not_blank == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_as_the_plain_page(tmp_path: Path, name: str) -> None:
    write, ending = FORMATS[name]
    grey = page(bundled_digits(1)[0][0], np.random.default_rng(3))
    path = write(grey, tmp_path / f"digit.{ending}")
    (tmp_path / "digit.heic").write_bytes(b"x")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert find_images([str(tmp_path)]) == [path]
    assert [each.name for each in find_passed_over([str(tmp_path)])] == ["digit.heic"]
    assert distance(frame(read_grey(path)).image, frame(grey).image) < MOST_APART


@pytest.mark.parametrize("count", [2, 3, 4])
def test_rows_of_digits_show_several(count: int) -> None:
    images, _ = bundled_digits(20 * count)
    rows = [
        np.concatenate([1 - enlarged(image, 3) for image in images[start : start + count]], axis=1)
        for start in range(0, len(images), count)
    ]
    assert np.mean([shows_several(frame(row).image) for row in rows]) >= 0.9


def test_single_digits_and_empty_images_do_not() -> None:
    images, _ = bundled_digits(1000)
    assert sum(shows_several(image) for image in images) <= 5
    assert not shows_several(np.zeros((28, 28), np.uint8))
