"""Trainings that are stopped or killed and gone on with: bit for bit those that never stopped.

MNIST_EXP_KILLS says how often each of them is killed; the full round is 30.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    after_epochs,
    assert_nothing_torn,
    ended,
    num_epochs,
    read_json,
    result_of,
    run_in,
    side_by_side,
    snapshot,
    wait_for,
)

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
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


def killed_often(start: Start, folder: Path, options: tuple[str, ...]) -> Ended:
    """Trains, killed at random moments while epochs and checkpoints are written."""
    moments = random.Random(NUM_KILLS)
    process = start(*options, cwd=folder)
    run = wait_for(lambda: next(folder.glob("runs/*"), None), process)
    for _ in range(NUM_KILLS):
        after_epochs(process, folder, num_epochs(run) + moments.randint(2, 3))
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.communicate()
        assert read_json(run / "manifest.json")["status"] == "running"
        assert_nothing_torn(run)
        process = start(f"resume={run.relative_to(folder)}", cwd=folder)
    return ended(process, folder)


def kill_scenario(kind: str) -> Callable[[Start, Path], tuple[Path, Path]]:
    def scenario(start: Start, folder: Path) -> tuple[Path, Path]:
        options = (*ONE_THREAD, *KINDS[kind], f"training.epochs={8 + 6 * NUM_KILLS}")
        (folder / "whole").mkdir(), (folder / "killed").mkdir()
        whole = ended(start(*options, cwd=folder / "whole"), folder / "whole")
        killed = killed_often(start, folder / "killed", options)
        assert (whole.status, killed.status) == (0, 0), (whole.stderr, killed.stderr)
        return run_in(folder / "whole"), run_in(folder / "killed")

    scenario.__name__ = f"killed_{kind}"
    return scenario


KILLED = {kind: kill_scenario(kind) for kind in KINDS}

REFUSED = [
    ("training.epochs=10", "training.epochs: got 10", "has 50", "can be raised"),
    ("optimizer.learning_rate=0.1", "optimizer.learning_rate", "cannot be changed", "training.epochs"),
    ("data.path=others.npz", "training images have the SHA-256", "data.path"),
]
"""What would change the result, and words of the refusal."""


def stopped_and_made_longer(start: Start, folder: Path) -> dict[str, Any]:
    (folder / "whole").mkdir(), (folder / "stopped").mkdir()
    write_other_images(folder / "others.npz")
    whole = ended(start(*LONG, "training.epochs=60", cwd=folder / "whole"), folder / "whole")
    process = start(*LONG, "training.epochs=50", cwd=folder / "stopped")
    run = after_epochs(process, folder / "stopped", 2)
    process.send_signal(signal.SIGTERM)
    stopped = ended(process, folder)

    def resume(*typed: str) -> Ended:
        return ended(start(f"resume={run}", *typed, cwd=folder), folder)

    before = snapshot(run)
    refused = [resume(typed) for typed, *_ in REFUSED]
    untouched = snapshot(run) == before
    completed = [resume("training.epochs=60"), resume(), resume("training.epochs=70")]
    return {
        "runs": [run, run_in(folder / "whole")],
        "each": [whole, stopped, *completed],
        "refused": refused,
        "untouched": untouched,
    }


def write_other_images(path: Path) -> None:
    with np.load(SAMPLE_PATH) as arrays:
        changed = dict(arrays)
    changed["x_train"][0, 0, 0] ^= 1
    np.savez(path, **changed)


def still_running(start: Start, folder: Path) -> tuple[Ended, Path]:
    process = start(*LONG, "training.epochs=100000", cwd=folder)
    run = after_epochs(process, folder, 1)
    refused = ended(start(f"resume={run}", cwd=folder), folder)
    assert process.poll() is None
    process.kill()
    return refused, run


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
    epochs = [resumed["epoch"] for resumed in manifest["resumed"]]
    assert manifest["status"] == "completed" and len(epochs) >= 1
    assert epochs == sorted(epochs) and epochs[-1] > 0
    assert [path.name for path in killed.rglob(".draft-*")] == []


def test_a_run_can_be_made_longer_while_it_is_stopped(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_and_made_longer)
    whole, stopped, done, again, longer = outcome["each"]
    run, undisturbed = outcome["runs"]
    assert (whole.status, stopped.status, done.status, again.status) == (0, 143, 0, 0)
    assert "resume with: mnist-exp resume=" in stopped.stderr
    assert result_of(run) == result_of(undisturbed)
    assert "is completed" in again.stdout and again.stderr == ""
    assert longer.status == 2 and "is completed, and was scored on the test images" in longer.stderr


def test_what_would_change_the_result_is_refused_in_one_line(outcome_of: Outcomes) -> None:
    outcome = outcome_of(stopped_and_made_longer)
    for (_, *words), refused in zip(REFUSED, outcome["refused"], strict=True):
        assert refused.status == 2 and refused.stderr.count("\n") == 1
        assert [word for word in words if word not in refused.stderr] == [], refused.stderr
    assert outcome["untouched"], "a refused request changed the run's directory"


def test_a_run_that_is_still_going_on_is_refused(outcome_of: Outcomes) -> None:
    refused, run = outcome_of(still_running)
    assert refused.status == 2
    assert f"{run} is still running" in refused.stderr
