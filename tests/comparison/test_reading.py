"""Runs as strangers may leave them: read, or named with what is wrong with them."""

import fcntl
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mnist_exp.runs.records import DataRecord, EngineRecord, Manifest
from mnist_exp.runs.run import DamagedRun, Run, read_run
from mnist_exp.runs.writer import RunDirectory
from tests.comparison.run_makers import data_record, make_labels, make_manifest, make_run, make_unfinished
from tests.fuzzing import bounded


class Bomb:
    """Leaves a mark where somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def change_json(path: Path, **changes: Any) -> None:
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | changes))


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


def test_a_run_without_predictions_or_checkpoint_is_still_a_run(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    (path / "predictions.npz").unlink()
    (path / "checkpoints" / "best.keras").unlink()
    run = read_run(path)
    assert run.predicted_classes is None and run.best_checkpoint_bytes is None


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


NOT_JSON = [b"", b"{", b"null", b"[]", b'{"test_accuracy": NaN}', b"\x00" * 100, b"[" * 50_000, b'"\\ud800']


@pytest.mark.parametrize("content", NOT_JSON)
@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
def test_broken_json_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = make_run(tmp_path, "ann")
    (path / name).write_bytes(content)
    assert reason(path).startswith(f"{name}: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"test_accuracy": "high"}, {"test_accuracy": 1.5}, {"val_accuracy": -0.1}, {"test_accuracy": None},
        {"num_params": -1}, {"num_params": 10**400}, {"train_s": 1e300}, {"best_epoch": 6}, {"best_epoch": 0},
        {"epochs": "many"}, {"selected_on_test": 3},
    ],
)  # fmt: skip
def test_numbers_that_no_run_comes_to_are_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = make_run(tmp_path, "ann")
    tree = msgspec.json.decode((path / "summary.json").read_bytes()) | changes
    (path / "summary.json").write_text(json.dumps(tree))
    assert reason(path).startswith("summary.json: ")


def test_a_better_accuracy_than_the_predictions_show_is_not_believed(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    change_json(path / "summary.json", test_accuracy=0.999)
    assert "99.9000% in summary.json" in reason(path)


def test_a_completed_run_must_say_on_which_images(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    change_json(path / "manifest.json", data=None)
    assert "test images" in reason(path)


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml", "summary.json", "metrics.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = make_run(tmp_path, "ann")
    (path / name).unlink()
    assert reason(path) == f"{name}: No such file or directory"


@pytest.mark.parametrize(
    "name", ["manifest.json", "config.yaml", "summary.json", "metrics.jsonl", "predictions.npz"]
)
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    path = make_run(tmp_path, "ann")
    elsewhere = tmp_path / "elsewhere"
    (path / name).rename(elsewhere)
    (path / name).symlink_to(elsewhere)
    assert reason(path) == f"{name}: a link, which is not followed"


@pytest.mark.parametrize("name", ["manifest.json", "metrics.jsonl", "predictions.npz"])
def test_a_pipe_keeps_nobody_waiting(tmp_path: Path, name: str) -> None:
    path = make_run(tmp_path, "ann")
    (path / name).unlink()
    os.mkfifo(path / name)
    assert reason(path) == f"{name}: not a plain file"


def test_a_pipe_in_place_of_the_log_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "one", "running")
    os.mkfifo(path / "train.log")
    assert "not a plain file" in reason(path)


def test_checkpoints_elsewhere_have_no_size(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    (path / "checkpoints").rename(tmp_path / "elsewhere")
    (path / "checkpoints").symlink_to(tmp_path / "elsewhere")
    assert read_run(path).best_checkpoint_bytes is None


def test_a_file_of_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    with (path / "metrics.jsonl").open("r+b") as file:
        file.truncate(2 * 10**9)
    assert reason(path) == "metrics.jsonl: 2,000,000,000 bytes; 50,000,000 at most are read"


@pytest.mark.parametrize(
    ("name", "limit"), [("manifest.json", 10**6), ("config.yaml", 5 * 10**6), ("predictions.npz", 5 * 10**8)]
)
def test_every_file_has_a_largest_size(tmp_path: Path, name: str, limit: int) -> None:
    path = make_run(tmp_path, "ann")
    with (path / name).open("r+b") as file:
        file.truncate(limit + 1)
    assert f"{limit:,} at most" in reason(path)


@pytest.mark.parametrize(
    "content",
    [
        b"- 1\n", b"a: [", b"a: &x [1]\nb: *x\n", b"[" * 100_000, b"- " * 100_000, b"? " * 100_000,
        b"a: !!python/object/apply:os.system ['true']\n", b"a: 9" + b"9" * 5000, b"\xff\xfe", b"{}: {",
        b"[a, b]: 1\n", b"- 1\n" * 200_000,
        b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: &d [*c,*c]\n",
    ],
)  # fmt: skip
def test_yaml_that_is_no_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = make_run(tmp_path, "ann")
    (path / "config.yaml").write_bytes(content)
    assert reason(path).startswith("config.yaml: ")


def test_metrics_cut_off_in_a_line_are_named(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    content = (path / "metrics.jsonl").read_bytes()
    (path / "metrics.jsonl").write_bytes(content[:-30])
    assert reason(path).startswith("metrics.jsonl: ")
    (path / "metrics.jsonl").write_bytes(b"")
    assert reason(path) == "metrics.jsonl: holds no epoch"


def write_predictions(path: Path, **arrays: Any) -> None:
    np.savez(path / "predictions.npz", **arrays)


def test_truncated_predictions_are_named(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    content = (path / "predictions.npz").read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 10):
        (path / "predictions.npz").write_bytes(content[:size])
        assert reason(path).startswith("predictions.npz: ")


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    content = bytearray((path / "predictions.npz").read_bytes())
    content[5000] ^= 0xFF
    (path / "predictions.npz").write_bytes(content)
    assert "CRC" in reason(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    mark = tmp_path / "unpickled"
    objects = np.empty(1000, dtype=object)
    objects[:] = [Bomb(mark)] * 1000
    write_predictions(path, probabilities=np.zeros((1000, 10), np.float32), labels=objects)
    assert "pickled" in reason(path)
    (path / "predictions.npz").write_bytes(pickle.dumps(Bomb(mark)))
    assert reason(path).startswith("predictions.npz: ")
    assert not mark.exists()


GOOD = np.full((1000, 10), 0.1, np.float32)


@pytest.mark.parametrize(
    "arrays",
    [
        {"labels": make_labels(1000)},
        {"probabilities": GOOD},
        {"probabilities": GOOD[:999], "labels": make_labels(1000)},
        {"probabilities": GOOD[:500], "labels": make_labels(500)},
        {"probabilities": GOOD.astype(np.float64), "labels": make_labels(1000)},
        {"probabilities": GOOD, "labels": make_labels(1000).astype(np.int64)},
        {"probabilities": GOOD[:, 0], "labels": make_labels(1000)},
        {"probabilities": GOOD, "labels": make_labels(1000) + 200},
        {"probabilities": np.full_like(GOOD, np.nan), "labels": make_labels(1000)},
        {"probabilities": np.zeros((1000, 0), np.float32), "labels": make_labels(1000)},
        {"probabilities": np.asfortranarray(GOOD), "labels": make_labels(1000)},
    ],
)
def test_other_arrays_than_predictions_are_named(tmp_path: Path, arrays: dict[str, Any]) -> None:
    path = make_run(tmp_path, "ann")
    write_predictions(path, **arrays)
    assert reason(path).startswith("predictions.npz: ")


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path: Path) -> None:
    """The header is that of a terabyte; what follows it are ten bytes."""
    path = make_run(tmp_path, "ann")
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 256), }"
    text += b" " * (117 - len(text)) + b"\n"
    member = header + len(text).to_bytes(2, "little") + text + b"0123456789"
    with zipfile.ZipFile(path / "predictions.npz", "w") as archive:
        archive.writestr("probabilities.npy", member)
        archive.writestr("labels.npy", member)
    assert reason(path).startswith("predictions.npz: ")


def test_predictions_that_unpack_to_a_gigabyte_are_refused_unread(tmp_path: Path) -> None:
    """Their headers promise what a run may have; a megabyte of zeros is all that is in the file."""
    path = make_run(tmp_path, "ann")
    with zipfile.ZipFile(path / "predictions.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, dtype, shape in (("labels", "|u1", (10**6,)), ("probabilities", "<f4", (10**6, 250))):
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(np.dtype(dtype).itemsize * int(np.prod(shape)) // 10**6):
                    member.write(bytes(10**6))
    with bounded(megabytes=20):
        assert reason(path) == "predictions.npz: it cannot be read: unpacks to more than 500,000,000 bytes"


def test_a_header_without_end_is_not_read(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    head = np.lib.format.magic(2, 0) + (2**32 - 1).to_bytes(4, "little")
    with zipfile.ZipFile(path / "predictions.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ("labels", "probabilities"):
            archive.writestr(f"{key}.npy", head + bytes(200 * 2**20))
    with bounded(megabytes=20):
        assert "has no readable .npy header" in reason(path)


def test_probabilities_are_those_of_the_bytes_that_were_checked(tmp_path: Path) -> None:
    """A file that is exchanged after a look is looked at again, and refused."""
    path = make_run(tmp_path, "ann")
    run = read_run(path)
    assert run.predicted_classes is not None
    write_predictions(path, probabilities=GOOD, labels=make_labels(1000))
    with pytest.raises(DamagedRun, match=r"predictions\.npz: an accuracy of"):
        run.read_predictions()


@pytest.mark.parametrize("name", ["best.keras", "last.keras"])
def test_a_checkpoint_with_contents_without_end_is_refused_unread(tmp_path: Path, name: str) -> None:
    path = make_run(tmp_path, "ann")
    with zipfile.ZipFile(path / "checkpoints" / name, "w") as archive:
        for number in range(25_000):
            archive.writestr(f"{number:05}", b"")
    with bounded(megabytes=20), pytest.raises(DamagedRun, match="list of contents"):
        read_run(path).read_weights(f"checkpoints/{name}")


def test_compressed_predictions_are_as_good(tmp_path: Path) -> None:
    path = make_run(tmp_path, "ann")
    with np.load(path / "predictions.npz") as stored:
        np.savez_compressed(path / "predictions.npz", **stored)
    assert read_run(path).predicted_classes is not None


def test_a_search_is_read_and_is_no_training(tmp_path: Path) -> None:
    path = make_run(tmp_path, "search", manifest={"mode": "tune"})
    change_json(
        path / "summary.json", objective="val_accuracy", num_trials=9, num_completed=9, search_s=60.0,
        ended_by="max_trials", winner="trial_3", candidates=[], winner_test_accuracies=[0.98, 0.981],
        difference=None, difference_interval=None, verdict="No trial beat the untuned default.",
    )  # fmt: skip
    run = read_run(path)
    assert run.status == "completed" and not run.is_training


def test_images_without_number_are_named(tmp_path: Path) -> None:
    for number, count in enumerate((0, -1, 10**300)):
        record = msgspec.structs.replace(data_record(), num_test=count)
        path = make_run(tmp_path, f"ann_{number}", manifest={"data": record})
        (path / "predictions.npz").unlink()
        assert reason(path).startswith("manifest.json: ")


def test_a_mode_that_trains_nothing_needs_no_summary(tmp_path: Path) -> None:
    path = make_run(tmp_path, "evaluation", manifest={"mode": "evaluate"})
    (path / "summary.json").write_text("{}")
    run = read_run(path)
    assert run.summary is None and not run.is_training


def test_whatever_bytes_are_in_a_file_the_answer_is_a_run_or_a_reason(tmp_path: Path) -> None:
    """Every file of a run changed at random, 400 times."""
    generator = np.random.default_rng(0)
    path = make_run(tmp_path, "ann", num_test=50)
    names = ["manifest.json", "config.yaml", "summary.json", "metrics.jsonl", "predictions.npz"]
    whole = {name: (path / name).read_bytes() for name in names}
    for _ in range(400):
        name = names[int(generator.integers(len(names)))]
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


def test_records_of_the_project_are_what_is_read() -> None:
    """The maker of runs uses the project's own records, so that these tests follow its changes."""
    assert isinstance(make_manifest("a", 0), Manifest) and isinstance(data_record(), DataRecord)
    assert isinstance(make_manifest("a", 0).engine, EngineRecord)
