"""`mode=train`: train one network, score it once on the test images, draw what came of it."""

import resource
import statistics as stdlib_statistics
import time
from dataclasses import dataclass

import keras
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp import console, image_plots, plots, training
from mnist_exp.data import Images, Source, TrainingData, find_source, load_training_data
from mnist_exp.engine import EVALUATION_BATCH_SIZE, ExperimentModel, choose_engine
from mnist_exp.models import build_network
from mnist_exp.plot_style import figure_png
from mnist_exp.records import DataRecord, EngineRecord, Summary
from mnist_exp.runs import RunDirectory
from mnist_exp.schema import Config, MlpConfig
from mnist_exp.signals import StopRequest
from mnist_exp.statistics import accuracy, confusion_counts, cross_entropy, wilson_interval
from mnist_exp.terminal import Terminal


@dataclass(frozen=True)
class Experiment:
    """A request that was accepted: everything that could be refused has been built.

    Attributes:
        config: The run's.
        data: What training sees.
        test: What the result is scored on, once.
        class_names: Name of each label.
        record: The data's part of the manifest.
        network: Built, untrained.
        model: The network with what training needs.
        engine: As chosen.
        device: `CPU` or `GPU`.
    """

    config: Config
    data: TrainingData
    test: Images
    class_names: tuple[str, ...]
    record: DataRecord
    network: keras.Sequential
    model: ExperimentModel
    engine: EngineRecord
    device: str


def prepare(config: Config, terminal: Terminal) -> Experiment:
    """Finds the data and builds the model.

    Args:
        config: The run's.
        terminal: Told about a download and about stand-ins.

    Raises:
        ConfigError: The data or the model cannot be had as asked for.
    """
    source = find_source(config.data, progress=terminal.download_progress)
    seen, test = load_training_data(source), source.load("test")
    training.start_fresh(config.seed, config.training.threads)
    network = build_network(config.model, test.images.shape[1:], len(source.class_names))
    device = training.device_name()
    engine = choose_engine(config.training.engine, network, device)
    return Experiment(
        config=config,
        data=seen,
        test=test,
        class_names=source.class_names,
        record=_data_record(source, seen, test),
        network=network,
        model=training.build_model(config, network, engine, len(seen.training)),
        engine=engine,
        device=device,
    )


def run(experiment: Experiment, run: RunDirectory, terminal: Terminal, request: StopRequest) -> Summary:
    """Trains, scores and draws.

    Args:
        experiment: From `prepare`.
        run: Where everything goes.
        terminal: Where progress is shown.
        request: Whether someone asked the run to stop.

    Returns:
        What `summary.json` holds.

    Raises:
        RunError: Training failed; the message says why.
        Interrupted: Someone asked the run to stop.
    """
    config = experiment.config
    run.update_manifest(
        engine=experiment.engine,
        device=experiment.device,
        threads=training.num_threads(config.training.threads),
        data=experiment.record,
    )
    if experiment.record.notice:
        terminal.print(console.render_notice(experiment.record.notice))
    terminal.print(console.render_plan(_plan(experiment, run)))
    with terminal.training_progress(config.training.epochs) as progress:
        fit = training.fit(
            config,
            experiment.model,
            experiment.data.training,
            experiment.data.validation,
            run,
            request,
            progress.epoch,
        )
    # Scored is what is on disk, loaded as anyone would load it.
    best = keras.models.load_model(run.best_checkpoint_path)
    probabilities, predict_s = _score(best, experiment.test.images)
    labels = experiment.test.labels
    summary = _summarise(experiment, run, fit, probabilities, predict_s)
    run.write_predictions(probabilities, labels)
    _draw(experiment, run, fit.best_epoch, best, probabilities)
    run.write_summary(summary)
    terminal.print(
        console.render_digits(experiment.test.images, labels, probabilities, experiment.class_names)
    )
    terminal.print(console.render_summary(summary, str(run.path), _next_commands(config)))
    return summary


