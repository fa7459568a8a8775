"""Random, Hyperband and Bayesian search on the same number of training epochs, over several seeds.

The task is small: the bundled digits, 1,000 of them set apart for validation. Hyperband goes first
and what it trained in all is the budget of the others, whose trials all have its largest number of
epochs. Each trial is a training from fresh weights, so an epoch costs the same everywhere.
"""

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from product_search import FinishedSearch, run_search
from strategies_plot import Curve, plot_strategies

from mnist_exp.report.figures.style import figure_png

_STRATEGIES = ("random", "hyperband", "bayesian")
_SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    parser.add_argument("--seeds", type=int, default=5, help="searches of each strategy")
    parser.add_argument("--epochs", type=int, default=9, help="of a trial; the most that hyperband gives")
    parser.add_argument("--iterations", type=int, default=3, help="of hyperband, which sets the budget")
    parser.add_argument("--picture", type=Path, help="where to draw the curves, as PNG")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Searches in turn; returns the table and every curve."""
    if importlib.util.find_spec("sklearn") is None:
        sys.exit("the Bayesian search needs scikit-learn; it comes with `uv run --all-extras`")
    curves = [curve for seed in range(arguments.seeds) for curve in _take_turn(arguments, runs_dir, seed)]
    curves.sort(key=lambda curve: (_STRATEGIES.index(curve.strategy), curve.seed))
    if arguments.picture:
        arguments.picture.parent.mkdir(parents=True, exist_ok=True)
        arguments.picture.write_bytes(figure_png(plot_strategies(curves)))
    settings = {name: getattr(arguments, name) for name in ("seeds", "epochs", "iterations")}
    return _table(curves), settings | {"curves": [curve._asdict() for curve in curves]}


def _take_turn(arguments: argparse.Namespace, runs_dir: Path, seed: int) -> list[Curve]:
    """Runs each strategy once."""

    def search(strategy: str, *budget: str) -> Curve:
        changes = [*_changes(strategy, arguments.epochs, seed), *budget]
        curve = follow(strategy, seed, run_search(changes, runs_dir / f"{strategy}_{seed}"))
        figures = f"{len(curve.epochs)} trials, {curve.epochs[-1]} epochs, {curve.process_s:.0f} s"
        print(f"{strategy}, seed {seed}: {figures}", file=sys.stderr, flush=True)
        return curve

    hyperband = search("hyperband", f"tuner.iterations={arguments.iterations}")
    trials = f"tuner.max_trials={max(round(hyperband.epochs[-1] / arguments.epochs), 1)}"
    return [hyperband, search("random", trials), search("bayesian", trials)]


def _changes(strategy: str, epochs: int, seed: int) -> list[str]:
    return [
        "data=sample",
        "data.validation=1000",
        "search_space=mlp",
        f"tuner={strategy}",
        f"tuner.epochs={epochs}",
        "tuner.workers=2",
        "tuner.confirm.seeds=0",
        # A few epochs of so few images are over before XLA has compiled them.
        "training.engine=graph",
        f"seed={seed}",
    ]


def follow(strategy: str, seed: int, search: FinishedSearch) -> Curve:
    """Follows the best validation accuracy so far over all epochs trained, trial by trial."""
    epochs = [sum(len(execution.metrics) for execution in trial.executions) for trial in search.trials]
    best = accumulate((trial.score or 0.0 for trial in search.trials), max)
    return Curve(
        strategy=strategy,
        seed=seed,
        epochs=list(accumulate(epochs)),
        best=list(best),
        search_s=search.summary.search_s,
        process_s=search.child.elapsed_s,
    )


def _table(curves: Sequence[Curve]) -> str:
    """Sets out the median and the range over seeds at several budgets."""
    total = min(curve.epochs[-1] for curve in curves)
    budgets = sorted({max(round(share * total), 1) for share in _SHARES})
    heads = " | ".join(f"{budget} epochs" for budget in budgets)
    lines = [f"| best so far after | {heads} | trials | search |", f"|---|{'--:|' * (len(budgets) + 2)}"]
    for strategy in dict.fromkeys(curve.strategy for curve in curves):
        own = [curve for curve in curves if curve.strategy == strategy]
        cells = " | ".join(_spread([curve.best_at(budget) for curve in own]) for budget in budgets)
        trials = statistics.median(len(curve.epochs) for curve in own)
        seconds = statistics.median(curve.search_s for curve in own)
        lines.append(f"| {strategy} | {cells} | {trials:g} | {seconds:.0f} s |")
    return "\n".join(lines)


def _spread(scores: Sequence[float | None]) -> str:
    """Words median and range; a dash where some search has not finished a trial."""
    known = [100 * score for score in scores if score is not None]
    if len(known) < len(scores):
        return "–"
    return f"{statistics.median(known):.2f}% ({min(known):.2f} to {max(known):.2f})"
