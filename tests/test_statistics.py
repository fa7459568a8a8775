"""Figures from predictions and scores, against independent ways of computing them."""

import numpy as np
import pytest
from scipy.stats import binomtest, sem, t, ttest_ind

from mnist_exp.statistics import (
    accuracy,
    class_balance,
    confusion_counts,
    cross_entropy,
    mean_interval,
    welch_interval,
    wilson_interval,
)


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


def test_balanced_accuracy_is_the_mean_recall_of_classes_that_have_images() -> None:
    found = class_balance([80, 0, 15, 5], [80, 0, 3, 0])
    assert found.balanced_accuracy == pytest.approx((1 + 0.2 + 0) / 3)
    assert (found.majority_share, found.minority_share) == (0.8, 0.05)
    assert found.majority_suffices(0.8) and not found.majority_suffices(0.81)
    for count, is_uneven in ((60, False), (61, True), (27, False), (26, True)):
        assert class_balance([count, 40], [0, 0]).is_uneven == is_uneven


def test_cross_entropy_is_the_mean_of_minus_log_p_and_never_infinite() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]], np.float32)
    expected = -(np.log(0.5) + np.log(1e-7)) / 2
    assert cross_entropy(probabilities, np.array([0, 1], np.uint8)) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.98, 0.985], [1.0, 2.0, 4.0, 8.0], [0.1] * 5])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_of_a_mean_is_scipys(values: list[float], level: float) -> None:
    error = sem(values)
    expected = t.interval(level, len(values) - 1, np.mean(values), error) if error > 1e-15 else (0.1, 0.1)
    assert mean_interval(values, level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.98, 0.985, 0.981], [0.97, 0.975]), ([1.0, 2.0, 4.0], [8.0, 8.001, 8.0]), ([1e-9, 2e-9], [5.0, 9.0])],
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_a_difference_is_scipys(
    first: list[float], second: list[float], level: float
) -> None:
    expected = ttest_ind(first, second, equal_var=False).confidence_interval(level)
    assert welch_interval(first, second, level) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_one_value_has_no_interval() -> None:
    assert mean_interval([0.98]) is None and mean_interval([]) is None
    assert welch_interval([0.98], [0.97, 0.98]) is None and welch_interval([0.97, 0.98], []) is None


def test_values_that_do_not_vary_have_an_interval_without_width() -> None:
    assert mean_interval([0.1, 0.1, 0.1]) == (0.1, 0.1)
    assert welch_interval([0.3, 0.3, 0.3], [0.1, 0.1]) == (0.3 - 0.1, 0.3 - 0.1)


@pytest.mark.slow
def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(0.98, 0.001, (20_000, 3)).tolist()
    intervals = np.array([mean_interval(sample) for sample in samples])
    covered = (intervals[:, 0] <= 0.98) & (intervals[:, 1] >= 0.98)
    assert covered.mean() == pytest.approx(0.95, abs=0.006)


@pytest.mark.slow
def test_the_interval_of_a_difference_holds_it_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    first = generator.normal(2.0, 1.0, (20_000, 4)).tolist()
    second = generator.normal(1.5, 3.0, (20_000, 8)).tolist()
    intervals = np.array([welch_interval(*pair) for pair in zip(first, second, strict=True)])
    covered = (intervals[:, 0] <= 0.5) & (intervals[:, 1] >= 0.5)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)
