"""Runs what a search hands out: trains, keeps the best weights, writes the record down."""

import os
import statistics
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mnist_exp.data.dataset import TrainingData, find_source, load_training_data
from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.errors import ConfigError, ExperimentError, explain, is_out_of_memory
from mnist_exp.processes.messages import EpochEnded, PrepareTrials, RunTrial
from mnist_exp.runs import files, provenance
from mnist_exp.runs.folder import TENSORBOARD
from mnist_exp.runs.records import (
    ConfirmationRecord,
    EpochMetrics,
    ErrorRecord,
    ExecutionRecord,
    TrialRecord,
    TrialStatus,
)
from mnist_exp.runs.run import Run, read_config
from mnist_exp.trackers.copies import plain
from mnist_exp.trackers.tensorboard import LiveTracker
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.device import start_fresh
from mnist_exp.training.networks import for_use
from mnist_exp.training.preprocessing import prepare_training
from mnist_exp.training.reuse import ModelStore
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.search_files import SearchFiles, trial_name


class _Stopped(Exception):  # noqa: N818 - not an error
    """The search no longer waits for this trial."""


@dataclass
class _Outcome:
    status: TrialStatus = "completed"
    executions: list[ExecutionRecord] = field(default_factory=list)
    num_params: int | None = None
    error: ErrorRecord | None = None
    best: BestWeights | None = None


class TrialRunner:
    """Trains one trial after another; `data` are images to train and validate on, not the test images."""

    def __init__(
        self,
        search: Search,
        files: SearchFiles,
        data: TrainingData,
        num_classes: int,
        threads: int,
        worker: str,
    ) -> None:
        self.search, self.files, self.data = search, files, data
        self.num_classes, self.threads, self.worker = num_classes, threads, worker
        self._models = ModelStore()

    def run(
        self, trial: RunTrial, report: Callable[[EpochEnded], None], must_stop: Callable[[], bool]
    ) -> None:
        """Trains on each seed and leaves a record; stopped if `must_stop` says so after an earlier epoch."""
        began = provenance.Moment()
        outcome = self._train_all(trial, report, must_stop)
        self._save(outcome, _name_of(trial))
        self.files.submit(trial.name, self._record(trial, outcome, began))

    def _record(
        self, trial: RunTrial, outcome: _Outcome, began: provenance.Moment
    ) -> TrialRecord | ConfirmationRecord:
        if trial.candidate is not None:
            return ConfirmationRecord(
                candidate=trial.candidate,
                seed=trial.seeds[0],
                status=outcome.status,
                num_params=outcome.num_params,
                execution=outcome.executions[0] if outcome.executions else None,
                error=outcome.error,
            )
        assert trial.trial is not None and trial.epochs is not None
        return TrialRecord(
            trial=trial.trial,
            status=outcome.status,
            score=_mean_score(outcome),
            values=trial.values,
            epochs=trial.epochs,
            num_params=outcome.num_params,
            started_at=began.utc,
            finished_at=provenance.utc_now(),
            duration_s=began.seconds_ago(),
            worker=self.worker,
            executions=outcome.executions,
            error=outcome.error,
        )

    def _train_all(
        self, trial: RunTrial, report: Callable[[EpochEnded], None], must_stop: Callable[[], bool]
    ) -> _Outcome:
        """Trains on each seed; what goes wrong with this configuration is part of the outcome."""
        outcome = _Outcome()
        try:
            for seed in trial.seeds:
                self._train(trial, seed, outcome, report, must_stop)
        except _Stopped:
            outcome.status = "stopped"
        except Exception as error:
            if not (isinstance(error, ExperimentError) or is_out_of_memory(error)):
                raise
            outcome.status = "failed"
            known = explain(error)
            outcome.error = ErrorRecord(type=type(error).__name__, message=known.message, hint=known.hint)
        return outcome

    def _train(
        self,
        trial: RunTrial,
        seed: int,
        outcome: _Outcome,
        report: Callable[[EpochEnded], None],
        must_stop: Callable[[], bool],
    ) -> None:
        config = self.search.trial_config(trial.values, seed, self.threads, trial.epochs)
        training, num_epochs = self.data.training, config.training.epochs
        shape, objective = training.images.shape[1:], self.search.tuner.objective
        model, _ = self._models.get(config, training, shape, self.num_classes)
        outcome.num_params = model.network.count_params()
        best = BestWeights(model.network, config.training.monitor, config.training.direction)
        rows: list[EpochMetrics] = []
        tracker = self._tracker(trial, seed)

        def add(row: EpochMetrics, is_best: bool) -> None:
            rows.append(row)
            tracker.epoch(row)
            report(EpochEnded(epoch=row.epoch, epochs=num_epochs, score=getattr(row, objective)))

        def check() -> None:
            if len(rows) < num_epochs and must_stop():
                raise _Stopped

        fit = fitting.fit(config, model, training, self.data.validation, best, add, check)
        tracker.end()
        execution = ExecutionRecord(
            seed=seed,
            score=getattr(rows[best.best_epoch - 1], objective),
            best_epoch=best.best_epoch,
            train_s=round(sum(row.duration_s for row in rows), 3),
            seconds_per_epoch=statistics.median(fit.training_s),
            compile_s=fit.compile_s,
            metrics=rows,
        )
        # The earlier one of two equals: what a search reports of a trial is that one's.
        if all(self._is_better(execution, other) for other in outcome.executions):
            outcome.best = best
        outcome.executions.append(execution)

    def _tracker(self, trial: RunTrial, seed: int) -> LiveTracker:
        """Begins to follow one training, where the search is followed."""
        name = _name_of(trial) if len(trial.seeds) == 1 else f"{_name_of(trial)}_seed_{seed}"
        folder, tracker = self.files.path / TENSORBOARD / name, self.search.config.tracker
        return LiveTracker(tracker, folder, lambda: plain({"seed": seed} | trial.values), [], _say)

    def _is_better(self, execution: ExecutionRecord, other: ExecutionRecord) -> bool:
        if self.search.direction == "max":
            return execution.score > other.score
        return execution.score < other.score

    def _save(self, outcome: _Outcome, name: str) -> None:
        """Saves the weights of the best epoch of the best execution."""
        if outcome.status == "completed" and outcome.best is not None:
            network = outcome.best.network
            network.set_weights(outcome.best.weights)
            files.write_with(self.files.weights_path(name), for_use(network).save)


