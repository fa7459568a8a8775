"""Figures from predictions, against independent ways of computing them."""

import numpy as np
import pytest
from scipy.stats import binomtest

from mnist_exp.statistics import accuracy, confusion_counts, cross_entropy, wilson_interval


@pytest.mark.parametrize(("num_right", "count"), [(0, 10), (10, 10), (1, 2), (9822, 10_000), (1, 1)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_wilson_interval_is_scipys(num_right: int, count: int, level: float) -> None:
    expected = binomtest(num_right, count).proportion_ci(level, "wilson")
    assert wilson_interval(num_right, count, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_accuracy_and_confusion_count_the_most_probable_class() -> None:
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]], np.float32)
    labels = np.array([0, 1, 1], np.uint8)
    assert accuracy(probabilities, labels) == pytest.approx(2 / 3)
    assert confusion_counts(probabilities, labels, 2).tolist() == [[1, 0], [1, 1]]


def test_cross_entropy_is_the_mean_of_minus_log_p_and_never_infinite() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]], np.float32)
    expected = -(np.log(0.5) + np.log(1e-7)) / 2
    assert cross_entropy(probabilities, np.array([0, 1], np.uint8)) == pytest.approx(expected)
