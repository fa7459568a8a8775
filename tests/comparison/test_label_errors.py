"""Confident learning: which labels look wrong, and how many."""

import numpy as np

from mnist_exp.comparison.label_errors import confident_joint, count_errors, rank_labels


def test_the_confident_joint_is_counted_as_in_the_paper() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 0], np.uint8)
    second = np.array([0.1, 0.2, 0.9, 0.9, 0.8, 0.15, 0.45])
    probabilities = np.stack([1 - second, second], axis=1).astype(np.float32)
    # Mean self-confidence: 0.5875 of class 0, 0.62 of class 1. Image 6, at 0.55 and 0.45, is of neither.
    assert confident_joint(probabilities, labels).tolist() == [[2, 1], [1, 2]]
    # Calibrated, one of three counts for one of four: 4/3 + 1.
    assert count_errors(probabilities, labels) == 2
    found = rank_labels(probabilities, labels)
    assert [(each.place, each.given, each.suggested) for each in found] == [(2, 0, 1), (5, 1, 0)]
    np.testing.assert_allclose([each.probability for each in found], [0.9, 0.85], rtol=1e-6)
    np.testing.assert_allclose([each.self_confidence for each in found], [0.1, 0.15], rtol=1e-6)


def test_of_several_classes_that_are_reached_the_likeliest_counts() -> None:
    labels = np.array([0, 1, 2, 2], np.uint8)
    probabilities = np.array(
        [[0.3, 0.3, 0.4], [0.35, 0.3, 0.35], [0.36, 0.37, 0.27], [0.1, 0.1, 0.8]], np.float32
    )
    # Thresholds 0.3, 0.3 and 0.535: the second and the third image reach two classes.
    assert confident_joint(probabilities, labels).tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]


def test_nothing_is_confidently_of_a_class_that_no_label_names() -> None:
    labels = np.array([0, 0, 1, 1], np.uint8)
    probabilities = np.array(
        [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]], np.float32
    )
    assert confident_joint(probabilities, labels)[:, 2].tolist() == [0, 0, 0]
    assert count_errors(probabilities, labels) == 1


def test_changed_labels_come_first_and_are_counted() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 10, 5000).astype(np.uint8)
    logits = generator.normal(size=(5000, 10))
    logits[np.arange(5000), true] += 7
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    changed = generator.choice(5000, 50, replace=False)
    labels = true.copy()
    labels[changed] = (labels[changed] + generator.integers(1, 10, 50)) % 10
    found = rank_labels(probabilities.astype(np.float32), labels)
    assert 45 <= count_errors(probabilities.astype(np.float32), labels) <= 65
    places = [each.place for each in found]
    assert np.isin(places[:40], changed).all() and np.isin(places[:55], changed).sum() >= 48
    assert np.mean([each.suggested == true[each.place] for each in found[:55]]) > 0.9
    assert [each.self_confidence for each in found] == sorted(each.self_confidence for each in found)
