"""Sweeps killed or stopped as hard as can be: what was finished stays, nothing runs twice, nobody is left.

`MNIST_EXP_KILLS=10` is a full round of kills; 1 is the default. `MNIST_EXP_STARTS=32` starts as many commands
at the same instant; 4 is the default.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    QUICK,
    Ended,
    Outcomes,
    Scenario,
    assert_nothing_torn,
    descendants,
    ended,
    find_at_work,
    num_epochs,
    processes_in,
    read_json,
    result_of,
    runs_of,
    snapshot,
    status_of,
    statuses,
    wait_for,
)

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
BY_JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
SEEDS = f"seed=range(0,{1 + KILLS})"
SWEEP = ("-m", *QUICK, "training.epochs=2", "model=ann,bn_dnn", SEEDS, "sweep=killed", *BY_JOBLIB)
FOREVER = (*QUICK, "training.epochs=100000", "schedule=constant", "training.threads=1")
LONG_EPOCH = (*QUICK, "model.units=[4000,4000]", "training.batch_size=1", "training.epochs=2")
NUM_STARTS = int(os.environ.get("MNIST_EXP_STARTS", "4"))


def killed_at_random_moments(start: Start, folder: Path) -> int:
    """Comes to the bits of one that was not killed; what was completed never runs again."""
    moments, num_hit = random.Random(5), 0
    (folder / "whole").mkdir(), (folder / "killed").mkdir()
    whole = ended(start(*SWEEP, cwd=folder / "whole"), folder / "whole").sweep("killed")
    folder /= "killed"
    sweep = folder / "runs" / "killed"
    finished: dict[Path, dict[str, tuple[int, int]]] = {}
    for _ in range(KILLS):
        process = start(*SWEEP, cwd=folder)
        wait_for((sweep / "sweep.json").exists, process)
        if moments.random() < 0.7:  # importing TensorFlow takes most of the time
            wait_for(lambda process=process: process.poll() is not None or has_begun(folder, sweep))
        time.sleep(moments.uniform(0, 2))
        num_hit += statuses(sweep).count("running")
        kill_all(process)
        wait_for(lambda: not processes_in(folder), seconds=10)
        assert_nothing_torn(sweep)
        finished |= {run: snapshot(run) for run in runs_of(sweep) if status_of(run) == "completed"}
    last = ended(start(*SWEEP, cwd=folder), folder)
    assert num_hit and (last.status, last.stderr) == (0, "")
    assert statuses(sweep) == ["completed"] * 2 * (1 + KILLS)
    for run, expected in zip(runs_of(sweep), runs_of(whole), strict=True):
        assert run.name == expected.name and result_of(run) == result_of(expected)
    assert {run: snapshot(run) for run in finished} == finished
    assert_nothing_torn(sweep)
    assert not list(sweep.glob(".launch_*"))
    assert [path for path in sweep.rglob(".draft-*") if "earlier" not in path.parts] == []
    return KILLS


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


def sigkill_ctrl_c_and_sigterm(start: Start, folder: Path) -> int:
    """One sweep that goes on for ever; each leaves no process, and all but the first save what runs."""
    sweep = folder / "runs" / "forever"
    first = ("-m", *FOREVER, "seed=0,1,2", "sweep=forever", *BY_JOBLIB)
    killed = stopped(begun(start, folder, *first), folder, lambda process: process.kill())
    assert killed.status == -signal.SIGKILL

    process = begun(start, folder, "-m", "sweep=forever", *BY_JOBLIB)
    ctrl_c = stopped(process, folder, lambda process: os.killpg(process.pid, signal.SIGINT))
    assert ctrl_c.status == 130 and statuses(sweep) == ["interrupted", "interrupted", "pending"]
    manifest = read_json(runs_of(sweep)[0] / "manifest.json")
    assert "SIGINT" in manifest["error"]["message"] and manifest["finished_at"]
    assert "stopping: running jobs finish their epoch" in ctrl_c.stdout
    assert ctrl_c.stderr == (
        "mnist-exp: stopped by SIGINT; what was finished is in runs/forever; resume with: mnist-exp -m "
        f"{' '.join(BY_JOBLIB)} runs_dir={folder}/runs sweep=forever\n"
    )

    process = begun(start, folder, "-m", "sweep=forever")
    sigterm = stopped(process, folder, lambda process: process.send_signal(signal.SIGTERM))
    # The second had been interrupted with the command before.
    assert sigterm.status == 143 and statuses(sweep) == ["interrupted", "interrupted", "pending"]
    assert len(read_json(runs_of(sweep)[0] / "manifest.json")["resumed"]) == 2
    assert "SIGTERM" in sigterm.stderr and sigterm.stderr.count("\n") == 1
    return 3


def begun(start: Start, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Starts a sweep in a group of its own, and waits until as many jobs as can have begun."""
    sweep = folder / "runs" / "forever"
    for rows in sweep.glob("*/metrics.jsonl"):
        rows.unlink()  # of the attempt before
    process = start(*arguments, cwd=folder, before=("setsid",))
    wait_for((sweep / "sweep.json").exists, process)
    num_at_once = 2 if set(BY_JOBLIB) <= set(arguments) else 1
    wait_for(lambda: all(num_epochs(run) for run in runs_of(sweep)[:num_at_once]), process)
    return process


