"""`mode=train`: train one network, score it once on the test images, draw what came of it."""

import statistics as stdlib_statistics
from dataclasses import dataclass

import numpy as np

from mnist_exp.config.commands import (
    SEARCH_PATH,
    command,
    data_words,
    kept,
    portable,
    setting,
    with_runs_dir,
)
from mnist_exp.config.keys import options_of
from mnist_exp.config.schema import Config
from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.errors import ConfigError
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report import result
from mnist_exp.report.console import render_notice, render_parts
from mnist_exp.report.figures.fonts import describe_numbered
from mnist_exp.report.figures.training import draw_training
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files, provenance
from mnist_exp.runs.folder import TENSORBOARD
from mnist_exp.runs.job import Job
from mnist_exp.runs.provenance import num_threads
from mnist_exp.runs.records import (
    DataRecord,
    EngineRecord,
    EpochMetrics,
    ResumeRecord,
    Summary,
)
from mnist_exp.runs.run import Run, read_config, read_tree
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.trackers.copies import parameters
from mnist_exp.trackers.tensorboard import LiveTracker
from mnist_exp.training import fitting, scoring
from mnist_exp.training.callbacks import BestCheckpoint
from mnist_exp.training.checkpoints import Checkpoint, load_best, read_checkpoint, write_checkpoint
from mnist_exp.training.device import device_name, set_threads
from mnist_exp.training.model import ExperimentModel
from mnist_exp.training.preprocessing import is_front
from mnist_exp.training.reuse import ImageStore, ModelStore, StoredImages

_MODELS = ModelStore()
_IMAGES = ImageStore()


@dataclass(frozen=True)
class Experiment:
    """An accepted request, built as far as it could be refused; `device` is `CPU` or `GPU`.

    Attributes:
        earlier: The state to resume from; None where no epoch was finished.
        caveats: Why a resumed run may differ from one that was never stopped.
    """

    config: Config
    images: StoredImages
    record: DataRecord
    model: ExperimentModel
    engine: EngineRecord
    device: str
    is_resumed: bool
    earlier: Checkpoint | None
    caveats: list[str]


def prepare(job: Job, terminal: Terminal, earlier: RunDirectory | None) -> Experiment:
    """Finds the data and builds the model, or uses again what an earlier run of this process had.

    `earlier` is the run to resume; None for a new one.

    Raises:
        ConfigError: The data or the model cannot be had as requested, or are not what an earlier process
            trained with.
    """
    config = job.config if earlier is None else provenance.as_begun(job.config, earlier.manifest)
    # Before the images: preprocessing them makes TensorFlow begin.
    set_threads(config.training.threads)
    images = _IMAGES.get(config.data, terminal.download_progress)
    shape, num_classes = images.test.images.shape[1:], len(images.source.class_names)
    checkpoint = None if earlier is None else _find_checkpoint(earlier, config, images.record)
    model, engine = _MODELS.get(config, images.seen.training, shape, num_classes)
    return Experiment(
        config=config,
        images=images,
        record=images.record,
        model=model,
        engine=engine if earlier is None else earlier.manifest.engine or engine,
        device=device_name(),
        is_resumed=earlier is not None,
        earlier=checkpoint,
        caveats=[] if checkpoint is None or earlier is None else _caveats(earlier, config),
    )


def _find_checkpoint(earlier: RunDirectory, config: Config, found: DataRecord) -> Checkpoint | None:
    """Gives what an earlier process left; None where it had not finished an epoch."""
    _refuse_other_images(earlier, found)
    checkpoint = read_checkpoint(earlier.last_checkpoint_path)
    if checkpoint is not None:
        provenance.check_can_be_longer(earlier.path, config, len(checkpoint.state.rows))
    return checkpoint


def _refuse_other_images(earlier: RunDirectory, found: DataRecord) -> None:
    seen = earlier.manifest.data
    if seen is None:
        return
    now: dict[Part, str | None] = {
        "train": found.train_sha256,
        "test": found.test_sha256,
        "split": found.split_sha256,
    }
    if (other := find_other_images(seen, now)) is not None:
        raise ConfigError(
            f"resume: {earlier.path} was trained on other images: in {found.source}, the {other}.",
            "Give it the same images (data.path, MNIST_EXP_DATA), or begin a new run.",
        )


def _caveats(earlier: RunDirectory, config: Config) -> list[str]:
    planned = read_config(earlier.path).training.epochs
    threads = num_threads(config.training.threads)
    return provenance.caveats(
        config, planned, provenance.changes_since(earlier.manifest, threads, device_name())
    )