def _data_record(source: Source, seen: TrainingData, test: Images) -> DataRecord:
    notices = [notice for notice in (seen.notice, test.notice) if notice]
    return DataRecord(
        name=source.name,
        source=source.description,
        notice=" ".join(dict.fromkeys(notices)) or None,
        train_sha256=seen.train_sha256,
        test_sha256=test.sha256,
        split_sha256=seen.split_sha256,
        num_train=len(seen.training),
        num_validation=len(seen.validation or ()),
        num_test=len(test),
    )


def _plan(experiment: Experiment, run: RunDirectory) -> console.Plan:
    config, network = experiment.config, experiment.network
    rows = [
        console.LayerRow(layer.name, type(layer).__name__, layer.output.shape[1:], layer.count_params())
        for layer in network.layers
    ]
    return console.Plan(
        model_name=config.model.name,
        layers=rows,
        num_params=network.count_params(),
        num_trainable=sum(int(np.prod(variable.shape)) for variable in network.trainable_variables),
        data=experiment.record,
        optimizer=config.optimizer,
        schedule=config.schedule,
        augmentation=config.augmentation,
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        engine=experiment.engine,
        seed=config.seed,
        run_path=str(run.path),
    )


def _score(model: keras.Model, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Predicts probabilities (N, C), and says how many seconds that took once compiled."""
    training.predict_probabilities(model, np.zeros_like(images[:EVALUATION_BATCH_SIZE]))
    started = time.perf_counter()
    probabilities = training.predict_probabilities(model, images)
    return probabilities, time.perf_counter() - started


def _summarise(
    experiment: Experiment,
    run: RunDirectory,
    fit: training.Fit,
    probabilities: NDArray[np.float32],
    predict_s: float,
) -> Summary:
    labels, best = experiment.test.labels, run.rows[fit.best_epoch - 1]
    test_accuracy = accuracy(probabilities, labels)
    return Summary(
        test_accuracy=test_accuracy,
        test_accuracy_interval=wilson_interval(round(test_accuracy * len(labels)), len(labels)),
        test_loss=cross_entropy(probabilities, labels),
        val_accuracy=best.val_accuracy,
        best_epoch=fit.best_epoch,
        epochs=len(run.rows),
        num_params=experiment.network.count_params(),
        train_s=round(sum(row.duration_s for row in run.rows), 3),
        seconds_per_epoch=stdlib_statistics.median(fit.training_s),
        compile_s=fit.compile_s,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        ms_per_image=1000 * predict_s / len(labels),
        selected_on_test=experiment.data.selected_on_test,
        data_notice=experiment.record.notice,
    )


def _draw(
    experiment: Experiment,
    run: RunDirectory,
    best_epoch: int,
    best: keras.Model,
    probabilities: NDArray[np.float32],
) -> None:
    """Draws every picture of a trained network."""
    label_smoothing = experiment.config.training.label_smoothing
    names, test = experiment.class_names, experiment.test
    seen = (test.images, test.labels, probabilities, names)
    counts = confusion_counts(probabilities, test.labels, len(names))
    figures: dict[str, Figure] = {
        "learning_curves": plots.plot_learning_curves(run.rows, best_epoch, label_smoothing),
        "confusion_matrix": plots.plot_confusion_matrix(counts, names),
        "sample_predictions": image_plots.plot_sample_predictions(*seen),
        "mistakes": image_plots.plot_mistakes(*seen),
    }
    if isinstance(experiment.config.model, MlpConfig):
        kernel = next(variable for variable in best.variables if variable.name == "kernel")
        figures["first_layer_weights"] = image_plots.plot_first_layer_weights(
            kernel.numpy(), test.images.shape[1:]
        )
    for name, figure in figures.items():
        run.write_plot(name, figure_png(figure))


def _next_commands(config: Config) -> list[str]:
    """Suggests what to try after this run."""
    other = "bn_dnn" if config.model.name == "ann" else "ann"
    data = "" if config.data.name == "mnist" else f" data={config.data.name}"
    return [
        f"mnist-exp model={other}{data}",
        f"mnist-exp model={config.model.name}{data} augmentation=shift",
        f"mnist-exp -m model={config.model.name}{data} seed=1,2,3",
    ]
