"""`mode=verify`: a run trained again, and what is said where it does not come out as before."""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import keras
import msgspec
import numpy as np
import pytest
import yaml

from mnist_exp.comparison.comparison import compare
from mnist_exp.data.dataset import SAMPLE_PATH
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.verification import Verification
from mnist_exp.evaluation.verification import verify as compare_trainings
from mnist_exp.modes import verify
from mnist_exp.report.terminal import Terminal
from mnist_exp.report.verification import word_verdict
from mnist_exp.runs.finding import choose_run
from mnist_exp.runs.provenance import num_cores
from mnist_exp.runs.records import EngineRecord, GitRecord, Manifest, ResumeRecord
from mnist_exp.runs.run import DamagedRun, Run, read_run
from tests.comparison.run_makers import make_manifest, make_run, make_unfinished
from tests.conftest import FinishedRun
from tests.conftest import Run as RunCommand
from tests.evaluation.modes import data_node
from tests.sweeps.sweeping import read_json
from tests.test_search_console import SUMMARY

BEST, LAST = "checkpoints/best.keras", "checkpoints/last.keras"
KERNEL = "layers/dense/vars/0"
COMMIT = GitRecord(commit="0123456789abcdef", dirty=False)
Repetition = tuple[int, str, Path]
"""The exit status, what was shown, and the directory made."""


def train_again(run: Path | str, runs_dir: Path, *typed: str, **data: Any) -> Repetition:
    """Verifies a run in this process."""
    stdout, before = StringIO(), set(runs_dir.glob("*"))
    request = verify.accept(verify_tree(run, runs_dir, **data), list(typed))
    with closing(Terminal(stdout)) as terminal:
        status = verify.run(request, terminal, None)
    (made,) = set(runs_dir.glob("*")) - before
    return status, stdout.getvalue(), made


def verify_tree(run: Path | str | None, runs_dir: Path, **data: Any) -> dict[str, Any]:
    named = None if run is None else str(run)
    return {"mode": "verify", "run": named, "runs_dir": str(runs_dir), "data": data_node("mnist") | data}


def refusal(run: Path | str, runs_dir: Path, *typed: str, **data: Any) -> str:
    """Gives the answer to a request that leaves nothing behind."""
    before = set(runs_dir.rglob("*"))
    with pytest.raises(ConfigError) as refused:
        train_again(run, runs_dir, *typed, **data)
    assert set(runs_dir.rglob("*")) == before
    return str(refused.value)


def read_verification(run: Path) -> Verification:
    return msgspec.json.decode((run / "verification.json").read_bytes(), type=Verification)


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(read_json(path) | changes))


def change_config(run: Path, **changes: Any) -> None:
    path = run / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def change_row(run: Path, number: int, **changes: Any) -> None:
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number] |= changes
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_other_images(path: Path) -> Path:
    """Writes the bundled digits with one pixel of a test image changed."""
    with np.load(SAMPLE_PATH) as arrays:
        content = dict(arrays)
    content["x_test"][0, 0, 0] ^= 1
    np.savez(path, **content)
    return path


def next_float(array: np.ndarray) -> np.ndarray:
    """Moves one number by the smallest step there is."""
    array[3, 5] = np.nextafter(array[3, 5], np.float32(9))
    return array


