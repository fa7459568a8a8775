"""What stops a training, told from what does not; what is recorded of an epoch."""

import pytest

from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import RunError
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestEpoch, EpochRecorder, StopOnCollapse, StopOnNonFinite

from .digits import sample_digits
from .trainings import accepted, built

DIGITS = LabelledImages(*sample_digits(150))


def row(epoch: int, accuracy: float) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch, loss=1.0, accuracy=accuracy, val_loss=None, val_accuracy=None, learning_rate=0.1,
        duration_s=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("num_classes", "accuracies", "is_collapse"),
    [
        (10, (0.92, 0.098), True),
        (10, (0.6, 0.3, 0.15), True),
        (10, (0.92, 0.2), False),
        (10, (0.45, 0.098), False),
        (10, (), False),
        (2, (0.97, 0.5), True),
        (2, (0.6, 0.52), False),
        (3, (0.9, 0.34), True),
        (100, (0.7, 0.01), True),
        (100, (0.7, 0.2), False),
    ],
)
def test_falling_to_a_guess_from_well_above_it_is_a_collapse(
    num_classes: int, accuracies: tuple[float, ...], is_collapse: bool
) -> None:
    recorder = EpochRecorder(BestEpoch("val_accuracy", "max"), lambda row, is_best: None)
    recorder.rows = [row(epoch, accuracy) for epoch, accuracy in enumerate(accuracies[:-1], 1)]
    callback = StopOnCollapse(recorder, num_classes)
    logs = {"accuracy": accuracies[-1] if accuracies else 0.05}
    if not is_collapse:
        callback.on_epoch_end(len(accuracies), logs)
        return
    with pytest.raises(RunError, match=r"accuracy collapsed from [\d.]+% to [\d.]+% in epoch \d"):
        callback.on_epoch_end(len(accuracies), logs)


@pytest.mark.parametrize(
    ("name", "value"), [("loss", "nan"), ("loss", "inf"), ("val_loss", "nan"), ("val_loss", "inf")]
)
def test_a_loss_that_is_no_finite_number_ends_the_training(name: str, value: str) -> None:
    logs = {"loss": 1.0, "val_loss": 1.0}
    StopOnNonFinite().on_epoch_end(0, logs)
    with pytest.raises(RunError, match=f"^{name} became {value} in epoch 2"):
        StopOnNonFinite().on_epoch_end(1, logs | {name: float(value)})


@pytest.mark.parametrize("engine", ["graph", "keras"])
def test_the_recorded_learning_rate_is_the_epochs_own(engine: str) -> None:
    # So low a rate improves nothing: a plateau from the second epoch on.
    plateau = ("schedule=plateau", "schedule.patience=1", "schedule.factor=0.5")
    quick = ("data=sample", "model.units=[4]", "optimizer=sgd", "optimizer.learning_rate=1e-9")
    config = accepted(
        *quick, *plateau, "schedule.min_learning_rate=0", "training.epochs=4", f"training.engine={engine}"
    )
    rows: list[EpochMetrics] = []
    best = BestEpoch(config.training.monitor, config.training.direction)
    model = built(config, DIGITS)
    fitting.fit(config, model, DIGITS, DIGITS, best, lambda row, is_best: rows.append(row), lambda: None)
    assert [row.learning_rate for row in rows] == pytest.approx([1e-9, 1e-9, 5e-10, 2.5e-10], rel=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(1.25e-10, rel=1e-6), "the next epoch's"
