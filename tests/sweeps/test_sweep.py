"""Sweeps from the first command to the last: what they leave, that they go on, that plans are frozen."""

import csv
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import msgspec.yaml
import pytest

from tests.conftest import Run, Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    QUICK,
    Ended,
    Outcomes,
    Scenario,
    ended,
    num_epochs,
    planned_jobs,
    processes_in,
    read_json,
    result_of,
    run_in,
    runs_of,
    snapshot,
    status_of,
    statuses,
    wait_for,
)

pytestmark = pytest.mark.slow

FOUR = (
    *("-m", "--config-dir=yaml", *QUICK, "model=ann,bn_dnn", "seed=0,1", "experiment=short", "sweep=four"),
    *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
)
OWN_YAML = "# @package _global_\ntraining: {epochs: 2, label_smoothing: 0.05}\n"
OTHER_YAML = "# @package _global_\ntraining: {epochs: 1, label_smoothing: 0.2}\n"
# All that a model which is used again has to have forgotten.
RANDOM = (
    *(*QUICK, "augmentation=affine", "model=bn_dnn", "model.dropout=0.2", "model.input_dropout=0.1"),
    *("training.epochs=2", "training.ema_momentum=0.9", "training.threads=1"),
)
Files = dict[str, tuple[int, int]]


def four_jobs(start: Start, folder: Path) -> None:
    """One sweep, command after command: whole, again, changed, and with jobs that failed or are gone."""
    yaml = folder / "yaml" / "experiment" / "short.yaml"
    yaml.parent.mkdir(parents=True)
    yaml.write_text(OWN_YAML)
    both = [start(*FOUR, cwd=folder) for _ in range(2)]
    sweep = folder / "runs" / "four"
    wait_for(lambda: any(sweep.glob("*/manifest.json")))
    yaml.write_text("training: [")
    wait_for(lambda: len(list(sweep.glob("*/manifest.json"))) > 2)
    shutil.rmtree(folder / "yaml")
    beside, first = sorted((ended(process, folder) for process in both), key=lambda one: -one.status)
    wait_for(lambda: not processes_in(folder), seconds=10)
    assert_one_line(beside, "runs/four", "another process")
    assert_ran(first, sweep)

    def command(*arguments: str) -> tuple[Ended, Files, Files]:
        """Gives what was there before it and after it, too."""
        before = snapshot(sweep)
        return ended(start(*arguments, cwd=folder), folder), before, snapshot(sweep)

    yaml.parent.mkdir(parents=True)
    yaml.write_text(OWN_YAML)
    again, before, after = command(*FOUR)
    assert (again.status, again.stderr) == (0, "")
    assert "4 already finished" in again.stdout and "4 of 4 jobs completed" in again.stdout
    for name in ("sweep.json", *(run.name for run in runs_of(sweep))):
        assert part_of(before, name) == part_of(after, name) != {}

    yaml.write_text(OTHER_YAML)
    changed, before, after = command(*FOUR)
    assert before == after
    places = (
        f"--config-dir={folder}/yaml hydra/launcher=joblib hydra.launcher.n_jobs=2 runs_dir={folder}/runs"
    )
    resuming = f"mnist-exp -m {places} sweep=four"
    assert_one_line(changed, "mnist-exp: sweep: four ", "training.epochs: 2 → 1 in job 0", resuming)

    yaml.write_text(OWN_YAML)
    torn, failed, removed, _ = runs_of(sweep)
    manifest = failed / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"status": "completed"', '"status": "failed"'))
    shutil.rmtree(removed)
    failed_only, before, after = command(*FOUR, "rerun=failed")
    assert (failed_only.status, failed_only.stderr) == (1, "")
    assert "3 of 4 jobs completed" in failed_only.stdout and not (removed / "summary.json").exists()
    assert [run for run in runs_of(sweep) if was_run(run, before, after)] == [failed]
    assert status_of(failed) == "completed"
    resumed = read_json(failed / "manifest.json")["resumed"]
    assert [each["epoch"] for each in resumed] == [num_epochs(failed)], "it was begun again"

    (torn / "manifest.json").write_text('{"run_id": ')
    rest, before, after = command("-m", "sweep=four")
    assert (rest.status, rest.stderr) == (0, "") and "4 jobs, 2 already finished" in rest.stdout
    assert [run for run in runs_of(sweep) if was_run(run, before, after)] == [torn, removed]
    assert statuses(sweep) == ["completed"] * 4
    assert read_json(removed / "manifest.json")["argv"] == ["-m", "sweep=four"]
    assert read_json(torn / "manifest.json")["resumed"] == []
    put_aside = sweep / "earlier" / f"{torn.name}_1"
    assert list(put_aside.parent.iterdir()) == [put_aside]
    assert (put_aside / "checkpoints" / "last.keras").exists()


def part_of(files: Files, name: str) -> Files:
    """Gives what is below a folder, or is of that name."""
    return {path: seen for path, seen in files.items() if path.split("/")[0] == name}


def was_run(run: Path, before: Files, after: Files) -> bool:
    name = f"{run.name}/summary.json"
    return before.get(name) != after.get(name)


def assert_one_line(outcome: Ended, *words: str) -> None:
    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr


