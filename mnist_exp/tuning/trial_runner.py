"""Runs what the chief hands out: trains, keeps the best weights, writes the record down."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.distribute import oracle_client
from keras_tuner.src.distribute.oracle_client import OracleClient
from msgspec import structs

from mnist_exp.config.schema import Engine
from mnist_exp.data.dataset import TrainingData
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.runs import files, provenance, writer
from mnist_exp.runs.records import ConfirmationRecord, EpochMetrics, ErrorRecord, ExecutionRecord
from mnist_exp.runs.records import TrialStatus as Status
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestWeights
from mnist_exp.training.networks import for_use
from mnist_exp.training.reuse import ModelStore
from mnist_exp.training.teachers import load_teacher
from mnist_exp.tuning.assignments import (
    CANDIDATE,
    HINT,
    MESSAGE,
    RUN,
    SEED,
    failed_trial,
    num_epochs,
    plain_values,
    trial_name,
)
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.search_files import SearchFiles

_HEARTBEAT_S = 10.0
_PAUSE_S = 0.1
# Keras Tuner's clients wait an hour for a chief that is gone.
oracle_client.TIMEOUT = 300


class _Stopped(Exception):  # noqa: N818 - not an error
    """The time is up."""


class _Dropped(Exception):  # noqa: N818 - not an error
    """The chief no longer expects this trial from this worker."""


@dataclass
class _Outcome:
    """What came of training one configuration on one seed or several."""

    status: Status = "completed"
    executions: list[ExecutionRecord] = field(default_factory=list)
    num_params: int | None = None
    error: ErrorRecord | None = None
    best: BestWeights | None = None


class TrialRunner:
    """Trains one trial after another.

    Args:
        search: What is searched.
        files: Where records and weights go.
        data: Images to train and validate on; the test images are not among them.
        num_classes: Number of labels.
        threads: Number of threads of one operation.
        worker: This worker's name.

    Attributes:
        num_compiled: How many functions XLA has compiled so far; each leaves about 18 MB behind, for
            good.
    """

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
        self.num_compiled = 0
        self._client = OracleClient(None)
        self._models = ModelStore()

    def work(self, most_compiled: int) -> None:
        """Runs what the chief hands out, until the search is over or XLA has compiled enough.

        Args:
            most_compiled: After how many compiled functions to make way for a fresh process.
        """
        while self.num_compiled < most_compiled:
            trial = self._client.create_trial(self.worker)
            if trial.status == TrialStatus.IDLE:
                time.sleep(_PAUSE_S)
                continue
            if trial.status == TrialStatus.STOPPED:
                return
            if trial.hyperparameters.values[RUN] != str(self.files.path.resolve()):
                raise ConfigError(f"{trial.hyperparameters.values[RUN]}: the chief now leads another search.")
            with self._heartbeat(trial.trial_id), suppress(_Dropped):
                trial.status = self._run_or_explain(trial)
                self._client.end_trial(trial)

    def _run_or_explain(self, trial: Trial) -> str:
        """Runs what was handed out; what is not the trial's own fault stops the search, unrecorded."""
        try:
            return self._run(trial.trial_id, dict(trial.hyperparameters.values))
        except (grpc.RpcError, _Dropped):
            raise
        except Exception as error:
            known = error if isinstance(error, ExperimentError) else writer.explain(error)
            trial.hyperparameters.values = {MESSAGE: known.message, HINT: known.hint}
            return str(TrialStatus.INVALID)

    def _run(self, name: str, encoded: dict[str, Any]) -> str:
        """Runs a trial or a confirmation, writes it down, and says how it ended in Keras Tuner's words."""
        began = provenance.Moment()
        values, epochs = plain_values(self.search, encoded), num_epochs(self.search, encoded)
        if CANDIDATE in encoded:
            outcome = self._train_all(name, values, [int(encoded[SEED])], None)
            self._save(outcome, name)
            self.files.submit(name, _confirmation_record(encoded, outcome))
        else:
            number, count = int(name), self.search.tuner.executions_per_trial
            seeds = [self.search.trial_seed(number, execution) for execution in range(count)]
            outcome = self._train_all(name, values, seeds, epochs)
            self._save(outcome, trial_name(number))
            base = failed_trial(self.search, number, encoded, began, self.worker, outcome.error)
            record = structs.replace(
                base,
                status=outcome.status,
                score=_mean_score(outcome),
                num_params=outcome.num_params,
                executions=outcome.executions,
            )
            self.files.submit(name, record)
        return str(TrialStatus.COMPLETED if outcome.status == "completed" else TrialStatus.FAILED)

    def _train_all(
        self, name: str, values: dict[str, Any], seeds: Sequence[int], epochs: int | None
    ) -> _Outcome:
        """Trains on each seed; what goes wrong with this configuration is part of the outcome."""
        outcome = _Outcome()
        try:
            for seed in seeds:
                self._train(name, values, seed, epochs, outcome)
        except _Stopped:
            outcome.status = "stopped"
        except Exception as error:
            if not (isinstance(error, ExperimentError) or writer.is_out_of_memory(error)):
                raise
            outcome.status = "failed"
            known = error if isinstance(error, ExperimentError) else writer.explain(error)
            outcome.error = ErrorRecord(type=type(error).__name__, message=known.message, hint=known.hint)
        return outcome

    def _train(
        self, name: str, values: dict[str, Any], seed: int, epochs: int | None, outcome: _Outcome
    ) -> None:
        """Trains once, and adds to the outcome what came of it."""
        config = self.search.trial_config(values, seed, self.threads, epochs)
        images = self.data.training.images
        shape = images.shape[1:]
        teacher = load_teacher(config, self.data, shape, None)
        model, engine = self._models.get(config, self.data.training, shape, self.num_classes, teacher)
        outcome.num_params = model.network.count_params()
        best = BestWeights(model.network, config.training.monitor, config.training.direction)
        rows: list[EpochMetrics] = []
        answer = TrialStatus.RUNNING

        def report(row: EpochMetrics, is_best: bool) -> None:
            nonlocal answer
            rows.append(row)
            progress = {
                self.search.tuner.objective: getattr(row, self.search.tuner.objective),
                "epochs": config.training.epochs,
            }
            answer = self._client.update_trial(name, progress, step=row.epoch).status

        def check() -> None:
            if answer == TrialStatus.INVALID:
                raise _Dropped
            if answer == TrialStatus.STOPPED and len(rows) < config.training.epochs:
                raise _Stopped

        try:
            fit = fitting.fit(config, model, self.data.training, self.data.validation, best, report, check)
        finally:
            self.num_compiled += engine.name == Engine.COMPILED and self._models.is_fresh
        execution = ExecutionRecord(
            seed=seed,
            score=getattr(rows[best.best_epoch - 1], self.search.tuner.objective),
            best_epoch=best.best_epoch,
            train_s=round(sum(row.duration_s for row in rows), 3),
            seconds_per_epoch=statistics.median(fit.training_s),
            compile_s=fit.compile_s,
            metrics=rows,
        )
        sign = 1.0 if self.search.direction == "max" else -1.0
        # The earlier one of two equals: what a search reports of a trial is that one's.
        if all(sign * execution.score > sign * other.score for other in outcome.executions):
            outcome.best = best
        outcome.executions.append(execution)

    def _save(self, outcome: _Outcome, name: str) -> None:
        """Saves the weights of the best epoch of the best execution."""
        if outcome.status == "completed" and outcome.best is not None:
            network = outcome.best.network
            network.set_weights(outcome.best.weights)
            files.write_with(self.files.weights_path(name), for_use(network).save)

    @contextmanager
    def _heartbeat(self, name: str) -> Iterator[None]:
        """Tells the chief every few seconds that this worker is alive, while an epoch takes its time."""
        is_over = threading.Event()

        def beat() -> None:
            client = OracleClient(None)
            while not is_over.wait(_HEARTBEAT_S):
                try:
                    client.get_trial(name)
                except grpc.RpcError:
                    continue

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()


def _confirmation_record(encoded: dict[str, Any], outcome: _Outcome) -> ConfirmationRecord:
    return ConfirmationRecord(
        candidate=str(encoded[CANDIDATE]),
        seed=int(encoded[SEED]),
        status=outcome.status,
        num_params=outcome.num_params,
        execution=outcome.executions[0] if outcome.executions else None,
        error=outcome.error,
    )


def _mean_score(outcome: _Outcome) -> float | None:
    """Averages over executions; None unless all are done."""
    if outcome.status != "completed":
        return None
    return statistics.fmean(execution.score for execution in outcome.executions)
