"""A single answer cannot be right about several digits: that is noticed, and single digits are left alone."""

import numpy as np
import pytest

from mnist_exp.evaluation.framing import frame
from mnist_exp.evaluation.side_by_side import shows_several
from tests.evaluation.drawings import bundled_digits, enlarged


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
