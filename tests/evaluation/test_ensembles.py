"""`mode=evaluate` of several runs: the mean of their probabilities, on real runs."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import msgspec.yaml
import numpy as np
import pytest

from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.framing import DIGITS
from mnist_exp.evaluation.pictures import read_pictures
from mnist_exp.evaluation.results import EnsembleEvaluation
from mnist_exp.modes import evaluate
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.run import read_run
from mnist_exp.training.loading import load_network
from mnist_exp.training.networks import predict_probabilities
from tests.comparison.run_makers import edited, make_unfinished
from tests.conftest import Run
from tests.evaluation.drawings import bundled_digits, save
from tests.evaluation.modes import data_node, evaluate_tree, run_evaluate, run_predict

pytestmark = pytest.mark.slow

Evaluated = tuple[str, Path, EnsembleEvaluation]
QUICK: dict[str, Any] = {"evaluate": {"robustness_images": 0}}


@pytest.fixture(scope="module")
def runs(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trainings with validation images, then one whose best epoch test images chose; read them only."""
    folder = tmp_path_factory.mktemp("ensemble")
    options = ("data=sample", "training.epochs=1", "model.units=[16]", "training.engine=graph")
    for number, extra in enumerate(((), (), ("data.validation=test",))):
        own = (f"seed={number}", f"hydra.run.dir=runs/member_{number}")
        result = run_command(*own, *extra, *options, cwd=folder)
        assert result.returncode == 0, result.stderr
    return sorted((folder / "runs").iterdir())


def listed(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def evaluate_runs(runs: Any, runs_dir: Path, *typed: str, **changes: Any) -> Evaluated:
    text, folder = run_evaluate(runs, runs_dir, *typed, **QUICK | changes)
    record = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=EnsembleEvaluation)
    return text, folder, record


def probabilities(folder: Path) -> np.ndarray:
    with np.load(folder / "predictions.npz") as arrays:
        return arrays["probabilities"]


