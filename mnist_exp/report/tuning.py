"""A search's result: candidates side by side, the verdict, the trials."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from mnist_exp.report.document import (
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Folded,
    Heading,
    Part,
    Row,
    Table,
    Words,
    next_commands,
)
from mnist_exp.report.html import png_picture
from mnist_exp.report.result import score, warnings
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.records import CandidateRecord, ConfirmationRecord, SearchSummary, TrialRecord
from mnist_exp.words import (
    accuracy_interval_text,
    candidate_name,
    count_text,
    direction_of,
    duration,
    interval_text,
    objective_words,
    one_line,
    percent,
    plural,
    score_text,
    values_text,
)

if TYPE_CHECKING:
    from mnist_exp.report.figures.embedding import EmbeddedFigure

_MOST_TRIALS = 300
_MOST_CANDIDATES = 50
_LONGEST_VALUES = 10_000


def search_result(summary: SearchSummary, run_path: str, commands: Sequence[str]) -> list[Part]:
    """Tells a finished search's result on the console, and what to do next."""
    verdict = Fact("verdict", one_line(summary.verdict), "strong")
    facts = [Fact("winner", _word_winner(summary, ""))]
    if len(summary.winner_test_accuracies) > 1:
        interval = accuracy_interval_text(summary.test_accuracy_interval)
        kept = f"{percent(summary.test_accuracy)} ({interval}), the winner's best on validation"
        facts.append(Fact("kept network", kept))
    facts += [Fact("search", _word_search(summary)), Fact("run", run_path, "path")]
    return [
        *_candidates(summary),
        Facts([verdict], on="console"),
        score(summary),
        Facts(facts, on="console"),
        *warnings(summary),
        next_commands(commands),
    ]


def sentences(summary: SearchSummary) -> list[str]:
    """Words what a search found, and how sure that is."""
    values = next((each.values for each in summary.candidates if each.candidate == summary.winner), {})
    what = f" ({values_text(values)})" if values else ""
    return [_word_winner(summary, what), *filter(None, [one_line(summary.verdict)])]


def _word_winner(summary: SearchSummary, what: str) -> str:
    scores = summary.winner_test_accuracies
    spread = f" ± {100 * stdev(scores):.2f} (mean ± sd)" if len(scores) > 1 else ""
    accuracy = f"{percent(fmean(scores or [summary.test_accuracy]))}{spread}"
    trained = f"Trained anew on {plural(len(scores), 'fresh seed')}, it is" if scores else "It is"
    # A search of an earlier version may have had a teacher that knew them.
    looked = "" if summary.selected_on_test else ", which were looked at only then"
    return (
        f"Of {plural(summary.num_trials, 'trial')}, chosen on validation images alone, "
        f"{candidate_name(summary.winner)} won{what}. {trained} {accuracy} accurate on the test "
        f"images{looked}."
    )


def _word_search(summary: SearchSummary) -> str:
    return (
        f"Objective: {objective_words(summary.objective)}. {plural(summary.num_trials, 'trial')}, "
        f"{summary.num_completed:,} completed, in {duration(summary.search_s)}; it ended with: "
        f"{one_line(summary.ended_by)}."
    )


def _candidates(summary: SearchSummary) -> list[Part]:
    if not summary.candidates:
        return []
    is_confirmed = any(each.confirmed_scores for each in summary.candidates)
    columns = [Column("candidate", "words"), Column("search score")]
    if is_confirmed:
        columns.append(Column("confirmed score"))
    columns += [Column("parameters"), Column("training"), Column("what it is", "long")]
    rows = [_candidate_row(each, summary, is_confirmed) for each in summary.candidates[:_MOST_CANDIDATES]]
    return [
        Heading("Candidates on fresh seeds" if is_confirmed else "Candidates", 3, on="both"),
        Words(_explain_scores(summary, is_confirmed), "quiet", on="both"),
        Table(
            "Candidates", columns, rows, len(summary.candidates), "summary.json", most=_MOST_CANDIDATES,
            on="both",
        ),
    ]  # fmt: skip


