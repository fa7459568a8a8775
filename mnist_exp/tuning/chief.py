"""The process that hands out trials: Keras Tuner's gRPC service in front of a stage.

Keras Tuner's own server ends only when every worker has said goodbye, so that one killed worker
keeps it waiting for ever, and its messages carry no reason for a failure. Here a trial's record
comes as a file (`mnist_exp.tuning.search_files`), and a worker that is gone costs the trial it was at.
"""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from mnist_exp.errors import ExperimentError, RunError
from mnist_exp.runs import provenance, writer
from mnist_exp.runs.records import ConfirmationRecord, ErrorRecord, TrialRecord
from mnist_exp.tuning.assignments import HINT, MESSAGE, RUN
from mnist_exp.tuning.search_files import SearchFiles
from mnist_exp.tuning.stages import Stage

_SILENCE_S = 60.0
_GOODBYE_S = 2.0


@dataclass
class Running:
    """A training that a worker is at.

    Attributes:
        worker: Its name.
        values: What it tries, as the stage gave it.
        began: When.
        heard: When the worker last gave a sign of life.
        epoch: The last finished one; 0 before the first.
        epochs: How many there will be; 0 before the first has ended.
        score: The objective at that epoch.
    """

    worker: str
    values: dict[str, Any]
    began: provenance.Moment = field(default_factory=provenance.Moment)
    heard: float = field(default_factory=time.monotonic)
    epoch: int = 0
    epochs: int = 0
    score: float | None = None


class Chief:
    """What Keras Tuner's service asks for work, progress and results; safe to call from its threads.

    Args:
        files: The search's.
        objective: Name of the metric that is shown while a trial runs.

    Attributes:
        running: What is being trained, by name.
        ended: Records of what ended, for whoever shows them.
        fatal: What stops the whole search; None while all is well.
    """

    def __init__(self, files: SearchFiles, objective: str) -> None:
        self.files, self.objective = files, objective
        self.running: dict[str, Running] = {}
        self.ended: queue.SimpleQueue[TrialRecord | ConfirmationRecord] = queue.SimpleQueue()
        self.fatal: ExperimentError | None = None
        self._stage: Stage | None = None
        self._lock = threading.RLock()
        self._is_through = False
        self._is_over = False
        self._present: set[str] = set()

    def begin(self, stage: Stage) -> None:
        """Gives out this stage's work from now on."""
        with self._lock:
            self._stage, self._is_through = stage, False

    @property
    def is_through(self) -> bool:
        """Whether the stage has nothing left to give out, and nothing is running."""
        with self._lock:
            return self._is_through and not self.running

    def dismiss(self) -> None:
        """Lets workers that were started elsewhere go home, and waits until they have heard it."""
        self._is_over = True
        until = time.monotonic() + _GOODBYE_S
        while self._present and time.monotonic() < until:
            time.sleep(0.05)

    def get_space(self) -> keras_tuner.HyperParameters:
        """Tells a worker where the run's directory is; the rest of the search is in there."""
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = {RUN: str(self.files.path.resolve())}
        return hyperparameters

    def create_trial(self, worker: str) -> Trial:
        """Gives a worker something to do."""
        with self._lock:
            if self._is_over:
                self._present.discard(worker)
                return _answer("", TrialStatus.STOPPED)
            self._present.add(worker)
            if self._stage is None or self.fatal is not None:
                return _idle()
            try:
                trial = self._stage.assign(worker)
            except Exception as error:
                self._give_up(error)
                return _idle()
            # Workers stay for the next stage.
            self._is_through = trial.status == TrialStatus.STOPPED
            if trial.status != TrialStatus.RUNNING:
                return _idle()
            values = dict(trial.hyperparameters.values)
            self.running[trial.trial_id] = Running(worker, values)
            return self._sent(trial.trial_id, values)

    def update_trial(self, name: str, metrics: Mapping[str, float], step: float = 0) -> Trial:
        """Hears of a finished epoch, and says whether to go on."""
        running = self.running.get(name)
        if running is not None:
            running.heard = time.monotonic()
            running.epoch, running.epochs = round(step), round(metrics.get("epochs", 0))
            running.score = metrics.get(self.objective)
        if running is None:
            # Nobody expects this any more: its worker was taken for dead, say.
            return _answer(name, TrialStatus.INVALID)
        must_stop = self._stage is not None and self._stage.must_stop
        return _answer(name, TrialStatus.STOPPED if must_stop else TrialStatus.RUNNING)

    def get_trial(self, name: str) -> Trial:
        """Hears that a worker is alive."""
        if (running := self.running.get(name)) is not None:
            running.heard = time.monotonic()
        return _answer(name, TrialStatus.RUNNING)

    def end_trial(self, trial: Trial) -> None:
        """Takes a result; a trial that is INVALID stops the search with what went wrong."""
        with self._lock:
            if trial.trial_id not in self.running or self._stage is None or self.fatal is not None:
                return
            if trial.status == TrialStatus.INVALID:
                values = trial.hyperparameters.values
                self.fatal = RunError(values.get(MESSAGE, "a worker failed."), values.get(HINT, ""))
                return
            try:
                self.ended.put(self._stage.take(trial.trial_id))
            except Exception as error:
                self._give_up(error)
            self.running.pop(trial.trial_id)

    def excuse_silence(self) -> None:
        """Takes every worker for alive: this process itself was suspended for a while."""
        with self._lock:
            for running in self.running.values():
                running.heard = time.monotonic()

    def running_of(self, worker: str) -> str | None:
        """Names what a worker is at; None when it is idle."""
        with self._lock:
            return next((name for name, running in self.running.items() if running.worker == worker), None)

    def silent_workers(self) -> list[str]:
        """Lists workers at a trial that have given no sign of life for a minute."""
        limit = time.monotonic() - _SILENCE_S
        with self._lock:
            return [running.worker for running in self.running.values() if running.heard < limit]

    def lose(self, worker: str, error: ErrorRecord) -> bool:
        """Writes off what a worker that is gone was at.

        Args:
            worker: Its name.
            error: What happened to it.

        Returns:
            Whether it was at anything.
        """
        with self._lock:
            name = self.running_of(worker)
            if name is None or self._stage is None:
                return False
            if self._stage.give_up(name, self.running[name].began, worker, error):
                self.end_trial(_answer(name, TrialStatus.FAILED))
            else:
                self.running.pop(name)
            return True

    def _give_up(self, error: Exception) -> None:
        """Stops the search; an oracle that failed must not be asked again, it would wait for itself."""
        self.fatal = error if isinstance(error, ExperimentError) else writer.explain(error)

    def _sent(self, name: str, values: dict[str, Any]) -> Trial:
        """Says what to do without the search space, which Keras Tuner prints when sending it."""
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = values | {RUN: str(self.files.path.resolve())}
        return Trial(hyperparameters, name)


@contextmanager
def serving(chief: Chief, address: str) -> Iterator[int]:
    """Answers workers within the block.

    Args:
        chief: Who answers.
        address: `host:port`; port 0 takes a free one.

    Yields:
        The port.

    Raises:
        RunError: The address cannot be listened on.
    """
    # Without the option a second search could listen on the same port, and share the first one's workers.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(chief), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise RunError(
            f"KERASTUNER_ORACLE_PORT: cannot listen on {address}.", "Choose another port."
        ) from error
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=0.5).wait()


def _idle() -> Trial:
    return Trial(keras_tuner.HyperParameters(), status=TrialStatus.IDLE)


def _answer(name: str, status: str) -> Trial:
    return Trial(keras_tuner.HyperParameters(), name, status)
