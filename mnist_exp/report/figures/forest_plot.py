"""A forest plot: test accuracies with their intervals, and differences from the leader beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mnist_exp.comparison.pairs import Pair, points
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_VERMILION,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    set_round_ticks,
    shorten,
    style_axes,
    write_beside,
)

_ROW_INCHES = 0.42
_LONGEST_LINE, _MOST_LINES = 24, 2
_SEED: dict[str, Any] = {"color": QUIET, "markersize": 3.2, "alpha": 0.7, "markeredgewidth": 0}
Interval = tuple[float, float]


@dataclass(frozen=True)
class ForestRow:
    """One group.

    Attributes:
        label: The group's.
        scores: Test accuracy of each of its seeds.
        mean: Of these.
        interval: 95% interval of the mean, or of the one network.
        pair: The leader against this group; null for the leader.
        is_optimistic: Whether test images had a part in choosing its epochs.
    """

    label: str
    scores: Sequence[float]
    mean: float
    interval: Interval
    pair: Pair | None
    is_optimistic: bool


def plot_forest(rows: Sequence[ForestRow], leader: str | None, num_groups: int) -> Figure:
    """Draws every group's test accuracy and, beside it, how far the leader is ahead.

    Args:
        rows: One or more, in the order of the table.
        leader: Label of the group that the others are compared with; None with a single group.
        num_groups: Number of groups that there are.
    """
    height = _ROW_INCHES * len(rows)
    total = height + 1.55
    figure = new_figure(total)
    bottom, tall = 0.95 / total, height / total
    left, right = figure.add_axes((0.245, bottom, 0.315, tall)), None
    _draw_accuracies(left, rows)
    if leader is not None:
        right = figure.add_axes((0.59, bottom, 0.175, tall))
        _draw_differences(right, rows)
    _name_rows(left, rows)
    _explain(figure, left)
    hidden = f"the first {len(rows)} of {num_groups:,} groups" if len(rows) < num_groups else ""
    add_title(figure, "Test accuracy, 95% intervals", hidden)
    return figure


def _draw_accuracies(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Draws means, intervals and seeds."""
    limits = _limits([(min(row.scores), max(row.scores)) for row in rows], [row.interval for row in rows])
    for place, row in enumerate(rows):
        colour = VERMILION if row.is_optimistic else BLUE
        if row.is_optimistic:
            axes.axhspan(place - 0.5, place + 0.5, color=PALE_VERMILION, alpha=0.35, linewidth=0)
        _draw_interval(axes, place, row.interval, limits, colour)
        axes.plot([row.mean], [place], "s", color=colour, markersize=7, markeredgecolor="white")
        if len(row.scores) > 1:
            axes.plot(row.scores, [place + 0.24] * len(row.scores), "o", **_SEED)
    style_axes(axes, "Test accuracy")
    axes.set_xlim(*limits)
    set_round_ticks(axes.xaxis, in_percent=True, max_intervals=4)


def _draw_differences(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Draws how far the leader is ahead of each group, and writes it beside."""
    pairs = [row.pair for row in rows if row.pair is not None]
    intervals = [pair.interval or (pair.difference, pair.difference) for pair in pairs]
    limits = _limits([(0.0, 0.0), *((pair.difference,) * 2 for pair in pairs)], intervals)
    for place, row in enumerate(rows):
        if row.pair is None:
            write_beside(axes, place, "best on validation")
            continue
        colour = BLUE if row.pair.is_decided else QUIET
        if row.pair.interval is not None:
            _draw_interval(axes, place, row.pair.interval, limits, colour)
        face = colour if row.pair.is_decided else "white"
        axes.plot([row.pair.difference], [place], "D", color=colour, markersize=6, markerfacecolor=face)
        write_beside(axes, place, _word_pair(row.pair))
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 2)), zorder=1)
    style_axes(axes, "Ahead by (points)")
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}".replace("-", "−")))


def _word_pair(pair: Pair) -> str:
    """Writes a difference with its interval."""
    if pair.interval is None:
        return f"{points(pair.difference)}, not tested"
    low, high = map(points, pair.interval)
    return f"{points(pair.difference)} ({low} to {high})"


def _limits(shown: Sequence[Interval], intervals: Sequence[Interval]) -> Interval:
    """Returns limits that hold all scores, and intervals unless they would press the scores together."""
    lowest, highest = min(low for low, _ in shown), max(high for _, high in shown)
    typical = sorted(high - low for low, high in intervals)[len(intervals) // 2] if intervals else 0.0
    reach = 2 * typical + 0.5 * (highest - lowest)
    low = max(min([lowest, *(low for low, _ in intervals)]), lowest - reach)
    high = min(max([highest, *(high for _, high in intervals)]), highest + reach)
    margin = 0.06 * (high - low) or 0.002
    return low - margin, high + margin


def _draw_interval(axes: Axes, height: float, interval: Interval, limits: Interval, colour: str) -> None:
    """Draws an interval; an end beyond the limits becomes an arrow."""
    low, high = max(interval[0], limits[0]), min(interval[1], limits[1])
    axes.plot([low, high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")
    for end, shown, arrow in ((interval[0], low, "<"), (interval[1], high, ">")):
        axes.plot(
            [shown], [height], "|" if end == shown else arrow, color=colour, markersize=7, clip_on=False
        )


def _name_rows(axes: Axes, rows: Sequence[ForestRow]) -> None:
    labels = [_break(f"{row.label} (optimistic)" if row.is_optimistic else row.label) for row in rows]
    axes.set_yticks(range(len(rows)), labels, size=9, parse_math=False)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, pad=6)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _break(label: str) -> str:
    """Sets a label in two lines at most, broken between its words."""
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _LONGEST_LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1]} …"]
    return "\n".join(shorten(line, _LONGEST_LINE) for line in lines)


def _explain(figure: Figure, axes: Axes) -> None:
    """Adds the legend of the marks."""
    handles = [
        *axes.plot([], [], "s", color=BLUE, markersize=7, label="mean of its seeds"),
        *axes.plot([], [], "o", label="a seed", **_SEED),
        *axes.plot([], [], "D", color=BLUE, markersize=6, label="decided"),
        *axes.plot([], [], "D", color=QUIET, markersize=6, markerfacecolor="white", label="cannot tell"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.5, 0.0))  # fmt: skip
