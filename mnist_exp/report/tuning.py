"""A search's result: candidates side by side, the verdict, the test accuracy; on the console and its page."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.report.console import columns, render_facts, render_next
from mnist_exp.report.run_console import render_notice
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.records import CandidateRecord, ConfirmationRecord, SearchSummary, TrialRecord
from mnist_exp.words import (
    candidate_name,
    count_text,
    describe_values,
    direction_of,
    duration,
    interval_text,
    margin_text,
    objective_words,
    one_line,
    percent,
    plural,
    score_text,
    values_text,
    visible,
)

_MOST_TRIALS = 300
_MOST_CANDIDATES = 50
_LONGEST_REASON = 200


def render_search_summary(
    summary: SearchSummary, run_path: str, next_commands: Sequence[str]
) -> RenderableType:
    """Shows a search's result, how sure that is, and what to do next.

    Args:
        run_path: The run's directory as the user would type it.
    """
    facts: list[tuple[str, str | Text]] = [
        ("verdict", Text(one_line(summary.verdict), style="bold")),
        ("test accuracy", _word_test_accuracy(summary)),
    ]
    if len(summary.winner_test_accuracies) > 1:
        facts.append(("kept network", f"{_word_kept(summary)}, the winner's best on validation"))
    facts += [("search", _word_search(summary)), ("run", Text(run_path, style="cyan"))]
    parts = [*_render_candidates(summary), render_facts(*facts)]
    if summary.data_notice:
        parts += [Text(), render_notice(summary.data_notice)]
    return Group(*parts, *render_next(next_commands))


def _render_candidates(summary: SearchSummary) -> list[RenderableType]:
    """Shows the candidates' scores side by side, how to read them, and what each candidate is."""
    if not summary.candidates:
        return [Text()]
    is_confirmed = any(row.confirmed_scores for row in summary.candidates)
    headings = ["candidate", "search score"]
    if is_confirmed:
        headings.append("confirmed score")
    table = columns(*headings, "parameters", "a training", num_left=1)
    for row in summary.candidates:
        style = "bold green" if row.candidate == summary.winner else ""
        table.add_row(*map(Text, _cells(row, summary, is_confirmed)), style=style)
    hint = Text(_explain_scores(summary, is_confirmed), style="bright_black")
    values = [(candidate_name(row.candidate), _describe_candidate(row)) for row in summary.candidates]
    return [table, hint, Text(), render_facts(*values), Text()]


def _cells(row: CandidateRecord, summary: SearchSummary, is_confirmed: bool) -> list[str]:
    """Words a candidate's line."""
    name = candidate_name(row.candidate)
    if row.candidate == summary.winner:
        name += " (winner)"
    cells = [name, _word_search_score(row, summary.objective)]
    if is_confirmed:
        cells.append(_word_confirmed(row, summary.objective))
    num_params = "–" if row.num_params is None else f"{row.num_params:,}"
    return [*cells, num_params, duration(row.train_s)]


def _word_search_score(row: CandidateRecord, objective: str) -> str:
    """Words what the search thought of a candidate, with its interval where there is one."""
    score = score_text(row.search_score, objective)
    return f"{score} ({interval_text(row.search_interval, objective)})" if row.search_interval else score


def _word_confirmed(row: CandidateRecord, objective: str) -> str:
    """Words the mean over fresh seeds, half the width of its interval, and the number of seeds."""
    if row.confirmed_score is None:
        return "failed"
    score, seeds = score_text(row.confirmed_score, objective), plural(len(row.confirmed_scores), "seed")
    if row.confirmed_interval is None:
        return f"{score}, {seeds}"
    low, high = row.confirmed_interval
    return f"{score} {margin_text((high - low) / 2, objective)}, {seeds}"


def _describe_candidate(row: CandidateRecord) -> str:
    """Words what a candidate is."""
    return describe_values(row.values) or "the configuration as it was before the search"


