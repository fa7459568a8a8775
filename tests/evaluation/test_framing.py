"""Anybody's digits made into images as MNIST's were made."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_exp.evaluation.framing import CLOTHES, BlankImage, frame, frame_for, otsu_threshold
from tests.evaluation.drawings import WAYS, bundled_digits, distance, enlarged

COUNT = 20


@pytest.mark.parametrize("way", WAYS)
def test_a_digit_comes_back_as_it_was_in_mnist(way: str) -> None:
    images, _ = bundled_digits(COUNT)
    generator = np.random.default_rng(0)
    framed = [frame(WAYS[way](image, generator)) for image in images]
    distances = [distance(found.image, image) for found, image in zip(framed, images, strict=True)]
    assert np.mean(distances) < 12 and np.max(distances) < 37
    inverted = "paper" in way or "dark" in way
    assert all(found.is_inverted == inverted for found in framed)


def test_an_image_of_mnist_is_hardly_changed() -> None:
    images, _ = bundled_digits(COUNT)
    distances = [distance(frame(image.astype(np.float32) / 255).image, image) for image in images]
    # A centre of mass half-way between two pixels may be put at the other one.
    assert sorted(distances)[-3] < 1 and max(distances) < 30


def test_the_longer_side_fills_20_pixels_and_the_mass_lies_at_the_centre() -> None:
    images, _ = bundled_digits(COUNT)
    for image in images:
        seen = frame(np.pad(image, ((3, 40), (50, 9))).astype(np.float32) / 255).image.astype(float)
        sides = [np.ptp(np.flatnonzero(seen.any(axis=axis))) + 1 for axis in (0, 1)]
        assert 18 <= max(sides) <= 20
        for axis in (0, 1):
            mass = seen.sum(axis=axis)
            assert abs((mass * np.arange(28)).sum() / mass.sum() - 14) <= 0.51


def test_a_thin_line_stays_a_line() -> None:
    picture = Image.new("L", (900, 900), 255)
    ImageDraw.Draw(picture).line([(250, 150), (650, 150), (400, 800)], fill=30, width=4)
    seen = frame(np.asarray(picture, np.float32) / 255).image
    assert (seen.max(axis=1) > 150).sum() == 20, "a row of the line has vanished"


def test_specks_are_left_out() -> None:
    image = bundled_digits(1)[0][0]
    page = np.pad(np.kron(image, np.ones((8, 8))).astype(np.float32) / 255, 60)
    clean = frame(page).image
    page[5:9, 5:9] = page[-12:-9, 40:43] = 1
    np.testing.assert_array_equal(frame(page).image, clean)


@pytest.mark.parametrize("side", [np.s_[:25], np.s_[-25:], np.s_[:, :25], np.s_[:, -25:]])
def test_the_table_beside_the_paper_is_left_out(side: tuple[slice, ...]) -> None:
    page = 0.95 - 0.8 * np.pad(enlarged(bundled_digits(1)[0][0], 5), 60)
    clean = frame(page).image
    page[side] = 0.2
    assert distance(frame(page).image, clean) < 12


def test_a_bar_that_is_all_there_is_is_kept() -> None:
    page = np.ones((100, 100), np.float32)
    page[10:90, 40:52] = 0.1
    assert frame(page).image.any()


@pytest.mark.parametrize(
    "grey",
    [
        np.full((40, 40), 0.8, np.float32),
        np.linspace(0.2, 0.9, 6400, dtype=np.float32).reshape(80, 80),
        np.zeros((1, 1), np.float32),
        np.random.default_rng(0).normal(0.5, 0.01, (90, 90)).astype(np.float32),
    ],
    ids=["one grey", "a gradient", "one pixel", "noise"],
)  # fmt: skip
def test_nothing_is_seen_where_there_is_nothing(grey: np.ndarray) -> None:
    with pytest.raises(BlankImage):
        frame(grey)


@pytest.mark.parametrize("shape", [(2, 3), (1, 200), (200, 1), (5, 400)])
def test_odd_shapes_are_framed_or_called_blank(shape: tuple[int, int]) -> None:
    grey = np.zeros(shape, np.float32)
    grey[shape[0] // 2, shape[1] // 3] = 1
    with suppress(BlankImage):
        assert frame(grey).image.shape == (28, 28)


def test_clothes_fill_the_whole_image() -> None:
    assert frame_for("fashion_mnist") == CLOTHES != frame_for("mnist") == frame_for("other")
    page = np.ones((300, 200), np.float32)
    page[50:250, 60:140] = 0.3
    seen = frame(page, 28, CLOTHES).image
    assert seen[0].any() and seen[-1].any() and frame(page, 56).image.shape == (56, 56)


def test_otsus_threshold_parts_two_kinds_best() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(m, 0.05, 500) for m in (0.2, 0.8)]).clip(0)
    found = otsu_threshold(values.astype(np.float32))

    def spread_within(threshold: float) -> float:
        parts = values[values > threshold], values[values <= threshold]
        return sum(len(part) * part.var() for part in parts)

    assert spread_within(found) <= min(spread_within(level) for level in np.linspace(0.05, 0.95, 50)) + 1e-9
