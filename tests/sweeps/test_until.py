"""`until=decided`: which seeds run, what comes out, and that a killed sweep ends like one that was not.

MNIST_EXP_KILLS says how often it is killed; the full round is 10.
"""

import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LEADER, Run, Start
from tests.sweeps.sweeping import QUICK, ended, planned_jobs, read_json, result_of, run_of, statuses, wait_for

SETTINGS = (*QUICK, "training.epochs=1", "until=decided", "until.most_seeds=5", "sweep=s")
NETWORKS = ("model.units=[2],[48],[49]",)
"""One that is clearly worse, and two that can hardly be told apart."""

KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))


@pytest.fixture(scope="module")
def sweep(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with `until=decided` that was let run."""
    folder = tmp_path_factory.mktemp("until")
    finished = run_command("-m", *NETWORKS, *SETTINGS, cwd=folder)
    assert finished.returncode == 0, finished.stderr
    (folder / "stdout").write_text(finished.stdout)
    return folder / "runs" / "s"


def decisions_of(sweep: Path) -> dict[str, Any]:
    return read_json(sweep / "comparison.json")["sets"][0]["decisions"]


def seeds_that_ran(sweep: Path) -> dict[int, list[int]]:
    """Lists the seeds of each number of units."""
    found: dict[int, list[int]] = {}
    for job, status in zip(planned_jobs(sweep), statuses(sweep), strict=True):
        if status == "completed":
            found.setdefault(job["config"]["model"]["units"][0], []).append(job["config"]["seed"])
    return found


@pytest.mark.slow
def test_seeds_stop_where_the_answer_is_known(sweep: Path) -> None:
    decisions = decisions_of(sweep)
    outcomes = {(pair["first"], pair["second"]): pair["outcome"] for pair in decisions["pairs"]}
    assert outcomes == {
        ("units=[2]", "units=[48]"): "better",
        ("units=[2]", "units=[49]"): "better",
        ("units=[48]", "units=[49]"): "open",
    }
    seeds = seeds_that_ran(sweep)
    assert seeds[48] == seeds[49] == [0, 1, 2, 3, 4]
    assert len(seeds[2]) == max(pair["looks"][-1]["num_seeds"] for pair in decisions["pairs"][:2]) < 5
    assert statuses(sweep).count("pending") == 5 - len(seeds[2])
    for pair in decisions["pairs"][:2]:
        low, high = pair["looks"][-1]["interval"]
        assert low < high < 0


@pytest.mark.slow
def test_console_and_page_say_what_is_decided(sweep: Path) -> None:
    told = (sweep.parents[1] / "stdout").read_text()
    assert "at most 15 jobs, 3 to 5 seeds of each configuration" in told
    num_run = sum(map(len, seeds_that_ran(sweep).values()))
    assert f"{num_run} of {num_run} jobs completed" in told
    words = " ".join(told.split())
    assert re.search(
        r"verdict units=\[48\] is better than units=\[2\]; .* 1 pair cannot be told apart", words
    )
    page = (sweep / "report.html").read_text()
    for text in (
        "Decided seed by seed",
        "Repeated interval",
        "minus units=[49], in points",
        "after 5 seeds: open",
    ):
        assert text in page, text
    assert (sweep / "plots" / "decisions.png").stat().st_size > 5000


@pytest.mark.slow
def test_comparing_later_says_the_same_and_other_runs_are_compared_as_ever(
    sweep: Path, tmp_path: Path, run_command: Run
) -> None:
    again = run_command(
        "mode=compare", f"runs={sweep}", "compare.format=json", cwd=sweep.parent, kind="light"
    )
    assert json.loads(again.stdout)["sets"][0]["decisions"] == decisions_of(sweep)
    chosen = [str(run_of(sweep, number)) for number in (0, 1, 3, 4)]
    some = run_command("mode=compare", f"runs=[{','.join(chosen)}]", "compare.format=json", cwd=sweep.parent)
    (pair,) = json.loads(some.stdout)["sets"][0]["decisions"]["pairs"]
    assert pair["outcome"] == "better"
    shutil.copytree(chosen[0], elsewhere := tmp_path / "elsewhere")
    mixed = run_command(
        "mode=compare", f"runs=[{elsewhere},{chosen[1]}]", "compare.format=json", cwd=tmp_path
    )
    (report,) = json.loads(mixed.stdout)["sets"]
    assert report["decisions"] is None
    assert any("take their number as fixed, are too small" in note for note in report["notes"])


@pytest.mark.slow
def test_nothing_runs_again_and_a_failed_seed_counts_for_nobody(
    sweep: Path, tmp_path: Path, run_command: Run
) -> None:
    again = run_command("-m", "sweep=s", cwd=sweep.parents[1])
    assert again.returncode == 0
    assert "already finished" in again.stdout
    copy = tmp_path / "runs" / "s"
    shutil.copytree(sweep, copy)
    run = run_of(copy, 4)
    manifest = read_json(run / "manifest.json")
    manifest |= {
        "status": "failed",
        "data": None,
        "error": {"type": "RunError", "message": "out of memory", "hint": ""},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "summary.json").unlink()
    told = run_command("mode=compare", f"runs={copy}", "compare.format=json", cwd=tmp_path).stdout
    decisions = json.loads(told)["sets"][0]["decisions"]
    assert decisions["failed"] == ["units=[48] seed 1"]
    assert decisions["pairs"][2]["looks"][-1]["num_seeds"] == 4
    resumed = run_command("-m", "sweep=s", cwd=tmp_path)
    assert resumed.returncode == 1
    assert "Without a result: units=[48] seed 1." in " ".join(resumed.stdout.split())
    assert resumed.stdout.rstrip().endswith("sweep=s rerun=failed")
    # Run once more, it counts, and the end is what it had been.
    resumed = run_command("-m", "sweep=s", "rerun=failed", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stdout
    assert decisions_of(copy)["pairs"] == decisions_of(sweep)["pairs"]


REFUSALS = [
    ("-m model=ann until=decided", "until: this sweep has one configuration"),
    ("-m model=ann,bn_dnn seed=1,2 until=decided", "seed: it is swept over, and until=decided says"),
    ("-m model=ann,bn_dnn data.validation=50,100 until=decided", "data.validation: until=decided compares"),
    (
        "-m model=ann,bn_dnn data.validation=0 until=decided",
        "until.by: got val_accuracy, and data.validation=0",
    ),
    (
        "-m model=ann,bn_dnn mode=tune until=decided until.most_seeds=3",
        "until: mode=tune confirms its winner",
    ),
    ("-m model=ann,bn_dnn data.folds=3 data.fold=range(3) until=decided", "data.folds: until=decided takes"),
    ("-m model=ann,bn_dnn until=decided until.first_seeds=31", "until.first_seeds: got 31, more than"),
    (
        "-m model=ann,bn_dnn training.threads=1,2 until=decided",
        "until: each configuration needs the same seeds",
    ),
    ("-m model=ann,bn_dnn until=decided until.level=0.0001", "until.level: got 0.0001 for all pairs of 2"),
    ("-m model=ann,bn_dnn until=decided until.level=0", "until.level: got 0; expected a number > 0"),
    ("-m model=ann,bn_dnn until.level=0.1", "until.level: the chosen until has no such key"),
    ("until=decided", "until: it belongs to a sweep. Add -m."),
]


@pytest.mark.parametrize(("typed", "answer"), REFUSALS)
def test_what_cannot_be_decided_is_refused(typed: str, answer: str, tmp_path: Path, run_command: Run) -> None:
    refused = run_command(*typed.split(), "data=sample", cwd=tmp_path, kind="light")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"mnist-exp: {answer}")
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_plan_says_the_least_and_the_most_and_another_rule_is_another_sweep(
    sweep: Path, tmp_path: Path, run_command: Run
) -> None:
    plan = [
        "-m",
        "model=ann,bn_dnn",
        "sweep_plan=study",
        "seed=7",
        "until=decided",
        "data=sample",
        "plan=true",
    ]
    told = run_command(*plan, cwd=tmp_path, kind="light").stdout
    assert "at most 60 jobs" in told
    assert "3 to 30 seeds of each configuration; at least 6 jobs" in told
    assert "sweep_plan.seeds=5 is ignored: until=decided says how many seeds there are" in " ".join(
        told.split()
    )
    assert "seed   7 to 36" in told
    other = run_command("-m", *NETWORKS, *SETTINGS, "until.precision=0.2", cwd=sweep.parents[1], kind="light")
    assert other.returncode == 2
    assert "until.precision: 0.1 → 0.2" in other.stderr


@pytest.mark.slow
def test_a_sweep_that_is_killed_at_random_ends_like_one_that_is_not(
    sweep: Path, tmp_path: Path, start: Start
) -> None:
    generator = random.Random(20)
    typed = ["-m", *NETWORKS, *SETTINGS]
    for _ in range(KILLS):
        process = start(*typed, cwd=tmp_path, before=LEADER)
        wait_for((tmp_path / "runs/s/sweep.json").exists)
        time.sleep(generator.uniform(1, 12))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    last = ended(start(*typed, cwd=tmp_path), tmp_path)
    assert last.status == 0, last.stderr
    killed = last.sweep("s")
    assert decisions_of(killed) == decisions_of(sweep)
    assert statuses(killed) == statuses(sweep)
    for number, status in enumerate(statuses(sweep)):
        if status == "completed":
            assert result_of(run_of(killed, number)) == result_of(run_of(sweep, number))