def _candidate_row(candidate: CandidateRecord, summary: SearchSummary, is_confirmed: bool) -> Row:
    objective = summary.objective
    is_winner = candidate.candidate == summary.winner
    cells = [
        Cell(candidate_name(candidate.candidate) + (" (winner)" if is_winner else "")),
        Cell(_with_interval(candidate.search_score, candidate.search_interval, objective)),
    ]
    if is_confirmed:
        confirmed = "failed"
        if candidate.confirmed_score is not None:
            confirmed = _with_interval(candidate.confirmed_score, candidate.confirmed_interval, objective)
            confirmed += _word_lost_seeds(candidate, summary)
        cells.append(Cell(confirmed))
    values = values_text(candidate.values, _LONGEST_VALUES)
    cells += [
        _count(candidate.num_params),
        Cell(duration(candidate.train_s), repr(candidate.train_s)),
        Cell(values if candidate.values else "the configuration as it was before the search"),
    ]
    return Row(cells, "good" if is_winner else "")


def _word_lost_seeds(candidate: CandidateRecord, summary: SearchSummary) -> str:
    """Says that a candidate failed on some seeds, which ranks it below those that did not."""
    most = max(len(each.confirmed_scores) for each in summary.candidates)
    num_seeds = len(candidate.confirmed_scores)
    return "" if num_seeds == most else f", {num_seeds} of {most} seeds"


def _with_interval(score: float | None, interval: tuple[float, float] | None, objective: str) -> str:
    text = score_text(score, objective)
    return text if interval is None else f"{text} ({interval_text(interval, objective)})"


def _count(number: int | None) -> Cell:
    return Cell("–", "") if number is None else Cell(count_text(number), str(number))


def _explain_scores(summary: SearchSummary, is_confirmed: bool) -> str:
    words = [f"Scores are {objective_words(summary.objective).partition(' ')[2]}."]
    if any(each.search_interval or each.confirmed_interval for each in summary.candidates):
        words.append("In brackets: 95% intervals.")
    if summary.num_completed > 1:
        words.append(f"The best of {summary.num_completed:,} search scores is partly luck.")
    if is_confirmed:
        words.append("Confirmed scores are means of new trainings on seeds that the search never used.")
    return " ".join(words)


def search_parts(material: RunMaterial, progress: Sequence["EmbeddedFigure"]) -> list[Part]:
    """Tells a search on its page: what was searched for, candidates, trials.

    Args:
        progress: Scores and the best so far; none before the first score.
    """
    summary = material.summary if isinstance(material.summary, SearchSummary) else None
    objective = material.objective
    parts: list[Part] = [Heading("The search")]
    words = f"Objective: {objective_words(objective)}." if summary is None else _word_search(summary)
    parts.append(Words(words, "quiet"))
    if progress:
        parts.append(Figures(progress, "single"))
    if summary is not None:
        parts += _candidates(summary)
    if material.trials:
        parts += [Heading("Trials", 3), _trial_table(material.trials, objective)]
    if picture := material.pictures.get("hyperparameters"):
        title = "Each hyperparameter against the score"
        parts.append(Folded(title, [png_picture(title, picture)]))
    return parts


def _trial_table(trials: Sequence[TrialRecord], objective: str) -> Table:
    sign = 1 if direction_of(objective) == "max" else -1
    scored = [trial for trial in trials if trial.score is not None]
    best = max(scored, key=lambda trial: (sign * (trial.score or 0.0), -trial.trial), default=None)
    headings = ("trial", "score", "epochs", "parameters", "took")
    columns = [Column(text) for text in headings] + [Column("what was tried", "long")]
    rows = [_trial_row(trial, objective, trial is best) for trial in trials[:_MOST_TRIALS]]
    return Table("Trials", columns, rows, len(trials), "trials.csv", style="tall")


def _trial_row(trial: TrialRecord, objective: str, is_best: bool) -> Row:
    score = score_text(trial.score, objective) if trial.status == "completed" else failure_text(trial)
    cells = [
        Cell(count_text(trial.trial), str(trial.trial)),
        Cell(score + (" (best)" if is_best else ""), "" if trial.score is None else repr(trial.score)),
        Cell(count_text(trial.epochs)),
        _count(trial.num_params),
        Cell(duration(trial.duration_s), repr(trial.duration_s)),
        Cell(values_text(trial.values)),
    ]
    return Row(cells, "good" if is_best else "")


def failure_text(record: TrialRecord | ConfirmationRecord) -> str:
    """Words why a training has no result: `failed: ` and the first line of the message."""
    if record.status == "stopped":
        return "stopped before its last epoch"
    message = record.error.message.strip() if record.error is not None else ""
    first = one_line(message.partition("\n")[0]) or (record.error.type if record.error else "unknown reason")
    return f"failed: {first}"
