"""The two stages of a search, which know nothing of processes: trials of an oracle, then the best again."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from keras_tuner.engine.trial import Trial, TrialStatus

from mnist_exp.processes.messages import RunTrial
from mnist_exp.runs.provenance import Moment, utc_now
from mnist_exp.runs.records import ConfirmationRecord, ErrorRecord, TrialRecord
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.proposals import SavedOracle
from mnist_exp.tuning.search_files import SearchFiles, confirmation_name, trial_name

_EPOCHS = "tuner/epochs"
"""Keras Tuner's name for the number of epochs, where the oracle decides on it."""

_OWN = "tuner/"
"""What Keras Tuner's own entries among a trial's values begin with."""

Nothing = Literal["wait", "finished"]
"""What a stage says that has no work now: some may come, or none will."""


class SearchStage:
    """Trials that an oracle proposes, until a budget is spent.

    Args:
        files: Where records go; those of an earlier process are taken up.
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
            self._resume(state, is_extended)

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
        """Whether the time is up, so that running trials end before their last epoch."""
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

    def assign(self, worker: str) -> RunTrial | Nothing:
        """Has the oracle propose a trial, and writes its state down before anyone runs it."""
        if not self._has_trials_to_repeat():
            if self.ended_by is None:
                self._end(self._spent_budget())
            if self.ended_by is not None:
                return "finished"
        trial = self.oracle.create_trial(worker)
        if trial.status == TrialStatus.STOPPED:
            self._end("every combination was tried, or the tuner has none left to propose")
            return "finished"
        if trial.status != TrialStatus.RUNNING:
            return "wait"
        # What a worker of an earlier process may still have submitted is not this one's result.
        self.files.remove_submitted(trial.trial_id)
        self._save()
        return self._request(trial)

    def _request(self, trial: Trial) -> RunTrial:
        encoded, tuner = trial.hyperparameters.values, self.search.tuner
        searched = {name: value for name, value in encoded.items() if not name.startswith(_OWN)}
        number, values = int(trial.trial_id), self.search.space.decode(searched)
        return RunTrial(
            name=trial.trial_id,
            trial=number,
            values=values,
            seeds=[self.search.trial_seed(number, place) for place in range(tuner.executions_per_trial)],
            epochs=int(encoded.get(_EPOCHS) or values.get("training.epochs") or tuner.epochs),
        )

    def take(self, name: str) -> TrialRecord:
        """Adds a finished trial to the records, then tells the oracle."""
        record = self.files.read_submitted(name, TrialRecord)
        assert record is not None
        self.trials.append(record)
        self.files.write_trials(self.trials)
        self.oracle.finish(name, record.score)
        self._save()
        self.files.remove_submitted(name)
        forgotten = self.ranked()[self.search.tuner.keep :]
        if record.score is None:
            forgotten.append(record)
        for trial in forgotten:
            self.files.weights_path(trial_name(trial.trial)).unlink(missing_ok=True)
        return record

    def lose(self, trial: RunTrial, began: Moment, worker: str, error: ErrorRecord) -> bool:
        """Submits a failure in the place of a worker that is gone, unless it had submitted its result.

        Returns:
            Whether there is something to take, as there always is.
        """
        if self.files.read_submitted(trial.name, TrialRecord) is None:
            self.files.submit(trial.name, _failed_trial(trial, began, worker, error))
        return True

    def _save(self) -> None:
        self.searched_s = self.elapsed_s
        state = {"elapsed_s": self.searched_s, "ended_by": self.ended_by, **self.oracle.state()}
        self.files.write_state(state)

    def _resume(self, state: dict[str, Any], is_extended: bool) -> None:
        self._elapsed_before = self.searched_s = state.pop("elapsed_s")
        ended_by = state.pop("ended_by")
        self.ended_by = None if is_extended else ended_by
        self.oracle.restore(state)
        if is_extended and not self.must_stop:
            self._repeat_stopped()
        ended = {trial.trial: trial for trial in self.trials}
        for name in list(self.oracle._retry_queue):
            if int(name) in ended:
                self.oracle._retry_queue.remove(name)
                self.oracle.finish(name, ended[int(name)].score)
                self.files.remove_submitted(name)
            elif self.files.read_submitted(name, TrialRecord) is not None:
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
        files: Where records go; those of an earlier process are taken up.

    Attributes:
        confirmations: What has ended, in that order.
    """

    must_stop = False

    def __init__(
        self, search: Search, files: SearchFiles, candidates: Sequence[tuple[str, dict[str, Any]]]
    ) -> None:
        self.files = files
        self.confirmations = files.read_confirmations()
        self._lost: set[str] = set()
        work = []
        for seed in search.confirmation_seeds():
            for candidate, values in candidates:
                name = confirmation_name(candidate, seed)
                work.append(RunTrial(name=name, candidate=candidate, values=values, seeds=[seed]))
        for training in work:
            if training.name in self._finished():
                files.remove_submitted(training.name)
            elif files.read_submitted(training.name, ConfirmationRecord) is not None:
                self.take(training.name)
        self._waiting = [training for training in work if training.name not in self._finished()]

    def assign(self, worker: str) -> RunTrial | Nothing:
        """Gives a worker the next training."""
        if not self._waiting:
            return "finished"
        training = self._waiting.pop(0)
        self.files.remove_submitted(training.name)
        return training

    def take(self, name: str) -> ConfirmationRecord:
        """Adds a finished training to the records."""
        record = self.files.read_submitted(name, ConfirmationRecord)
        assert record is not None
        self.confirmations.append(record)
        self.files.write_confirmations(self.confirmations)
        self.files.remove_submitted(name)
        return record

    def lose(self, trial: RunTrial, began: Moment, worker: str, error: ErrorRecord) -> bool:
        """Lets another worker train it; the second time that its worker is lost, it has failed.

        Returns:
            Whether there is something to take; otherwise the training will be given out again.
        """
        if self.files.read_submitted(trial.name, ConfirmationRecord) is not None:
            return True
        if trial.name not in self._lost:
            self._lost.add(trial.name)
            self._waiting.insert(0, trial)
            return False
        assert trial.candidate is not None
        record = ConfirmationRecord(
            candidate=trial.candidate,
            seed=trial.seeds[0],
            status="failed",
            num_params=None,
            execution=None,
            error=error,
        )
        self.files.submit(trial.name, record)
        return True

    def _finished(self) -> set[str]:
        return {confirmation_name(record.candidate, record.seed) for record in self.confirmations}


Stage = SearchStage | ConfirmationStage


def _failed_trial(trial: RunTrial, began: Moment, worker: str, error: ErrorRecord) -> TrialRecord:
    assert trial.trial is not None and trial.epochs is not None
    return TrialRecord(
        trial=trial.trial,
        status="failed",
        score=None,
        values=trial.values,
        epochs=trial.epochs,
        num_params=None,
        started_at=began.utc,
        finished_at=utc_now(),
        duration_s=began.seconds_ago(),
        worker=worker,
        executions=[],
        error=error,
    )
