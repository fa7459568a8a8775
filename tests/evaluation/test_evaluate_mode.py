"""`mode=evaluate` as a whole, on a real run."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from mnist_exp.data.dataset import SAMPLE_PATH
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.results import Evaluation
from mnist_exp.modes import evaluate
from tests.conftest import FinishedRun, Run
from tests.evaluation.modes import data_node, evaluate_tree, run_evaluate


@pytest.fixture
def own_copy(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may damage."""
    return Path(shutil.copytree(finished_run.path, tmp_path / "copy"))


QUICK: dict[str, Any] = {"evaluate": {"robustness_images": 0}}


def read(folder: Path) -> Evaluation:
    return msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Evaluation)


def change_yaml(path: Path, **changes: Any) -> None:
    tree = yaml.safe_load(path.read_text())
    tree["data"] |= changes
    path.write_text(yaml.safe_dump(tree))


@pytest.fixture(scope="module")
def evaluated(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The finished run, evaluated once on its own test images."""
    return run_evaluate(finished_run.path, tmp_path_factory.mktemp("evaluated"))


def test_the_same_data_gives_the_same_bits(finished_run: FinishedRun, evaluated: tuple[str, Path]) -> None:
    text, folder = evaluated
    summary, found = json.loads((finished_run.path / "summary.json").read_text()), read(folder)
    assert (found.accuracy, found.loss) == (summary["test_accuracy"], summary["test_loss"])
    assert list(found.accuracy_interval) == summary["test_accuracy_interval"]
    with np.load(folder / "predictions.npz") as now, np.load(finished_run.path / "predictions.npz") as own:
        np.testing.assert_array_equal(now["probabilities"], own["probabilities"])
        np.testing.assert_array_equal(now["labels"], own["labels"])
    assert found.same_as_run.is_identical is True and "identical to the run's own" in text
    assert found.num_trained_on == 0 and "were trained on" not in text
    assert "one more look at the test images" in text
    assert all(len(line) <= 100 for line in text.splitlines() if "mnist-exp" not in line)


def test_everything_is_written_and_adds_up(evaluated: tuple[str, Path]) -> None:
    _, folder = evaluated
    found = read(folder)
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json", "predictions.npz", "per_class.csv", "plots",
    }  # fmt: skip
    assert {path.stem for path in (folder / "plots").iterdir()} == {
        "reliability", "robustness", "per_class", "confusion_matrix", "mistakes",
    }  # fmt: skip
    assert "_evaluate_ann_" in folder.name
    assert sum(each.num_right for each in found.classes) == round(found.accuracy * 1000)
    assert [each.num_images for each in found.classes] == [100] * 10
    assert [each.batch_size for each in found.latency] == [1, 256]
    for each in found.latency:
        assert 0 < each.ms_per_image_low <= each.ms_per_image <= each.ms_per_image_high
    assert found.latency[1].ms_per_image < found.latency[0].ms_per_image
    assert [each.distortion for each in found.robustness] == ["shift", "rotation", "noise", "blur"]
    assert {each.num_images for each in found.robustness} == {50}
    assert all(each.levels[0].accuracy > each.levels[-1].accuracy for each in found.robustness)


def test_validation_images_are_the_runs_own(finished_run: FinishedRun, tmp_path: Path) -> None:
    # Data on the command line counts only where it was typed.
    untyped = {"data": data_node("fashion_mnist")}
    text, folder = run_evaluate(finished_run.path, tmp_path, split="validation", **untyped, **QUICK)
    found, summary = read(folder), json.loads((finished_run.path / "summary.json").read_text())
    assert found.accuracy == pytest.approx(summary["val_accuracy"], abs=1e-9) and found.num_images == 500
    assert found.data == "sample" and found.same_as_run.is_identical is True and "looked at" not in text
    assert found.robustness == [] and not (folder / "plots" / "robustness.png").exists()


def test_training_images_were_trained_on_and_have_no_number_to_compare_with(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    text, folder = run_evaluate(finished_run.path, tmp_path, split="train", **QUICK)
    found = read(folder)
    assert (found.num_images, found.num_trained_on, found.same_as_run.is_identical) == (3500, 3500, None)
    assert "were trained on" in text


def test_images_that_were_trained_on_are_counted(finished_run: FinishedRun, tmp_path: Path) -> None:
    node = data_node("sample") | {"split_seed": 1}
    text, folder = run_evaluate(
        finished_run.path, tmp_path, "data=sample", split="validation", data=node, **QUICK
    )
    # Of another choice of 500 in 4,000, an eighth or so was set apart in the run too.
    assert 400 < (read(folder).num_trained_on or 0) < 480 and "were trained on" in text


def swapped_sample(path: Path) -> Path:
    """Writes the bundled digits with test images in another order."""
    with np.load(SAMPLE_PATH) as arrays:
        content = dict(arrays)
    for name in ("x_test", "y_test"):
        content[name] = content[name][::-1]
    np.savez(path, **content)
    return path


def test_other_data_is_scored_and_named_as_such(finished_run: FinishedRun, tmp_path: Path) -> None:
    path = str(swapped_sample(tmp_path / "other.npz"))
    node = data_node("mnist") | {"path": path}
    for typed in (("data=mnist", f"data.path={path}"), (f"data.path={path}",)):
        text, folder = run_evaluate(finished_run.path, tmp_path, *typed, data=node, **QUICK)
        found = read(folder)
        assert found.data == ("mnist" if len(typed) == 2 else "sample") and found.num_images == 1000
        assert found.same_as_run.is_identical is None
        assert "not the run's own test images" in " ".join(text.split()) and found.sha256[:8] in text


def test_a_changed_result_is_not_called_identical(own_copy: Path, tmp_path: Path) -> None:
    with np.load(own_copy / "predictions.npz") as arrays:
        probabilities, labels = arrays["probabilities"].copy(), arrays["labels"]
    probabilities[0, 0] = np.nextafter(probabilities[0, 0], np.float32(2))
    np.savez(own_copy / "predictions.npz", probabilities=probabilities, labels=labels)
    manifest = json.loads((own_copy / "manifest.json").read_text())
    manifest["versions"]["keras"] = "3.0.0"
    manifest["environment"]["variables"] = {"ONEDNN_MAX_CPU_ISA": "SSE41"}
    manifest["data"]["train_sha256"] = "0" * 64
    (own_copy / "manifest.json").write_text(json.dumps(manifest))
    found = read(run_evaluate(own_copy, tmp_path, **QUICK)[1])
    assert found.same_as_run.is_identical is False
    sentence = found.same_as_run.sentence
    assert "probabilities differ by up to" in sentence
    assert "keras 3.0.0 then" in sentence and "ONEDNN_MAX_CPU_ISA SSE41 then, unset now" in sentence
    assert found.num_trained_on is None, "the images that it was trained on are gone"


def small_images(folder: Path) -> Path:
    with np.load(SAMPLE_PATH) as arrays:
        content = {name: array[:, :20, :20] if array.ndim == 3 else array for name, array in arrays.items()}
    np.savez(folder / "small.npz", **content)
    return folder / "small.npz"


def test_what_the_network_or_the_run_does_not_fit_is_refused(own_copy: Path, tmp_path: Path) -> None:
    twelve = {"class_names": [str(label) for label in range(12)], "path": str(SAMPLE_PATH)}
    for changes, words in (
        ({"path": str(small_images(tmp_path))}, "20 × 20 pixels; the run's network takes 28 × 28"),
        (twelve, "12 classes; the run's network knows 10"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_evaluate(own_copy, tmp_path, "data=mnist", data=data_node("mnist") | changes)
    (own_copy / "checkpoints" / "best.keras").write_bytes(b"weights")
    with pytest.raises(ConfigError, match="not a zip file"):
        run_evaluate(own_copy, tmp_path, **QUICK)
    change_yaml(own_copy / "config.yaml", validation=0)
    with pytest.raises(ConfigError, match=r"split: validation was asked for"):
        run_evaluate(own_copy, tmp_path, split="validation")
    assert not list(tmp_path.glob("*_evaluate_*"))


@pytest.mark.parametrize(
    ("typed", "changes", "words"),
    [
        (["model=cnn"], {}, "takes it from the run's own configuration"),
        (["training.epochs=3"], {}, "takes it from the run's own configuration"),
        (["runs=x"], {}, "has no use for it"),
        ([], {"run": None}, "run: got none. Say which"),
        ([], {"split": "tset"}, 'Did you mean "test"?'),
        ([], {"evaluate": {"robustness_images": -1}}, "evaluate.robustness_images: got -1"),
        (["data.validation=x"], {"data": data_node("mnist") | {"validation": "x"}}, "data.validation"),
    ],
)
def test_what_evaluate_has_no_use_for_is_refused(
    tmp_path: Path, typed: list[str], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        evaluate.accept(evaluate_tree("latest", tmp_path) | changes, typed)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("request_text", "words"),
    [
        ("run=latest", "belongs to mode=evaluate, mode=predict, mode=verify, mode=export"),
        ("mode=evaluate images=a.png", "belongs to mode=predict"),
        ("mode=predict split=train", "belongs to mode=evaluate"),
        ("mode=evaluate run=latest -m", "cannot be swept"),
    ],
)
def test_keys_of_other_modes_are_refused_without_tensorflow(
    run_command: Run, tmp_path: Path, request_text: str, words: str
) -> None:
    refused = run_command(*request_text.split(), cwd=tmp_path, kind="light")
    assert refused.returncode == 2 and words in refused.stderr, refused.stderr
