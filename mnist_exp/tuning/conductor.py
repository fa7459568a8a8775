"""Keeps a search's workers at work and its user informed."""

import time

from mnist_exp.config.schema import TunerConfig
from mnist_exp.processes.local_workers import LocalWorkers
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import TrialRecord
from mnist_exp.tuning.assignments import CANDIDATE, SEED, plain_values
from mnist_exp.tuning.chief import Chief, Running
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.screen import (
    RunningTrial,
    SearchStatus,
    render_confirmation,
    render_search_status,
    render_trial,
)
from mnist_exp.tuning.stages import ConfirmationStage, SearchStage

_TURN_S = 0.1
_SUSPENDED_S = 10.0


class Conductor:
    """Keeps workers at work and shows what comes of it, until a stage is through.

    Args:
        search: What is searched.
        workers: This machine's.
        chief: Hands out work.
        terminal: Where progress is shown.
        request: Whether someone asked the search to stop.
        stage: The search's first stage.
    """

    def __init__(
        self,
        search: Search,
        workers: LocalWorkers,
        chief: Chief,
        terminal: Terminal,
        request: StopRequest,
        stage: SearchStage,
    ) -> None:
        self.search, self.workers, self.chief = search, workers, chief
        self.terminal, self.request = terminal, request
        self.stage = stage
        self._status = _describe_status(search, chief, stage, None)

    def until_through(self, stage: SearchStage | ConfirmationStage) -> None:
        """Lets the workers do a stage.

        Raises:
            ExperimentError: Something other than a trial failed.
            Interrupted: Someone asked the search to stop.
        """
        objective = self.search.tuner.objective
        self.chief.begin(stage)
        confirmations = stage if isinstance(stage, ConfirmationStage) else None
        with self.terminal.live_view(lambda: render_search_status(self._status, objective)):
            turned = time.monotonic()
            while True:
                if time.monotonic() - turned > _SUSPENDED_S:
                    self.chief.excuse_silence()
                turned = time.monotonic()
                is_through = self.chief.is_through
                self._show_ended(objective)
                if self.chief.fatal is not None:
                    raise self.chief.fatal
                if is_through:
                    return
                self.request.check()
                self.workers.supervise(self.chief)
                # A snapshot: the screen is redrawn on a thread that must wait for nobody.
                self._status = _describe_status(self.search, self.chief, self.stage, confirmations)
                time.sleep(_TURN_S)

    def _show_ended(self, objective: str) -> None:
        """Prints a line for each training that has ended."""
        while not self.chief.ended.empty():
            record = self.chief.ended.get()
            if isinstance(record, TrialRecord):
                best = self.stage.best
                line = render_trial(
                    record,
                    objective,
                    None if best is None else best.trial,
                    len(self.stage.trials),
                    self.search.tuner.max_trials,
                )
            else:
                line = render_confirmation(record, objective)
            self.terminal.print(line)


def _describe_status(
    search: Search, chief: Chief, stage: SearchStage, confirmations: ConfirmationStage | None
) -> SearchStatus:
    """Says where the search stands."""
    tuner, trials = search.tuner, list(stage.trials)
    return SearchStatus(
        num_finished=len(trials),
        num_failed=sum(trial.status == "failed" for trial in trials),
        max_trials=tuner.max_trials,
        elapsed_s=stage.elapsed_s,
        left_s=_seconds_left(tuner, stage, max(len(chief.running), 1)) if confirmations is None else None,
        best=stage.best,
        running=[_describe_running(search, name, running) for name, running in chief.running.copy().items()],
    )


def _describe_running(search: Search, name: str, running: Running) -> RunningTrial:
    """Says what a worker is at."""
    values = running.values
    label = f"{values[CANDIDATE]}, seed {values[SEED]}" if CANDIDATE in values else ""
    return RunningTrial(
        trial=None if label else int(name),
        label=label,
        worker=running.worker,
        epoch=running.epoch,
        epochs=running.epochs,
        last_score=running.score,
        values=plain_values(search, values),
    )


def _seconds_left(tuner: TunerConfig, stage: SearchStage, at_once: int) -> float | None:
    """Estimates how long the search may still take, from what trials took so far."""
    limits = []
    if tuner.max_minutes is not None:
        limits.append(60 * tuner.max_minutes - stage.elapsed_s)
    durations = [trial.duration_s for trial in list(stage.trials)]
    if tuner.max_trials is not None and durations:
        left = max(tuner.max_trials - len(durations), 0)
        limits.append(left * sum(durations) / len(durations) / at_once)
    return max(min(limits), 0.0) if limits else None
