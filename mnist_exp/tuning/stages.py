"""The two stages of a search: trials that an oracle proposes, then the best of them once more.

A stage hands out work and takes results; it knows nothing of processes. Nothing here is safe to
call from two threads at once: `mnist_exp.tuning.chief` sees to that.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ConfirmationRecord, ErrorRecord, TrialRecord
from mnist_exp.tuning.assignments import (
    CANDIDATE,
    SEED,
    confirmation_name,
    failed_trial,
    searched_values,
    trial_name,
)
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.proposals import SavedOracle
from mnist_exp.tuning.search_files import SearchFiles


class Stage(Protocol):
    """Part of a search that workers can ask for work."""

    def assign(self, worker: str) -> Trial:
        """Gives a worker something to do: a trial that is RUNNING, IDLE (ask again) or STOPPED."""

    def take(self, name: str) -> TrialRecord | ConfirmationRecord:
        """Takes what a worker handed over under a trial's name."""

    def give_up(self, name: str, began: Moment, worker: str, error: ErrorRecord) -> bool:
        """Hands over a failure in a lost worker's place.

        Returns:
            Whether there is something to take; otherwise the work will be given out again.
        """

    @property
    def must_stop(self) -> bool:
        """Whether trials that are running are to end before their last epoch."""


class SearchStage:
    """Trials that an oracle proposes, until a budget is spent.

    Args:
        search: What is searched.
        files: Where records go; those of an earlier process are taken up.
        oracle: Fresh.
        is_extended: Whether an earlier process had a smaller budget.

    Attributes:
        trials: What has ended, in that order.
        ended_by: Which budget ended the search, in words; None while it goes on.
        searched_s: Seconds spent until the last trial began or ended, interruptions left out.
    """

    def __init__(
        self, search: Search, files: SearchFiles, oracle: SavedOracle, is_extended: bool = False
    ) -> None:
        self.search, self.files, self.oracle = search, files, oracle
        self.trials = files.read_trials()
        self.ended_by: str | None = None
        self._started, self._elapsed_before = time.monotonic(), 0.0
        self.searched_s = 0.0
        if (state := files.read_state()) is not None:
            self._go_on(state, is_extended)

    @property
    def elapsed_s(self) -> float:
        """Seconds spent searching, interruptions left out."""
        return self._elapsed_before + time.monotonic() - self._started

    @property
    def best(self) -> TrialRecord | None:
        """The completed trial with the best score; the earlier one of two equals."""
        return next(iter(self.ranked()), None)

    @property
    def must_stop(self) -> bool:
        """Whether the time is up."""
        minutes = self.search.tuner.max_minutes
        return minutes is not None and self.elapsed_s >= 60 * minutes

    def ranked(self) -> list[TrialRecord]:
        """Lists completed trials, the best first."""
        sign = -1.0 if self.search.direction == "max" else 1.0
        return sorted(
            (trial for trial in self.trials if trial.score is not None),
            key=lambda trial: (sign * (trial.score or 0.0), trial.trial),
        )

    def finalists(self) -> list[TrialRecord]:
        """Lists whom to train again, the best first: each its own configuration, and none the untuned one."""
        known = [self.search.trial_config({}, self.search.config.seed, 1)]
        found = []
        for trial in self.ranked():
            config = self.search.trial_config(trial.values, self.search.config.seed, 1)
            if config not in known:
                known.append(config)
                found.append(trial)
        return found[: self.search.tuner.confirm.top]

    def assign(self, worker: str) -> Trial:
        """Asks the oracle for a trial, and writes its state down before anyone runs it."""
        if not self._has_trials_to_repeat():
            if self.ended_by is None:
                self._end(self._spent_budget())
            if self.ended_by is not None:
                return Trial(keras_tuner.HyperParameters(), status=TrialStatus.STOPPED)
        trial = self.oracle.create_trial(worker)
        if trial.status == TrialStatus.STOPPED:
            self._end("every combination was tried, or the tuner has none left to propose")
        elif trial.status == TrialStatus.RUNNING:
            # What a worker of an earlier process may still have handed over is not this one's result.
            self.files.remove_submitted(trial.trial_id)
            self._save()
        return trial

    def take(self, name: str) -> TrialRecord:
        """Adds a finished trial to the records, then tells the oracle."""
        record = self.files.submitted_trial(name)
        assert record is not None
        self.trials.append(record)
        self.files.write_trials(self.trials)
        self._tell_oracle(name, record)
        self._save()
        self.files.remove_submitted(name)
        unscored = [record] if record.score is None else []
        for forgotten in [*unscored, *self.ranked()[self.search.tuner.keep :]]:
            self.files.weights_path(trial_name(forgotten.trial)).unlink(missing_ok=True)
        return record

    def give_up(self, name: str, began: Moment, worker: str, error: ErrorRecord) -> bool:
        """Hands over a failure in a worker's place, unless the worker had handed its result over."""
        if self.files.submitted_trial(name) is None:
            record = failed_trial(
                self.search,
                int(name),
                self.oracle.trials[name].hyperparameters.values,
                began,
                worker,
                error,
            )
            self.files.submit(name, record)
        return True

    def encoded_values(self, trial: int) -> dict[str, Any]:
        """Gives a trial's values as the oracle has them."""
        hyperparameters = next(
            trial_.hyperparameters for name, trial_ in self.oracle.trials.items() if int(name) == trial
        )
        return searched_values(hyperparameters.values)

    def _tell_oracle(self, name: str, record: TrialRecord) -> None:
        self.oracle.finish(name, record.score)

    def _save(self) -> None:
        self.searched_s = self.elapsed_s
        state = {"elapsed_s": self.searched_s, "ended_by": self.ended_by, **self.oracle.state()}
        self.files.write_state(state)

    def _go_on(self, state: dict[str, Any], is_extended: bool) -> None:
        """Takes up where a process left off, wherever it was stopped."""
        self._elapsed_before = self.searched_s = state.pop("elapsed_s")
        self.ended_by = None if is_extended else state["ended_by"]
        del state["ended_by"]
        self.oracle.restore(state)
        if is_extended and not self.must_stop:
            self._repeat_stopped()
        ended = {trial.trial: trial for trial in self.trials}
        for name in list(self.oracle._retry_queue):
            if int(name) in ended:
                self.oracle._retry_queue.remove(name)
                self._tell_oracle(name, ended[int(name)])
                self.files.remove_submitted(name)
            elif self.files.submitted_trial(name) is not None:
                self.oracle._retry_queue.remove(name)
                self.take(name)

    def _has_trials_to_repeat(self) -> bool:
        """Whether an earlier process was killed at trials that its search would have finished."""
        return bool(self.oracle._retry_queue) and not self.must_stop

    def _end(self, reason: str | None) -> None:
        if reason is not None:
            self.ended_by = reason
            self._save()

    def _repeat_stopped(self) -> None:
        """Lets trials that a smaller budget had cut short begin again."""
        stopped = {trial.trial for trial in self.trials if trial.status == "stopped"}
        self.trials = [trial for trial in self.trials if trial.trial not in stopped]
        self.files.write_trials(self.trials)
        self.oracle.repeat([name for name in self.oracle.trials if int(name) in stopped])

    def _spent_budget(self) -> str | None:
        tuner = self.search.tuner
        if tuner.max_trials is not None and len(self.oracle.trials) >= tuner.max_trials:
            return f"tuner.max_trials: {tuner.max_trials} trials"
        if self.must_stop:
            return f"tuner.max_minutes: {tuner.max_minutes:g} minutes"
        if tuner.patience_trials is not None and self._trials_since_best() >= tuner.patience_trials:
            return f"tuner.patience_trials: {tuner.patience_trials} trials without a better score"
        return None

    def _trials_since_best(self) -> int:
        best = self.best
        return len(self.trials) - (0 if best is None else 1 + self.trials.index(best))