def run(experiment: Experiment, run: RunDirectory, terminal: Terminal, request: StopRequest) -> Summary:
    """Trains, scores and draws; raises RunError where training fails, Interrupted where it is stopped."""
    config = experiment.config
    run.update_manifest(
        engine=experiment.engine,
        device=experiment.device,
        threads=num_threads(config.training.threads),
        inter_op_threads=num_threads(config.training.threads, "TF_NUM_INTEROP_THREADS"),
        data=experiment.record,
    )
    for notice in filter(None, (experiment.record.notice, *experiment.caveats)):
        terminal.print(render_notice(notice))
    terminal.print(render_parts(result.plan_parts(_plan(experiment, run))), "")
    if experiment.is_resumed:
        _resume(experiment, run, terminal)
    tracker = _tracker(experiment, run, terminal)
    fit = _fit(experiment, run, tracker, terminal, request)
    best = experiment.model.network
    load_best(run.best_checkpoint_path, best)
    scored = scoring.score(best, run.rows, fit.best_epoch, experiment.images.test.images)
    test, class_names = experiment.images.test, experiment.images.source.class_names
    summary = scoring.summarise(
        scored,
        test.labels,
        seconds_per_epoch=stdlib_statistics.median(fit.training_s),
        compile_s=fit.compile_s,
        selected_on_test=experiment.images.seen.selected_on_test,
        data_notice=experiment.record.notice,
    )
    run.write_predictions(scored.probabilities, test.labels, test.indices)
    not_drawn = draw_training(run, config, scored, test, class_names)
    run.update_manifest(not_drawn=not_drawn)
    run.write_summary(summary)
    tracker.end(summary, run.path)
    for notice in filter(None, [*not_drawn, describe_numbered(class_names)]):
        terminal.print(render_notice(notice))
    digits = result.first_digits(test.images, test.labels, scored.probabilities, class_names)
    told = result.result_parts(summary, str(run.path), _next_commands(run, config))
    terminal.print(render_parts([digits, *told]))
    return summary


def _resume(experiment: Experiment, run: RunDirectory, terminal: Terminal) -> None:
    """Brings a directory to where its last checkpoint stands, and writes down that it is resumed."""
    rows = experiment.earlier.state.rows if experiment.earlier else []
    epochs = experiment.config.training.epochs
    files.remove_drafts(run.path)
    run.write_metrics(rows)
    resumed = ResumeRecord(
        at=provenance.utc_now(),
        epoch=len(rows),
        epochs=epochs,
        versions=provenance.versions(),
        environment=provenance.environment(),
    )
    run.update_manifest(resumed=[*run.manifest.resumed, resumed])
    terminal.print(f"resuming after epoch {len(rows)} of {epochs}")


def _tracker(experiment: Experiment, run: RunDirectory, terminal: Terminal) -> LiveTracker:
    """Begins to follow a training where that is asked for, with the epochs that it has."""
    rows = experiment.earlier.state.rows if experiment.earlier else []
    folder, tracker = run.path / TENSORBOARD, experiment.config.tracker
    return LiveTracker(tracker, folder, lambda: parameters(read_tree(run.path)), rows, terminal.print)


def _fit(
    experiment: Experiment, run: RunDirectory, tracker: LiveTracker, terminal: Terminal, request: StopRequest
) -> fitting.Fit:
    config, data, network = experiment.config, experiment.images.seen, experiment.model.network
    best = BestCheckpoint(run, network, config.training.monitor, config.training.direction)
    first_epoch = 1 + (len(experiment.earlier.state.rows) if experiment.earlier else 0)
    with terminal.training_progress(config.training.epochs, first_epoch) as progress, request.put_off():

        def report(row: EpochMetrics, is_best: bool) -> None:
            run.append_metrics(row)
            tracker.epoch(row)
            progress.epoch(row, is_best)

        return fitting.fit(
            config,
            experiment.model,
            data.training,
            data.validation,
            best,
            report,
            request.check,
            keep=lambda state: write_checkpoint(run.last_checkpoint_path, network, state),
            earlier=experiment.earlier,
        )


def _plan(experiment: Experiment, run: RunDirectory) -> result.Plan:
    config, network = experiment.config, experiment.model.network
    rows = [
        result.LayerRow(
            layer.name,
            "preprocessing" if is_front(layer) else type(layer).__name__,
            layer.output.shape[1:],
            layer.count_params(),
        )
        for layer in network.layers
    ]
    return result.Plan(
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


def _next_commands(run: RunDirectory, config: Config) -> list[str]:
    typed, folder, name = Run(run.path).read_overrides() or [], run.manifest.folder, config.model.name
    tree = read_tree(run.path)
    around = with_runs_dir(portable(kept(run.manifest.argv, [SEARCH_PATH, "runs_dir"]), folder), tree, folder)
    around += data_words(typed, tree, folder)
    is_shipped = config.data.name in options_of("data")
    if is_shipped and config.data.name != "mnist" and not kept(typed, ["data", "experiment"]):
        around.append(setting("data", config.data.name))
    # The model's name may not be that of its file, and an experiment may choose another one.
    same = kept(typed, ["model", "experiment"]) or [f"model={name}"]
    return [
        command(f"model={'bn_dnn' if name == 'ann' else 'ann'}", *around),
        command(*same, *around, "augmentation=shift"),
        command("-m", *same, *around, "seed=1,2,3"),
    ]
