"""Training a network as a configuration says: what every mode that trains shares."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from mnist_exp.config.schema import Config, Engine, PlateauScheduleConfig
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.runs.records import EngineRecord, EpochMetrics
from mnist_exp.training.augmentation import build_augmentation
from mnist_exp.training.averaging import AveragedWeights
from mnist_exp.training.callbacks import (
    BestEpoch,
    EpochRecorder,
    LayerSeeds,
    RestoreState,
    SaveState,
    StepLearningRates,
    StopOnCollapse,
    StopOnNonFinite,
)
from mnist_exp.training.checkpoints import Checkpoint, TrainingState, restore
from mnist_exp.training.device import device_name
from mnist_exp.training.engine import EpochModel, choose_engine
from mnist_exp.training.model import ExperimentModel, Feed
from mnist_exp.training.networks import EVALUATION, EVALUATION_BATCH_SIZE
from mnist_exp.training.optimizers import LearningRates, build_optimizer, learning_rates


@dataclass(frozen=True)
class Fit:
    """A training's result beside its rows: best epoch, 1-based; `compile_s` is 0 if compiled before."""

    best_epoch: int
    training_s: list[float]
    compile_s: float


def pick_engine(config: Config, network: keras.Sequential, num_images: int) -> EngineRecord:
    """Chooses how a configuration's epochs are executed; see `choose_engine`."""
    num_steps = config.training.epochs * _steps_per_epoch(config, num_images)
    return choose_engine(config.training.engine, network.layers, device_name(), num_steps)


def build_model(
    config: Config, network: keras.Sequential, engine: EngineRecord, num_images: int
) -> ExperimentModel:
    """Builds what is trained around a network, which shares its weights: augmentation, objective, optimizer.

    Raises:
        ConfigError: Keras refuses a value.
    """
    training = config.training
    options: dict[str, Any] = {
        "seed": config.seed,
        "augmentation": build_augmentation(config.augmentation),
        "label_smoothing": training.label_smoothing,
        "mixup_alpha": training.mixup,
        "class_weight": training.class_weight,
        "learning_rates": _learning_rates(config, num_images),
    }
    model: ExperimentModel
    if engine.name == Engine.KERAS:
        model = ExperimentModel(network, **options)
    else:
        model = EpochModel(network, xla=engine.name == Engine.COMPILED, **options)
    model.compile(
        optimizer=build_optimizer(config.optimizer, training.ema_momentum, network),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    # The network is what is saved, with the state of the optimizer.
    network.compile(model.optimizer, **EVALUATION)
    return model


def _steps_per_epoch(config: Config, num_images: int) -> int:
    return -(-num_images // config.training.batch_size)


def _learning_rates(config: Config, num_images: int) -> LearningRates:
    steps_per_epoch = _steps_per_epoch(config, num_images)
    num_steps_total = config.training.epochs * steps_per_epoch
    return partial(
        learning_rates, config.schedule, config.optimizer.learning_rate, num_steps_total, steps_per_epoch
    )


def fit(
    config: Config,
    model: ExperimentModel,
    training: LabelledImages,
    validation: LabelledImages | None,
    best: BestEpoch,
    report: Callable[[EpochMetrics, bool], None],
    check: Callable[[], None],
    *,
    keep: Callable[[TrainingState], None] | None = None,
    earlier: Checkpoint | None = None,
) -> Fit:
    """Trains a model, reporting metrics after each epoch.

    Args:
        report: Called with each epoch's row and whether it is the best so far.
        check: Called at each epoch's end, when all of it is kept; may raise to stop.
        keep: Called before that with where the training stands.
        earlier: Where an earlier process stopped; None to begin.

    Raises:
        ConfigError: `earlier` does not fit the model.
        RunError: The loss became NaN or infinite, the accuracy collapsed, or a file could not be written.
    """
    state = earlier.state if earlier else None
    if state is not None and (state.has_ended or len(state.rows) >= config.training.epochs):
        return Fit(best_epoch=state.best_epoch, training_s=state.training_s, compile_s=state.compile_s)
    recorder, watchers = EpochRecorder(best, report), _watchers(config)
    feed, averaging, compile_s = _prepare(config, model, training, validation, earlier)
    remembering = [*averaging, *watchers]
    callbacks = averaging + _feeding_callbacks(model, feed.steps_per_epoch)
    # Before a file is replaced.
    callbacks += [StopOnNonFinite(), StopOnCollapse(recorder, model.network.output_shape[-1])]
    callbacks += [best, recorder]
    callbacks += watchers  # a plateau sets the next epoch's learning rate when this epoch's has been recorded
    if keep is not None:
        callbacks.append(SaveState(recorder, remembering, keep, compile_s))
    if state is not None:
        callbacks.append(RestoreState(state, recorder, remembering))
    callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: check()))
    model.fit(
        feed.elements,
        steps_per_epoch=feed.steps_per_epoch,
        shuffle=False,
        initial_epoch=len(state.rows) if state else 0,
        epochs=config.training.epochs,
        validation_data=validation and (validation.images, validation.labels),
        validation_batch_size=EVALUATION_BATCH_SIZE,
        callbacks=callbacks,
        verbose=0,
    )
    return Fit(best_epoch=best.best_epoch, training_s=recorder.training_s, compile_s=compile_s)


def _prepare(
    config: Config,
    model: ExperimentModel,
    training: LabelledImages,
    validation: LabelledImages | None,
    earlier: Checkpoint | None,
) -> tuple[Feed, list[AveragedWeights], float]:
    """Returns the feed, the moving average where one is kept, and the seconds of compiling so far."""
    feed = model.prepare(training, config.training.batch_size, len(earlier.state.rows) if earlier else 0)
    compile_s = feed.compile_s + (earlier.state.compile_s if earlier else 0.0)
    if isinstance(model, EpochModel) and validation is not None:
        compile_s += model.keep_validation(validation)
    averaging: list[AveragedWeights] = []
    if config.training.ema_momentum:
        averaging = [AveragedWeights(model, training, is_resumed=earlier is not None)]
        compile_s += averaging[0].compile_s
    if earlier is not None:
        restore(earlier, model.network)
    return feed, averaging, compile_s


def _feeding_callbacks(model: ExperimentModel, steps_per_epoch: int) -> list[keras.callbacks.Callback]:
    """Makes the callbacks that give a model the numbers that its graph does not compute."""
    callbacks: list[keras.callbacks.Callback] = [LayerSeeds(model.seed, model.seed_states())]
    if not isinstance(model, EpochModel):
        callbacks.append(StepLearningRates(model.learning_rates, steps_per_epoch))
    return callbacks


def _watchers(config: Config) -> list[keras.callbacks.Callback]:
    training = config.training
    watch = {"monitor": training.monitor, "mode": training.direction}
    callbacks: list[keras.callbacks.Callback] = []
    if training.early_stopping.patience:
        patience, min_delta = training.early_stopping.patience, training.early_stopping.min_delta
        callbacks.append(keras.callbacks.EarlyStopping(**watch, patience=patience, min_delta=min_delta))
    if isinstance(config.schedule, PlateauScheduleConfig):
        patience, factor = config.schedule.patience, config.schedule.factor
        lowest = config.schedule.min_learning_rate
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(**watch, patience=patience, factor=factor, min_lr=lowest)
        )
    return callbacks
