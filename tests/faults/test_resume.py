"""Trainings that are stopped or killed and gone on with: bit for bit those that never stopped.

MNIST_EXP_KILLS says how often each of them is killed; the full round is 30.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    Scenario,
    after_epochs,
    assert_nothing_torn,
    ended,
    num_epochs,
    read_json,
    result_of,
    run_in,
    snapshot,
)

pytestmark = pytest.mark.slow

NUM_KILLS = int(os.environ.get("MNIST_EXP_KILLS", "1"))
AVERAGED = ("training.ema_momentum=0.95", "training.early_stopping.patience=40")
KINDS = {
    "compiled": (
        *("model=bn_dnn", "model.units=[16]", "model.dropout=0.2", "model.input_dropout=0.1"),
        *("augmentation=shift", "training.engine=compiled", "training.mixup=0.2", *AVERAGED),
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


def killed(kind: str) -> Callable[[Start, Path], int]:
    def scenario(start: Start, folder: Path) -> int:
        """Is bit for bit a run that was not killed, however often epochs and checkpoints were cut short."""
        options = (*ONE_THREAD, *KINDS[kind], f"training.epochs={8 + 6 * NUM_KILLS}")
        (folder / "whole").mkdir()
        whole = ended(start(*options, cwd=folder / "whole"), folder / "whole")
        moments = random.Random(NUM_KILLS)
        process = start(*options, cwd=folder)
        run = after_epochs(process, folder, 0)
        for _ in range(NUM_KILLS):
            after_epochs(process, folder, num_epochs(run) + moments.randint(2, 3))
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
            process.communicate()
            assert read_json(run / "manifest.json")["status"] == "running"
            assert_nothing_torn(run)
            process = start(f"resume={run.relative_to(folder)}", cwd=folder)
        last = ended(process, folder)
        assert (whole.status, last.status) == (0, 0), (whole.stderr, last.stderr)
        assert result_of(run) == result_of(run_in(folder / "whole"))
        manifest = read_json(run / "manifest.json")
        epochs = [resumed["epoch"] for resumed in manifest["resumed"]]
        assert manifest["status"] == "completed" and len(epochs) >= 1
        assert epochs == sorted(epochs) and epochs[-1] > 0
        assert [path.name for path in run.rglob(".draft-*")] == []
        return NUM_KILLS

    scenario.__name__ = f"killed_and_gone_on_with_{kind}"
    return scenario


REFUSED = [
    ("training.epochs=10", "training.epochs: got 10", "has 50", "can be raised"),
    ("optimizer.learning_rate=0.1", "optimizer.learning_rate", "cannot be changed", "training.epochs"),
    ("data.path=others.npz", "training images have the SHA-256", "data.path"),
]
"""What would change the result, and words of the refusal."""


def stopped_and_made_longer(start: Start, folder: Path) -> None:
    """Comes to the bits of a run that was longer from the start; what would change them is refused."""
    (folder / "whole").mkdir()
    whole = ended(start(*LONG, "training.epochs=60", cwd=folder / "whole"), folder / "whole")
    process = start(*LONG, "training.epochs=50", cwd=folder)
    run = after_epochs(process, folder, 2)
    process.send_signal(signal.SIGTERM)
    stopped = ended(process, folder)
    assert (whole.status, stopped.status) == (0, 143)
    assert "resume with: mnist-exp resume=" in stopped.stderr

    def resume(*typed: str) -> Ended:
        return ended(start(f"resume={run}", *typed, cwd=folder), folder)

    write_other_images(folder / "others.npz")
    before = snapshot(run)
    for typed, *words in REFUSED:
        refused = resume(typed)
        assert refused.status == 2 and refused.stderr.count("\n") == 1
        assert [word for word in words if word not in refused.stderr] == [], refused.stderr
    assert snapshot(run) == before
    assert resume("training.epochs=60").status == 0
    assert result_of(run) == result_of(run_in(folder / "whole"))
    again, longer = resume(), resume("training.epochs=70")
    assert (again.status, again.stderr) == (0, "") and "is completed" in " ".join(again.stdout.split())
    assert longer.status == 2 and "is completed, and was scored on the test images" in longer.stderr


def write_other_images(path: Path) -> None:
    with np.load(SAMPLE_PATH) as arrays:
        changed = dict(arrays)
    changed["x_train"][0, 0, 0] ^= 1
    np.savez(path, **changed)


def still_going_on(start: Start, folder: Path) -> None:
    """Is refused, and goes on."""
    process = start(*LONG, "training.epochs=100000", cwd=folder)
    run = after_epochs(process, folder, 1)
    refused = ended(start(f"resume={run}", cwd=folder), folder)
    assert refused.status == 2 and f"{run} is still running" in refused.stderr
    assert process.poll() is None
    process.kill()


SCENARIOS = (*map(killed, KINDS), stopped_and_made_longer, still_going_on)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_run_is_resumed(
    outcome_of: Outcomes, scenario: Scenario, record_property: Callable[[str, object], None]
) -> None:
    record_property("provoked", outcome_of(scenario) or 1)
