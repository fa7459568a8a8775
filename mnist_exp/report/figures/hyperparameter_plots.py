"""Hyperparameters as figures: their values against the score, and how much each of them explains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mnist_exp.report.figures.hyperparameter_values import (
    MAX_HYPERPARAMETERS,
    category_places,
    hyperparameter_names,
    is_logarithmic,
    value_categories,
)
from mnist_exp.report.figures.importance import MIN_TRIALS, Importance, scored_trials
from mnist_exp.report.figures.objective_axis import Objective, draw_scores, trial_scores
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_BLUE,
    QUIET,
    VERMILION,
    WIDTH_INCHES,
    add_title,
    new_figure,
    shorten,
    style_axes,
    write_beside,
    write_instead,
)
from mnist_exp.runs.records import TrialRecord
from mnist_exp.words import percent

_MAX_COLUMNS = 4
_MAX_BARS = 24
_LABEL_LENGTH = 12  # of a category, in characters


def plot_hyperparameters(
    trials: Sequence[TrialRecord], objective: Objective, importances: Sequence[Importance]
) -> Figure:
    """Draws each hyperparameter's values against the score, the most important ones first.

    Args:
        trials: Of any status; those with a score are drawn, where they have the hyperparameter.
        objective: What the scores are.
        importances: Of the trials' hyperparameters; those without one come last.
    """
    scored = scored_trials(trials)
    explained = {importance.name: importance for importance in importances}
    names = _most_important_first(hyperparameter_names(scored), explained)
    if not names:
        words = "No trial was completed: there is nothing to compare."
        return write_instead(new_figure(3), "Hyperparameters", words)
    shown = names[:MAX_HYPERPARAMETERS]
    limits, best = objective.limits(trial_scores(scored)), objective.best_trial(scored)
    figure, panels = _panel_grid(shown, scored)
    for place, (axes, name) in enumerate(zip(panels, shown, strict=True)):
        present = [trial for trial in scored if name in trial.values]
        _draw_panel(axes, name, present, objective, limits, best)
        style_axes(axes)
        axes.tick_params(labelleft=place % _MAX_COLUMNS == 0, labelsize=7.5)
        _title_panel(axes, name, explained.get(name), len(present), len(scored))
    figure.text(0.018, 0.5, objective.label, rotation=90, ha="center", va="center", size=10, color=INK)
    more = f", {len(shown)} of {len(names)}" if len(names) > len(shown) else ""
    note = objective.cut_note(trial_scores(scored), limits)
    remark = f"most important first{more}; orange: best trial ({best.trial})"
    add_title(figure, "Hyperparameters", f"{remark}\ntriangles: {note}" if note else remark)
    return figure


def _most_important_first(names: Sequence[str], explained: Mapping[str, Importance]) -> list[str]:
    """Sorts names by what they explain, those that cannot be told last, in the order given."""
    return sorted(names, key=lambda name: -explained[name].share if name in explained else 1)


def _panel_grid(names: Sequence[str], scored: Sequence[TrialRecord]) -> tuple[Figure, list[Axes]]:
    """Makes a figure with axes for each name, at most four in a row."""
    columns = min(_MAX_COLUMNS, len(names))
    left, gap, height, above = 0.82, 0.16, 1.25, 0.46
    width = min(3.4, (WIDTH_INCHES - left - 0.16 - gap * (columns - 1)) / columns)
    below = [
        max(_label_height(name, scored, width) for name in names[first : first + columns])
        for first in range(0, len(names), columns)
    ]
    total = 0.6 + len(below) * (above + height) + sum(below)
    figure = new_figure(total)
    panels = []
    for place in range(len(names)):
        row, column = divmod(place, columns)
        bottom = total - 0.6 - (row + 1) * (above + height) - sum(below[:row])
        corner = ((left + column * (width + gap)) / WIDTH_INCHES, bottom / total)
        panels.append(figure.add_axes((*corner, width / WIDTH_INCHES, height / total)))
    return figure, panels


def _label_height(name: str, scored: Sequence[TrialRecord], width: float) -> float:
    """Returns the inches that a panel's labels need below it, when it is so many inches wide."""
    categories = value_categories([trial.values[name] for trial in scored if name in trial.values])
    return 0.2 + 0.065 * _longest(categories) if _are_crowded(categories, width) else 0.3


def _are_crowded(categories: Sequence[str], width: float) -> bool:
    """Says whether labels don't fit side by side in so many inches."""
    return bool(categories) and _longest(categories) * 0.06 + 0.05 > width / len(categories)


def _longest(categories: Sequence[str]) -> int:
    """Returns the length of the longest label, cut as it is drawn."""
    return max(len(shorten(category, _LABEL_LENGTH)) for category in categories)


