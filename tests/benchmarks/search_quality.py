"""What a search of a few minutes finds: the winner's test accuracy, and whether its search score held."""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import mnist_file
from product_search import FinishedSearch, run_search

_MOST_MINUTES = 10
_TEST_ACCURACY = 0.987
_DIFFERENCE = 0.0015


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    mnist_file.add_data_argument(parser)
    parser.add_argument("--minutes", type=float, default=5, help="of the search; the confirmation follows")
    parser.add_argument("overrides", nargs="*", help="as for mnist-exp, such as tuner=bayesian seed=1")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Searches the recipe's space once; returns the table and every figure."""
    data = mnist_file.find_data(arguments.data)
    changes = [
        "search_space=recipe",
        f"tuner.max_minutes={arguments.minutes:g}",
        f"data.path='{data}'",
        *arguments.overrides,
    ]
    figures = _figures(run_search(changes, runs_dir / "quality"))
    text = "\n\n".join(filter(None, [_table(figures), str(figures["verdict"]), mnist_file.remark_on(data)]))
    return text, {"data": data.name, "overrides": changes} | figures


def _figures(search: FinishedSearch) -> dict[str, Any]:
    """Takes what is asked for from a finished search."""
    summary, accuracies = search.summary, search.summary.winner_test_accuracies
    winner = next(each for each in summary.candidates if each.candidate == summary.winner)
    if winner.confirmed_score is None:
        sys.exit("the winner was not confirmed, so there is nothing to hold its score against")
    score = winner.search_score
    return {
        "process_s": search.child.elapsed_s,
        "search_s": summary.search_s,
        "num_trials": summary.num_trials,
        "num_completed": summary.num_completed,
        "winner": summary.winner,
        "values": winner.values,
        "winner_test_accuracies": accuracies,
        "test_accuracy_mean": statistics.fmean(accuracies),
        "test_accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "search_score": score,
        "confirmed_score": winner.confirmed_score,
        "difference": None if score is None else abs(winner.confirmed_score - score),
        "verdict": summary.verdict,
    }


def _table(figures: dict[str, Any]) -> str:
    """Sets out the figures, and the bars for those that have one."""
    spread, difference = figures["test_accuracy_sd"], figures["difference"]
    num_seeds = len(figures["winner_test_accuracies"])
    test = f"{100 * figures['test_accuracy_mean']:.2f}%"
    test += f" ± {100 * spread:.2f} ({num_seeds} seeds)" if spread is not None else ""
    apart = "–" if difference is None else f"{100 * difference:.2f} points"
    is_close = None if difference is None else difference <= _DIFFERENCE
    seconds = figures["process_s"]
    rows = [
        ("winner", f"{figures['winner']} of {figures['num_trials']} trials", "", None),
        ("test accuracy", test, "at least 98.7%", figures["test_accuracy_mean"] >= _TEST_ACCURACY),
        ("search score", _percent(figures["search_score"]), "", None),
        ("confirmed score", _percent(figures["confirmed_score"]), "", None),
        ("their difference", apart, "at most 0.15 points", is_close),
        ("search", f"{figures['search_s']:.0f} s", "", None),
        ("whole command", f"{seconds:.0f} s", "at most 10 minutes", seconds <= 60 * _MOST_MINUTES),
    ]
    lines = ["| measured | | bar | met |", "|---|--:|--:|---|"]
    return "\n".join(
        [*lines, *(f"| {name} | {figure} | {bar} | {_met(met)} |" for name, figure, bar, met in rows)]
    )


def _met(is_met: bool | None) -> str:
    return "" if is_met is None else "yes" if is_met else "**no**"


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:.2f}%"
