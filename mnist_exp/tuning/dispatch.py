"""Hands a stage's work out to places, takes what comes back, and shows how far it is."""

from mnist_exp.errors import RunError
from mnist_exp.processes.messages import Ended, EpochEnded, Failed, Lost, Reply, RunTrial, Stop
from mnist_exp.processes.places import Place
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import TrialRecord
from mnist_exp.tuning.places import Places
from mnist_exp.tuning.screen import (
    RunningTrial,
    SearchStatus,
    render_confirmation,
    render_search_status,
    render_trial,
)
from mnist_exp.tuning.stages import SearchStage, Stage

_TURN_S = 0.1


class Dispatcher:
    """Keeps a search's places at work and shows what comes of it, a stage at a time.

    Args:
        stage: The search's first stage.
    """

    def __init__(self, places: Places, terminal: Terminal, request: StopRequest, stage: SearchStage) -> None:
        self.places, self.terminal, self.request = places, terminal, request
        self._searching, self._tuner = stage, stage.search.tuner
        self._running: dict[str, RunningTrial] = {}
        self._status = self._describe_status(is_searching=True)

    def finish(self, stage: Stage) -> None:
        """Has the places do a stage, to its end.

        Raises:
            ExperimentError: Something other than a trial failed.
            Interrupted: Someone asked the search to stop.
        """
        with self.terminal.live_view(lambda: render_search_status(self._status, self._tuner.objective)):
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
            self._running[place.name] = RunningTrial(trial, place.name)
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
            trial = running.trial
            if isinstance(reply, Ended) or stage.lose(trial, running.began, place.name, reply.error):
                self._show(stage, trial.name)

    def _show(self, stage: Stage, name: str) -> None:
        """Prints a line for a training that has ended."""
        record, tuner = stage.take(name), self._tuner
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
        stage = self._searching
        return SearchStatus(
            num_finished=len(stage.trials),
            num_failed=sum(trial.status == "failed" for trial in stage.trials),
            max_trials=self._tuner.max_trials,
            elapsed_s=stage.elapsed_s,
            left_s=_seconds_left(stage, max(len(self._running), 1)) if is_searching else None,
            best=stage.best,
            running=list(self._running.values()),
        )


def _seconds_left(stage: SearchStage, at_once: int) -> float | None:
    """Estimates how long the search may still take, from what trials took so far."""
    tuner, limits = stage.search.tuner, []
    if tuner.max_minutes is not None:
        limits.append(60 * tuner.max_minutes - stage.elapsed_s)
    durations = [trial.duration_s for trial in stage.trials]
    if tuner.max_trials is not None and durations:
        left = max(tuner.max_trials - len(durations), 0)
        limits.append(left * sum(durations) / len(durations) / at_once)
    return max(min(limits), 0.0) if limits else None
