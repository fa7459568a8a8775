"""Images made harder."""

import numpy as np
import pytest

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.evaluation.distortions import DISTORTIONS, choose_images, distort, measure_robustness
from tests.evaluation.drawings import bundled_digits

BY_NAME = {each.name: each for each in DISTORTIONS}


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda each: each.name)
def test_a_distortion_is_the_same_every_time_and_grows(distortion) -> None:
    images, _ = bundled_digits(50)
    assert distort(images, distortion, 0) is images
    changes = []
    for severity in distortion.severities[1:]:
        changed = distort(images, distortion, severity)
        assert changed.dtype == np.uint8 and changed.shape == images.shape
        np.testing.assert_array_equal(changed, distort(images, distortion, severity))
        changes.append(np.abs(changed.astype(float) - images).mean())
    assert changes == sorted(changes) and changes[0] > 0


def test_a_shift_of_whole_pixels_moves_every_image_and_changes_no_pixel() -> None:
    images, _ = bundled_digits(40)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    shifted = distort(images, BY_NAME["shift"], 2)
    for image, seen in zip(padded, shifted, strict=True):
        places = [(down, across) for down in (0, 2, 4) for across in (0, 2, 4) if (down, across) != (2, 2)]
        assert any(np.array_equal(image[y : y + 28, x : x + 28], seen) for y, x in places)


def test_robustness_counts_what_the_network_gets_right() -> None:
    images, labels = bundled_digits(100)
    answers = iter([1.0] + [0.4] * 5)

    def predict(seen: np.ndarray) -> np.ndarray:
        right = np.arange(len(seen)) < next(answers) * len(seen)
        return np.eye(10, dtype=np.float32)[np.where(right, labels, (labels + 1) % 10)]

    (found,) = measure_robustness(LabelledImages(images, labels), predict, [BY_NAME["blur"]])
    assert [level.accuracy for level in found.levels] == [1.0] + [0.4] * 5
    assert found.num_images == 100 and all(low < 0.4 < high for low, high in (found.levels[1].interval,))


def test_at_most_so_many_images_are_taken_each_class_in_proportion() -> None:
    seen = LabelledImages(*bundled_digits(1000))
    chosen = choose_images(seen, 200)
    assert np.bincount(chosen.labels).tolist() == [20] * 10
    np.testing.assert_array_equal(chosen.images, choose_images(seen, 200).images)
    assert choose_images(seen, 1000) is seen
