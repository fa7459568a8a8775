"""A search's trials as one figure: a line each through its hyperparameters to its score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.report.figures.hyperparameter_values import (
    MAX_HYPERPARAMETERS,
    category_places,
    hyperparameter_names,
    is_logarithmic,
    value_categories,
)
from mnist_exp.report.figures.importance import scored_trials, value_text
from mnist_exp.report.figures.objective_axis import Objective, trial_score, trial_scores
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_BLUE,
    VERMILION,
    WIDTH_INCHES,
    add_title,
    new_figure,
    shorten,
    write_instead,
)
from mnist_exp.runs.records import TrialRecord

_RANKS = LinearSegmentedColormap.from_list("ranks", ["#c4c4c4", PALE_BLUE, BLUE, "#00406b"])
_NONE_HEIGHT = -0.13


def plot_parallel_coordinates(trials: Sequence[TrialRecord], objective: Objective) -> Figure:
    """Draws each scored trial as a line through its values to its score, the best one on top.

    A value that a trial does not have, as the units of a layer that does not exist, lies at
    "none", below its axis. Good scores lie above, whichever direction is better.

    Args:
        trials: Of any status; those with a score are drawn.
        objective: What the scores are.
    """
    scored = sorted(scored_trials(trials), key=lambda trial: objective.sign * trial_score(trial))
    names, figure = hyperparameter_names(scored), new_figure(5.9)
    if not names:
        return write_instead(figure, "Trials", "No trial was completed: there is nothing to draw.")
    shown = [name for name in names if len({value_text(trial.values.get(name)) for trial in scored}) > 1]
    shown = (shown or names)[:MAX_HYPERPARAMETERS]
    axes = figure.add_axes((0.055, 0.045, 0.85, 0.65))
    axes.set(xlim=(0, len(shown)), ylim=(-0.17, 1.03))
    axes.set_axis_off()
    columns = [_draw_value_axis(axes, place, name, scored) for place, name in enumerate(shown)]
    columns.append(_draw_score_axis(axes, len(shown), trial_scores(scored), objective))
    _draw_lines(axes, np.stack(columns, axis=1))
    left_out = f"{len(shown)} of {len(names)} hyperparameters; " if len(shown) < len(names) else ""
    remark = f"orange: best trial ({scored[-1].trial}); the darker, the better"
    missing = any(name not in trial.values for name in shown for trial in scored)
    note = "\nnone: not part of that trial's network" if missing else ""
    add_title(figure, "Trials", f"{left_out}{remark}{note}")
    return figure


def _draw_lines(axes: Axes, heights: NDArray[np.float64]) -> None:
    """Draws a line a trial through its heights (num_trials, num_axes), best last and opaque."""
    lines = [np.stack([np.arange(heights.shape[1]), row], axis=1) for row in heights]
    ranks = np.linspace(0, 1, len(lines)) if len(lines) > 1 else np.ones(1)
    colors = _RANKS(ranks)
    colors[:, 3] = np.maximum((0.18 + 0.62 * ranks**3) * min(1.0, (60 / len(lines)) ** 0.5), 0.05)
    widths = 0.8 + 0.7 * ranks
    colors[-1], widths[-1] = (*(int(VERMILION[at : at + 2], 16) / 255 for at in (1, 3, 5)), 1.0), 2.4
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=widths, zorder=2, clip_on=False))


def _draw_value_axis(axes: Axes, place: int, name: str, scored: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """Draws a hyperparameter's axis and returns the trials' heights on it (num_trials,)."""
    present = np.array([name in trial.values for trial in scored])
    values = [trial.values[name] for trial in scored if name in trial.values]
    heights = np.full(len(scored), _NONE_HEIGHT)
    if categories := value_categories(values):
        heights[present], ticks = _category_heights(values, categories)
        # A little apart, so that trials with the same category don't hide one another.
        heights += np.random.default_rng(place).uniform(-0.012, 0.012, len(scored))
    else:
        heights[present], ticks = _number_heights(np.array(values, dtype=np.float64))
    if not present.all():
        ticks[_NONE_HEIGHT] = "none"
    _draw_axis(axes, place, name, ticks)
    return heights


def _category_heights(
    values: Sequence[Any], categories: Sequence[str]
) -> tuple[NDArray[np.float64], dict[float, str]]:
    """Returns values' heights from 0 to 1, and the label of each category's height."""
    if len(categories) == 1:
        return np.full(len(values), 0.5), {0.5: categories[0]}
    step = 1 / (len(categories) - 1)
    return category_places(values, categories) * step, {at * step: text for at, text in enumerate(categories)}


def _number_heights(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], dict[float, str]]:
    """Returns numbers' heights from 0 to 1, and the labels of three heights."""
    logarithmic = is_logarithmic(numbers)
    scaled = np.log(numbers) if logarithmic else numbers
    low, high = float(scaled.min()), float(scaled.max())
    if low == high:
        return np.full(len(numbers), 0.5), {0.5: _number_text(float(numbers[0]))}
    labels = {height: low + height * (high - low) for height in (0.0, 0.5, 1.0)}
    texts = {height: _number_text(float(np.exp(at)) if logarithmic else at) for height, at in labels.items()}
    return (scaled - low) / (high - low), texts


def _number_text(value: float) -> str:
    """Writes a number in about five characters: `288`, `0.25`, `2e-4`."""
    text = f"{value:.0f}" if 100 <= abs(value) < 1e5 else f"{value:.2g}"
    if len(text) <= 5 and "e" not in text:
        return text
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _draw_score_axis(
    axes: Axes, place: int, scores: NDArray[np.float64], objective: Objective
) -> NDArray[np.float64]:
    """Draws the scores' axis, better above, and returns their heights (num_trials,)."""
    limits = objective.limits(scores)
    best, worst = (objective.sign * reduce(objective.sign * scores) for reduce in (np.max, np.min))
    edge = float(np.clip(worst, *limits))
    if best == edge:
        heights, ticks = np.full(len(scores), 0.5), {0.5: objective.text(best)}
    else:
        heights = np.clip((scores - edge) / (best - edge), 0, 1)
        quarters = (0.0, 0.25, 0.5, 0.75, 1.0)
        ticks = {height: objective.text(edge + height * (best - edge)) for height in quarters}
    if edge != worst:
        ticks[0.0] = f"{'≤' if objective.sign > 0 else '≥'} {ticks[0.0]}"
    _draw_axis(axes, place, objective.label, ticks)
    return heights


def _draw_axis(axes: Axes, place: int, name: str, ticks: dict[float, str]) -> None:
    """Draws one upright axis with its name above and its ticks' labels at its right."""
    axes.vlines(place, 0, 1, color=INK, linewidth=1, zorder=3, clip_on=False)
    axes.annotate(shorten(name, 26), (place, 1), (0, 10), textcoords="offset points", rotation=60,
                  ha="left", va="bottom", rotation_mode="anchor", size=8, color=INK,
                  parse_math=False)  # fmt: skip
    spacing = axes.get_position().width * WIDTH_INCHES / axes.get_xlim()[1]
    room = 12 if place == axes.get_xlim()[1] else max(4, int((spacing - 0.06) / 0.056))
    for height, text in ticks.items():
        axes.plot([place], [height], "_", color=INK, markersize=5, zorder=3, clip_on=False)
        axes.annotate(shorten(text, room), (place, height), (3, 0), textcoords="offset points",
                      ha="left", va="center", size=6.5, color=INK, zorder=5, parse_math=False,
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75,
                            "pad": 0.6})  # fmt: skip