def starting_with(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Gives what sets an array's first number."""

    def change(array: np.ndarray) -> np.ndarray:
        array.reshape(-1)[0] = value
        return array

    return change


def with_array(path: Path, file: str, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Run:
    """Reads a run as if one of its arrays were another one."""
    run = read_run(path)
    arrays = run.arrays[file]
    run.arrays[file] = {**arrays, name: change(np.array(arrays[name]))}
    return run


def with_manifest(path: Path, manifest: Manifest) -> Run:
    """Reads a run as if its manifest were another one."""
    run = read_run(path)
    run.manifest = manifest
    return run


@pytest.fixture
def own_copy(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run.path, tmp_path / "copy"))


@pytest.fixture(scope="module")
def repetition(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Repetition:
    """The finished run, which another process made, trained again on images that have moved."""
    folder = tmp_path_factory.mktemp("repetition")
    run = Path(shutil.copytree(finished_run.path, folder / "copy"))
    gone, moved = folder / "gone.npz", Path(shutil.copy(SAMPLE_PATH, folder / "moved.npz"))
    change_config(run, data=data_node("sample") | {"path": str(gone)})
    (folder / "runs").mkdir()
    assert str(gone) in refusal(run, folder / "runs")
    return train_again(run, folder / "runs", f"data.path={moved}", path=str(moved))


def count_arrays(run: Path) -> int:
    """Counts the arrays of both checkpoints as Keras sees them."""
    best, last = (keras.models.load_model(run / name) for name in (BEST, LAST))
    return len(best.variables) + len(last.variables) + len(last.optimizer.variables)


def test_a_run_of_another_process_comes_out_identical(
    finished_run: FinishedRun, repetition: Repetition
) -> None:
    status, text, path = repetition
    found = read_verification(path)
    assert (status, found.identical, found.first_difference, found.not_compared) == (0, True, None, [])
    assert (found.of, found.num_epochs, found.num_predictions) == (finished_run.path.name, 3, 1000)
    assert found.num_arrays >= count_arrays(finished_run.path)
    verdict = f"identical: 3 epochs, {found.num_arrays} weights arrays, 1,000 predictions, bit for bit"
    assert text.splitlines()[-1] == verdict
    assert (path / "train.log").read_text().splitlines()[-1] == verdict


def test_the_repetition_is_a_whole_run(finished_run: FinishedRun, repetition: Repetition) -> None:
    path, was = repetition[2], read_json(finished_run.path / "manifest.json")
    own = {each.relative_to(finished_run.path) for each in finished_run.path.rglob("*")}
    assert {each.relative_to(path) for each in path.rglob("*")} == own | {Path("verification.json")}
    manifest = read_json(path / "manifest.json")
    assert "_verify_ann_" in path.name and manifest["run_id"] == path.name
    assert (manifest["mode"], manifest["status"]) == ("verify", "completed")
    assert manifest["engine"]["name"] == was["engine"]["name"] and manifest["threads"] == was["threads"]
    config = yaml.safe_load((path / "config.yaml").read_text())
    assert config["training"]["engine"] == was["engine"]["name"] and config["runs_dir"] == str(path.parent)
    assert config["data"]["path"].endswith("moved.npz")
    summary = read_json(finished_run.path / "summary.json")
    assert f"{100 * summary['test_accuracy']:.2f}%" in (path / "report.html").read_text()


def test_the_repetition_is_no_result(
    finished_run: FinishedRun, repetition: Repetition, tmp_path: Path
) -> None:
    for run in (finished_run.path, repetition[2]):
        shutil.copytree(run, tmp_path / run.name)
    own, again = (tmp_path / run.name for run in (finished_run.path, repetition[2]))
    assert [choose_run(word, tmp_path) for word in ("latest", "best")] == [own, own]
    found = compare([tmp_path])
    assert [row.run for row in found.runs if row.is_counted] == [str(own)]
    assert [(row.run, row.error) for row in found.left_out] == [
        (str(again), "mode=verify repeats another run")
    ]
    assert "made by mode=verify" in refusal(again, tmp_path)


def test_other_images_are_refused_with_both_fingerprints(own_copy: Path, tmp_path: Path) -> None:
    path = write_other_images(tmp_path / "other.npz")
    with np.load(path) as arrays:
        found = hashlib.sha256(arrays["x_test"].tobytes() + arrays["y_test"].tobytes()).hexdigest()
    words = refusal(own_copy, tmp_path, f"data.path={path}", path=str(path))
    assert "the test images have the SHA-256" in words and "data.path=" in words
    assert found in words and read_json(own_copy / "manifest.json")["data"]["test_sha256"] in words
    change_config(own_copy, data=data_node("sample") | {"split_seed": 1})
    assert "the images of the validation split have the SHA-256" in refusal(own_copy, tmp_path)


@pytest.mark.parametrize("name", ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"])
def test_every_metric_counts(own_copy: Path, finished_run: FinishedRun, name: str) -> None:
    change_row(own_copy, 2, **{name: 0.125})
    found = compare_trainings(read_run(own_copy), read_run(finished_run.path)).first_difference
    assert found is not None and (found.epoch, found.quantity, found.was) == (3, name, 0.125)


CHANGED = f"{KERNEL} was float32 784 × 128, is float32 784 × 128 with 1 of 100,352 values changed"


@pytest.mark.parametrize(
    ("file", "name", "change", "words"),
    [
        (BEST, KERNEL, next_float, f"{BEST} {CHANGED}"),
        (LAST, KERNEL, next_float, f"{LAST} {CHANGED}"),
        (
            BEST,
            KERNEL,
            lambda array: array[:, :16],
            f"{BEST} {KERNEL} was float32 784 × 16, is float32 784 × 128",
        ),
        (LAST, "optimizer/vars/0", starting_with(7), f"{LAST} optimizer/vars/0 was "),
        ("predictions.npz", "probabilities", next_float, "predictions.npz probabilities was "),
    ],
)
def test_every_number_in_a_file_counts(
    finished_run: FinishedRun, file: str, name: str, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    found = compare_trainings(with_array(finished_run.path, file, name, change), read_run(finished_run.path))
    assert not found.identical
    assert f"differs, though the metrics of 3 epochs are identical: {words}" in word_verdict(found)


def test_minus_zero_is_not_zero(finished_run: FinishedRun) -> None:
    was, now = (with_array(finished_run.path, BEST, KERNEL, starting_with(zero)) for zero in (-0.0, 0.0))
    assert CHANGED in word_verdict(compare_trainings(was, now))


def test_the_number_of_epochs_and_the_result_count(own_copy: Path, finished_run: FinishedRun) -> None:
    change_json(own_copy / "summary.json", best_epoch=1)
    found = compare_trainings(read_run(own_copy), read_run(finished_run.path))
    assert "summary.json best_epoch was 1, is " in word_verdict(found)
    rows = own_copy / "metrics.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    found = compare_trainings(read_run(own_copy), read_run(finished_run.path))
    assert word_verdict(found).startswith("differs from epoch 3 on: number of epochs was 2, is 3; ")


def test_durations_do_not_count_and_what_the_run_has_lost_is_named(
    own_copy: Path, finished_run: FinishedRun
) -> None:
    change_row(own_copy, 0, duration_s=9.0)
    (own_copy / LAST).unlink()
    (own_copy / "predictions.npz").unlink()
    found = compare_trainings(read_run(own_copy), read_run(finished_run.path))
    assert found.identical and found.not_compared == [LAST, "predictions.npz"]
    words = word_verdict(found)
    assert "predictions, bit" not in words
    assert words.endswith(f"not compared, as the run does not have it: {LAST}, predictions.npz")


def test_what_has_changed_is_listed(own_copy: Path, finished_run: FinishedRun) -> None:
    now = make_manifest("now", 0, versions={"keras": "3.15.0", "tensorflow": "2.21.0"}, git=COMMIT)
    was = msgspec.structs.replace(
        now,
        versions={"keras": "3.15.0", "tensorflow": "2.20.0"},
        threads=4,
        device="GPU",
        engine=EngineRecord(name="graph", reason=""),
        git=GitRecord(commit="fedcba9876543210", dirty=True),
        resumed=[
            ResumeRecord(at="", epoch=3, epochs=10, versions={"keras": "3.15.0", "tensorflow": "2.20.1"})
        ],
    )
    change_row(own_copy, 0, loss=9.0)
    before, after = with_manifest(finished_run.path, was), with_manifest(own_copy, now)
    found = compare_trainings(before, after)
    assert [(each.what, each.was, each.now) for each in found.changed] == [
        ("tensorflow", "2.20.0, then 2.20.1", "2.21.0"),
        ("threads", "4", "2"),
        ("device", "GPU", "CPU"),
        ("engine", "graph", "compiled"),
        ("code", "fedcba9 with uncommitted changes", "0123456"),
        ("training", "resumed after epoch 3, up to 10 epochs", "in one go"),
    ]
    words = "changed since: tensorflow 2.20.0, then 2.20.1 → 2.21.0, threads 4 → 2, device GPU → CPU"
    assert words in word_verdict(found)
    same = compare_trainings(before, with_manifest(finished_run.path, now))
    assert same.identical and f"bit for bit, though {words}" in word_verdict(same)


@pytest.mark.parametrize(
    ("git", "words"),
    [
        (COMMIT, "the same commit, versions, threads, device and data"),
        (GitRecord(commit="0", dirty=True), "the code may have, as not all of it was in a commit"),
        (None, "the code may have, as not all of it was in a commit"),
    ],
)
def test_where_nothing_has_changed_that_is_said(
    own_copy: Path, finished_run: FinishedRun, git: GitRecord | None, words: str
) -> None:
    change_row(own_copy, 0, loss=9.0)
    manifest = make_manifest("a", 0, git=git)
    found = compare_trainings(*(with_manifest(path, manifest) for path in (finished_run.path, own_copy)))
    assert found.changed == [] and word_verdict(found).endswith(words)


def test_a_damaged_run_is_refused_before_training(own_copy: Path, tmp_path: Path) -> None:
    (own_copy / LAST).write_bytes(b"weights")
    assert "last.keras: File is not a zip file" in refusal(own_copy, tmp_path)
    (own_copy / LAST).unlink()
    (own_copy / "metrics.jsonl").write_text("")
    assert "metrics.jsonl: holds no epoch" in refusal(own_copy, tmp_path)


@pytest.mark.parametrize("kind", ["link", "elsewhere", "bomb"])
def test_a_checkpoint_shows_nothing_but_itself(own_copy: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"1234")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.ones(1)
    weights = BytesIO()
    with h5py.File(weights, "w") as file:
        if kind == "link":
            file["secret"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "secret")
        elif kind == "elsewhere":
            file.create_dataset("secret", (1,), np.float32, external=[(str(tmp_path / "secret"), 0, 4)])
        else:
            file.create_dataset("zeros", (10**10,), np.float32, chunks=(10**6,), compression="gzip")
    with ZipFile(own_copy / BEST, "w") as archive:
        archive.writestr("model.weights.h5", weights.getvalue())
    if kind == "link":
        assert read_run(own_copy).arrays[BEST] == {}
    else:
        with pytest.raises(DamagedRun, match=r"best\.keras: "):
            _ = read_run(own_copy).arrays


def test_an_interrupted_run_is_to_be_resumed_first(tmp_path: Path) -> None:
    run = make_unfinished(tmp_path, "a", "interrupted")
    assert refusal(run, tmp_path).endswith(f"Resume it: mnist-exp resume={run}")
    assert "Resume it" not in refusal(make_unfinished(tmp_path, "b", "failed"), tmp_path)
    change_json(run / "manifest.json", mode="verify")
    assert "Resume it" not in refusal(run, tmp_path)


def test_a_search_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, "search", manifest={"mode": "tune"})
    (run / "summary.json").write_bytes(msgspec.json.encode(SUMMARY))
    words = refusal(run, tmp_path)
    assert f"{run} is a search (mode=tune)" in words
    assert f"the command that ends {run / 'train.log'}" in words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["seed=3"], "takes it from the run's own configuration. Only data.path can be set"),
        (["training.threads=1"], "takes it from the run's own configuration"),
        (["data=sample"], "takes it from the run's own configuration"),
        (["data.validation=10"], "takes it from the run's own configuration"),
        (["data.path_variable=X"], "takes it from the run's own configuration"),
        (["runs=x"], "has no use for it. Accepted: run, runs_dir, data.path."),
        (["sweep=x"], "has no use for it"),
    ],
)
def test_what_verify_has_no_use_for_is_refused(tmp_path: Path, typed: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        verify.accept(verify_tree("latest", tmp_path), typed)
    assert words in str(refused.value) and str(refused.value).startswith(typed[0].partition("=")[0])


def test_a_run_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run: got none"):
        verify.accept(verify_tree(None, tmp_path), [])


@pytest.mark.slow
def test_the_command_trains_as_the_run_did_and_names_the_first_difference(
    own_copy: Path, run_command: RunCommand, tmp_path: Path
) -> None:
    own_copy.rename(own_copy := tmp_path / "of another machine")
    loss = json.loads((own_copy / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    change_row(own_copy, 0, loss=3.0, duration_s=99.0)
    # Other threads, and digits that stood in: of 60,000 images 7,500 would have been set apart.
    threads = num_cores() + 1
    change_json(own_copy / "manifest.json", threads=threads)
    change_config(own_copy, data=data_node("mnist") | {"validation": 7500})
    by_now = str(write_other_images(tmp_path / "other.npz"))
    done = run_command("mode=verify", f"run={own_copy}", cwd=tmp_path, MNIST_EXP_DATA=by_now)
    assert (done.returncode, done.stderr) == (1, "")
    (path,) = (tmp_path / "runs").iterdir()
    manifest, found = read_json(path / "manifest.json"), read_json(path / "verification.json")
    assert (manifest["status"], manifest["threads"]) == ("completed", threads)
    assert manifest["data"]["name"] == "sample"
    first = found["first_difference"]
    assert (first["epoch"], first["quantity"], first["was"]) == (1, "loss", 3.0)
    assert first["is"] == pytest.approx(loss, rel=1e-4)
    assert "threads" not in {each["what"] for each in found["changed"]}
    assert f"differs from epoch 1 on: loss was 3.0, is {first['is']}; " in done.stdout
    for arguments, words in [
        (["mode=verify", "run=latest"], "holds no completed training"),
        (["mode=verify", f"run={own_copy}", "seed=1"], "run's own configuration"),
        (["mode=verify", f"run={own_copy}", "-m"], "cannot be swept"),
        ([f"resume={path}"], "was made by mode=verify"),
    ]:
        refused = run_command(*arguments, cwd=tmp_path)
        assert refused.returncode == 2 and words in refused.stderr, refused.stderr
    assert list((tmp_path / "runs").iterdir()) == [path]
