"""A search's trials: the best so far, and their curves over the epochs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.curves import metric_values
from mnist_exp.report.figures.importance import scored_trials
from mnist_exp.report.figures.scales import Interval, Objective
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    rule_lightly,
    style_axes,
    write_instead,
)
from mnist_exp.runs.records import TrialRecord
from mnist_exp.words import plural

_MANY_TRIALS = 100
_LEGEND_LINE_INCHES = 0.22


def plot_best_so_far(
    trials: Sequence[TrialRecord], objective: Objective, default_score: float | None = None
) -> Figure:
    """Draws each trial's score and the best so far, over trials and over time.

    Those without a score are marked at the edge; `default_score` is the untuned confirmed mean, or None.
    """
    scored, figure = scored_trials(trials), new_figure(4.3)
    counts = Counter(trial.status for trial in trials)
    ended = ", ".join(f"{count} {status}" for status, count in counts.items())
    if not scored:
        return write_instead(figure, "Best so far", f"No trial was completed: {ended or 'none was started'}.")
    best = best_trial(scored, objective)
    best_score = objective.text(trial_score(best))
    add_title(figure, "Best so far", f"best: trial {best.trial}, {best_score}   ({ended})")
    shown = [] if default_score is None else [default_score]
    limits = objective.limits(np.append(trial_scores(scored), shown))
    unit, seconds = _seconds(trials)
    by_number = {trial.trial: float(trial.trial) for trial in trials}
    over_trials, over_time = (figure.add_axes((left, 0.125, 0.415, 0.69)) for left in (0.105, 0.555))
    for axes, places in ((over_trials, by_number), (over_time, seconds)):
        _draw_progress(axes, trials, places, objective, limits)
        _draw_default(axes, default_score, objective)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=places is by_number, min_n_ticks=1))
    style_axes(over_trials, "Trial", objective.label)
    style_axes(over_time, f"{unit} since the search began")
    over_time.tick_params(labelleft=False)
    over_time.set_xlim(left=0)
    _explain_marks(figure, over_time)
    return figure


def _seconds(trials: Sequence[TrialRecord]) -> tuple[str, dict[int, float]]:
    """Returns a unit of time that suits the search, and when each trial ended after the first began."""
    began = min(datetime.fromisoformat(trial.started_at) for trial in trials)
    ended = {
        trial.trial: (datetime.fromisoformat(trial.finished_at) - began).total_seconds() for trial in trials
    }
    units = {"Hours": 3600.0, "Minutes": 60.0, "Seconds": 1.0}
    longest = max(ended.values())
    unit = next((unit for unit, length in units.items() if longest >= 5 * length), "Seconds")
    return unit, {trial: seconds / units[unit] for trial, seconds in ended.items()}


def _draw_progress(
    axes: Axes,
    trials: Sequence[TrialRecord],
    places: Mapping[int, float],
    objective: Objective,
    limits: Interval,
) -> None:
    scored = sorted(scored_trials(trials), key=lambda trial: places[trial.trial])
    x, scores = np.array([places[trial.trial] for trial in scored]), trial_scores(scored)
    best = objective.sign * np.maximum.accumulate(objective.sign * scores)
    low, high = min(places.values()), max(places.values())
    margin = 0.03 * (high - low) or 0.5
    # The best so far holds until the end, however late the last improvement was.
    axes.plot([*x, high], [*best, best[-1]], color=BLUE, linewidth=2, drawstyle="steps-post",
              label="best so far", zorder=4)  # fmt: skip
    draw_scores(axes, x, scores, objective, limits, 5, color=QUIET, label="trial")
    _mark_unscored(axes, trials, places, 0.03 if objective.direction == "max" else 0.97)
    axes.set(xlim=(low - margin, high + margin), ylim=limits)
    objective.format_axis(axes, "y")


def _mark_unscored(
    axes: Axes, trials: Sequence[TrialRecord], places: Mapping[int, float], height: float
) -> None:
    """Marks failed and stopped trials at a height in [0, 1] of the axes."""
    for status, marker, color in (("failed", "x", VERMILION), ("stopped", "s", QUIET)):
        at = [places[trial.trial] for trial in trials if trial.status == status]
        if at:
            axes.plot(at, [height] * len(at), marker, color=color, markerfacecolor="none", markersize=5,
                      transform=axes.get_xaxis_transform(), label=status, zorder=3)  # fmt: skip


def _draw_default(axes: Axes, score: float | None, objective: Objective) -> None:
    if score is not None:
        label = f"default, confirmed: {objective.text(score)}"
        axes.axhline(score, color=INK, linewidth=1.3, linestyle=(0, (5, 3)), label=label)


def _explain_marks(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="upper left", ncols=6, frameon=False, bbox_to_anchor=(0.006, 0.925),
        fontsize=8.5, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


def plot_page_progress(trials: Sequence[TrialRecord], objective: Objective, width_inches: float) -> Figure:
    """Draws each trial's score and the best so far over trials, one score at least, for a page."""
    figure = new_figure(2.4, width_inches)
    axes = figure.add_axes((0, 0, 1, 1))
    places = {trial.trial: float(trial.trial) for trial in trials}
    limits = objective.limits(trial_scores(scored_trials(trials)))
    _draw_progress(axes, trials, places, objective, limits)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    legend = _LEGEND_LINE_INCHES * -(-len(axes.get_legend_handles_labels()[0]) // 2)
    total = 2.4 + legend
    figure.set_figheight(total)
    axes.set_position((0.62 / width_inches, 0.45 / total, 1 - 0.74 / width_inches, 1.9 / total))
    rule_lightly(axes, "trial")
    axes.legend(loc="lower left", ncols=2, frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6,
                columnspacing=1.4, borderaxespad=0, borderpad=0.2, bbox_to_anchor=(0, 1.02))  # fmt: skip
    return figure


def describe_progress(trials: Sequence[TrialRecord], objective: Objective) -> str:
    """Says in words how many trials have a score, and which is best."""
    scored = scored_trials(trials)
    best = best_trial(scored, objective)
    first = objective.text(trial_score(scored[0]))
    best_score = objective.text(trial_score(best))
    return f"{plural(len(scored), 'score')}, the first {first}, the best {best_score} in trial {best.trial}"


def plot_search_curves(
    trials: Sequence[TrialRecord], objective: Objective, best_trial: int | None = None
) -> Figure:
    """Draws the objective over each trial's first training, the best trial's, if any, in front."""
    curves = {trial.trial: curve for trial in trials if (curve := _curve(trial, objective)) is not None}
    figure = new_figure(4.2)
    if not curves:
        return write_instead(figure, "Curves of the trials", "No trial finished an epoch.")
    axes = figure.add_axes((0.105, 0.125, 0.865, 0.745))
    completed = {trial.trial for trial in trials if trial.status == "completed"}
    for trial, (epochs, values) in curves.items():
        # A single epoch is no line, and needs a mark to be seen.
        marker, line = "o" if len(epochs) == 1 else "", "-" if trial in completed else ":"
        axes.plot(epochs, values, color=QUIET, linewidth=1, linestyle=line, marker=marker, markersize=4,
                  alpha=float(np.clip(12 / len(curves), 0.12, 0.55)))  # fmt: skip
    if best_trial in curves:
        _draw_best_curve(axes, best_trial, *curves[best_trial], objective)
    everything = np.concatenate([values for _, values in curves.values()])
    axes.set_ylim(*objective.limits(everything[np.isfinite(everything)]))
    style_axes(axes, "Epoch", objective.label)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    objective.format_axis(axes, "y")
    dotted = "; dotted: not completed" if set(curves) - completed else ""
    add_title(figure, "Curves of the trials", f"{len(curves)} trials{dotted}")
    return figure


def _curve(trial: TrialRecord, objective: Objective) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Returns epochs and objective of a trial's first training; None where nothing was measured."""
    rows = trial.executions[0].metrics if trial.executions else []
    values = metric_values(rows, objective.name)
    return None if np.isnan(values).all() else (np.array([row.epoch for row in rows]), values)


def _draw_best_curve(
    axes: Axes, trial: int, epochs: NDArray[np.int64], values: NDArray[np.float64], objective: Objective
) -> None:
    axes.plot(epochs, values, color=BLUE, linewidth=2.4, marker="o", markersize=4, zorder=4)
    best = int(np.nanargmax(objective.sign * values))
    axes.plot([epochs[best]], [values[best]], "o", markersize=10, markerfacecolor="none",
              markeredgecolor=INK, zorder=5)  # fmt: skip
    words = f"trial {trial}: {objective.text(float(values[best]))} in epoch {epochs[best]}"
    axes.text(0.98, 0.05 if objective.sign > 0 else 0.95, words, transform=axes.transAxes, ha="right",
              va="bottom" if objective.sign > 0 else "top", weight="bold", color=BLUE, zorder=6,
              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2})  # fmt: skip


