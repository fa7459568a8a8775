"""Calibration and class scores, against other ways of computing them."""

import csv
from io import StringIO

import numpy as np
import pytest

from mnist_exp.evaluation.scores import (
    brier_score,
    calibration_error,
    class_table,
    equal_count_bins,
    equal_width_bins,
    macro_mean,
    measure_calibration,
    score_classes,
)
from mnist_exp.statistics import confusion_counts


def random_predictions(seed: int, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.3), count).astype(np.float32)
    return probabilities, generator.integers(0, classes, count).astype(np.uint8)


@pytest.mark.parametrize("seed", range(2))
def test_the_calibration_error_is_that_of_a_plain_loop(seed: int) -> None:
    probabilities, labels = random_predictions(seed, 200 + seed, 4)
    groups: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(probabilities, labels, strict=True):
        confidence = float(row.max())
        place = next(place for place in range(15) if confidence <= (place + 1) / 15 or place == 14)
        groups.setdefault(place, []).append((confidence, int(row.argmax()) == label))
    gaps = [sum(confidence - right for confidence, right in group) for group in groups.values()]
    expected = sum(map(abs, gaps))
    found = measure_calibration(probabilities, labels)
    assert found.expected_calibration_error == pytest.approx(expected / len(labels))
    assert sum(each.count for each in found.equal_width) == len(labels)


def test_bins_close_at_their_upper_edge() -> None:
    bins = equal_width_bins(np.array([0.0, 0.25, 0.250001, 1.0]), np.ones(4, bool), 4)
    assert [each.count for each in bins] == [2, 1, 0, 1]
    assert bins[2].accuracy is None and bins[2].confidence is None and bins[2].interval is None


def test_adaptive_bins_hold_as_many_images_each() -> None:
    confidences = np.random.default_rng(0).random(100)
    bins = equal_count_bins(confidences, np.ones(100, bool))
    assert {each.count for each in bins} == {6, 7} and len(bins) == 15
    assert all(low.high <= high.low for low, high in zip(bins, bins[1:], strict=False))
    assert len(equal_count_bins(confidences[:3], np.ones(3, bool))) == 3


def test_scores_of_networks_that_are_certain_or_as_often_right_as_they_believe() -> None:
    confidences, correct = np.full(10, 0.7), np.arange(10) < 7
    assert calibration_error(equal_width_bins(confidences, correct)) == pytest.approx(0)
    assert calibration_error(equal_width_bins(np.ones(10), correct)) == pytest.approx(0.3)
    certain = np.eye(3, dtype=np.float32)
    assert brier_score(certain, np.arange(3, dtype=np.uint8)) == 0
    assert brier_score(certain, np.array([1, 2, 0], np.uint8)) == 2
    assert brier_score(np.full((1, 4), 0.25, np.float32), np.zeros(1, np.uint8)) == pytest.approx(0.75)


def test_class_scores_are_those_of_counting() -> None:
    probabilities, labels = random_predictions(0, 60, 4)
    predicted = probabilities.argmax(axis=1)
    found = score_classes(confusion_counts(probabilities, labels, 4), "abcd")
    for label, each in enumerate(found):
        right = int(((predicted == label) & (labels == label)).sum())
        assert each.recall == pytest.approx(right / (labels == label).sum())
        assert each.precision == pytest.approx(right / (predicted == label).sum())
        assert each.f1 == pytest.approx(2 / (1 / each.recall + 1 / each.precision))


def test_a_class_without_images_or_predictions_has_no_share() -> None:
    absent, missed = score_classes(np.array([[0, 0], [3, 0]]), ["absent", "missed"])
    assert (absent.recall, absent.recall_interval, absent.precision) == (None, None, 0.0)
    assert (missed.precision, missed.recall) == (None, 0.0)
    assert macro_mean([absent.recall, missed.recall]) == 0.0 and macro_mean([None]) == 0.0


def test_the_table_of_classes_is_read_by_spreadsheets_and_computes_nothing() -> None:
    rows = list(csv.DictReader(StringIO(class_table(score_classes(np.eye(2, dtype=int), ["=1+1", "b"])))))
    assert [row["class"] for row in rows] == ["'=1+1", "b"]
    assert float(rows[0]["recall"]) == 1 and 0 < float(rows[0]["recall_low"]) < 1