def _draw_panel(
    axes: Axes,
    name: str,
    trials: Sequence[TrialRecord],
    objective: Objective,
    limits: tuple[float, float],
    best: TrialRecord,
) -> None:
    """Draws one hyperparameter's values against the scores, the best trial above the others."""
    values = [trial.values[name] for trial in trials]
    categories = value_categories(values)
    if categories:
        x = category_places(values, categories) + np.random.default_rng(0).uniform(-0.25, 0.25, len(values))
        _name_categories(axes, categories)
    else:
        x = np.array(values, dtype=np.float64)
        _scale_numbers(axes, x)
    axes.set_ylim(*limits)
    objective.format_axis(axes, "y", 5)
    scores = trial_scores(trials)
    draw_scores(axes, x, scores, objective, limits, 4.5, color=BLUE)
    is_best = np.array([trial.trial == best.trial for trial in trials])
    axes.plot(x[is_best], scores[is_best], "o", color=VERMILION, markersize=7, markeredgecolor="white")


def _name_categories(axes: Axes, categories: Sequence[str]) -> None:
    """Labels categories, upright where they don't fit side by side."""
    axes.set_xlim(-0.6, len(categories) - 0.4)
    labels = [shorten(category, _LABEL_LENGTH) for category in categories]
    axes.set_xticks(range(len(labels)), labels, parse_math=False)
    if _are_crowded(categories, axes.get_position().width * WIDTH_INCHES):
        axes.tick_params(axis="x", labelrotation=90)


def _scale_numbers(axes: Axes, values: NDArray[np.float64]) -> None:
    """Chooses a logarithmic axis for numbers that span much, and few ticks."""
    if is_logarithmic(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=4))
        axes.xaxis.set_minor_formatter(NullFormatter())
        return
    low, high = float(values.min()), float(values.max())
    margin = 0.1 * (high - low) or 0.1 * abs(low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(low, high) if high > low else np.array([low])
    # None in the margins, where labels would meet the next panel's.
    inside = [float(tick) for tick in ticks if low - margin / 3 <= tick <= high + margin / 3]
    axes.set_xticks(inside, [f"{tick:.4g}" for tick in inside])


def _title_panel(
    axes: Axes, name: str, importance: Importance | None, num_present: int, num_scored: int
) -> None:
    """Writes a panel's name, what it explains, and in how many trials it was, where not in all."""
    width = axes.get_position().width * WIDTH_INCHES
    words = "too few trials" if num_present < MIN_TRIALS else "does not tell"
    words = words if importance is None else f"explains {percent(importance.share, 0)}"
    words += f"; {num_present} trials" if num_present < num_scored else ""
    lines: list[tuple[str, int, dict[str, Any]]] = [
        (shorten(name, int((width + 0.1) / 0.072)), 13, {"color": INK, "size": 8.5, "weight": "bold"}),
        (words, 3, {"color": QUIET, "size": 8}),
    ]
    for text, above, style in lines:
        axes.annotate(
            text, (0, 1), (0, above), xycoords="axes fraction", textcoords="offset points",
            ha="left", va="bottom", parse_math=False, **style,
        )  # fmt: skip


def plot_importance(importances: Sequence[Importance]) -> Figure:
    """Draws how much of the differences between scores each hyperparameter explains.

    Args:
        importances: Largest first; without any, the figure says why.
    """
    if not importances:
        words = f"Too few trials to say: it takes {MIN_TRIALS} completed ones with different values."
        return write_instead(new_figure(2.4), "Importance", words)
    shown = importances[:_MAX_BARS]
    total = 1.3 + 0.3 * len(shown)
    figure = new_figure(total)
    axes = figure.add_axes((0.27, 0.58 / total, 0.55, 0.3 * len(shown) / total))
    for row, importance in enumerate(shown):
        _draw_bar(axes, row, importance)
    axes.set_yticks(range(len(shown)), [shorten(bar.name, 28) for bar in shown], parse_math=False)
    style_axes(axes, "Share of the scores' differences in rank, with 95% interval")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    more = f"{len(shown)} of {len(importances)}; " if len(shown) < len(importances) else ""
    add_title(figure, "Importance", f"{more}pale: could be chance (p ≥ 0.05)")
    return figure


def _draw_bar(axes: Axes, row: int, importance: Importance) -> None:
    """Draws one hyperparameter's bar, interval and figures."""
    low, high = importance.interval
    axes.barh(row, importance.share, 0.62, color=BLUE if importance.p_value < 0.05 else PALE_BLUE)
    axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|", markersize=6, clip_on=False)
    chance = "p < 0.001" if importance.p_value < 0.001 else f"p = {importance.p_value:.3f}"
    write_beside(axes, row, f"{percent(importance.share, 0)}  {chance}")
