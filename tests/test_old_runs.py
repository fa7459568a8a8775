"""Run directories that an earlier version wrote are read, evaluated, compared, resumed and verified."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mnist_exp.runs.notes import Notes, write_notes
from tests.conftest import Run

OLD_RUNS = Path(__file__).with_name("old_runs")

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose `runs` are the old ones, each with a note beside its record, which changes nothing."""
    shutil.copytree(OLD_RUNS, tmp_path / "runs")
    # git keeps no empty folder.
    for path in (tmp_path / "runs").rglob("manifest.json"):
        (path.parent / "plots").mkdir()
        write_notes(path.parent, Notes(note="old", tags=["keep"], star=True))
    return tmp_path


def read(path: Path, said: str = "", says: str = "") -> Any:
    """Reads a file, with what is said in other words now replaced."""
    return json.loads(path.read_text().replace(said, says) if said else path.read_text())


def without_younger(now: Any, then: Any) -> Any:
    """Leaves out the fields that joined since."""
    if isinstance(then, dict):
        return {name: without_younger(now[name], then[name]) for name in then}
    if isinstance(then, list):
        return [without_younger(*pair) for pair in zip(now, then, strict=True)]
    return now


def test_runs_and_searches_of_any_end_are_compared(folder: Path, run_command: Run) -> None:
    done = run_command("mode=compare", "runs=runs/*", "compare.format=json", cwd=folder)
    assert done.returncode == 0, done.stderr
    runs = {Path(run["run"]).name: run for run in json.loads(done.stdout)["runs"]}
    assert {name: run["status"] for name, run in runs.items()} == {
        "run": "completed",
        "failed": "failed",
        "interrupted": "interrupted",
        "search": "completed",
        "interrupted_search": "interrupted",
        **{path.name: "completed" for path in (OLD_RUNS / "sweep").iterdir() if path.is_dir()},
    }
    assert runs["run"]["measures"]["test_accuracy"] == 0.68


def test_a_comparison_says_what_it_said(folder: Path, run_command: Run) -> None:
    done = run_command("mode=compare", "runs=runs/sweep/*", "hydra.run.dir=runs/again", cwd=folder)
    assert done.returncode == 0, done.stderr
    now = read(folder / "runs/again/comparison.json")
    then = read(OLD_RUNS / "comparison/comparison.json", "needed to see", "needed to detect")
    for name in ("keys", "groups", "leader", "verdict", "pairs"):
        for found, before in zip(now["sets"], then["sets"], strict=True):
            assert without_younger(found[name], before[name]) == before[name]
    group = now["sets"][0]["groups"][0]
    assert (group["tags"], group["note"]) == ("★ keep", "old")
    assert 0.5 < group["measures"]["balanced_accuracy"]["mean"] < 0.8
    assert (folder / "runs/again/report.html").exists()


def with_teacher(run: Path) -> None:
    """Makes a run one that learnt from another one, which nothing does any more."""
    config = run / "config.yaml"
    assert "    run: null\n" in config.read_text()
    config.write_text(config.read_text().replace("    run: null\n", "    run: runs/other\n"))


def test_a_run_is_evaluated_as_it_was_even_if_it_learnt_from_a_teacher(
    folder: Path, run_command: Run
) -> None:
    with_teacher(folder / "runs/run")
    done = run_command("mode=evaluate", "run=runs/run", "hydra.run.dir=runs/again", cwd=folder)
    assert done.returncode == 0, done.stderr
    now, then = read(folder / "runs/again/evaluation.json"), read(OLD_RUNS / "evaluation/evaluation.json")
    assert set(then) <= set(now)
    assert now["same_as_run"]["is_identical"] is not None
    for name in ("run_id", "split", "sha256", "num_images", "num_trained_on"):
        assert now[name] == then[name]
    # To the last bit on the processor that it was made on, and nearly so on any other.
    assert now["accuracy"] == pytest.approx(then["accuracy"], abs=0.003)
    assert now["loss"] == pytest.approx(then["loss"], rel=1e-4)


def test_a_run_that_learnt_from_a_teacher_is_not_trained_again(folder: Path, run_command: Run) -> None:
    with_teacher(folder / "runs/run")
    done = run_command("mode=verify", "run=runs/run", cwd=folder)
    assert done.returncode == 2 and "training.teacher" in done.stderr and done.stderr.count("\n") == 1


def test_a_run_is_verified(folder: Path, run_command: Run) -> None:
    done = run_command("mode=verify", "run=runs/run", "hydra.run.dir=runs/again", cwd=folder)
    found = read(folder / "runs/again/verification.json")
    assert done.returncode == (0 if found["identical"] else 1), done.stderr
    assert found["num_epochs"] == 3 and found["num_predictions"] == 1000 and found["not_compared"] == []
    assert read(folder / "runs/again/summary.json")["test_accuracy"] == pytest.approx(0.68, abs=0.01)


def test_a_run_is_resumed(folder: Path, run_command: Run) -> None:
    done = run_command("resume=runs/interrupted", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = (folder / "runs/interrupted/metrics.jsonl").read_text().splitlines()
    assert rows[0] == (OLD_RUNS / "interrupted/metrics.jsonl").read_text().strip() and len(rows) == 6
    manifest = read(folder / "runs/interrupted/manifest.json")
    assert manifest["status"] == "completed" and manifest["resumed"][0]["epoch"] == 1


def test_a_search_is_resumed(folder: Path, run_command: Run) -> None:
    done = run_command("mode=tune", "resume=runs/interrupted_search", "tuner.max_trials=3", cwd=folder)
    assert done.returncode == 0, done.stderr
    name = "interrupted_search/trials.jsonl"
    trials, before = ((top / name).read_text().splitlines() for top in (folder / "runs", OLD_RUNS))
    assert trials[:2] == before and len(trials) == 3
    assert read(folder / "runs/interrupted_search/manifest.json")["status"] == "completed"


def test_the_command_of_a_sweep_means_that_sweep_and_it_goes_on(folder: Path, run_command: Run) -> None:
    job = next(path.name for path in (OLD_RUNS / "sweep").glob("seed-1_ann_*"))
    shutil.rmtree(folder / "runs/sweep" / job)
    done = run_command(*read(OLD_RUNS / "sweep/sweep.json")["argv"], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "4 jobs, 3 already finished" in done.stdout and "4 of 4 jobs completed" in done.stdout
    assert (folder / "runs/sweep" / job / "metrics.jsonl").exists()


def test_a_completed_run_and_search_have_nothing_to_resume(folder: Path, run_command: Run) -> None:
    for name in ("run", "search"):
        done = run_command(f"resume=runs/{name}", cwd=folder)
        assert done.returncode == 0 and "completed" in done.stdout
        assert (folder / "runs" / name / "report.html").exists()
