"""What `last.keras` holds is all that a training needs to go on, whatever trains it."""

import functools
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from mnist_exp.config import keras_names
from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.checkpoints import Checkpoint, read_checkpoint, restore, write_checkpoint

from . import trainings
from .digits import sample_digits
from .trainings import built

DIGITS = LabelledImages(*sample_digits(150))
HELD_OUT = LabelledImages(DIGITS.images[:50], DIGITS.labels[:50])
# A wrapper of another optimizer, and one that is none itself.
UNFIT = {"LossScaleOptimizer", "MultiOptimizer", "Optimizer"}
QUICK = ("data=sample", "training.engine=graph", "training.batch_size=64", "schedule=constant")
accepted = functools.partial(trainings.accepted, *QUICK, "model.units=[8]", "model.dropout=0.2")
# Layers with generators of their own: under another name, in a cell.
DRAWING_MODEL = """\
family: sequential
name: drawing
layers:
  - Reshape: {target_shape: [28, 28, 1]}
  - RandomTranslation: {height_factor: 0.1, width_factor: 0.1}
  - Reshape: {target_shape: [1, 784]}
  - GRU: {units: 8, dropout: 0.3, unroll: true}
  - AlphaDropout: {rate: 0.1}
  - Dense: {units: 10, activation: softmax}
"""


def train(
    config: Config, folder: Path, earlier: Checkpoint | None = None
) -> tuple[list[EpochMetrics], list[np.ndarray]]:
    """Trains as a process of its own would, with a checkpoint an epoch; gives its rows and all variables."""
    model = built(config, DIGITS)
    network = model.network
    best = BestWeights(network, config.training.monitor, config.training.direction)
    rows: list[EpochMetrics] = list(earlier.state.rows) if earlier else []
    fitting.fit(
        *(config, model, DIGITS, HELD_OUT, best, lambda row, is_best: rows.append(row), lambda: None),
        keep=lambda state: write_checkpoint(folder / f"{len(rows)}.keras", network, state),
        earlier=earlier,
    )
    return rows, [np.asarray(variable) for variable in (*network.weights, *model.optimizer.variables)]


def timeless(rows: list[EpochMetrics]) -> list[tuple[float | None, ...]]:
    return [(row.epoch, row.loss, row.accuracy, row.val_loss, row.learning_rate) for row in rows]


def assert_goes_on(config: Config, folder: Path) -> None:
    """Makes sure that going on after the first epoch is, bit for bit, never to have stopped."""
    whole_rows, whole_variables = train(config, folder)
    earlier = read_checkpoint(folder / "1.keras")
    assert earlier is not None and len(earlier.state.rows) == 1
    rows, variables = train(config, folder, earlier)
    assert timeless(rows) == timeless(whole_rows) and len(rows) == 2
    assert [one.tobytes() for one in variables] == [one.tobytes() for one in whole_variables]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", sorted(set(keras_names.optimizers()) - UNFIT))
def test_every_optimizer_goes_on_bit_for_bit(optimizer: str, tmp_path: Path) -> None:
    config = accepted(
        f"optimizer.name={optimizer.lower()}",
        *(f"~optimizer.{argument}" for argument in ("weight_decay", "beta_1", "beta_2", "epsilon")),
        "training.epochs=2",
        "training.ema_momentum=0.9",
    )
    assert_goes_on(config, tmp_path)


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_what_watches_a_metric_goes_on_counting(schedule: str, tmp_path: Path) -> None:
    config = accepted(
        f"schedule={schedule}",
        *(["schedule.patience=1", "schedule.factor=0.5"] if schedule == "plateau" else []),
        "optimizer.learning_rate=0.2",
        "training.epochs=12",
        "training.early_stopping.patience=4",
        "training.early_stopping.min_delta=0.05",
    )
    whole, _ = train(config, tmp_path)
    assert 3 < len(whole) < 12, "it has to stop early for this test"
    stopped = read_checkpoint(tmp_path / f"{len(whole) - 2}.keras")
    rows, _ = train(config, tmp_path, stopped)
    assert timeless(rows) == timeless(whole)
    over = read_checkpoint(tmp_path / f"{len(whole)}.keras")
    assert over is not None and over.state.has_ended
    again, _ = train(config, tmp_path, over)
    assert timeless(again) == timeless(whole), "what stopped early must not be trained further"


def test_layers_that_draw_by_themselves_and_gradients_that_wait_go_on_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "drawing.yaml").write_text(DRAWING_MODEL)
    own = ("model=drawing", f"hydra.searchpath=[file://{tmp_path}]", "training.epochs=2")
    # Of an epoch's three steps the third one's gradients wait for the next epoch.
    waiting = "+optimizer.gradient_accumulation_steps=2"
    assert_goes_on(trainings.accepted(*QUICK, *own, waiting), tmp_path)


def test_no_checkpoint_is_no_state_and_a_foreign_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.keras"
    assert read_checkpoint(path) is None
    built(accepted(), DIGITS).network.save(path)
    with pytest.raises(ConfigError, match="holds weights only"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mnist_exp_training.json", '{"rows": 3}')
    with pytest.raises(ConfigError, match="cannot be read"):
        read_checkpoint(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_checkpoint(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after two epochs; read it only."""
    folder = tmp_path_factory.mktemp("trained")
    train(accepted("training.epochs=2"), folder)
    return folder / "2.keras"


@pytest.mark.parametrize("change", ["model.units=[9]", "training.ema_momentum=0.9", "optimizer=sgd"])
@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_something_else_is_refused(change: str, trained: Path) -> None:
    checkpoint = read_checkpoint(trained)
    assert checkpoint is not None
    model = built(accepted(change), DIGITS)
    model.prepare(DIGITS, 64)
    with pytest.raises(ConfigError, match="another network or optimizer"):
        restore(checkpoint, model.network)


def test_a_checkpoint_loads_with_plain_keras(trained: Path) -> None:
    assert int(keras.models.load_model(trained).optimizer.iterations) == 2 * 3
