"""Hands a stage's work out to places, takes what comes back, and shows how far it is."""

from dataclasses import dataclass, field

from mnist_exp.config.schema import TunerConfig
from mnist_exp.errors import RunError
from mnist_exp.processes.messages import Ended, EpochEnded, Failed, Lost, Reply, RunTrial, Stop
from mnist_exp.processes.places import Place
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import TrialRecord
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.places import Places
from mnist_exp.tuning.screen import (
    RunningTrial,
    SearchStatus,
    render_confirmation,
    render_search_status,
    render_trial,
)
from mnist_exp.tuning.stages import ConfirmationStage, SearchStage, Stage

_TURN_S = 0.1


@dataclass
class _Running:
    """A training that is going on at a place."""

    trial: RunTrial
    began: Moment = field(default_factory=Moment)
    last: EpochEnded = field(default_factory=lambda: EpochEnded(epoch=0, epochs=0, score=None))
    is_stopped: bool = False


class Dispatcher:
    """Keeps a search's places at work and shows what comes of it, a stage at a time.

    Args:
        search: What is searched.
        places: Where trials are trained.
        terminal: Where progress is shown.
        request: Whether someone asked the search to stop.
        stage: The search's first stage.
    """

    def __init__(
        self, search: Search, places: Places, terminal: Terminal, request: StopRequest, stage: SearchStage
    ) -> None:
        self.search, self.places = search, places
        self.terminal, self.request = terminal, request
        self._searching = stage
        self._running: dict[str, _Running] = {}
        self._status = self._describe_status(is_searching=True)

    def finish(self, stage: SearchStage | ConfirmationStage) -> None:
        """Has the places do a stage, to its end.

        Raises:
            ExperimentError: Something other than a trial failed.
            Interrupted: Someone asked the search to stop.
        """
        objective = self.search.tuner.objective
        with self.terminal.live_view(lambda: render_search_status(self._status, objective)):
            while not self._turn(stage):
                self.request.check()
                # A snapshot: the screen is redrawn on a thread that must wait for nothing.
                self._status = self._describe_status(is_searching=stage is self._searching)
                self.places.wait(_TURN_S)

    def _turn(self, stage: Stage) -> bool:
        """Takes what is there and hands out what can be; says whether the stage is finished."""
        is_empty = False
        for place in self.places.present():
            for reply in place.receive():
                self._take(place, reply, stage)
            running = self._running.get(place.name)
            if running is None:
                is_empty = self._assign(place, stage)
            elif stage.must_stop and not running.is_stopped:
                running.is_stopped = True
                place.send(Stop(running.trial.name))
        return is_empty and not self._running

    def _assign(self, place: Place, stage: Stage) -> bool:
        """Gives a place something to do; says whether the stage has nothing left to give out."""
        trial = stage.assign(place.name)
        if isinstance(trial, RunTrial):
            self._running[place.name] = _Running(trial)
            place.send(trial)
        return trial == "finished"

    def _take(self, place: Place, reply: Reply, stage: Stage) -> None:
        """Takes what a place replied."""
        if isinstance(reply, Failed):
            raise RunError(reply.message, reply.hint)
        if place.name not in self._running:
            return
        if isinstance(reply, EpochEnded):
            self._running[place.name].last = reply
        elif isinstance(reply, Ended | Lost):
            running = self._running.pop(place.name)
            is_recorded = isinstance(reply, Ended) or stage.lose(
                running.trial, running.began, place.name, reply.error
            )
            if is_recorded:
                self._show(stage, running.trial.name)

    def _show(self, stage: Stage, name: str) -> None:
        """Prints a line for a training that has ended."""
        record, tuner = stage.take(name), self.search.tuner
        if isinstance(record, TrialRecord):
            best = self._searching.best
            number = None if best is None else best.trial
            num_finished = len(self._searching.trials)
            line = render_trial(record, tuner.objective, number, num_finished, tuner.max_trials)
        else:
            line = render_confirmation(record, tuner.objective)
        self.terminal.print(line)

    def _describe_status(self, *, is_searching: bool) -> SearchStatus:
        """Says where the search stands."""
        tuner, stage = self.search.tuner, self._searching
        at_once = max(len(self._running), 1)
        return SearchStatus(
            num_finished=len(stage.trials),
            num_failed=sum(trial.status == "failed" for trial in stage.trials),
            max_trials=tuner.max_trials,
            elapsed_s=stage.elapsed_s,
            left_s=_seconds_left(tuner, stage, at_once) if is_searching else None,
            best=stage.best,
            running=[_describe_running(name, running) for name, running in self._running.items()],
        )


def _describe_running(place: str, running: _Running) -> RunningTrial:
    """Says what is trained at a place."""
    trial, last = running.trial, running.last
    return RunningTrial(
        trial=trial.trial,
        label=f"{trial.candidate}, seed {trial.seeds[0]}" if trial.candidate else "",
        worker=place,
        epoch=last.epoch,
        epochs=last.epochs,
        last_score=last.score,
        values=trial.values,
    )


def _seconds_left(tuner: TunerConfig, stage: SearchStage, at_once: int) -> float | None:
    """Estimates how long the search may still take, from what trials took so far."""
    limits = []
    if tuner.max_minutes is not None:
        limits.append(60 * tuner.max_minutes - stage.elapsed_s)
    durations = [trial.duration_s for trial in stage.trials]
    if tuner.max_trials is not None and durations:
        left = max(tuner.max_trials - len(durations), 0)
        limits.append(left * sum(durations) / len(durations) / at_once)
    return max(min(limits), 0.0) if limits else None
