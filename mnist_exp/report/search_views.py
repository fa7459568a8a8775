"""A search as its page shows it: trials, the best so far, candidates and their confirmation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_exp.page_words import count_text, values_text
from mnist_exp.report.charts.charts import Chart, Series, line_chart, percent_tick
from mnist_exp.report.html import visible
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.trial_records import CandidateRecord, SearchSummary, TrialRecord
from mnist_exp.trial_words import (
    candidate_name,
    failure_text,
    interval_text,
    objective_words,
    one_line,
    score_text,
)
from mnist_exp.words import direction_of, duration, is_accuracy, loss_text, percent

_MOST_TRIALS = 300
_MOST_CANDIDATES = 50
_LONGEST_REASON = 200


@dataclass(frozen=True)
class TrialRow:
    """A line of the table of trials; `order` is what it is sorted by, null at the end."""

    trial: str
    score: str
    order: float | None
    epochs: str
    num_params: int | None
    parameters: str
    duration_s: float
    seconds: str
    values: str
    is_best: bool


@dataclass(frozen=True)
class CandidateRow:
    """A line of the table of candidates."""

    name: str
    search_score: str
    confirmed_score: str
    parameters: str
    seconds: str
    values: str
    is_winner: bool


@dataclass(frozen=True)
class SearchView:
    """What a page shows of a search.

    Attributes:
        objective: The metric that was searched for, in words.
        chart: Scores and the best so far; null before the first score.
        trials: The first of them, in their order.
        num_trials: Number of trials that there are.
        candidates: Best confirmed first; empty before the end.
        ended_by: What ended it; may be empty.
    """

    objective: str
    chart: Chart | None
    trials: list[TrialRow]
    num_trials: int
    candidates: list[CandidateRow]
    ended_by: str


def search_view(material: RunMaterial) -> SearchView | None:
    """Puts a search together; None for a run that is none."""
    if material.run.manifest.mode != "tune":
        return None
    summary = material.run.summary if isinstance(material.run.summary, SearchSummary) else None
    objective = summary.objective if summary is not None else _objective(material.config)
    sign = 1 if direction_of(objective) == "max" else -1
    trials = [trial for trial in material.trials if trial.score is not None]
    best = max(trials, key=lambda trial: (sign * (trial.score or 0.0), -trial.trial), default=None)
    return SearchView(
        objective=visible(objective_words(objective), 60),
        chart=_chart(trials, objective, sign),
        trials=[_trial_row(trial, objective, trial is best) for trial in material.trials[:_MOST_TRIALS]],
        num_trials=len(material.trials),
        candidates=[_candidate_row(row, summary) for row in summary.candidates[:_MOST_CANDIDATES]]
        if summary
        else [],
        ended_by=visible(one_line(summary.ended_by), _LONGEST_REASON) if summary else "",
    )


def _objective(config: dict[str, Any]) -> str:
    """Returns what an unfinished search was searching for."""
    tuner = config.get("tuner")
    objective = tuner.get("objective") if isinstance(tuner, dict) else None
    return objective if isinstance(objective, str) else "val_accuracy"


def _chart(trials: Sequence[TrialRecord], objective: str, sign: int) -> Chart | None:
    """Lays out each trial's score and the best so far."""
    if not trials:
        return None
    ordered = sorted(trials, key=lambda trial: trial.trial)
    x = np.array([trial.trial for trial in ordered], np.float64)
    scores = np.array([trial.score for trial in ordered], np.float64)
    best = sign * np.maximum.accumulate(sign * scores)
    return line_chart(
        "Best so far",
        [Series("each trial", x, scores, colour=1, is_joined=False), Series("best so far", x, best)],
        text=percent if is_accuracy(objective) else loss_text,
        tick_text=percent_tick if is_accuracy(objective) else lambda value: f"{value:.6g}",
        rising=sign > 0,
        x_label="trial",
    )


def _trial_row(trial: TrialRecord, objective: str, is_best: bool) -> TrialRow:
    is_known = trial.num_params is not None
    failed = "" if trial.status == "completed" else visible(failure_text(trial), _LONGEST_REASON)
    return TrialRow(
        trial=count_text(trial.trial),
        score=failed or score_text(trial.score, objective),
        order=trial.score,
        epochs=count_text(trial.epochs),
        num_params=trial.num_params,
        parameters=count_text(trial.num_params or 0) if is_known else "–",
        duration_s=trial.duration_s,
        seconds=duration(trial.duration_s),
        values=values_text(trial.values),
        is_best=is_best,
    )


def _candidate_row(row: CandidateRecord, summary: SearchSummary) -> CandidateRow:
    def with_interval(score: float | None, interval: tuple[float, float] | None) -> str:
        text = score_text(score, summary.objective)
        return text if interval is None else f"{text} ({interval_text(interval, summary.objective)})"

    return CandidateRow(
        name=visible(candidate_name(row.candidate), 60),
        search_score=with_interval(row.search_score, row.search_interval),
        confirmed_score=with_interval(row.confirmed_score, row.confirmed_interval),
        parameters="–" if row.num_params is None else count_text(row.num_params),
        seconds=duration(row.train_s),
        values=values_text(row.values) if row.values else "as configured",
        is_winner=row.candidate == summary.winner,
    )
