"""What a search came to as a rich renderable: candidates side by side, the verdict, the test accuracy.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

import statistics
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.report.console import columns, plural, render_facts, render_next
from mnist_exp.report.run_console import render_notice
from mnist_exp.runs.trial_records import CandidateRecord, SearchSummary
from mnist_exp.trial_words import (
    candidate_name,
    describe_values,
    interval_text,
    margin_text,
    objective_words,
    one_line,
    score_text,
)
from mnist_exp.words import duration, percent


def render_search_summary(
    summary: SearchSummary, run_path: str, next_commands: Sequence[str]
) -> RenderableType:
    """Shows what a search came to, how sure that is, and where to go on.

    Args:
        summary: The search's summary.
        run_path: The run's directory as the user would type it.
        next_commands: Commands to try, each a line.
    """
    several = len(summary.winner_test_accuracies) > 1
    facts = render_facts(
        ("verdict", Text(one_line(summary.verdict), style="bold")),
        ("test accuracy", _word_test_accuracy(summary)),
        *([("kept network", f"{_word_kept(summary)}, the winner's best on validation")] if several else []),
        ("search", _word_search(summary)),
        ("run", Text(run_path, style="cyan")),
    )
    notice = [Text(), render_notice(summary.data_notice)] if summary.data_notice else []
    return Group(*_render_candidates(summary), facts, *notice, *render_next(next_commands))


def _render_candidates(summary: SearchSummary) -> list[RenderableType]:
    """Shows the candidates' scores side by side, how to read them, and what each candidate is."""
    if not summary.candidates:
        return [Text()]
    is_confirmed = any(row.confirmed_scores for row in summary.candidates)
    confirmed = ["confirmed score"] if is_confirmed else []
    table = columns("candidate", "search score", *confirmed, "parameters", "a training", num_left=1)
    for row in summary.candidates:
        style = "bold green" if row.candidate == summary.winner else ""
        table.add_row(*map(Text, _cells(row, summary, is_confirmed)), style=style)
    hint = Text(_explain_scores(summary, is_confirmed), style="bright_black")
    values = [(candidate_name(row.candidate), _describe_candidate(row)) for row in summary.candidates]
    return [table, hint, Text(), render_facts(*values), Text()]


def _cells(row: CandidateRecord, summary: SearchSummary, is_confirmed: bool) -> list[str]:
    """Words a candidate's line."""
    name = candidate_name(row.candidate)
    confirmed = [_word_confirmed(row, summary.objective)] if is_confirmed else []
    return [
        f"{name} (winner)" if row.candidate == summary.winner else name,
        _word_search_score(row, summary.objective),
        *confirmed,
        "–" if row.num_params is None else f"{row.num_params:,}",
        duration(row.train_s),
    ]


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
    if summary.selected_on_test:
        return words.append(
            "\noptimistic: its teacher was trained on test images or chosen by them", style="bold yellow"
        )
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
