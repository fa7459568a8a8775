"""Hyperparameters: values against the score, what each explains, and trials as lines through them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mnist_exp.report.figures.importance import (
    MIN_TRIALS,
    Importance,
    are_numbers,
    scored_trials,
    value_text,
)
from mnist_exp.report.figures.scales import Interval, Objective
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
from mnist_exp.report.figures.trials import best_trial, draw_scores, trial_score, trial_scores
from mnist_exp.runs.records import TrialRecord
from mnist_exp.words import percent

_MAX_HYPERPARAMETERS = 16  # in one figure
_MAX_COLUMNS = 4
_MAX_BARS = 24
_LABEL_LENGTH = 12  # of a category, in characters
_MAX_CATEGORIES = 12
_MAX_NUMBER_CATEGORIES = 6
_OTHERS = "others"
_RANKS = LinearSegmentedColormap.from_list("ranks", ["#c4c4c4", PALE_BLUE, BLUE, "#00406b"])
_NONE_HEIGHT = -0.13


def plot_hyperparameters(
    trials: Sequence[TrialRecord], objective: Objective, importances: Sequence[Importance]
) -> Figure:
    """Draws each hyperparameter's values against the score of trials that have both, important ones first."""
    scored = scored_trials(trials)
    explained = {importance.name: importance for importance in importances}
    names = _most_important_first(_hyperparameter_names(scored), explained)
    if not names:
        words = "No trial was completed: there is nothing to compare."
        return write_instead(new_figure(3), "Hyperparameters", words)
    shown = names[:_MAX_HYPERPARAMETERS]
    limits, best = objective.limits(trial_scores(scored)), best_trial(scored, objective)
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
    categories = _value_categories([trial.values[name] for trial in scored if name in trial.values])
    return 0.2 + 0.065 * _longest(categories) if _are_crowded(categories, width) else 0.3


def _are_crowded(categories: Sequence[str], width: float) -> bool:
    """Says whether labels don't fit side by side in so many inches."""
    return bool(categories) and _longest(categories) * 0.06 + 0.05 > width / len(categories)


def _longest(categories: Sequence[str]) -> int:
    return max(len(shorten(category, _LABEL_LENGTH)) for category in categories)


def _draw_panel(
    axes: Axes,
    name: str,
    trials: Sequence[TrialRecord],
    objective: Objective,
    limits: Interval,
    best: TrialRecord,
) -> None:
    values = [trial.values[name] for trial in trials]
    categories = _value_categories(values)
    if categories:
        x = _category_places(values, categories) + np.random.default_rng(0).uniform(-0.25, 0.25, len(values))
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
    axes.set_xlim(-0.6, len(categories) - 0.4)
    labels = [shorten(category, _LABEL_LENGTH) for category in categories]
    axes.set_xticks(range(len(labels)), labels, parse_math=False)
    if _are_crowded(categories, axes.get_position().width * WIDTH_INCHES):
        axes.tick_params(axis="x", labelrotation=90)


def _scale_numbers(axes: Axes, values: NDArray[np.float64]) -> None:
    if _is_logarithmic(values):
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
    width = axes.get_position().width * WIDTH_INCHES
    words = "too few trials" if num_present < MIN_TRIALS else "cannot tell"
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
    """Draws how much of the differences between scores each hyperparameter explains, largest first.

    Without any, the figure says why.
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
    style_axes(axes, "Share of the variance of score ranks, with 95% interval")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    more = f"{len(shown)} of {len(importances)}; " if len(shown) < len(importances) else ""
    add_title(figure, "Importance", f"{more}pale: could be chance (p ≥ 0.05)")
    return figure


def _draw_bar(axes: Axes, row: int, importance: Importance) -> None:
    low, high = importance.interval
    axes.barh(row, importance.share, 0.62, color=BLUE if importance.p_value < 0.05 else PALE_BLUE)
    axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|", markersize=6, clip_on=False)
    chance = "p < 0.001" if importance.p_value < 0.001 else f"p = {importance.p_value:.3f}"
    write_beside(axes, row, f"{percent(importance.share, 0)}  {chance}")


def plot_parallel_coordinates(trials: Sequence[TrialRecord], objective: Objective) -> Figure:
    """Draws each scored trial as a line through its values to its score, the best one on top.

    A value that a trial does not have, as the units of a layer that does not exist, lies at
    "none", below its axis. Good scores lie above, whichever direction is better.
    """
    scored = sorted(scored_trials(trials), key=lambda trial: objective.sign * trial_score(trial))
    names, figure = _hyperparameter_names(scored), new_figure(5.9)
    if not names:
        return write_instead(figure, "Trials", "No trial was completed: there is nothing to draw.")
    shown = [name for name in names if len({value_text(trial.values.get(name)) for trial in scored}) > 1]
    shown = (shown or names)[:_MAX_HYPERPARAMETERS]
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
    if categories := _value_categories(values):
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
    return _category_places(values, categories) * step, {
        at * step: text for at, text in enumerate(categories)
    }


def _number_heights(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], dict[float, str]]:
    """Returns numbers' heights from 0 to 1, and the labels of three heights."""
    logarithmic = _is_logarithmic(numbers)
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


def _hyperparameter_names(trials: Sequence[TrialRecord]) -> list[str]:
    """Lists the hyperparameters of any trial as the search space has them, lists' entries in order."""
    names = {name: None for trial in trials for name in trial.values}
    families: dict[str, int] = {}
    for name in names:
        families.setdefault(_family(name)[0], len(families))
    return sorted(names, key=lambda name: (families[_family(name)[0]], _family(name)[1]))


def _family(name: str) -> tuple[str, int]:
    """Splits `model.units.2` into its list and position; a list's length has position -1."""
    match = re.fullmatch(r"(.+)\.(length|\d+)", name)
    if match is None:
        return name, -1
    return match[1], -1 if match[2] == "length" else int(match[2])


def _value_categories(values: Sequence[Any]) -> list[str]:
    """Lists the values as categories, rare ones as others; empty where they are numbers on a scale."""
    texts = Counter(map(value_text, values))
    if are_numbers(values):
        few = len(texts) <= _MAX_NUMBER_CATEGORIES and len(values) >= 2 * len(texts)
        return sorted(texts, key=float) if few else []
    if len(texts) <= _MAX_CATEGORIES:
        return sorted(texts)
    return [*sorted(text for text, _ in texts.most_common(_MAX_CATEGORIES - 1)), _OTHERS]


def _category_places(values: Sequence[Any], categories: Sequence[str]) -> NDArray[np.float64]:
    """Returns each value's position among the categories, the last one for others."""
    places = {text: place for place, text in enumerate(categories)}
    return np.array([places.get(value_text(value), len(categories) - 1) for value in values], np.float64)


def _is_logarithmic(values: NDArray[np.float64]) -> bool:
    return bool(values.min() > 0 and values.max() >= 50 * values.min())