def trial_score(trial: TrialRecord) -> float:
    """Returns a trial's score, NaN without one."""
    return float("nan") if trial.score is None else trial.score


def trial_scores(trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """Returns the trials' scores, float64 (num_trials,), NaN without one."""
    return np.array([trial.score for trial in trials], dtype=np.float64)


def best_trial(scored: Sequence[TrialRecord], objective: Objective) -> TrialRecord:
    """Returns the best of scored trials, the earliest of equals."""
    return min(scored, key=lambda trial: (-objective.sign * trial_score(trial), trial.trial))


def draw_scores(
    axes: Axes,
    x: NDArray[np.float64],
    scores: NDArray[np.float64],
    objective: Objective,
    limits: Interval,
    size: float,
    **style: Any,
) -> None:
    """Draws scores as dots, those beyond the limits as triangles at the edge.

    Args:
        x: Where each score lies along the x axis (num_trials,).
        scores: Of the trials (num_trials,).
        objective: What the scores are.
        limits: Low and high of the y axis.
        size: Of a dot in points; dots are smaller where there are more than a hundred.
        **style: Of the dots, as `Axes.plot` takes it. A label becomes, for the triangles, what was cut.
    """
    size = size if len(x) <= _MANY_TRIALS else 3
    cut = (scores < limits[0]) | (scores > limits[1])
    axes.plot(x[~cut], scores[~cut], "o", markersize=size, alpha=0.65, markeredgewidth=0, **style)
    if cut.any():
        style |= {"label": objective.cut_note(scores, limits)} if "label" in style else {}
        axes.plot(x[cut], np.clip(scores[cut], *limits), "v" if objective.sign > 0 else "^", clip_on=False,
                  markersize=size + 1, markeredgewidth=0, **style)  # fmt: skip
