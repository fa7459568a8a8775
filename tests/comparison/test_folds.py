"""Cross-validations compared: folds are one group, tested by fold, and never ranked with test images."""

import csv
import json
from io import StringIO
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import t

from mnist_exp.comparison.comparison import compare
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import compare_runs
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import FoldRecord
from mnist_exp.runs.run import Run
from mnist_exp.statistics import corrected_t_test
from tests.comparison.run_makers import BN_DNN, data_record, make_labels, make_run, sha256
from tests.pages.page_reading import read_page

NUM_IMAGES = 1000


def make_fold(
    folder: Path,
    name: str,
    fold: int,
    *,
    folds: int = 5,
    seed: int = 0,
    whole: str = "whole",
    wrong_places: tuple[int, ...] = (),
    num_own_validation: int = 0,
    **options: Any,
) -> Path:
    """Writes a run that left a fold of a thousand images out; `wrong_places` are none of that fold's."""
    indices = np.arange(fold, NUM_IMAGES, folds)
    labels = make_labels(NUM_IMAGES)[indices]
    data = data_record(f"{whole} but {fold}", f"{whole} {fold} of {folds}", f"split {fold}")
    record = msgspec.structs.replace(
        data, num_train=NUM_IMAGES - len(indices) - 100, num_validation=100 + num_own_validation,
        num_test=len(indices), test_part="fold",
        fold=FoldRecord(folds=folds, fold=fold, whole_sha256=sha256(whole), num_images=NUM_IMAGES),
    )  # fmt: skip
    path = make_run(folder, name, seed=seed, labels=labels, manifest={"data": record}, **options)
    with np.load(path / "predictions.npz") as arrays:
        kept = dict(arrays)
    indices[: len(wrong_places)] = wrong_places
    np.savez(path / "predictions.npz", **kept, indices=indices)
    return path


def make_cross_validations(folder: Path, folds: int = 5, seeds: int = 1, skill: float = 0.9) -> Path:
    for fold in range(folds):
        for seed in range(seeds):
            correct = skill + 0.01 * fold
            make_fold(folder, f"ann_{fold}_{seed}", fold, folds=folds, seed=seed, skill=correct)
            make_fold(
                folder, f"bn_{fold}_{seed}", fold, folds=folds, seed=seed, skill=correct - 0.1, config=BN_DNN
            )
    return folder


def write(folder: Path) -> str:
    stdout = StringIO()
    compare_runs([folder], CompareOptions(), Terminal(stdout), folder)
    return " ".join(stdout.getvalue().split())


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def accuracies(folder: Path, name: str, folds: int = 5, seeds: int = 1) -> list[float]:
    return [
        fmean(
            json.loads((folder / f"{name}_{fold}_{seed}" / "summary.json").read_text())["test_accuracy"]
            for seed in range(seeds)
        )
        for fold in range(folds)
    ]


@pytest.mark.parametrize("seeds", [1, 2])
def test_folds_are_one_group_and_groups_are_tested_fold_by_fold(tmp_path: Path, seeds: int) -> None:
    folder = make_cross_validations(tmp_path / "runs", seeds=seeds)
    (found,) = compare([folder]).sets
    assert [(row.label, row.folds, row.seeds) for row in found.groups] == [
        ("ann", [0, 1, 2, 3, 4], list(range(seeds))), ("bn_dnn", [0, 1, 2, 3, 4], list(range(seeds))),
    ]  # fmt: skip
    first, second = accuracies(folder, "ann", seeds=seeds), accuracies(folder, "bn", seeds=seeds)
    expected = corrected_t_test(first, second, 200 / 700, 1 / 200)
    (pair,) = found.pairs
    assert pair.method == "corrected t" and pair.num_folds == 5
    assert pair.p_value == pytest.approx(expected.p_value)
    assert pair.interval == pytest.approx(expected.interval)
    margin = t.ppf(0.975, 4) * stdev(first) * (1 / 5 + 200 / 700) ** 0.5
    low, high = fmean(first) - margin, fmean(first) + margin
    assert found.groups[0].test_interval == pytest.approx((max(low, 0), min(high, 1)))
    spread = found.groups[0].measures["test_accuracy"]
    assert spread is not None and spread.count == 5 and spread.mean == pytest.approx(fmean(first))
    text = write(folder)
    assert "cross-validation, 5 folds of 1,000 training images" in text
    assert "cross-validated accuracy" in text and "test accuracy" not in text
    assert f"{seeds} × 5 folds" in text and "5 folds)" in found.verdict
    rows = read_table(folder / "results.csv")
    assert sorted(row["fold"] for row in rows) == sorted("01234" * 2 * seeds)
    page = read_page(folder).text
    assert "Corrected t test" in page and "Cross-validated accuracy, 95% intervals" in page


def test_folds_are_ranked_with_folds_of_the_same_images_only(tmp_path: Path) -> None:
    folder = make_cross_validations(tmp_path / "runs")
    make_run(folder, "official", skill=0.99)
    make_fold(folder, "other_number", 0, folds=4)
    make_fold(folder, "other_images", 0, whole="others")
    make_fold(folder, "other_seed", 0, config={"data.split_seed": 7})
    comparison = compare([folder])
    assert [sum(row.num_runs for row in found.groups) for found in comparison.sets] == [10, 1, 1, 1, 1]
    reasons = {found.reason for found in comparison.sets[1:]}
    assert reasons == {
        "tested on test images, which no fold is", "cross-validated, on other images or other folds",
    }  # fmt: skip
    (sentence,) = comparison.ledger
    assert "once by 1 run" in sentence


