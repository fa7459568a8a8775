"""Which candidate of a search is the best, and how sure one can be."""

import statistics
from collections.abc import Sequence

from mnist_exp.runs.records import CandidateRecord, ConfirmationRecord, ExecutionRecord, TrialRecord
from mnist_exp.statistics import mean_interval, welch_interval, wilson_interval
from mnist_exp.tuning.definition import DEFAULT, Search
from mnist_exp.tuning.search_files import confirmation_name, trial_name
from mnist_exp.tuning.stages import SearchStage
from mnist_exp.words import candidate_name


class Candidates:
    """The best trials and the untuned default; `confirmations` are empty where none were asked for."""

    def __init__(
        self,
        search: Search,
        stage: SearchStage,
        confirmations: Sequence[ConfirmationRecord],
        num_validation: int,
    ) -> None:
        self.search, self.stage, self.num_validation = search, stage, num_validation
        self.objective = search.tuner.objective
        self.sign = 1.0 if search.direction == "max" else -1.0
        self.confirmations = [record for record in confirmations if record.execution is not None]
        self.candidates = self._rank()
        self.winner = self.candidates[0]

    def executions(self, candidate: str) -> list[ExecutionRecord]:
        """Lists a candidate's trainings: those on fresh seeds, or the trial's own without any."""
        return self._confirmed(candidate) or [
            max(trial.executions, key=lambda execution: self.sign * execution.score)
            for trial in self.stage.ranked()
            if trial_name(trial.trial) == candidate
        ]

    def _confirmed(self, candidate: str) -> list[ExecutionRecord]:
        return [
            record.execution
            for record in self.confirmations
            if record.candidate == candidate and record.execution is not None
        ]

    def weights_name(self, candidate: str, execution: ExecutionRecord) -> str:
        """Names the file that holds a training's weights."""
        return confirmation_name(candidate, execution.seed) if self.confirmations else candidate

    def difference(self) -> tuple[float | None, tuple[float, float] | None]:
        """Compares the winner's confirmed mean with the default's: difference, and 95% interval (Welch).

        Wider for the choice among several (Bonferroni); None where there is nothing to compare.
        """
        default = next((other for other in self.candidates if other.candidate == DEFAULT), None)
        winner = self.winner
        if default is None or default is winner or not default.confirmed_scores:
            return None, None
        assert winner.confirmed_score is not None
        assert default.confirmed_score is not None
        level = 1 - 0.05 / (len(self.candidates) - 1)
        interval = welch_interval(winner.confirmed_scores, default.confirmed_scores, level)
        return winner.confirmed_score - default.confirmed_score, interval

    def verdict(self) -> str:
        """Says in a sentence whether the winner beats the untuned configuration."""
        difference, interval = self.difference()
        name = candidate_name(self.winner.candidate)
        if not self.search.tuner.confirm.seeds:
            return f"{name} had the best score; it was not trained again, so part of that is luck."
        if not self.confirmations:
            return f"{name} had the best score; every new training failed, so nothing is known for sure."
        if self.winner.candidate == DEFAULT:
            return "No trial beat the untuned default when trained again on fresh seeds."
        if difference is None:
            return f"{name} won; the untuned default failed when trained again, so there is no comparison."
        margin = self._margin(difference)
        if interval is None:
            return f"{name} against the untuned default: {margin}; one seed cannot tell that from noise."
        low, high = interval
        num_trials = len(self.candidates) - 1
        level = "95%" if num_trials == 1 else f"95% as the best of {num_trials}"
        spread = f"{margin} ({level}: {self._margin(low)} to {self._margin(high)}; {self._seed_counts()})"
        if low < high and self.sign * (low if self.sign > 0 else high) > 0:
            return f"{name} beats the untuned default beyond seed noise: {spread}."
        return f"{name} and the untuned default cannot be told apart: {spread}."

    def _margin(self, difference: float) -> str:
        return f"{100 * difference:+.2f} points" if self.sign > 0 else f"{difference:+.4f}"

    def _seed_counts(self) -> str:
        counts = {
            other.candidate: len(other.confirmed_scores)
            for other in self.candidates
            if other.candidate in (DEFAULT, self.winner.candidate)
        }
        if len(set(counts.values())) == 1:
            return f"{counts[DEFAULT]} fresh seeds each"
        return f"{counts[self.winner.candidate]} fresh seeds against the default's {counts[DEFAULT]}"

    def _rank(self) -> list[CandidateRecord]:
        if not self.confirmations:
            return [self._candidate(trial_name(trial.trial), trial, []) for trial in self.stage.ranked()[:1]]
        trials = {trial_name(trial.trial): trial for trial in self.stage.finalists()}
        candidates = []
        for name in [DEFAULT, *trials]:
            if executions := self._confirmed(name):
                candidates.append(self._candidate(name, trials.get(name), executions))
        # One that failed on some seed is not the equal of one that did not.
        return sorted(
            candidates,
            key=lambda other: (-len(other.confirmed_scores), -self.sign * (other.confirmed_score or 0.0)),
        )

    def _candidate(
        self, name: str, trial: TrialRecord | None, executions: Sequence[ExecutionRecord]
    ) -> CandidateRecord:
        scores = [execution.score for execution in executions]
        timed = executions or (trial.executions if trial else [])
        num_params = next(
            (record.num_params for record in self.confirmations if record.candidate == name),
            trial.num_params if trial else None,
        )
        return CandidateRecord(
            candidate=name,
            values=trial.values if trial else {},
            num_params=num_params,
            search_score=trial.score if trial else None,
            search_interval=self._search_interval(trial),
            confirmed_scores=scores,
            confirmed_score=statistics.fmean(scores) if scores else None,
            confirmed_interval=mean_interval(scores),
            train_s=statistics.median(execution.train_s for execution in timed),
        )

    def _search_interval(self, trial: TrialRecord | None) -> tuple[float, float] | None:
        if trial is None or trial.score is None or self.sign < 0:
            return None
        return wilson_interval(round(trial.score * self.num_validation), self.num_validation)
