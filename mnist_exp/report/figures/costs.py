"""Accuracy against what it costs: parameters, seconds of training, time an image; and the best trades."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mnist_exp.report.figures.scales import interval_limits, set_round_ticks
from mnist_exp.report.figures.style import (
    COLOURS,
    INK,
    LONGEST_LABEL,
    MOST_COLOURS,
    QUIET,
    add_title,
    new_figure,
    rule_lightly,
    shorten,
    style_axes,
)
from mnist_exp.words import percent

COSTS = ("Parameters", "Training (seconds)", "Milliseconds an image")
_LEGEND_LINE_INCHES = 0.21
_LOGARITHMIC_FROM = 4.0
_WIDE_RANGE = 30.0


@dataclass(frozen=True)
class CostPoint:
    """One group: mean test accuracy, 95% interval, and costs, means over seeds.

    Costs are parameters, seconds of training and milliseconds an image.
    """

    label: str
    accuracy: float
    interval: tuple[float, float]
    costs: tuple[float, float, float]


def plot_costs(groups: Sequence[CostPoint], remark: str = "") -> Figure:
    """Draws accuracy against three costs, each with its Pareto front; groups are best on validation first.

    `remark` is what must be known about the seconds.
    """
    named = groups[:MOST_COLOURS]
    legend = 0.12 + _LEGEND_LINE_INCHES * -(-len(named) // 2)
    total = 3.6 + legend
    figure = new_figure(total)
    for place, name in enumerate(COSTS):
        axes = figure.add_axes((0.1 + 0.304 * place, (legend + 0.55) / total, 0.27, 2.5 / total))
        _draw_panel(axes, groups, place)
        style_axes(axes, name, "Test accuracy" if not place else "")
        axes.tick_params(labelleft=not place)
    handles = [
        figure.axes[0].plot([], [], "o", color=COLOURS[place], markersize=8)[0] for place in range(len(named))
    ]
    labels = [f"{place + 1}  {shorten(group.label, LONGEST_LABEL)}" for place, group in enumerate(named)]
    figure.legend(handles, labels, loc="lower left", ncols=2, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.06, 0.0), handletextpad=0.3)  # fmt: skip
    add_title(figure, "Accuracy against cost", remark or "ringed: nothing cheaper is as accurate")
    return figure


def plot_page_costs(groups: Sequence[CostPoint], place: int, width_inches: float) -> Figure:
    """Draws accuracy against one cost for a page, where words beside it name the groups' numbers."""
    figure = new_figure(2.2, width_inches)
    axes = figure.add_axes((0.55 / width_inches, 0.3 / 2.2, 1 - 0.8 / width_inches, 1.8 / 2.2))
    _draw_panel(axes, groups, place)
    rule_lightly(axes)
    return figure


def describe_costs(groups: Sequence[CostPoint], place: int) -> str:
    """Says in words what each group costs and how accurate it is."""
    return "; ".join(
        f"{group.label} {percent(group.accuracy)} at {_short_number(group.costs[place])}" for group in groups
    )


def _draw_panel(axes: Axes, groups: Sequence[CostPoint], place: int) -> None:
    accuracies = np.array([group.accuracy for group in groups])
    costs = np.array([group.costs[place] for group in groups])
    limits = interval_limits(accuracies.tolist(), [group.interval for group in groups])
    _draw_points(axes, groups, costs, limits)
    _draw_front(axes, costs, accuracies)
    _format_cost_axis(axes, costs)
    axes.set_ylim(*limits)
    set_round_ticks(axes.yaxis, in_percent=True)


def _draw_points(
    axes: Axes, groups: Sequence[CostPoint], costs: NDArray[np.float64], limits: tuple[float, float]
) -> None:
    intervals = np.clip([group.interval for group in groups], *limits)
    accuracies = np.array([group.accuracy for group in groups])
    rest = slice(MOST_COLOURS, None)
    axes.vlines(costs[rest], intervals[rest, 0], intervals[rest, 1], color=QUIET, linewidth=1, alpha=0.25)
    axes.plot(costs[rest], accuracies[rest], "o", color=QUIET, markersize=4, markeredgewidth=0, alpha=0.5)
    for place, cost in enumerate(costs[:MOST_COLOURS]):
        colour = COLOURS[place]
        axes.plot([cost, cost], intervals[place], color=colour, linewidth=1.2, alpha=0.8)
        axes.plot([cost], [accuracies[place]], "o", color=colour, markersize=8, markeredgecolor="white",
                  zorder=20 - place)  # fmt: skip
        axes.annotate(str(place + 1), (cost, accuracies[place]), (5, 5), textcoords="offset points", size=9,
                      color=INK, weight="bold", zorder=30)  # fmt: skip


def pareto_front(costs: NDArray[np.float64], accuracies: NDArray[np.float64]) -> NDArray[np.int64]:
    """Finds the groups, (N,), that no other beats in accuracy at the same cost or less, cheapest first."""
    order = np.lexsort((-accuracies, costs))
    best = np.maximum.accumulate(accuracies[order])
    is_new = np.concatenate([[True], best[1:] > best[:-1]])
    return order[is_new]


def _draw_front(axes: Axes, costs: NDArray[np.float64], accuracies: NDArray[np.float64]) -> None:
    front = pareto_front(costs, accuracies)
    axes.step(costs[front], accuracies[front], where="post", color=QUIET, linewidth=1.2, zorder=1)
    axes.plot(
        costs[front], accuracies[front], "o", color=INK, markersize=12, markerfacecolor="none", zorder=25
    )


def _format_cost_axis(axes: Axes, costs: NDArray[np.float64]) -> None:
    low, high = float(costs.min()), float(costs.max())
    if low > 0 and high / low >= _LOGARITHMIC_FROM:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.12, high * (high / low) ** 0.12)
        subs = (1.0,) if high / low > _WIDE_RANGE else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.14 * (high - low) or 0.1 * high or 1.0
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short_number(value)))


def _short_number(value: float) -> str:
    """Writes a tick's number: `150k`, `1.2M`, `0.02`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
