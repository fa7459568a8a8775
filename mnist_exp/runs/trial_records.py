"""What a search leaves behind as data: trials, confirmations and what they came to.

The field names are the names in `trials.jsonl`, `confirmed.jsonl` and `summary.json`.
Accuracies and scores are fractions, durations seconds, times UTC in ISO 8601.
"""

from typing import Any, Literal

from msgspec import Struct

from mnist_exp.runs.records import EpochMetrics, ErrorRecord, Summary

TrialStatus = Literal["completed", "failed", "stopped"]


class ExecutionRecord(Struct, frozen=True, kw_only=True):
    """One training of a trial's network.

    Attributes:
        seed: Of weights, shuffling, dropout and augmentation.
        score: The objective at the best epoch.
        best_epoch: 1-based.
        train_s: Seconds of all epochs, validation included, compilation left out.
        seconds_per_epoch: Median seconds of an epoch's training steps alone.
        compile_s: Seconds spent tracing and compiling; 0 when a compiled function was used again.
        metrics: A row an epoch, as in `metrics.jsonl`.
    """

    seed: int
    score: float
    best_epoch: int
    train_s: float
    seconds_per_epoch: float = 0.0
    compile_s: float
    metrics: list[EpochMetrics]


class TrialRecord(Struct, frozen=True, kw_only=True):
    """One line of `trials.jsonl`: a configuration that was tried, and what came of it.

    Attributes:
        trial: 0 for the first; in the order in which trials were started.
        status: `failed` with an `error`; `stopped` when the budget ended it before its last epoch.
        score: Mean of its executions' scores; null unless completed.
        values: What was chosen, by the names of the search space, inactive ones left out: a
            dotted path, `<list>.length`, or `<list>.<position>` for one entry of a list.
        epochs: Number of epochs an execution.
        num_params: Number of weights; null where no network could be built.
        started_at: When.
        finished_at: When.
        duration_s: Seconds from one to the other.
        worker: Name of the process that ran it.
        executions: Its trainings, each with its own seed.
        error: Why it failed; null unless it did.
    """

    trial: int
    status: TrialStatus
    score: float | None
    values: dict[str, Any]
    epochs: int
    num_params: int | None
    started_at: str
    finished_at: str
    duration_s: float
    worker: str
    executions: list[ExecutionRecord]
    error: ErrorRecord | None


class ConfirmationRecord(Struct, frozen=True, kw_only=True):
    """One line of `confirmed.jsonl`: a candidate trained again on a fresh seed.

    Attributes:
        candidate: `default` for the untuned configuration, else `trial_<number>`.
        seed: The fresh seed.
        status: As of a trial.
        num_params: Number of weights.
        execution: The training; null where it failed.
        error: Why it failed; null unless it did.
    """

    candidate: str
    seed: int
    status: TrialStatus
    num_params: int | None
    execution: ExecutionRecord | None
    error: ErrorRecord | None


class CandidateRecord(Struct, frozen=True, kw_only=True):
    """A candidate's line in the report: what the search thought of it, and what held.

    Attributes:
        candidate: `default` for the untuned configuration, else `trial_<number>`.
        values: As of the trial; empty for the default.
        num_params: Number of weights.
        search_score: The trial's score; null for the default.
        search_interval: 95% Wilson interval of it; null unless it is an accuracy.
        confirmed_scores: The objective at the best epoch, one for each fresh seed.
        confirmed_score: Their mean; null without any.
        confirmed_interval: 95% t interval of that mean; null with fewer than two seeds.
        train_s: Median seconds of one training.
    """

    candidate: str
    values: dict[str, Any]
    num_params: int | None
    search_score: float | None
    search_interval: tuple[float, float] | None
    confirmed_scores: list[float]
    confirmed_score: float | None
    confirmed_interval: tuple[float, float] | None
    train_s: float


class SearchSummary(Summary, frozen=True, kw_only=True):
    """`summary.json` of a search: that of the winner's best network, and how it was found.

    Attributes:
        objective: The metric that was searched for.
        num_trials: Number of trials of every status.
        num_completed: Number of completed ones.
        search_s: Seconds from the search's start to its last trial, interruptions left out.
        ended_by: What ended the search, in words.
        winner: The candidate that was confirmed best.
        candidates: Best confirmed first.
        winner_test_accuracies: The winner's accuracy on the test images, one for each fresh seed.
        difference: Winner's confirmed mean minus the default's; null where the default won.
        difference_interval: 95% interval of it (Welch), wider for the choice among several candidates
            (Bonferroni); null with fewer than two seeds.
        verdict: Whether the winner beats the default, in one sentence.
    """

    objective: str
    num_trials: int
    num_completed: int
    search_s: float
    ended_by: str
    winner: str
    candidates: list[CandidateRecord]
    winner_test_accuracies: list[float]
    difference: float | None
    difference_interval: tuple[float, float] | None
    verdict: str