def stopped(
    process: "subprocess.Popen[str]", folder: Path, send: Callable[["subprocess.Popen[str]"], None]
) -> Ended:
    """Sends a signal; waits for the end of the command, and of all that it started."""
    send(process)
    process.wait(60)
    wait_for(lambda: not processes_in(folder), seconds=3)
    return ended(process, folder)


def second_ctrl_c_within_long_epochs(start: Start, folder: Path) -> None:
    """Ends the sweep at once."""
    process = start("-m", *LONG_EPOCH, "seed=0,1,2", "sweep=long", *BY_JOBLIB, cwd=folder, before=("setsid",))
    sweep = folder / "runs" / "long"
    wait_for((sweep / "sweep.json").exists, process)
    wait_for(lambda: all("graph" in log_of(run) for run in runs_of(sweep)[:2]), process)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "epochs were too short"
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    assert time.monotonic() - asked < 2
    wait_for(lambda: not processes_in(folder), seconds=3)
    outcome = ended(process, folder)
    assert outcome.status == 130 and outcome.stderr.count("\n") == 1
    assert "resume with: mnist-exp -m hydra/launcher=joblib" in outcome.stderr


def log_of(run: Path) -> str:
    path = run / "train.log"
    return path.read_text() if path.exists() else ""


def runs_and_sweeps_at_the_same_instant(start: Start, folder: Path) -> int:
    """Without names in one folder, each has a complete directory of its own."""
    typed = (*QUICK, "training.epochs=1", "training.threads=1")
    num_sweeps = NUM_STARTS // 4
    kinds = [("-m", *typed)] * num_sweeps + [typed] * (NUM_STARTS - num_sweeps)
    processes = [start(*words, cwd=folder) for words in kinds]
    outcomes = [ended(process, folder) for process in processes]
    assert [(outcome.status, outcome.stderr) for outcome in outcomes] == [(0, "")] * NUM_STARTS
    folders = list((folder / "runs").iterdir())
    sweeps = [path for path in folders if (path / "sweep.json").exists()]
    assert (len(sweeps), len(folders)) == (num_sweeps, NUM_STARTS)
    runs = [path for path in folders if path not in sweeps]
    runs += [run for sweep in sweeps for run in runs_of(sweep)]
    assert [status_of(run) for run in runs] == ["completed"] * NUM_STARTS
    results = [result_of(run) for run in runs]
    assert results == results[:1] * NUM_STARTS, "the same seed, the same bits"
    return NUM_STARTS


SCENARIOS = (
    killed_at_random_moments,
    sigkill_ctrl_c_and_sigterm,
    second_ctrl_c_within_long_epochs,
    runs_and_sweeps_at_the_same_instant,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_sweep_survives(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", outcome_of(scenario) or 1)
