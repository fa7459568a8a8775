"""Runs as strangers may leave them: read, or named with what is wrong with them."""

import fcntl
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mnist_exp.runs.run import DamagedRun, Run, read_run
from mnist_exp.runs.writer import RunDirectory
from tests.comparison.run_makers import data_record, make_labels, make_manifest, make_run, make_unfinished
from tests.fuzzing import bounded


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reason(path: Path) -> str:
    """Reads a run with all that a comparison looks at, and says what is wrong with it."""
    with pytest.raises(DamagedRun) as caught:
        _ = read_run(path).predicted_classes
    assert caught.value.path == path
    return caught.value.reason


def test_a_completed_run_is_read_whole(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann", seed=3, config={"optimizer.learning_rate": 0.01})
    run = read_run(path)
    assert run.status == "completed" and run.is_training and run.manifest.seed == 3
    assert run.config["optimizer"]["learning_rate"] == 0.01
    assert run.best_checkpoint_bytes == len(b"weights")
    assert [row.epoch for row in run.read_metrics()] == [1, 2, 3, 4, 5]
    predictions = run.predicted_classes
    assert predictions is not None and run.summary is not None
    assert predictions.correct.mean() == pytest.approx(run.summary.test_accuracy)
    assert predictions.labels.tolist() == make_labels(1000).tolist()
    assert run.predicted_classes is predictions
    with np.load(path / "predictions.npz") as stored:
        np.savez_compressed(path / "predictions.npz", **stored)
    assert read_run(path).predicted_classes is not None


def test_a_run_without_predictions_or_checkpoint_is_still_a_run(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    (path / "predictions.npz").unlink()
    (path / "checkpoints").rename(tmp_path / "elsewhere")
    (path / "checkpoints").symlink_to(tmp_path / "elsewhere")
    run = read_run(path)
    assert run.predicted_classes is None and run.best_checkpoint_bytes is None
    (path / "checkpoints").unlink()
    assert read_run(path).best_checkpoint_bytes is None


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_an_unfinished_run_says_so(tmp_path: Path, status: str) -> None:
    run = read_run(make_unfinished(tmp_path, "one", status, "the memory ran out"))
    assert run.status == status and run.summary is None


def test_a_running_run_is_running_while_its_process_is_there_and_lost_after(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "one", "running")
    directory = RunDirectory(path, make_manifest("one", 0))
    assert read_run(path).status == "running"
    directory.close()
    assert read_run(path).status == "lost"


def test_two_who_look_at_once_do_not_take_each_other_for_a_run(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "one", "running")
    with (path / "train.log").open("w") as log:
        fcntl.flock(log, fcntl.LOCK_SH)
        assert read_run(path).status == "lost"


def test_old_manifests_without_a_sweep_are_read(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    tree = msgspec.json.decode((path / "manifest.json").read_bytes())
    del tree["sweep"]
    (path / "manifest.json").write_bytes(msgspec.json.encode(tree | {"of_a_later_version": 1}))
    assert read_run(path).manifest.sweep is None


Damage = Callable[[Path], object]


def holding(name: str, content: bytes) -> Damage:
    return lambda run: (run / name).write_bytes(content)


def saying(name: str, **changes: Any) -> Damage:
    return lambda run: change_json(run / name, **changes)


def without(name: str) -> Damage:
    return lambda run: (run / name).unlink()


def linked(name: str) -> Damage:
    def damage(run: Path) -> None:
        (run / name).rename(run.parent / "elsewhere")
        (run / name).symlink_to(run.parent / "elsewhere")

    return damage


def piped(name: str) -> Damage:
    def damage(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return damage


def of_size(name: str, size: int) -> Damage:
    return lambda run: os.truncate(run / name, size)


def cut_off(name: str, size: int) -> Damage:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:size])


def with_images(count: int) -> Damage:
    def damage(run: Path) -> None:
        (run / "predictions.npz").unlink()
        record = msgspec.structs.replace(data_record(), num_test=count)
        change_json(run / "manifest.json", data=msgspec.to_builtins(record))

    return damage


def changed_byte(run: Path) -> None:
    content = bytearray((run / "predictions.npz").read_bytes())
    content[5000] ^= 0xFF
    (run / "predictions.npz").write_bytes(content)


def predicting(**arrays: Any) -> Damage:
    return lambda run: np.savez(run / "predictions.npz", **arrays)


NOT_JSON = [b"", b"{", b"null", b"[]", b'{"test_accuracy": NaN}', b"\x00" * 100, b"[" * 50_000, b'"\\ud800']
NOT_YAML = [b"- 1\n", b"a: [", b"? " * 100_000, b"[a, b]: 1\n", b"- 1\n" * 200_000, b"a: 9" + b"9" * 5000]
IMPOSSIBLE: list[dict[str, Any]] = [
    {"test_accuracy": "high"}, {"test_accuracy": 1.5}, {"val_accuracy": -0.1}, {"test_accuracy": None},
    {"num_params": -1}, {"num_params": 10**400}, {"train_s": 1e300}, {"best_epoch": 6}, {"best_epoch": 0},
    {"epochs": "many"}, {"selected_on_test": 3}, {"balanced_accuracy": 1e300}, {"majority_share": -1.0},
]  # fmt: skip
FILES = ("manifest.json", "config.yaml", "summary.json", "metrics.jsonl", "predictions.npz")
GOOD, LABELS = np.full((1000, 10), 0.1, np.float32), make_labels(1000)
OTHER_ARRAYS = [
    {"labels": LABELS},
    {"probabilities": GOOD},
    {"probabilities": GOOD[:999], "labels": LABELS},
    {"probabilities": GOOD[:500], "labels": make_labels(500)},
    {"probabilities": GOOD.astype(np.float64), "labels": LABELS},
    {"probabilities": GOOD, "labels": LABELS.astype(np.int64)},
    {"probabilities": GOOD[:, 0], "labels": LABELS},
    {"probabilities": GOOD, "labels": LABELS + 200},
    {"probabilities": np.full_like(GOOD, np.nan), "labels": LABELS},
    {"probabilities": np.zeros((1000, 0), np.float32), "labels": LABELS},
    {"probabilities": np.asfortranarray(GOOD), "labels": LABELS},
]
# What is done to a run, then how the reason begins, and what else it says.
DAMAGED: list[tuple[Damage, str, str]] = [
    *((holding("manifest.json", content), "manifest.json: ", "") for content in NOT_JSON),
    *((holding("summary.json", content), "summary.json: ", "") for content in NOT_JSON),
    *((holding("config.yaml", content), "config.yaml: ", "") for content in NOT_YAML),
    *((saying("summary.json", **changes), "summary.json: ", "") for changes in IMPOSSIBLE),
    (saying("summary.json", test_accuracy=0.999), "predictions.npz: ", "99.9000% in summary.json"),
    (saying("manifest.json", data=None), "manifest.json: ", "test images"),
    *((with_images(count), "manifest.json: ", "") for count in (0, -1, 10**300)),
    *((without(name), f"{name}: No such file or directory", "") for name in FILES[:-1]),
    *((linked(name), f"{name}: a link, which is not followed", "") for name in FILES),
    *((piped(name), f"{name}: not a plain file", "") for name in FILES),
    (of_size("manifest.json", 10**6 + 1), "manifest.json: ", "1,000,000 at most"),
    (of_size("config.yaml", 5 * 10**6 + 1), "config.yaml: ", "5,000,000 at most"),
    (of_size("predictions.npz", 5 * 10**8 + 1), "predictions.npz: ", "500,000,000 at most"),
    (
        of_size("metrics.jsonl", 2 * 10**9),
        "metrics.jsonl: 2,000,000,000 bytes; 50,000,000 at most are read",
        "",
    ),
    (cut_off("metrics.jsonl", -30), "metrics.jsonl: ", ""),
    (holding("metrics.jsonl", b""), "metrics.jsonl: holds no epoch", ""),
    *((cut_off("predictions.npz", size), "predictions.npz: ", "") for size in (0, 10, 5000, -10)),
    (changed_byte, "predictions.npz: ", "CRC"),
    *((predicting(**arrays), "predictions.npz: ", "") for arrays in OTHER_ARRAYS),
]


@pytest.mark.parametrize(("damage", "beginning", "words"), DAMAGED)
def test_what_is_damaged_is_named(tmp_path: Path, damage: Damage, beginning: str, words: str) -> None:
    path = make_run(tmp_path, "ann")
    damage(path)
    found = reason(path)
    assert found.startswith(beginning) and words in found


def test_a_pipe_in_place_of_the_log_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "one", "running")
    os.mkfifo(path / "train.log")
    assert "not a plain file" in reason(path)


def test_predictions_that_unpack_to_half_a_gigabyte_are_refused_unread(tmp_path: Path) -> None:
    """Their headers promise what a run may have; a megabyte of zeros is all that is in the file."""
    path = make_run(tmp_path, "ann")
    with zipfile.ZipFile(path / "predictions.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, dtype, shape in (("labels", "|u1", (10**6,)), ("probabilities", "<f4", (10**6, 125))):
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(np.dtype(dtype).itemsize * int(np.prod(shape)) // 10**6):
                    member.write(bytes(10**6))
    with bounded(megabytes=20):
        assert reason(path) == "predictions.npz: it cannot be read: unpacks to more than 500,000,000 bytes"


def test_probabilities_are_those_of_the_bytes_that_were_checked(tmp_path: Path) -> None:
    """A file that is exchanged after a look is looked at again, and refused."""
    path = make_run(tmp_path, "ann")
    run = read_run(path)
    assert run.predicted_classes is not None
    predicting(probabilities=GOOD, labels=LABELS)(path)
    with pytest.raises(DamagedRun, match=r"predictions\.npz: an accuracy of"):
        run.read_predictions()


def test_a_search_is_read_and_is_no_training(tmp_path: Path) -> None:
    path = make_run(tmp_path, "search", manifest={"mode": "tune"})
    change_json(
        path / "summary.json", objective="val_accuracy", num_trials=9, num_completed=9, search_s=60.0,
        ended_by="max_trials", winner="trial_3", candidates=[], winner_test_accuracies=[0.98, 0.981],
        difference=None, difference_interval=None, verdict="No trial beat the untuned default.",
    )  # fmt: skip
    run = read_run(path)
    assert run.status == "completed" and not run.is_training


def test_a_mode_that_trains_nothing_needs_no_summary(tmp_path: Path) -> None:
    path = make_run(tmp_path, "evaluation", manifest={"mode": "evaluate"})
    (path / "summary.json").write_text("{}")
    run = read_run(path)
    assert run.summary is None and not run.is_training


def test_whatever_bytes_are_in_a_file_the_answer_is_a_run_or_a_reason(tmp_path: Path) -> None:
    """Every file of a run changed at random."""
    generator = np.random.default_rng(0)
    path = make_run(tmp_path, "ann", num_test=50)
    whole = {name: (path / name).read_bytes() for name in FILES}
    for _ in range(150):
        name = FILES[int(generator.integers(len(FILES)))]
        content = bytearray(whole[name])
        for place in generator.integers(0, len(content), int(generator.integers(1, 6))):
            content[place] = int(generator.integers(256))
        (path / name).write_bytes(content[: int(generator.integers(1, len(content) + 1))])
        try:
            run = read_run(path)
            assert isinstance(run, Run)
            _ = run.is_training and run.predicted_classes
        except DamagedRun as error:
            assert error.reason
        (path / name).write_bytes(whole[name])
