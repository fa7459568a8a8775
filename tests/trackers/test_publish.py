"""`mode=publish`: finished runs copied from their files, once."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mnist_exp.runs.run import Run
from mnist_exp.trackers.copies import RunCopy
from tests.comparison.run_makers import make_run, make_unfinished, sha256
from tests.conftest import FinishedRun
from tests.conftest import Run as RunCommand
from tests.trackers.reading import read_curve, read_hyperparameters, read_values

PUBLISH = ("mode=publish", "publish.to=tensorboard")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two configurations, one of them on two seeds."""
    folder = tmp_path / "runs"
    make_run(folder, "a0", seed=0)
    make_run(folder, "a1", seed=1)
    make_run(folder, "b0", config={"model.name": "bn_dnn"})
    return folder


def notes(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "published.json").read_text())


def test_runs_are_published_once_without_tensorflow(runs: Path, run_command: RunCommand) -> None:
    make_unfinished(runs, "failed", "failed")
    make_run(runs, "damaged")
    (runs / "damaged/metrics.jsonl").write_text("no rows")
    done = run_command(*PUBLISH, "runs=runs/*", cwd=runs.parent, kind="light")
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 runs published to tensorboard" in done.stdout
    assert "left out: runs/failed is failed" in done.stdout and "left out: runs/damaged" in done.stdout
    (note,) = notes(runs / "a0")
    assert (note["to"], note["where"], note["files"]) == ("tensorboard", "tensorboard", [])
    files = sorted(runs.rglob("*tfevents*"))
    again = run_command(*PUBLISH, "runs=runs/*", cwd=runs.parent, kind="light")
    assert again.returncode == 0 and "0 runs published" in again.stdout
    assert "3 runs left out: published there before" in again.stdout
    assert sorted(runs.rglob("*tfevents*")) == files and len(notes(runs / "a0")) == 1
    assert not (runs / "failed/published.json").exists()


def test_unfinished_runs_are_published_as_they_ended_and_again_once_completed(
    runs: Path, run_command: RunCommand
) -> None:
    make_unfinished(runs, "late", "interrupted", "SIGTERM")
    make_unfinished(runs, "at_work", "running")
    asked = (*PUBLISH, "runs=runs/*", "publish.unfinished=true")
    done = run_command(*asked, cwd=runs.parent, kind="light")
    assert done.returncode == 0 and "5 runs published" in done.stdout, done.stdout
    assert [notes(runs / name)[0]["status"] for name in ("late", "at_work")] == ["interrupted", "lost"]
    assert read_hyperparameters(runs / "late/tensorboard")["model.name"] == "ann"
    shutil.copytree(make_run(runs.parent, "completed"), runs / "late", dirs_exist_ok=True)
    again = run_command(*asked, cwd=runs.parent, kind="light")
    assert "1 run published" in again.stdout and "4 runs left out" in again.stdout
    assert [note["status"] for note in notes(runs / "late")] == ["interrupted", "completed"]
    assert len(read_curve(runs / "late/tensorboard", "val_loss")) == 5


def test_what_was_followed_is_replaced_by_the_same(
    finished_run: FinishedRun, run_command: RunCommand, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run.path, run)
    (run / "tensorboard").mkdir()
    (run / "tensorboard/events.out.tfevents.1.earlier").write_bytes(b"torn")
    done = run_command(*PUBLISH, "runs=run", cwd=tmp_path, kind="light")
    assert done.returncode == 0, done.stderr
    rows = Run(run).read_metrics()
    expected = [(row.epoch, pytest.approx(row.val_loss)) for row in rows]
    assert read_curve(run / "tensorboard", "val_loss") == expected
    assert read_hyperparameters(run / "tensorboard")["training.epochs"] == 3
    assert sum(value.HasField("image") for _, value in read_values(run / "tensorboard")) == 5


def test_a_copy_tells_where_a_run_belongs(runs: Path) -> None:
    copy = RunCopy(Run(runs / "a1"), "ann", [])
    assert copy.tags() == {
        "mode": "train", "seed": "1", "group": "ann", "status": "completed", "data": "mnist",
        "data.train_sha256": sha256("train"), "data.test_sha256": sha256("test"),
        "data.split_sha256": sha256("split"),
    }  # fmt: skip
    began_s, ended_s = copy.times
    ends = [end for end, _ in copy.curves()]
    assert ended_s - began_s == 299 and ends == pytest.approx([began_s + 0.2 * n for n in range(1, 6)])
    assert copy.identity == "a1 2026-11-22T10:00:01.000Z"


@pytest.mark.parametrize(
    "asked, told",
    [
        ("runs=runs/*", "publish.to: got none. Accepted: mlflow, tensorboard, wandb."),
        ("publish.to=tensorboard", "runs: got none. Say which, such as: mnist-exp mode=publish"),
        ("runs=nowhere publish.to=tensorboard", "runs: nowhere does not exist"),
        ("runs=runs publish.to=neptune", 'publish.to: got "neptune"'),
        ("runs=runs publish.to=tensorboard publish.files=[x]", "publish.files: got x"),
        ("runs=runs publish.to=wandb publish.files=[../x]", "publish.files: got ../x"),
        ("runs=runs publish.to=mlflow publish.project=", 'publish.project: got ""'),
        ("runs=runs publish.to=tensorboard seed=1", "seed: mode=publish copies finished runs"),
        ("runs=runs publish.to=tensorboard tracker=tensorboard", "tracker: mode=publish copies finished"),
    ],
)
def test_a_bad_request_is_one_line(runs: Path, run_command: RunCommand, asked: str, told: str) -> None:
    before = sorted(runs.parent.rglob("*"))
    done = run_command("mode=publish", *asked.split(), cwd=runs.parent, kind="light")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr
    assert sorted(runs.parent.rglob("*")) == before


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_a_missing_package_is_named(runs: Path, run_command: RunCommand, package: str) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    asked = ("mode=publish", "runs=runs", f"publish.to={package}")
    done = run_command(*asked, cwd=runs.parent, kind="light")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"pip install 'mnist-exp[{package}]'" in done.stderr


def test_nothing_is_written_through_a_link(runs: Path, run_command: RunCommand) -> None:
    elsewhere = runs.parent / "elsewhere"
    elsewhere.mkdir()
    (runs / "a0/tensorboard").symlink_to(elsewhere)
    done = run_command(*PUBLISH, "runs=runs/a0", cwd=runs.parent, kind="light")
    assert done.returncode == 0 and "tensorboard: a link, which is not followed" in done.stdout
    assert list(elsewhere.iterdir()) == []
