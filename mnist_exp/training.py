"""Training a network as a configuration says: what every mode that trains shares."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.augmentation import build_augmentation
from mnist_exp.callbacks import Checkpoints, EpochRecorder, LayerSeeds, StopOnNonFinite, StopWhenAsked
from mnist_exp.data import LabelledImages
from mnist_exp.engine import EVALUATION_BATCH_SIZE, EpochModel, ExperimentModel
from mnist_exp.errors import ConfigError
from mnist_exp.optimizers import build_learning_rate, build_optimizer
from mnist_exp.records import EngineRecord, EpochMetrics
from mnist_exp.runs import RunDirectory
from mnist_exp.schema import Config, Engine, PlateauScheduleConfig
from mnist_exp.signals import StopRequest


@dataclass(frozen=True)
class Fit:
    """What training came to, beyond the rows that it wrote.

    Attributes:
        best_epoch: 1-based.
        training_s: Seconds of each epoch's training steps alone.
        compile_s: Seconds spent tracing and compiling the epoch.
    """

    best_epoch: int
    training_s: list[float]
    compile_s: float


def start_fresh(seed: int, threads: int) -> None:
    """Sets every random generator, and forgets what an earlier run in this process left.

    Args:
        seed: Of the run.
        threads: Number of threads of one operation; 0 uses every core.

    Raises:
        ConfigError: TensorFlow runs already, with another number of threads.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        hint = "Give all jobs of one process the same number, or start them apart."
        raise ConfigError(f"training.threads: {threads} cannot be set any more.", hint) from error


def num_threads(threads: int) -> int:
    """Says how many threads one operation gets; 0 stands for every core."""
    return threads or len(os.sched_getaffinity(0))


def device_name() -> str:
    """Says where TensorFlow trains: `CPU` or `GPU`."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def build_model(
    config: Config, network: keras.Sequential, engine: EngineRecord, num_images: int
) -> ExperimentModel:
    """Builds what is trained around a network: augmentation, objective and optimizer.

    Args:
        config: The run's.
        network: Built; shares its weights with the result.
        engine: As chosen.
        num_images: Number of training images.

    Raises:
        ConfigError: Keras refuses a value.
    """
    training = config.training
    steps_per_epoch = -(-num_images // training.batch_size)
    rate = build_learning_rate(
        config.schedule, config.optimizer.learning_rate, training.epochs, steps_per_epoch
    )
    options: dict[str, Any] = {
        "seed": config.seed,
        "augmentation": build_augmentation(config.augmentation),
        "label_smoothing": training.label_smoothing,
    }
    model = (
        ExperimentModel(network, **options)
        if engine.name == Engine.KERAS
        else EpochModel(network, xla=engine.name == Engine.COMPILED, **options)
    )
    model.compile(
        optimizer=build_optimizer(config.optimizer, rate, training.ema_momentum, network),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def fit(
    config: Config,
    model: ExperimentModel,
    training: LabelledImages,
    validation: LabelledImages | None,
    run: RunDirectory,
    request: StopRequest,
    show: Callable[[EpochMetrics, bool], None],
) -> Fit:
    """Trains a model, writing metrics and checkpoints after each epoch.

    Args:
        config: The run's.
        model: From `build_model`.
        training: The images to train on.
        validation: The images to choose the best epoch by; None for none.
        run: Where everything goes.
        request: Whether someone asked the run to stop.
        show: Called with each epoch's row and whether it is the best so far.

    Raises:
        RunError: The loss became NaN or infinite, or a file could not be written.
        Interrupted: Someone asked the run to stop; everything so far is saved.
    """
    monitor, direction = config.training.monitor, config.training.direction
    checkpoints = Checkpoints(run, model.network, monitor, direction)
    recorder = EpochRecorder(run, checkpoints, show)
    feed = model.prepare(training.images, training.labels, config.training.batch_size)
    if isinstance(model, EpochModel) and validation is not None:
        model.keep_validation(validation.images, validation.labels)
    with request.put_off():
        model.fit(
            feed.elements,
            steps_per_epoch=feed.steps_per_epoch,
            shuffle=False,
            epochs=config.training.epochs,
            validation_data=validation and (validation.images, validation.labels),
            validation_batch_size=EVALUATION_BATCH_SIZE,
            callbacks=[
                *_keras_callbacks(config),
                LayerSeeds(config.seed, model.seed_generators()),
                StopOnNonFinite(),
                checkpoints,
                recorder,
                StopWhenAsked(request),
            ],
            verbose=0,
        )
    return Fit(best_epoch=checkpoints.best_epoch, training_s=recorder.training_s, compile_s=feed.compile_s)


def _keras_callbacks(config: Config) -> list[keras.callbacks.Callback]:
    """Makes Keras' own callbacks that the configuration asks for."""
    training = config.training
    watch = {"monitor": training.monitor, "mode": training.direction}
    callbacks: list[keras.callbacks.Callback] = []
    if training.ema_momentum:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if training.early_stopping.patience:
        patience, min_delta = training.early_stopping.patience, training.early_stopping.min_delta
        callbacks.append(keras.callbacks.EarlyStopping(**watch, patience=patience, min_delta=min_delta))
    if isinstance(config.schedule, PlateauScheduleConfig):
        schedule = config.schedule
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                **watch,
                patience=schedule.patience,
                factor=schedule.factor,
                min_lr=schedule.min_learning_rate,
            )
        )
    return callbacks


def predict_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Computes class probabilities.

    Args:
        model: A plain network that takes float32 (B, H, W) in [0, 1].
        images: uint8 (N, H, W).

    Returns:
        float32 (N, C).
    """
    pixels = images.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(model.predict(pixels, batch_size=EVALUATION_BATCH_SIZE, verbose=0), np.float32)
