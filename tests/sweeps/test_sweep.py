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
    run_of,
    runs_of,
    side_by_side,
    snapshot,
    status_of,
    statuses,
    wait_for,
)

pytestmark = pytest.mark.slow

SIX = (
    "-m",
    "--config-dir=yaml",
    *QUICK,
    "model=ann,bn_dnn",
    "seed=0,1,2",
    "experiment=short",
    "sweep=six",
    "hydra/launcher=joblib",
    "hydra.launcher.n_jobs=2",
)
OWN_YAML = "# @package _global_\ntraining: {epochs: 2, label_smoothing: 0.05}\n"
OTHER_YAML = "# @package _global_\ntraining: {epochs: 1, label_smoothing: 0.2}\n"
# All that a model which is used again has to have forgotten.
RANDOM = (
    *QUICK,
    "augmentation=affine",
    "model=bn_dnn",
    "model.dropout=0.2",
    "model.input_dropout=0.1",
    "training.epochs=2",
    "training.ema_momentum=0.9",
    "training.threads=1",
)
Files = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Six:
    """What became of a sweep of six jobs, one command after another.

    Attributes:
        first: The command that ran it.
        beside: The same command, started at the same instant.
        left: Processes that were left by both.
        files: What was there before each of the commands below, and after the last.
        again: The same command once more.
        changed: The same with other values in the user's YAML.
        failed_only: With `rerun=failed`, after one job was made to have failed and another removed.
        rest: `-m sweep=six`, with one job missing and another made to have failed.
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
        return self.first.sweep("six")


def six(start: Start, folder: Path) -> Six:
    yaml = folder / "yaml" / "experiment" / "short.yaml"
    yaml.parent.mkdir(parents=True)
    yaml.write_text(OWN_YAML)
    both = [start(*SIX, cwd=folder) for _ in range(2)]
    sweep = folder / "runs" / "six"
    wait_for(lambda: any(sweep.glob("*/manifest.json")))
    yaml.write_text("training: [")
    wait_for(lambda: len(list(sweep.glob("*/manifest.json"))) > 2)
    shutil.rmtree(folder / "yaml")
    beside, first = sorted((ended(process, folder) for process in both), key=lambda one: -one.status)
    left, files = processes_in(folder), [snapshot(sweep)]

    yaml.parent.mkdir(parents=True)
    yaml.write_text(OWN_YAML)
    again = ended(start(*SIX, cwd=folder), folder)
    files.append(snapshot(sweep))
    yaml.write_text(OTHER_YAML)
    changed = ended(start(*SIX, cwd=folder), folder)
    files.append(snapshot(sweep))

    yaml.write_text(OWN_YAML)
    make_failed(run_of(sweep, 1))
    shutil.rmtree(run_of(sweep, 4))
    failed_only = ended(start(*SIX, "rerun=failed", cwd=folder), folder)
    files.append(snapshot(sweep))
    make_failed(run_of(sweep, 0))
    rest = ended(start("-m", "sweep=six", cwd=folder), folder)
    files.append(snapshot(sweep))
    return Six(first, beside, left, files, again, changed, failed_only, rest)


def make_failed(run: Path) -> None:
    path = run / "manifest.json"
    path.write_text(path.read_text().replace('"status": "completed"', '"status": "failed"'))


def three_in_one_process(start: Start, folder: Path) -> list[Ended]:
    """A sweep, and then all of it once more."""
    sweep = ("-m", *RANDOM, "seed=0,1,2", "sweep=three")
    return [ended(start(*sweep, *rerun, cwd=folder), folder) for rerun in ((), ("rerun=all",))]


def three_alone(start: Start, folder: Path) -> list[Path]:
    """The same three as runs of their own, in processes of their own."""
    return [alone(start, folder / str(seed), seed) for seed in range(3)]


def alone(start: Start, folder: Path, seed: int) -> Path:
    folder.mkdir()
    assert ended(start(*RANDOM, f"seed={seed}", cwd=folder), folder).status == 0
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def the_six(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Six:
    return six(start, tmp_path_factory.mktemp("six"))


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, (three_in_one_process, three_alone))


def test_a_sweep_ends_with_a_table_and_a_verdict_and_nothing_on_stderr(the_six: Six) -> None:
    first = the_six.first
    assert (first.status, first.stderr) == (0, "")
    assert not CONTROL.search(first.stdout) and not NOISE.search(first.stdout)
    assert [f"{number}/6" in first.stdout for number in range(1, 7)] == [True] * 6
    for words in ("6 jobs, 2 at once", "6 runs in 2 groups", "verdict", "6 of 6 jobs completed in runs/six"):
        assert words in first.stdout


def test_each_job_has_a_run_directory_as_the_contract_says(the_six: Six) -> None:
    names = {"config.yaml", "overrides.yaml", "manifest.json", "metrics.jsonl", "metrics.csv", "summary.json"}
    rest = {"predictions.npz", "train.log", "checkpoints/best.keras", "checkpoints/last.keras"}
    for job in planned_jobs(the_six.sweep):
        start = f"{job['name']}/"
        files = {name.removeprefix(start) for name in the_six.files[0] if name.startswith(start)}
        found = {name for name in files if not name.startswith("plots/")}
        assert found - {"report.html"} == names | rest
        assert {"plots/learning_curves.png", "plots/confusion_matrix.png"} <= files


def test_a_sweeps_folder_holds_nothing_but_its_jobs_its_plan_and_what_came_of_it(the_six: Six) -> None:
    names = {name.split("/")[0] for name in the_six.files[0]}
    jobs = {job["name"] for job in planned_jobs(the_six.sweep)}
    own = {"sweep.json", "sweep.log", "results.csv", "comparison.json", "plots"}
    assert names - {"report.html"} == jobs | own
    assert not list(the_six.sweep.glob(".launch_*"))
    assert sorted(path.name for path in the_six.first.folder.iterdir()) == ["runs", "yaml"]
    assert [path.name for path in (the_six.first.folder / "runs").iterdir()] == ["six"]


def test_jobs_are_named_so_that_no_shell_needs_quotes(the_six: Six) -> None:
    names = [job["name"] for job in planned_jobs(the_six.sweep)]
    assert [shlex.quote(name) for name in names] == names
    kinds = [(model, seed) for model in ("ann", "bn_dnn") for seed in range(3)]
    assert [name.rpartition("_")[0] for name in names] == [f"{model}_seed-{seed}" for model, seed in kinds]


def test_a_manifest_says_which_job_of_which_sweep_it_was_and_how_many_ran_beside_it(the_six: Six) -> None:
    share = max(len(os.sched_getaffinity(0)) // 2, 1)
    for number in (2, 3, 5):  # of the others there is a later attempt
        manifest = read_json(run_of(the_six.sweep, number) / "manifest.json")
        assert manifest["sweep"] == {"name": "six", "job": number, "jobs_at_once": 2}
        assert (manifest["status"], manifest["threads"]) == ("completed", share)
        assert manifest["argv"] == list(SIX) and manifest["run_id"] == run_of(the_six.sweep, number).name


def test_each_run_holds_its_frozen_configuration_and_what_would_be_typed_to_run_it_alone(
    the_six: Six,
) -> None:
    for job, run in zip(planned_jobs(the_six.sweep), runs_of(the_six.sweep), strict=True):
        assert msgspec.yaml.decode((run / "config.yaml").read_bytes()) == job["config"]
        assert msgspec.yaml.decode((run / "overrides.yaml").read_bytes()) == job["overrides"]
        assert not [word for word in job["overrides"] if word.startswith(("sweep=", "hydra"))]


def test_results_have_a_row_a_job(the_six: Six) -> None:
    with (the_six.sweep / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["run"]).name for row in rows} == {run.name for run in runs_of(the_six.sweep)}
    for row in rows:
        summary = read_json(the_six.sweep / Path(row["run"]).name / "summary.json")
        assert float(row["test_accuracy"]) == summary["test_accuracy"]
    assert len(rows) == 6


def test_no_process_outlives_a_sweep(the_six: Six) -> None:
    assert the_six.left == {}


def test_of_two_sweeps_of_one_name_at_once_one_runs_and_the_other_is_refused(the_six: Six) -> None:
    beside = the_six.beside
    assert beside.status == 2 and "runs/six" in beside.stderr and "another process" in beside.stderr
    assert beside.stderr.count("\n") == 1 and beside.stdout == ""


def test_yaml_that_is_edited_broken_and_deleted_while_a_sweep_runs_changes_nothing_of_it(
    the_six: Six,
) -> None:
    for run in (run_of(the_six.sweep, number) for number in (2, 3, 5)):
        config = msgspec.yaml.decode((run / "config.yaml").read_bytes())
        assert (config["training"]["epochs"], config["training"]["label_smoothing"]) == (2, 0.05)
        assert read_json(run / "summary.json")["epochs"] == 2


def test_the_same_command_again_touches_nothing_that_is_completed(the_six: Six) -> None:
    again = the_six.again
    assert (again.status, again.stderr) == (0, "")
    assert "6 already finished" in again.stdout and "6 of 6 jobs completed" in again.stdout
    before, after = (
        {
            name: seen
            for name, seen in files.items()
            if name.split("/")[0].startswith(("ann", "bn", "sweep.j"))
        }
        for files in the_six.files[:2]
    )
    assert before == after


def test_a_changed_configuration_is_refused_and_what_changed_is_said(the_six: Six) -> None:
    changed, folder = the_six.changed, the_six.changed.folder
    assert changed.status == 2 and changed.stdout == ""
    assert changed.stderr.startswith("mnist-exp: sweep: six ") and changed.stderr.count("\n") == 1
    for words in (
        "training.epochs: 2 → 1 in job 0",
        f"mnist-exp -m --config-dir={folder}/yaml hydra/launcher=joblib hydra.launcher.n_jobs=2 "
        f"runs_dir={folder}/runs sweep=six",
    ):
        assert words in changed.stderr
    assert the_six.files[1] == the_six.files[2]


def rewritten(the_six: Six, before: int) -> list[int]:
    """Numbers the jobs that a command ran."""
    files, later = the_six.files[before], the_six.files[before + 1]
    names = [f"{job['name']}/summary.json" for job in planned_jobs(the_six.sweep)]
    return [number for number, name in enumerate(names) if files.get(name) != later.get(name)]


def test_rerun_failed_runs_what_failed_and_leaves_the_rest_pending(the_six: Six) -> None:
    result = the_six.failed_only
    assert (result.status, result.stderr) == (1, "") and "5 of 6 jobs completed" in result.stdout
    assert f"{runs_of(the_six.sweep)[4].name}/summary.json" not in the_six.files[3]
    # Job 4 is gone, and in that it differs as well.
    assert rewritten(the_six, 2) == [1, 4]


def test_a_sweeps_name_alone_runs_what_is_not_completed_and_nothing_else(the_six: Six) -> None:
    rest = the_six.rest
    assert (rest.status, rest.stderr) == (0, "") and "6 jobs, 4 already finished" in rest.stdout
    assert rewritten(the_six, 3) == [0, 4] and statuses(the_six.sweep) == ["completed"] * 6
    assert read_json(run_of(the_six.sweep, 4) / "manifest.json")["argv"] == ["-m", "sweep=six"]


def test_a_failed_attempt_is_gone_on_with_where_it_stopped(the_six: Six) -> None:
    for run in (run_of(the_six.sweep, number) for number in (0, 1)):
        manifest = read_json(run / "manifest.json")
        assert manifest["status"] == "completed"
        assert [resumed["epoch"] for resumed in manifest["resumed"]] == [num_epochs(run)], "nothing was left"
    assert not (the_six.sweep / "earlier").exists()


@pytest.mark.slow
def test_a_job_whose_manifest_cannot_be_read_is_put_aside_and_run_anew(start: Start, tmp_path: Path) -> None:
    sweep = ("-m", *QUICK, "training.epochs=1", "model.units=[8]", "seed=0,1", "sweep=torn")
    assert ended(start(*sweep, cwd=tmp_path), tmp_path).status == 0
    run = run_of(tmp_path / "runs" / "torn", 0)
    (run / "manifest.json").write_text('{"run_id": ')
    again = ended(start("-m", "sweep=torn", cwd=tmp_path), tmp_path)
    assert (again.status, again.stderr) == (0, "") and "2 of 2 jobs completed" in again.stdout
    assert status_of(run) == "completed" and read_json(run / "manifest.json")["resumed"] == []
    assert (run.parent / "earlier" / f"{run.name}_1" / "checkpoints" / "last.keras").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_job_comes_to_the_bits_of_the_same_run_alone(outcome_of: Outcomes, number: int) -> None:
    once, _ = outcome_of(three_in_one_process)
    assert (once.status, once.stderr) == (0, "")
    job = once.sweep("three") / "earlier" / f"{run_of(once.sweep('three'), number).name}_1"
    assert result_of(job) == result_of(outcome_of(three_alone)[number])


@pytest.mark.slow
def test_bits_differ_between_seeds(outcome_of: Outcomes) -> None:
    first, second = (result_of(run) for run in outcome_of(three_alone)[:2])
    assert first["best"].keys() == second["best"].keys() and len(first["best"]) > 20
    assert [first[name] == second[name] for name in first] == [False] * len(first)


@pytest.mark.slow
def test_rerun_all_runs_everything_again_to_the_same_bits(outcome_of: Outcomes) -> None:
    _, again = outcome_of(three_in_one_process)
    assert (again.status, again.stderr) == (0, "")
    assert statuses(again.sweep("three")) == ["completed"] * 3
    for run in runs_of(again.sweep("three")):
        assert result_of(run) == result_of(run.parent / "earlier" / f"{run.name}_1")


def test_a_plan_leaves_nothing(run_command: Run, tmp_path: Path) -> None:
    done = run_command("-m", *QUICK, "seed=0,1", "sweep=planned", "plan=true", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 jobs" in done.stdout and "nothing was run" in done.stdout
    assert list(tmp_path.iterdir()) == [] and processes_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("seed=0,1,2,3,4,5,x",), "job 7 of 7 (seed=x): seed: "),
        (("seed=0,1", "rerun=failed"), "sweep: there is no sweep in runs/mine to resume."),
    ],
)
def test_a_request_that_cannot_work_is_one_line_and_leaves_nothing(
    run_command: Run, tmp_path: Path, typed: tuple[str, ...], words: str
) -> None:
    done = run_command("-m", *QUICK, *typed, "sweep=mine", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"mnist-exp: {words}") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [] and processes_in(tmp_path) == {}