def _name_of(trial: RunTrial) -> str:
    return trial.name if trial.trial is None else trial_name(trial.trial)


def _say(sentence: str) -> None:
    """Writes to where a worker's other messages go."""
    print(sentence, file=sys.stderr, flush=True)


def prepare_trials(preparation: PrepareTrials) -> TrialRunner:
    """Makes this process ready to work for a search.

    Raises:
        ConfigError: This machine does not see the search's folder, or has other images than the search.
    """
    with suppress(OSError):
        os.chdir(preparation.working_dir)
    path = Path(preparation.run_path)
    search_files, config = SearchFiles(path), read_config(path)
    source = find_source(config.data)
    images = load_training_data(source)
    _check_same_images(path, images)
    start_fresh(config.seed, preparation.threads)
    return TrialRunner(
        Search.from_tree(search_files.read_request(), config),
        search_files,
        prepare_training(config.data.preprocessing, images),
        len(source.class_names),
        preparation.threads,
        preparation.worker,
    )


def _check_same_images(path: Path, images: TrainingData) -> None:
    manifest = Run(path).manifest
    assert manifest.data is not None
    found: dict[Part, str | None] = {"train": images.train_sha256, "split": images.split_sha256}
    if (other := find_other_images(manifest.data, found)) is not None:
        raise ConfigError(
            f"data: the {other} ({path}).",
            "Give every machine the same images (data.path), set apart in the same way.",
        )


def _mean_score(outcome: _Outcome) -> float | None:
    """Averages over executions; None unless all are done."""
    if outcome.status != "completed":
        return None
    return statistics.fmean(execution.score for execution in outcome.executions)
