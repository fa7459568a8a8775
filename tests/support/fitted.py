"""Trainings in this process that are looked at afterwards, and stopped where a test asks for it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.checkpoints import Checkpoint, TrainingState, read_checkpoint, write_checkpoint
from mnist_exp.training.model import ExperimentModel
from tests.trainings import Stopped, built


class Fitted(NamedTuple):
    """What a training came to."""

    rows: list[EpochMetrics]
    best: BestWeights
    model: ExperimentModel

    def curve(self) -> list[tuple[float | None, ...]]:
        return [(row.loss, row.accuracy, row.val_loss, row.val_accuracy) for row in self.rows]

    def bits(self) -> list[bytes]:
        """Gives all weights, and all that the optimizer keeps."""
        variables = (*self.model.network.weights, *self.model.optimizer.variables)
        return [np.asarray(variable).tobytes() for variable in variables]


def trained(
    config: Config,
    images: LabelledImages,
    held_out: LabelledImages | None = None,
    *,
    path: Path | None = None,
    stop_after: int = 0,
    earlier: Checkpoint | None = None,
) -> Fitted:
    """Trains; with a path for its checkpoints, and from an earlier one, where these are given.

    Raises:
        Stopped: After `stop_after` epochs.
    """
    model, rows = built(config, images), list(earlier.state.rows) if earlier else []
    best = BestWeights(model.network, config.training.monitor, config.training.direction)

    def report(row: EpochMetrics, is_best: bool) -> None:
        rows.append(row)

    def check() -> None:
        if len(rows) == stop_after:
            raise Stopped

    def keep(state: TrainingState) -> None:
        if path is not None:
            write_checkpoint(path, model.network, state)

    fitting.fit(config, model, images, held_out, best, report, check, keep=keep, earlier=earlier)
    return Fitted(rows, best, model)


def stopped(
    config: Config, images: LabelledImages, held_out: LabelledImages | None, path: Path, epochs: int
) -> Checkpoint:
    """Trains for some epochs, and gives what is left to go on with."""
    with pytest.raises(Stopped):
        trained(config, images, held_out, path=path, stop_after=epochs)
    earlier = read_checkpoint(path)
    assert earlier is not None
    return earlier
