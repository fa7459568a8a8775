"""Classes that differ in size: weighted in training, and measured fairly from the run to the comparison."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mnist_exp.data.dataset import SAMPLE_PATH, LabelledImages
from mnist_exp.training.model import shuffle
from tests.conftest import Run
from tests.digits import sample_digits
from tests.test_engine import BATCH_SIZE, build

SIZES = (200, 100, 50, 25, 12, 6, 3, 2, 1, 0)


def uneven_digits() -> LabelledImages:
    """Half as many of each digit as of the one before, and no nine."""
    images, labels = sample_digits(4000)
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:size] for digit, size in enumerate(SIZES)])
    chosen = np.random.default_rng(0).permutation(chosen)
    return LabelledImages(images[chosen], labels[chosen])


DIGITS = uneven_digits()
WEIGHTS = {digit: sum(SIZES) / (9 * size) for digit, size in enumerate(SIZES) if size}


@pytest.mark.parametrize("engine", ["compiled", "graph", "keras"])
def test_every_engine_weighs_classes_as_keras_own_class_weight_does(engine: str) -> None:
    model, reference = build(engine, class_weight="balanced"), build("keras").network
    reference.compile("adam", "sparse_categorical_crossentropy")
    reference.optimizer.learning_rate = 0.003
    feed = model.prepare(DIGITS, BATCH_SIZE)
    history = model.fit(
        feed.elements, steps_per_epoch=feed.steps_per_epoch, shuffle=False, epochs=2, verbose=0,
        validation_data=(DIGITS.images, DIGITS.labels),
    )  # fmt: skip
    for epoch in range(2):
        order, losses = shuffle(0, epoch, len(DIGITS)), []
        for start in range(0, len(DIGITS), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            pixels, labels = DIGITS.images[batch] / np.float32(255), DIGITS.labels[batch]
            weights = np.array([WEIGHTS[label] for label in labels])
            reference.reset_metrics()
            losses += [float(reference.train_on_batch(pixels, labels, weights))] * len(batch)
        assert history.history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-4)
    for ours, theirs in zip(model.network.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    plain = reference.evaluate(DIGITS.images / np.float32(255), DIGITS.labels, verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(plain, rel=1e-3), "validation is not weighted"


def test_a_mixed_image_counts_as_much_as_each_of_its_classes() -> None:
    model = build("graph", class_weight="balanced", mixup_alpha=0.5, label_smoothing=0.2)
    model.prepare(DIGITS, BATCH_SIZE)
    labels = DIGITS.labels[:32]
    logits = tf.Variable(np.random.default_rng(0).normal(size=(32, 10)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        probabilities = tf.nn.softmax(logits)
        objective = model.compute_loss(y=tf.constant(labels), y_pred=probabilities, training=True)
    losses, shares = -np.log(probabilities), model._shares(tf.constant(labels)).numpy()
    expected, slopes = 0.0, np.zeros((32, 10))
    for place in range(32):
        for label, share in ((labels[place], shares[place]), (labels[place - 1], 1 - shares[place])):
            target = np.full(10, 0.02) + 0.8 * np.eye(10)[label]
            expected += share * WEIGHTS[label] * float(target @ losses[place]) / 32
            slopes[place] += share * WEIGHTS[label] * (probabilities[place] - target) / 32
    assert float(objective) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(tape.gradient(objective, logits), slopes, atol=1e-5)


def write_uneven_sample(folder: Path) -> Path:
    """Writes the sample with all noughts, of training and of test, and a few of each other digit."""
    with np.load(SAMPLE_PATH) as sample:
        arrays = dict(sample)
    for part, few in (("train", 4), ("test", 1)):
        labels = arrays[f"y_{part}"]
        places = [np.flatnonzero(labels == digit)[: few if digit else None] for digit in range(10)]
        arrays |= {f"{name}_{part}": arrays[f"{name}_{part}"][np.concatenate(places)] for name in "xy"}
    np.savez(folder / "uneven.npz", **arrays)
    return folder / "uneven.npz"


@pytest.mark.slow
def test_what_predicts_the_majority_class_alone_looks_bad_wherever_it_is_told(
    tmp_path: Path, run_command: Run
) -> None:
    def told(*words: str) -> str:
        done = run_command(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.replace("│", " ").split())

    data = (f"data.path={write_uneven_sample(tmp_path)}", "data.validation=40")
    data += ("data.train_sha256=null", "data.test_sha256=null")
    majority = told(*data, "model.units=[1]", "training.epochs=3", "hydra.run.dir=runs/majority")
    fair = told(*data, "training.class_weight=balanced", "training.epochs=3", "hydra.run.dir=runs/fair")
    evaluated = told("mode=evaluate", "run=runs/majority", "evaluate.robustness_images=0")
    summary, other = (
        json.loads((tmp_path / f"runs/{name}/summary.json").read_text()) for name in ("majority", "fair")
    )
    assert summary["test_accuracy"] == summary["majority_share"] == 100 / 109
    assert (summary["balanced_accuracy"], summary["minority_share"]) == (0.1, 1 / 109)
    sentence = "Always predicting the largest class would be right on 91.74% of these images."
    for text in (majority, evaluated, (tmp_path / "runs/majority/report.html").read_text()):
        assert sentence in text
        assert "balanced accuracy" in text and "91.74% of images" in text
    assert "majority class 91.74% of images" in fair and other["balanced_accuracy"] > 0.2
    compared = told("mode=compare", "runs=runs/*", "compare.sort=balanced_accuracy")
    first, second = (compared.index(f"class_weight={value}") for value in ("balanced", "none"))
    assert first < second and "predicting the majority class (91.74%): " in compared
    verified = told("mode=verify", "run=runs/fair")
    assert "identical" in verified