@pytest.fixture(scope="module")
def evaluated(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return evaluate_runs(listed(runs), tmp_path_factory.mktemp("mean"), evaluate={"robustness_images": 20})


def test_probabilities_are_averaged_and_scored(runs: list[Path], evaluated: Evaluated) -> None:
    _, folder, record = evaluated
    mean = np.mean([probabilities(run).astype(np.float64) for run in runs], axis=0)
    np.testing.assert_allclose(probabilities(folder), mean, atol=1e-6)
    with np.load(folder / "predictions.npz") as arrays:
        labels = arrays["labels"]
    assert record.accuracy == pytest.approx((mean.argmax(axis=1) == labels).mean(), abs=0.0011)
    assert record.loss == pytest.approx(-np.log(mean[np.arange(len(labels)), labels]).mean(), abs=1e-5)
    assert record.accuracy_interval[0] < record.accuracy < record.accuracy_interval[1]
    assert {path.stem for path in (folder / "plots").iterdir()} >= {"reliability", "robustness", "mistakes"}


def test_each_member_stands_beside_the_mean(runs: list[Path], evaluated: Evaluated) -> None:
    text, folder, record = evaluated
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    assert [each.run for each in record.members] == listed(runs)
    assert [each.accuracy for each in record.members] == [each["test_accuracy"] for each in summaries]
    assert record.num_params == sum(each["num_params"] for each in summaries)
    assert record.same_as_run.is_identical is True and "every member's own result was reproduced" in text
    for each in record.members:
        assert each.gain == pytest.approx(record.accuracy - each.accuracy)
        assert each.gain_interval[0] <= each.gain <= each.gain_interval[1]
        assert each.run_id in text
    assert record.gain == pytest.approx(record.accuracy - np.mean([each.accuracy for each in record.members]))
    with (folder / "members.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [each.run_id for each in record.members]
    assert [each.selected_on_test for each in record.members] == [False, False, True]
    words = f"test images were used to choose an epoch: {record.members[2].run_id}"
    assert words in " ".join(text.split())


def test_a_glob_means_the_same_as_a_list(runs: list[Path], evaluated: Evaluated, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for number, run in enumerate(runs):
        shutil.copytree(run, folder / str(number))
    _, found, record = evaluate_runs(f"{folder}/*", tmp_path)
    assert [each.run for each in record.members] == listed([folder / name for name in "012"])
    np.testing.assert_array_equal(probabilities(found), probabilities(evaluated[1]))


def test_what_members_were_trained_on_is_said(runs: list[Path], tmp_path: Path) -> None:
    # The third one had no validation images: it was trained on those of the first two.
    text, _, record = evaluate_runs(listed(runs[:1] + runs[2:]), tmp_path, split="validation")
    assert [each.num_trained_on for each in record.members] == [0, 500] and record.num_trained_on == 500
    assert "all of these images were trained on" in text


def other_classes(run: Path, folder: Path) -> Path:
    names = list("abcdefghij")
    return edited(run, folder, "config.yaml", lambda tree: tree["data"].update(class_names=names))


def other_images(run: Path, folder: Path) -> Path:
    return edited(run, folder, "manifest.json", lambda tree: tree["data"].update(test_sha256="0" * 64))


def repetition(run: Path, folder: Path) -> Path:
    return edited(run, folder, "manifest.json", lambda tree: tree.update(mode="verify", run_id="again"))


REFUSED = {
    "named twice": lambda run, folder: run,
    "named twice, also as": lambda run, folder: Path(shutil.copytree(run, folder / "copy")),
    "is interrupted": lambda run, folder: make_unfinished(folder, "stopped", "interrupted"),
    "has different classes": other_classes,
    "has different test images": other_images,
    "repeats another run": repetition,
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_averaged_is_refused(words: str, runs: list[Path], tmp_path: Path) -> None:
    other = REFUSED[words](runs[0 if "twice" in words else 1], tmp_path)
    tree = evaluate_tree(listed([runs[0], other]), tmp_path / "out", **QUICK)
    with pytest.raises(ConfigError) as caught:
        evaluate.run(evaluate.accept(tree, []), Terminal(), None)
    assert caught.value.message.startswith("run: ") and words in caught.value.message
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_member_whose_result_does_not_come_out_again_is_named_before_one_that_cannot_tell(
    runs: list[Path], tmp_path: Path
) -> None:
    untold = other_images(runs[0], tmp_path / "one")
    changed = edited(runs[1], tmp_path / "two", "summary.json", lambda tree: tree.update(test_loss=0.1))
    own = {"data": data_node("sample")}
    _, _, record = evaluate_runs(listed([untold, runs[1]]), tmp_path / "out", "data=sample", **own)
    assert record.same_as_run.is_identical is None and record.num_images == 1000
    _, _, record = evaluate_runs(listed([untold, changed]), tmp_path / "out", "data=sample", **own)
    assert [each.same_as_run.is_identical for each in record.members] == [None, False]
    assert record.same_as_run.is_identical is False
    assert record.same_as_run.sentence.startswith(f"{runs[1].name}: ")


def test_the_command_takes_lists_and_says_what_is_wrong_in_one_line(
    runs: list[Path], run_command: Run, tmp_path: Path
) -> None:
    for named in (f"[{runs[0]},{runs[0]}]", f"{tmp_path}/none*", "[]"):
        result = run_command("mode=evaluate", f"run={named}", cwd=tmp_path, kind="light")
        assert result.returncode == 2 and result.stderr.startswith("mnist-exp: run: ")
        assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_pictures_are_answered_by_the_mean_too(runs: list[Path], tmp_path: Path) -> None:
    paths = [save(image, tmp_path / f"{number}.png") for number, image in enumerate(bundled_digits(5)[0])]
    text, folder = run_predict(listed(runs), tmp_path / "out", [str(path) for path in paths])
    assert "_predict_ensemble_" in folder.name and all(str(run) in "".join(text.split()) for run in runs)
    seen = np.stack([picture.image for picture in read_pictures(paths, 28, DIGITS, 0)[0]])
    said = [predict_probabilities(load_network(read_run(run)), seen) for run in runs]
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, mean in zip(rows, np.mean(said, axis=0), strict=True):
        assert row["prediction"] == str(mean.argmax())
        assert float(row["probability"]) == pytest.approx(mean.max(), abs=1e-4)


def test_pictures_are_not_answered_by_runs_of_other_classes(runs: list[Path], tmp_path: Path) -> None:
    other = other_classes(runs[1], tmp_path)
    with pytest.raises(ConfigError, match="has different classes from"):
        run_predict(listed([runs[0], other]), tmp_path / "out", str(tmp_path))
    assert not (tmp_path / "out").exists()