def test_an_incomplete_cross_validation_is_named_and_compared_on_common_folds(tmp_path: Path) -> None:
    folder = make_cross_validations(tmp_path / "runs")
    for fold in (1, 3):
        (folder / f"bn_{fold}_0" / "summary.json").unlink()
    make_fold(folder, "lucky", 0, skill=1, config={"optimizer.learning_rate": 0.01})
    (found,) = compare([folder]).sets
    assert [row.folds for row in found.groups] == [[0, 1, 2, 3, 4], [0, 2, 4], [0]]
    assert found.pairs[1].method == "none"
    first = accuracies(folder, "ann")
    second = [
        json.loads((folder / f"bn_{fold}_0" / "summary.json").read_text())["test_accuracy"]
        for fold in (0, 2, 4)
    ]
    expected = corrected_t_test([first[0], first[2], first[4]], second, 200 / 700, 1 / 200)
    assert found.pairs[0].num_folds == 3 and found.pairs[0].p_value == pytest.approx(expected.p_value)
    (named,) = [note for note in found.notes if note.startswith("Incomplete cross-validations")]
    assert "model=bn_dnn learning_rate=0.003 has fold 0, 2, 4 of 5" in named
    assert "model=ann learning_rate=0.01 has fold 0 of 5" in named
    write(folder)
    assert [path.parent.name for path in folder.glob("*/out_of_fold.npz")] == [
        "1_model_ann_learning_rate_0.003"
    ]


def test_seeds_of_one_fold_are_no_single_network(tmp_path: Path) -> None:
    for seed in (0, 1):
        make_fold(tmp_path, f"ann_{seed}", 0, seed=seed, num_own_validation=60)
    text = write(tmp_path)
    assert "5 folds of 1,000 training images" in text and "2 × 1 fold" in text and "With one seed" not in text
    make_fold(tmp_path, "alone", 0, config=BN_DNN)
    assert "With one seed the interval is that of the one network (Wilson)." in write(tmp_path)


def test_cross_validations_without_common_folds_are_not_tested(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    make_fold(folder, "one", 0)
    make_fold(folder, "other", 1, config=BN_DNN)
    (found,) = compare([folder]).sets
    assert found.pairs[0].method == "none" and "fewer than two folds are common" in found.verdict
    make_fold(folder, "another", 0, config=BN_DNN | {"seed": 0})
    (found,) = compare([folder]).sets
    assert found.pairs[0].method == "none" and found.pairs[0].num_folds == 1


def test_a_fold_that_cannot_be_is_a_damaged_run(tmp_path: Path) -> None:
    make_cross_validations(tmp_path)
    for name, record in (("negative", (-1, 5)), ("beyond", (5, 5)), ("huge", (0, 10**18))):
        path = make_fold(tmp_path, name, 0, folds=2)
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["data"]["fold"] |= dict(zip(("fold", "folds"), record, strict=True))
        (path / "manifest.json").write_text(json.dumps(manifest))
    comparison = compare([tmp_path])
    assert len(comparison.sets) == 1
    assert [row.error for row in comparison.left_out] == ["manifest.json: its fold is none of its folds"] * 3


def test_runs_of_a_single_fold_are_compared_on_its_images(tmp_path: Path) -> None:
    make_fold(tmp_path, "one", 2)
    make_fold(tmp_path, "other", 2, config=BN_DNN, skill=0.7)
    (found,) = compare([tmp_path]).sets
    assert found.pairs[0].method == "McNemar" and found.pairs[0].num_folds is None


def test_predictions_of_all_folds_are_put_together(tmp_path: Path) -> None:
    for fold in range(5):
        for seed in range(2):
            make_fold(tmp_path, f"ann_{fold}_{seed}", fold, seed=seed, skill=0.8)
    text = write(tmp_path)
    with np.load(tmp_path / "out_of_fold.npz", allow_pickle=False) as arrays:
        probabilities, labels, indices = (arrays[key] for key in ("probabilities", "labels", "indices"))
    assert probabilities.dtype == np.float32 and labels.dtype == np.uint8 and indices.dtype == np.int64
    assert indices.tolist() == list(range(NUM_IMAGES))
    assert (labels == make_labels(NUM_IMAGES)).all()
    for fold in range(5):
        sides = [Run(tmp_path / f"ann_{fold}_{seed}").read_predictions() for seed in range(2)]
        means = np.mean([found.probabilities for found in sides if found is not None], axis=0)
        np.testing.assert_allclose(probabilities[fold::5], means, atol=1e-6)
    assert "labels look wrong, according to ann" in text
    rows = read_table(tmp_path / "label_errors.csv")
    page = (tmp_path / "label_errors.html").read_text()
    assert len(rows) == (probabilities.argmax(axis=1) != labels).sum() > 0
    assert f"{len(rows):,} labels are not what the networks of ann say" in page
    assert "the images are not available" in page
    for row in rows:
        place = int(row["index"])
        assert row["given"] == str(labels[place]) != row["suggested"]
        assert float(row["self_confidence"]) == pytest.approx(probabilities[place, labels[place]])
    assert [float(row["self_confidence"]) for row in rows] == sorted(
        float(row["self_confidence"]) for row in rows
    )


@pytest.mark.parametrize("damage", ["indices", "predictions", "overlap"])
def test_what_is_no_whole_is_not_put_together(tmp_path: Path, damage: str) -> None:
    for fold in range(5):
        wrong = (1,) if damage == "overlap" and fold == 0 else ()
        path = make_fold(tmp_path, f"ann_{fold}", fold, wrong_places=wrong)
    if damage == "predictions":
        (path / "predictions.npz").unlink()
    if damage == "indices":
        with np.load(path / "predictions.npz") as arrays:
            kept = {key: arrays[key] for key in ("probabilities", "labels")}
        np.savez(path / "predictions.npz", **kept)
    assert "look wrong" not in write(tmp_path)
    assert not (tmp_path / "out_of_fold.npz").exists()