def _explain_scores(summary: SearchSummary, is_confirmed: bool) -> str:
    """Says how the scores are to be read."""
    sentences = [f"Scores are {objective_words(summary.objective).partition(' ')[2]}."]
    if any(row.search_interval or row.confirmed_interval for row in summary.candidates):
        sentences.append("In brackets and after ±: their 95% intervals.")
    if summary.num_completed > 1:
        sentences.append(f"The best of {summary.num_completed:,} search scores owes something to luck.")
    if is_confirmed:
        sentences.append("Confirmed scores are means of new trainings on fresh seeds.")
    return " ".join(sentences)


def _word_test_accuracy(summary: SearchSummary) -> Text:
    """Words the winner's accuracy on the test images, and whether these played a part in the search."""
    accuracies = summary.winner_test_accuracies
    if len(accuracies) > 1:
        spread = f" ± {100 * statistics.stdev(accuracies):.2f} (mean ± sd, {len(accuracies)} seeds)"
        words = Text.assemble((percent(statistics.fmean(accuracies)), "bold green"), spread)
    else:
        words = Text(_word_kept(summary), style="bold green")
    return words.append(
        "; the test images were looked at once, after the winner was chosen", style="not bold default"
    )


def _word_kept(summary: SearchSummary) -> str:
    """Words the test accuracy of the network that was kept, and its interval."""
    low, high = (100 * bound for bound in summary.test_accuracy_interval)
    return f"{percent(summary.test_accuracy)} (95%: {low:.2f} to {high:.2f})"


def _word_search(summary: SearchSummary) -> str:
    """Words how much was tried, how long that took, and why it ended."""
    trials = f"{plural(summary.num_trials, 'trial')}, {summary.num_completed:,} completed"
    return f"{trials}, in {duration(summary.search_s)}; it ended with: {one_line(summary.ended_by)}"


def failure_text(record: TrialRecord | ConfirmationRecord) -> str:
    """Words why a training has no result: `failed: ` and the first line of the message."""
    if record.status == "stopped":
        return "stopped before its last epoch"
    message = record.error.message.strip() if record.error is not None else ""
    first = one_line(message.partition("\n")[0]) or (record.error.type if record.error else "unknown reason")
    return f"failed: {first}"


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
        trials: The first of them, in their order.
        num_trials: Number of trials that there are.
        candidates: Best confirmed first; empty before the end.
        ended_by: What ended it; may be empty.
    """

    objective: str
    trials: list[TrialRow]
    num_trials: int
    candidates: list[CandidateRow]
    ended_by: str


def search_view(material: RunMaterial) -> SearchView | None:
    """Puts a search together; None for a run that is none."""
    if material.run.manifest.mode != "tune":
        return None
    summary = material.summary if isinstance(material.summary, SearchSummary) else None
    objective = objective_of(material)
    sign = 1 if direction_of(objective) == "max" else -1
    trials = [trial for trial in material.trials if trial.score is not None]
    best = max(trials, key=lambda trial: (sign * (trial.score or 0.0), -trial.trial), default=None)
    return SearchView(
        objective=visible(objective_words(objective), 60),
        trials=[_trial_row(trial, objective, trial is best) for trial in material.trials[:_MOST_TRIALS]],
        num_trials=len(material.trials),
        candidates=[_candidate_row(row, summary) for row in summary.candidates[:_MOST_CANDIDATES]]
        if summary
        else [],
        ended_by=visible(one_line(summary.ended_by), _LONGEST_REASON) if summary else "",
    )


def objective_of(material: RunMaterial) -> str:
    """Returns the metric that a search was for, finished or not."""
    if isinstance(material.summary, SearchSummary):
        return material.summary.objective
    tuner = material.config.get("tuner")
    objective = tuner.get("objective") if isinstance(tuner, dict) else None
    return objective if isinstance(objective, str) else "val_accuracy"


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
