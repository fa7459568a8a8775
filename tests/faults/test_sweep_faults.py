"""Sweeps killed or stopped as hard as can be: what was finished stays, nothing runs twice, nobody is left.

`MNIST_EXP_KILLS=10` is a full round of kills; 1 is the default. `MNIST_EXP_STARTS=32` starts as many commands
at the same instant; 4 is the default.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    QUICK,
    Ended,
    Outcomes,
    assert_nothing_torn,
    descendants,
    ended,
    find_at_work,
    num_epochs,
    processes_in,
    read_json,
    result_of,
    runs_of,
    side_by_side,
    snapshot,
    status_of,
    statuses,
    wait_for,
)

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
BY_JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
FOUR = ("-m", *QUICK, "training.epochs=2", "model=ann,bn_dnn", "seed=0,1", "sweep=four", *BY_JOBLIB)
FOREVER = (*QUICK, "training.epochs=100000", "schedule=constant", "training.threads=1")
LONG_EPOCH = (*QUICK, "model.units=[4000,4000]", "training.batch_size=1", "training.epochs=2")
NUM_STARTS = int(os.environ.get("MNIST_EXP_STARTS", "4"))
NUM_SWEEPS = NUM_STARTS // 4
NUM_RUNS = NUM_STARTS - NUM_SWEEPS


@dataclass(frozen=True)
class Killed:
    """A sweep that was killed again and again.

    Attributes:
        last: The command that completed it.
        finished: After each kill, the files of the runs that were completed by then.
        left: Processes that were there a moment after each kill.
        num_hit: Number of jobs that were running at each kill.
    """

    last: Ended
    finished: list[dict[Path, dict[str, tuple[int, int]]]]
    left: list[dict[int, str]]
    num_hit: list[int]


@dataclass(frozen=True)
class Stopped:
    """A command that a signal stopped.

    Attributes:
        ended: How it ended.
        seconds: From the last signal to its end.
        statuses: Of the sweep's jobs, then.
        left: Processes that were there three seconds later.
        first: The manifest of the first job's run.
    """

    ended: Ended
    seconds: float
    statuses: list[str]
    left: dict[int, str]
    first: dict[str, Any]


def killed_at_random_moments(start: Start, folder: Path) -> Killed:
    moments, finished, left, num_hit = random.Random(5), [], [], []
    sweep = folder / "runs" / "four"
    for _ in range(KILLS):
        process = start(*FOUR, cwd=folder)
        wait_for((sweep / "sweep.json").exists, process)
        if moments.random() < 0.7:  # importing TensorFlow takes most of the time
            wait_for(lambda process=process: process.poll() is not None or has_begun(folder, sweep))
        time.sleep(moments.uniform(0, 3))
        num_hit.append(statuses(sweep).count("running"))
        kill_all(process)
        wait_for(lambda: not processes_in(folder), seconds=10)
        left.append(processes_in(folder))
        assert_nothing_torn(sweep)
        finished.append({run: snapshot(run) for run in runs_of(sweep) if status_of(run) == "completed"})
    return Killed(ended(start(*FOUR, cwd=folder), folder), finished, left, num_hit)


def has_begun(folder: Path, sweep: Path) -> bool:
    """Says whether some process is at work on a job."""
    return any(find_at_work(folder, run) for run in runs_of(sweep))


def kill_all(process: "subprocess.Popen[str]") -> None:
    """Kills a process and everything that it started, itself first."""
    below = descendants(process.pid)
    process.kill()
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def undisturbed(start: Start, folder: Path) -> Ended:
    return ended(start(*FOUR, cwd=folder), folder)


def stopped_in_three_ways(start: Start, folder: Path) -> list[Stopped]:
    """One sweep that goes on for ever: the command killed, then SIGINT to all, then SIGTERM to it alone."""
    first = ("-m", *FOREVER, "seed=0,1,2", "sweep=forever", *BY_JOBLIB)
    again = ("-m", "sweep=forever")
    return [
        stop(start, folder, first, lambda process: process.kill()),
        stop(start, folder, (*again, *BY_JOBLIB), lambda process: os.killpg(process.pid, signal.SIGINT)),
        stop(start, folder, again, lambda process: process.send_signal(signal.SIGTERM)),
    ]


def stop(
    start: Start, folder: Path, arguments: tuple[str, ...], send: Callable[["subprocess.Popen[str]"], None]
) -> Stopped:
    """Starts a sweep in a group of its own, and stops it when as many jobs as can have begun."""
    sweep = folder / "runs" / "forever"
    for rows in sweep.glob("*/metrics.jsonl"):
        rows.unlink()  # of the attempt before
    process = start(*arguments, cwd=folder, before=("setsid",))
    wait_for((sweep / "sweep.json").exists, process)
    num_at_once = 2 if set(BY_JOBLIB) <= set(arguments) else 1
    wait_for(lambda: all(num_epochs(run) for run in runs_of(sweep)[:num_at_once]), process)
    return after_signal(process, sweep, send)


def after_signal(
    process: "subprocess.Popen[str]", sweep: Path, send: Callable[["subprocess.Popen[str]"], None]
) -> Stopped:
    asked = time.monotonic()
    send(process)
    process.wait(60)
    seconds, after = time.monotonic() - asked, statuses(sweep)
    folder = sweep.parents[1]
    until = time.monotonic() + 3
    while processes_in(folder) and time.monotonic() < until:
        time.sleep(0.1)
    left = processes_in(folder)
    first = read_json(runs_of(sweep)[0] / "manifest.json")
    return Stopped(ended(process, folder), seconds, after, left, first)


def stopped_twice_within_long_epochs(start: Start, folder: Path) -> Stopped:
    process = start("-m", *LONG_EPOCH, "seed=0,1,2", "sweep=long", *BY_JOBLIB, cwd=folder, before=("setsid",))
    sweep = folder / "runs" / "long"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: all("graph" in log_of(run) for run in runs_of(sweep)[:2]), process)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "epochs were too short"
    return after_signal(process, sweep, lambda process: os.killpg(process.pid, signal.SIGINT))


def log_of(run: Path) -> str:
    path = run / "train.log"
    return path.read_text() if path.exists() else ""


def begun_at_the_same_instant(start: Start, folder: Path) -> list[Ended]:
    """Runs and sweeps without names, in one folder."""
    typed = (*QUICK, "training.epochs=1", "training.threads=1")
    kinds = [("-m", *typed)] * NUM_SWEEPS + [typed] * NUM_RUNS
    return [ended(process, folder) for process in [start(*words, cwd=folder) for words in kinds]]


SCENARIOS = (
    killed_at_random_moments,
    undisturbed,
    stopped_in_three_ways,
    stopped_twice_within_long_epochs,
    begun_at_the_same_instant,
)


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    yield from side_by_side(start, tmp_path_factory, SCENARIOS)


def test_a_sweep_killed_at_random_moments_comes_to_the_bits_of_one_that_was_not(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", KILLS)
    last, whole = outcome_of(killed_at_random_moments).last, outcome_of(undisturbed)
    assert [(one.status, one.stderr) for one in (last, whole)] == [(0, "")] * 2
    assert statuses(last.sweep("four")) == ["completed"] * 4
    pairs = zip(runs_of(last.sweep("four")), runs_of(whole.sweep("four")), strict=True)
    for run, expected in pairs:
        assert run.name == expected.name and result_of(run) == result_of(expected)


def test_a_completed_job_of_a_killed_sweep_never_runs_again(outcome_of: Outcomes) -> None:
    for finished in outcome_of(killed_at_random_moments).finished:
        assert {run: snapshot(run) for run in finished} == finished


def test_a_killed_sweep_leaves_no_process_and_no_torn_file(outcome_of: Outcomes) -> None:
    killed = outcome_of(killed_at_random_moments)
    assert killed.left == [{}] * KILLS and any(killed.num_hit)
    sweep = killed.last.sweep("four")
    assert_nothing_torn(sweep)
    assert not list(sweep.glob(".launch_*"))
    assert [path for path in sweep.rglob(".draft-*") if "earlier" not in path.parts] == []


def test_jobs_do_not_outlive_a_killed_command(outcome_of: Outcomes) -> None:
    killed, *_ = outcome_of(stopped_in_three_ways)
    assert killed.ended.status == -signal.SIGKILL and killed.left == {}


def test_ctrl_c_saves_all_running_jobs_and_says_how_to_resume(outcome_of: Outcomes) -> None:
    _, stopped, _ = outcome_of(stopped_in_three_ways)
    assert (stopped.ended.status, stopped.left) == (130, {})
    assert stopped.statuses == ["interrupted", "interrupted", "pending"]
    assert "SIGINT" in stopped.first["error"]["message"] and stopped.first["finished_at"]
    assert "stopping: running jobs finish their epoch" in stopped.ended.stdout
    assert stopped.ended.stderr == (
        "mnist-exp: stopped by SIGINT; what was finished is in runs/forever; resume with: mnist-exp -m "
        f"{' '.join(BY_JOBLIB)} runs_dir={stopped.ended.folder}/runs sweep=forever\n"
    )


def test_sigterm_to_the_command_alone_saves_the_running_job(outcome_of: Outcomes) -> None:
    *_, stopped = outcome_of(stopped_in_three_ways)
    assert (stopped.ended.status, stopped.left) == (143, {})
    # The second had been interrupted with the command before.
    assert stopped.statuses == ["interrupted", "interrupted", "pending"]
    assert "SIGTERM" in stopped.first["error"]["message"]
    assert "SIGTERM" in stopped.ended.stderr and stopped.ended.stderr.count("\n") == 1


def test_a_second_ctrl_c_ends_a_sweep_at_once(outcome_of: Outcomes) -> None:
    stopped = outcome_of(stopped_twice_within_long_epochs)
    assert stopped.seconds < 2 and stopped.left == {}
    assert stopped.ended.status == 130 and stopped.ended.stderr.count("\n") == 1
    assert "resume with: mnist-exp -m hydra/launcher=joblib" in stopped.ended.stderr


def test_runs_and_sweeps_begun_at_the_same_instant_have_a_complete_directory_each(
    outcome_of: Outcomes, record_property: Callable[[str, object], None]
) -> None:
    outcomes = outcome_of(begun_at_the_same_instant)
    record_property("provoked", NUM_STARTS)
    assert [(outcome.status, outcome.stderr) for outcome in outcomes] == [(0, "")] * len(outcomes)
    folders = list((outcomes[0].folder / "runs").iterdir())
    sweeps = [path for path in folders if (path / "sweep.json").exists()]
    runs = [path for path in folders if path not in sweeps]
    assert (len(sweeps), len(runs)) == (NUM_SWEEPS, NUM_RUNS)
    runs += [run for sweep in sweeps for run in runs_of(sweep)]
    assert [status_of(run) for run in runs] == ["completed"] * (NUM_RUNS + NUM_SWEEPS)
    results = [result_of(run) for run in runs]
    assert results == results[:1] * len(results), "the same seed, the same bits"
