"""mode=watch: what other processes do is shown from their files, and ends with their exit status."""

import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_exp.runs.finding import choose_work
from mnist_exp.runs.folder import LOG, METRICS, RunFolder
from tests.conftest import Run, Start

OLD = Path(__file__).parent / "old_runs"
SMALL = ("data=sample", "training.engine=graph", "training.threads=1", "model.units=[8]")
EPOCH = re.compile(r"^ +\d+/\d+ .*$", re.MULTILINE)


def wait_for(there: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def follow(start: Start, folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Starts to watch, in a process that cannot import TensorFlow."""
    return start("mode=watch", *words, cwd=folder, kind="light")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("run", 0, "test accuracy         68.00%"),
        ("search", 0, "3/3     2"),
        ("sweep", 0, "4/4     3"),
        ("failed", 1, "mnist-exp: loss became nan in epoch 2. Lower optimizer.learning_rate"),
        ("interrupted", 130, "was interrupted. Resume it: mnist-exp resume="),
        ("interrupted_search", 130, "was interrupted. Resume it: mnist-exp resume="),
    ],
)
def test_what_has_ended_is_told_and_its_status_given(
    name: str, status: int, said: str, run_command: Run, tmp_path: Path
) -> None:
    shutil.copytree(OLD / name, tmp_path / name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = run_command("mode=watch", f"run={name}", cwd=tmp_path, kind="light")
    assert done.returncode == status and said in done.stdout + done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_sweep_that_nobody_is_at_work_on_ends_at_once(run_command: Run, tmp_path: Path) -> None:
    shutil.copytree(OLD / "sweep", tmp_path / "runs" / "mine")
    shutil.rmtree(next((tmp_path / "runs" / "mine").glob("seed-1_ann*")))
    done = run_command("mode=watch", cwd=tmp_path, kind="light")
    assert done.returncode == 1
    assert "3 of 4 jobs completed" in done.stdout and "nobody is at work on it" in done.stdout
    assert "1 job pending" in done.stdout
    assert f"mnist-exp -m hydra.sweep.dir={tmp_path}/runs/mine" in done.stdout


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("run=rum",), 'run: rum does not exist. Did you mean "runs/run"?'),
        (("run=",), "run: got an empty name."),
        (("run=run", "seed=3"), "seed: mode=watch shows what another command does, and has no use for it."),
        (("-m",), "mode: watch reads runs, and cannot be swept. Leave -m out."),
        (("runs_dir=empty",), "run: empty holds no run. Begin one: mnist-exp"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    words: tuple[str, ...], refusal: str, run_command: Run, tmp_path: Path
) -> None:
    shutil.copytree(OLD / "run", tmp_path / "runs" / "run")
    done = run_command("mode=watch", *words, cwd=tmp_path, kind="light")
    assert (done.returncode, done.stdout) == (2, "") and refusal in done.stderr


def test_a_job_that_lies_outside_of_its_sweep_is_a_run(tmp_path: Path) -> None:
    shutil.copytree(next((OLD / "sweep").glob("seed-0*")), tmp_path / "job")
    assert choose_work("latest", tmp_path) == tmp_path / "job"


def test_a_training_is_followed_as_it_shows_itself_until_it_is_killed(start: Start, tmp_path: Path) -> None:
    training = start(*SMALL, "training.epochs=25", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob(f"runs/*/{METRICS}")), training)
    watched, said = follow(start, tmp_path), training.communicate(timeout=120)[0]
    shown, errors = watched.communicate(timeout=30)
    assert (watched.returncode, errors) == (0, "")
    assert EPOCH.findall(shown) == EPOCH.findall(said) and len(EPOCH.findall(said)) == 25
    assert re.findall("test accuracy .*", shown) == re.findall("test accuracy .*", said) != []

    endless = start(*SMALL, "training.epochs=100000", "sweep=endless", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob(f"runs/endless/*/{METRICS}")), endless)
    left = follow(start, tmp_path)
    assert left.stdout is not None and left.stdout.readline().startswith("mode=train in runs/endless/")
    left.send_signal(signal.SIGINT)
    assert "its work goes on" in left.communicate(timeout=20)[1] and left.returncode == 130
    watched = follow(start, tmp_path)
    assert watched.stdout is not None and watched.stdout.readline().startswith("mode=train in runs/endless/")
    assert endless.poll() is None
    endless.kill()
    assert "says running, but its process is gone. Resume it" in watched.communicate(timeout=20)[1]
    assert watched.returncode == 1


@pytest.mark.slow
def test_a_sweep_of_a_launchers_is_followed_job_by_job(start: Start, tmp_path: Path) -> None:
    # Each step multiplies every weight of the third job by 1 - 0.001 * 4000.
    jobs = ("optimizer.learning_rate=0.001", "optimizer.weight_decay=0.1,0.2,4000", "training.epochs=4")
    joblib = ("hydra/launcher=joblib", "schedule=constant", "sweep=three")
    sweep = start("-m", *SMALL, *jobs, *joblib, cwd=tmp_path, cold=True)
    wait_for(lambda: (tmp_path / "runs" / "three" / "sweep.json").exists(), sweep)
    watched = follow(start, tmp_path, "run=three")
    sweep.communicate(timeout=300)
    shown, errors = watched.communicate(timeout=30)
    assert (watched.returncode, errors) == (sweep.returncode, "") and sweep.returncode == 1
    assert sorted(re.findall(r"^ +(\d)/3", shown, re.MULTILINE)) == ["1", "2", "3"]
    assert "2 of 3 jobs completed" in shown and "1 job failed: loss became" in shown

    endless = start("-m", *SMALL, "seed=0,1", "training.epochs=100000", "sweep=two", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob(f"runs/two/*/{METRICS}")), endless)
    watched = follow(start, tmp_path)
    endless.kill()
    shown, _ = watched.communicate(timeout=60)
    assert watched.returncode == 1 and "nobody is at work on it" in shown


@pytest.mark.slow
def test_a_search_is_followed_trial_by_trial(start: Start, tmp_path: Path) -> None:
    budget = ("tuner.max_trials=3", "tuner.confirm.seeds=1", "tuner.workers=1", "training.epochs=1")
    search = start("mode=tune", "data=sample", *budget, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("runs/*/search.yaml")), search)
    watched, said = follow(start, tmp_path), search.communicate(timeout=300)[0]
    shown, errors = watched.communicate(timeout=30)
    assert (watched.returncode, errors) == (0, "")
    lines = re.compile(r"^ +\d/3 .*$|^confirming .*$|^verdict .*$", re.MULTILINE)
    assert lines.findall(shown) == lines.findall(said) and len(lines.findall(said)) >= 5


def test_where_there_are_no_locks_a_file_that_changed_stands_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    (tmp_path / LOG).write_text("")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunFolder(tmp_path) as folder:
        assert folder.is_locked(LOG)
        os.utime(tmp_path / LOG, (0, time.time() - 400))
        assert not folder.is_locked(LOG)