class ConfirmationStage:
    """The best trials and the untuned default, each trained again on the same fresh seeds.

    Args:
        search: What was searched.
        files: Where records go; those of an earlier process are taken up.
        candidates: Name and encoded values of each.

    Attributes:
        confirmations: What has ended, in that order.
    """

    must_stop = False

    def __init__(
        self, search: Search, files: SearchFiles, candidates: Sequence[tuple[str, dict[str, Any]]]
    ) -> None:
        self.files = files
        self.confirmations = files.read_confirmations()
        self._work = {
            confirmation_name(candidate, seed): values | {CANDIDATE: candidate, SEED: seed}
            for seed in search.confirmation_seeds()
            for candidate, values in candidates
        }
        self._running: dict[str, str] = {}
        self._lost: set[str] = set()
        for name in self._work:
            if name in self._done():
                files.remove_submitted(name)
            elif files.submitted_confirmation(name) is not None:
                self.take(name)
        self._waiting = [name for name in self._work if name not in self._done()]

    def assign(self, worker: str) -> Trial:
        """Gives a worker the next training; the one that it lost, if it comes back."""
        if worker not in self._running:
            if not self._waiting:
                return Trial(keras_tuner.HyperParameters(), status=TrialStatus.STOPPED)
            self._running[worker] = self._waiting.pop(0)
        name = self._running[worker]
        self.files.remove_submitted(name)
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = self._work[name]
        return Trial(hyperparameters, name)

    def take(self, name: str) -> ConfirmationRecord:
        """Adds a finished training to the records."""
        record = self.files.submitted_confirmation(name)
        assert record is not None
        self.confirmations.append(record)
        self.files.write_confirmations(self.confirmations)
        self.files.remove_submitted(name)
        self._running = {worker: other for worker, other in self._running.items() if other != name}
        return record

    def give_up(self, name: str, began: Moment, worker: str, error: ErrorRecord) -> bool:
        """Lets another worker train it; the second time that its worker is lost, it has failed."""
        if self.files.submitted_confirmation(name) is not None:
            return True
        if name not in self._lost:
            self._lost.add(name)
            self._running.pop(worker, None)
            self._waiting.insert(0, name)
            return False
        values = self._work[name]
        record = ConfirmationRecord(
            candidate=values[CANDIDATE],
            seed=values[SEED],
            status="failed",
            num_params=None,
            execution=None,
            error=error,
        )
        self.files.submit(name, record)
        return True

    def _done(self) -> set[str]:
        return {confirmation_name(record.candidate, record.seed) for record in self.confirmations}
