"""Sweeps from the first command to the last: what they leave, that they go on, that plans are frozen."""

import csv
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec.yaml
import pytest

from tests.conftest import Run, Start
from tests.sweeps.sweeping import (
    CONTROL,
    NOISE,
    QUICK,
    Ended,
    Outcomes,
    ended,
    num_epochs,
    planned_jobs,
    processes_in,
    read_json,
    result_of,
    run_in,
    run_of,
    runs_of,
    side_by_side,
    snapshot,
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


@dataclass(frozen=True)
class Four:
    """What became of a sweep of four jobs, one command after another.

    Attributes:
        first: The command that ran it.
        beside: The same command, started at the same instant.
        left: Processes that were left by both.
        files: What was there before each of the commands below, and after the last.
        again: The same command once more.
        changed: The same with other values in the user's YAML.
        failed_only: With `rerun=failed`, after job 1 was made to have failed and job 2 removed.
        rest: `-m sweep=four`, after that and with a manifest of job 0 that cannot be read.
    """

    first: Ended
    beside: Ended
    left: dict[int, str]
    files: list[Files]
    again: Ended
    changed: Ended
    failed_only: Ended
    rest: Ended

    @property
    def sweep(self) -> Path:
        return self.first.sweep("four")


def four(start: Start, folder: Path) -> Four:
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
    left, files = processes_in(folder), [snapshot(sweep)]

    def then(*arguments: str) -> Ended:
        outcome = ended(start(*arguments, cwd=folder), folder)
        files.append(snapshot(sweep))
        return outcome

    yaml.parent.mkdir(parents=True)
    yaml.write_text(OWN_YAML)
    again = then(*FOUR)
    yaml.write_text(OTHER_YAML)
    changed = then(*FOUR)
    yaml.write_text(OWN_YAML)
    manifest = run_of(sweep, 1) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"status": "completed"', '"status": "failed"'))
    shutil.rmtree(run_of(sweep, 2))
    failed_only = then(*FOUR, "rerun=failed")
    (run_of(sweep, 0) / "manifest.json").write_text('{"run_id": ')
    rest = then("-m", "sweep=four")
    return Four(first, beside, left, files, again, changed, failed_only, rest)


def two_in_one_process(start: Start, folder: Path) -> list[Ended]:
    """A sweep, and then all of it once more."""
    sweep = ("-m", *RANDOM, "seed=0,1", "sweep=two")
    return [ended(start(*sweep, *rerun, cwd=folder), folder) for rerun in ((), ("rerun=all",))]


def second_alone(start: Start, folder: Path) -> Ended:
    """The second of the two as a run of its own, in a process of its own."""
    return ended(start(*RANDOM, "seed=1", cwd=folder), folder)


@pytest.fixture(scope="module")
def the_four(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Four:
    return four(start, tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (two_in_one_process, second_alone))


def test_a_sweep_ends_with_a_table_and_a_verdict_and_nothing_on_stderr(the_four: Four) -> None:
    first = the_four.first
    assert (first.status, first.stderr) == (0, "")
    assert not CONTROL.search(first.stdout) and not NOISE.search(first.stdout)
    numbers = ("1/4", "2/4", "3/4", "4/4")
    for words in (*numbers, "4 jobs, 2 at once", "4 runs in 2 groups", "verdict", "4 of 4 jobs completed in"):
        assert words in first.stdout


def test_a_sweeps_folder_holds_nothing_but_its_jobs_its_plan_and_what_came_of_it(the_four: Four) -> None:
    names = {name.split("/")[0] for name in the_four.files[0]}
    jobs = [job["name"] for job in planned_jobs(the_four.sweep)]
    own = {"sweep.json", "sweep.log", "results.csv", "comparison.json", "plots", "report.html"}
    assert names == {*jobs} | own
    assert not list(the_four.sweep.glob(".launch_*"))
    assert sorted(path.name for path in the_four.first.folder.iterdir()) == ["runs", "yaml"]
    assert [path.name for path in (the_four.first.folder / "runs").iterdir()] == ["four"]
    kinds = [f"{model}_seed-{seed}" for model in ("ann", "bn_dnn") for seed in (0, 1)]
    assert [name.rpartition("_")[0] for name in jobs] == kinds
    assert [shlex.quote(name) for name in jobs] == jobs


def test_each_job_has_a_run_directory_as_the_contract_says(the_four: Four) -> None:
    names = {"config.yaml", "overrides.yaml", "manifest.json", "metrics.jsonl", "metrics.csv", "summary.json"}
    rest = {"predictions.npz", "train.log", "checkpoints/best.keras", "checkpoints/last.keras", "report.html"}
    for job in planned_jobs(the_four.sweep):
        start = f"{job['name']}/"
        files = {name.removeprefix(start) for name in the_four.files[0] if name.startswith(start)}
        assert {name for name in files if not name.startswith("plots/")} == names | rest
        assert {"plots/learning_curves.png", "plots/confusion_matrix.png"} <= files


def test_a_run_says_which_job_of_which_sweep_it_was_and_what_would_be_typed_to_run_it_alone(
    the_four: Four,
) -> None:
    share = max(len(os.sched_getaffinity(0)) // 2, 1)
    for job, run in zip(planned_jobs(the_four.sweep), runs_of(the_four.sweep), strict=True):
        assert msgspec.yaml.decode((run / "config.yaml").read_bytes()) == job["config"]
        assert msgspec.yaml.decode((run / "overrides.yaml").read_bytes()) == job["overrides"]
        assert not [word for word in job["overrides"] if word.startswith(("sweep=", "hydra"))]
    untouched = run_of(the_four.sweep, 3)  # of the others there is a later attempt
    manifest = read_json(untouched / "manifest.json")
    assert manifest["sweep"] == {"name": "four", "job": 3, "jobs_at_once": 2}
    assert (manifest["status"], manifest["threads"]) == ("completed", share)
    assert manifest["argv"] == list(FOUR) and manifest["run_id"] == untouched.name


def test_results_have_a_row_a_job(the_four: Four) -> None:
    with (the_four.sweep / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(Path(row["run"]).name for row in rows) == sorted(
        run.name for run in runs_of(the_four.sweep)
    )
    for row in rows:
        summary = read_json(the_four.sweep / Path(row["run"]).name / "summary.json")
        assert float(row["test_accuracy"]) == summary["test_accuracy"]


def test_no_process_outlives_a_sweep(the_four: Four) -> None:
    assert the_four.left == {}


def test_of_two_sweeps_of_one_name_at_once_one_runs_and_the_other_is_refused(the_four: Four) -> None:
    beside = the_four.beside
    assert beside.status == 2 and "runs/four" in beside.stderr and "another process" in beside.stderr
    assert beside.stderr.count("\n") == 1 and beside.stdout == ""


def test_yaml_that_is_edited_broken_and_deleted_while_a_sweep_runs_changes_nothing_of_it(
    the_four: Four,
) -> None:
    run = run_of(the_four.sweep, 3)
    config = msgspec.yaml.decode((run / "config.yaml").read_bytes())
    assert (config["training"]["epochs"], config["training"]["label_smoothing"]) == (2, 0.05)
    assert read_json(run / "summary.json")["epochs"] == 2


def test_the_same_command_again_touches_nothing_that_is_completed(the_four: Four) -> None:
    again = the_four.again
    assert (again.status, again.stderr) == (0, "")
    assert "4 already finished" in again.stdout and "4 of 4 jobs completed" in again.stdout
    kept = {"sweep.json"} | {run.name for run in runs_of(the_four.sweep)}
    before, after = (
        {name: seen for name, seen in files.items() if name.split("/")[0] in kept}
        for files in the_four.files[:2]
    )
    assert before == after


def test_a_changed_configuration_is_refused_and_what_changed_is_said(the_four: Four) -> None:
    changed, folder = the_four.changed, the_four.changed.folder
    assert changed.status == 2 and changed.stdout == ""
    assert changed.stderr.startswith("mnist-exp: sweep: four ") and changed.stderr.count("\n") == 1
    for words in (
        "training.epochs: 2 → 1 in job 0",
        f"mnist-exp -m --config-dir={folder}/yaml hydra/launcher=joblib hydra.launcher.n_jobs=2 "
        f"runs_dir={folder}/runs sweep=four",
    ):
        assert words in changed.stderr
    assert the_four.files[1] == the_four.files[2]


def rewritten(the_four: Four, before: int) -> list[int]:
    """Numbers the jobs that a command ran."""
    files, later = the_four.files[before], the_four.files[before + 1]
    names = [f"{job['name']}/summary.json" for job in planned_jobs(the_four.sweep)]
    return [number for number, name in enumerate(names) if files.get(name) != later.get(name)]


def test_rerun_failed_runs_what_failed_and_leaves_the_rest_pending(the_four: Four) -> None:
    result, (_, failed, removed, _) = the_four.failed_only, runs_of(the_four.sweep)
    assert (result.status, result.stderr) == (1, "") and "3 of 4 jobs completed" in result.stdout
    assert f"{removed.name}/summary.json" not in the_four.files[3]
    assert rewritten(the_four, 2) == [1, 2], "the second of these is gone"
    manifest = read_json(failed / "manifest.json")
    assert manifest["status"] == "completed"
    assert [resumed["epoch"] for resumed in manifest["resumed"]] == [num_epochs(failed)], "nothing was left"


def test_a_sweeps_name_alone_runs_what_is_not_completed_and_nothing_else(the_four: Four) -> None:
    rest, sweep = the_four.rest, the_four.sweep
    assert (rest.status, rest.stderr) == (0, "") and "4 jobs, 2 already finished" in rest.stdout
    assert rewritten(the_four, 3) == [0, 2] and statuses(sweep) == ["completed"] * 4
    assert read_json(run_of(sweep, 2) / "manifest.json")["argv"] == ["-m", "sweep=four"]


def test_a_job_whose_manifest_cannot_be_read_is_put_aside_and_run_anew(the_four: Four) -> None:
    run, earlier = run_of(the_four.sweep, 0), the_four.sweep / "earlier"
    assert read_json(run / "manifest.json")["resumed"] == []
    assert [path.name for path in earlier.iterdir()] == [f"{run.name}_1"]
    assert (earlier / f"{run.name}_1" / "checkpoints" / "last.keras").exists()


def test_a_job_after_another_comes_to_the_bits_of_the_same_run_alone(outcome_of: Outcomes) -> None:
    once, again = outcome_of(two_in_one_process)
    alone = outcome_of(second_alone)
    for outcome in (once, again, alone):
        assert (outcome.status, outcome.stderr) == (0, "")
    assert result_of(run_of(once.sweep("two"), 1)) == result_of(run_in(alone.folder))


def test_rerun_all_runs_everything_again_to_the_same_bits(outcome_of: Outcomes) -> None:
    _, again = outcome_of(two_in_one_process)
    sweep = again.sweep("two")
    results = [result_of(run) for run in runs_of(sweep)]
    assert results == [result_of(sweep / "earlier" / f"{run.name}_1") for run in runs_of(sweep)]
    first, second = results
    assert first["best"].keys() == second["best"].keys() and len(first["best"]) > 20
    assert [name for name in first if first[name] == second[name]] == [], "another seed, other bits"


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