def assert_ran(outcome: Ended, sweep: Path) -> None:
    """Asserts that all four jobs left what the contract says, and were told of."""
    assert (outcome.status, outcome.stderr) == (0, "")
    assert not CONTROL.search(outcome.stdout) and not NOISE.search(outcome.stdout)
    numbers = ("1/4", "2/4", "3/4", "4/4")
    for words in (*numbers, "4 jobs, 2 at once", "4 runs in 2 groups", "verdict", "4 of 4 jobs completed in"):
        assert words in outcome.stdout
    names = [job["name"] for job in planned_jobs(sweep)]
    kinds = [f"{model}_seed-{seed}" for model in ("ann", "bn_dnn") for seed in (0, 1)]
    assert [name.rpartition("_")[0] for name in names] == kinds
    assert [shlex.quote(name) for name in names] == names
    own = {"sweep.json", "sweep.log", "results.csv", "comparison.json", "plots", "report.html"}
    assert {path.name for path in sweep.iterdir()} == {*names} | own
    assert [path.name for path in outcome.folder.iterdir()] == ["runs"]
    assert list(sweep.parent.iterdir()) == [sweep]
    for job in planned_jobs(sweep):
        assert_run_of(job, sweep)
    with (sweep / "results.csv").open(newline="") as file:
        accuracies = {Path(row["run"]).name: float(row["test_accuracy"]) for row in csv.DictReader(file)}
    summaries = {run.name: read_json(run / "summary.json") for run in runs_of(sweep)}
    assert accuracies == {name: summary["test_accuracy"] for name, summary in summaries.items()}


def assert_run_of(job: dict[str, Any], sweep: Path) -> None:
    """Asserts that a job's directory is as the contract says, whatever became of the YAML meanwhile."""
    run = sweep / job["name"]
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    names = {"config.yaml", "overrides.yaml", "manifest.json", "metrics.jsonl", "metrics.csv", "summary.json"}
    rest = {"predictions.npz", "train.log", "checkpoints/best.keras", "checkpoints/last.keras", "report.html"}
    assert {name for name in files if not name.startswith("plots/")} == names | rest
    assert {"plots/learning_curves.png", "plots/confusion_matrix.png"} <= files
    manifest, config = (
        read_json(run / "manifest.json"),
        msgspec.yaml.decode((run / "config.yaml").read_bytes()),
    )
    assert manifest["sweep"] == {"name": "four", "job": job["number"], "jobs_at_once": 2}
    share = max(len(os.sched_getaffinity(0)) // 2, 1)
    assert (manifest["status"], manifest["threads"]) == ("completed", share)
    assert manifest["argv"] == list(FOUR) and manifest["run_id"] == run.name
    assert config == job["config"]
    assert (config["training"]["epochs"], config["training"]["label_smoothing"]) == (2, 0.05)
    assert read_json(run / "summary.json")["epochs"] == 2
    # What would be typed to run it alone.
    assert msgspec.yaml.decode((run / "overrides.yaml").read_bytes()) == job["overrides"]
    assert not [word for word in job["overrides"] if word.startswith(("sweep=", "hydra"))]


def two_jobs_in_one_process(start: Start, folder: Path) -> None:
    """The second comes to the bits of the same run alone, and both to theirs once more by rerun=all."""
    sweep = folder / "runs" / "two"
    typed = ("-m", *RANDOM, "seed=0,1", "sweep=two")
    (folder / "alone").mkdir()
    outcomes = [ended(start(*RANDOM, "seed=1", cwd=folder / "alone"), folder)]
    outcomes += [ended(start(*typed, *rerun, cwd=folder), folder) for rerun in ((), ("rerun=all",))]
    assert [(outcome.status, outcome.stderr) for outcome in outcomes] == [(0, "")] * 3
    first, second = (result_of(run) for run in runs_of(sweep))
    earlier = [result_of(sweep / "earlier" / f"{run.name}_1") for run in runs_of(sweep)]
    assert second == result_of(run_in(folder / "alone"))
    assert earlier == [first, second] and statuses(sweep) == ["completed"] * 2
    assert first["best"].keys() == second["best"].keys() and len(first["best"]) > 20
    assert [name for name in first if first[name] == second[name]] == [], "another seed, other bits"


SCENARIOS = (four_jobs, two_jobs_in_one_process)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_sweep_runs(outcome_of: Outcomes, scenario: Scenario) -> None:
    outcome_of(scenario)


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        (("seed=0,1", "plan=true"), 0, "nothing was run"),
        (("seed=0,1", "rerun=failed"), 2, "mnist-exp: sweep: there is no sweep in runs/mine to resume."),
    ],
)
def test_a_plan_and_a_request_that_cannot_work_leave_nothing(
    run_command: Run, tmp_path: Path, typed: tuple[str, ...], status: int, words: str
) -> None:
    done = run_command("-m", *QUICK, *typed, "sweep=mine", cwd=tmp_path, kind="light")
    shown, other = (done.stdout, done.stderr) if status == 0 else (done.stderr, done.stdout)
    assert (done.returncode, other) == (status, "")
    assert words in shown
    assert list(tmp_path.iterdir()) == [] and processes_in(tmp_path) == {}
