"""Trainings that are stopped or killed and gone on with: bit for bit those that never stopped.

MNIST_EXP_KILLS says how often each of them is killed; the full round is 30.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    assert_nothing_torn,
    ended,
    num_epochs,
    read_json,
    result_of,
    side_by_side,
    snapshot,
    wait_for,
)

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("MNIST_EXP_KILLS", "3"))
AVERAGED = ("training.ema_momentum=0.95", "training.early_stopping.patience=40")
KINDS = {
    "compiled": (
        *("model=bn_dnn", "model.dropout=0.2", "model.input_dropout=0.1", "augmentation=shift"),
        *("training.engine=compiled", "training.mixup=0.2", *AVERAGED),
    ),
    "graph": (
        *("model.units=[32]", "optimizer=sgd", "schedule=plateau", "schedule.patience=2"),
        *("training.engine=graph", "augmentation=affine", *AVERAGED),
    ),
    "keras": (
        *("model.units=[32]", "model.dropout=0.3", "schedule=cosine", "augmentation=shift"),
        *("training.engine=keras", *AVERAGED),
    ),
}
ONE_THREAD = ("data=sample", "training.threads=1")
LONG = (*ONE_THREAD, "schedule=constant", "training.engine=graph", "model.units=[16]", "model.dropout=0.1")


def run_in(folder: Path) -> Path:
    (run,) = (path for path in folder.glob("runs/*") if path.is_dir())
    return run


def killed_often(start: Start, folder: Path, options: tuple[str, ...], num_kills: int) -> Ended:
    """Trains, killed so many times at random moments while epochs and checkpoints are written."""
    moments = random.Random(num_kills)
    process = start(*options, cwd=folder)
    run = wait_for(lambda: next(folder.glob("runs/*"), None), process)
    for _ in range(num_kills):
        done = num_epochs(run)
        wanted = done + moments.randint(1, 2)
        wait_for(lambda wanted=wanted: num_epochs(run) >= wanted, process)
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.communicate()
        assert read_json(run / "manifest.json")["status"] == "running"
        assert_nothing_torn(run)
        process = start(f"resume={run.relative_to(folder)}", cwd=folder)
    return ended(process, folder)


def epochs_for(num_kills: int) -> str:
    """Gives a training as many epochs as it takes to be killed so often before its end."""
    return f"training.epochs={8 + 5 * num_kills}"


def kill_scenario(kind: str) -> Callable[[Start, Path], tuple[Path, Path]]:
    def scenario(start: Start, folder: Path) -> tuple[Path, Path]:
        options = (*ONE_THREAD, *KINDS[kind], epochs_for(NUM_KILLS))
        (folder / "whole").mkdir(), (folder / "killed").mkdir()
        whole = ended(start(*options, cwd=folder / "whole"), folder / "whole")
        killed = killed_often(start, folder / "killed", options, NUM_KILLS)
        assert (whole.status, killed.status) == (0, 0), (whole.stderr, killed.stderr)
        return run_in(folder / "whole"), run_in(folder / "killed")

    scenario.__name__ = f"killed_{kind}"
    return scenario


KILLED = {kind: kill_scenario(kind) for kind in KINDS}


def stopped_and_made_longer(start: Start, folder: Path) -> dict[str, Any]:
    (folder / "whole").mkdir(), (folder / "stopped").mkdir()
    whole = ended(start(*LONG, "training.epochs=60", cwd=folder / "whole"), folder / "whole")
    process = start(*LONG, "training.epochs=50", cwd=folder / "stopped")
    run = wait_for(lambda: next(folder.glob("stopped/runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 2, process)
    process.send_signal(signal.SIGTERM)
    stopped = ended(process, folder)
    shorter = ended(start(f"resume={run}", "training.epochs=10", cwd=folder), folder)
    other = ended(start(f"resume={run}", "optimizer.learning_rate=0.1", cwd=folder), folder)
    before = snapshot(run)
    foreign = _other_images(folder / "others.npz")
    refused = ended(start(f"resume={run}", f"data.path={foreign}", cwd=folder), folder)
    untouched = snapshot(run) == before
    done = ended(start(f"resume={run}", "training.epochs=60", cwd=folder), folder)
    again = ended(start(f"resume={run}", cwd=folder), folder)
    longer = ended(start(f"resume={run}", "training.epochs=70", cwd=folder), folder)
    return {
        "whole": run_in(folder / "whole"),
        "run": run,
        "each": [whole, stopped, shorter, other, refused, done, again, longer],
        "untouched": untouched,
    }


def _other_images(path: Path) -> Path:
    from mnist_exp.data.dataset import SAMPLE_PATH

    with np.load(SAMPLE_PATH) as arrays:
        changed = dict(arrays)
    changed["x_train"][0, 0, 0] ^= 1
    np.savez(path, **changed)
    return path


def still_running(start: Start, folder: Path) -> tuple[Ended, subprocess.Popen[str], Path]:
    process = start(*LONG, "training.epochs=100000", cwd=folder)
    run = wait_for(lambda: next(folder.glob("runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 1, process)
    refused = ended(start(f"resume={run}", cwd=folder), folder)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    assert alive
    return refused, process, run


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    scenarios = (*KILLED.values(), stopped_and_made_longer, still_running)
    yield from side_by_side(start, tmp_path_factory, scenarios)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_killed_and_gone_on_with_is_bit_for_bit_one_that_was_not(
    outcome_of: Outcomes, kind: str, record_property: Callable[[str, object], None]
) -> None:
    whole, killed = outcome_of(KILLED[kind])
    record_property("provoked", NUM_KILLS)
    assert result_of(killed) == result_of(whole)
    manifest = read_json(killed / "manifest.json")
    assert manifest["status"] == "completed" and len(manifest["resumed"]) >= 1
    epochs = [resumed["epoch"] for resumed in manifest["resumed"]]
    assert epochs == sorted(epochs) and epochs[-1] > 0
    assert [path.name for path in killed.rglob(".draft-*")] == []


def test_a_run_can_be_made_longer_while_it_is_stopped(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_and_made_longer)
    whole, stopped, *_, done, again, longer = outcome["each"]
    assert (whole.status, stopped.status, done.status, again.status) == (0, 143, 0, 0)
    assert "resume with: mnist-exp resume=" in stopped.stderr
    assert result_of(outcome["run"]) == result_of(outcome["whole"])
    assert "is completed" in again.stdout and again.stderr == ""
    assert longer.status == 2 and "is completed, and was scored on the test images" in longer.stderr


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (2, ("training.epochs: got 10", "has 50", "can be raised")),
        (3, ("optimizer.learning_rate", "cannot be changed", "training.epochs")),
        (4, ("training images have the SHA-256", "data.path")),
    ],
)
def test_what_would_change_the_result_is_refused_in_one_line(
    outcome_of: Outcomes, which: int, words: tuple[str, ...]
) -> None:
    outcome = outcome_of(stopped_and_made_longer)
    refused = outcome["each"][which]
    assert refused.status == 2 and refused.stderr.count("\n") == 1
    assert [word for word in words if word not in refused.stderr] == [], refused.stderr
    assert outcome["untouched"], "a refused request changed the run's directory"


def test_a_run_that_is_still_going_on_is_refused(outcome_of: Outcomes) -> None:
    refused, _, run = outcome_of(still_running)
    assert refused.status == 2
    assert f"{run} is still running" in refused.stderr
