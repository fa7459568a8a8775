"""How differences between configurations became known, seed by seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mnist_exp.comparison.pairs import points
from mnist_exp.comparison.sequential import Decision
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    rule_lightly,
    shorten,
    style_axes,
)
from mnist_exp.words import plural

MOST_PAIRS = 6
_REACH = 3.0
_PANEL_INCHES, _BETWEEN_INCHES, _PAGE_PANEL_INCHES = 2.3, 0.9, 2.4
_LONGEST_LABEL = 44


def plot_decisions(pairs: Sequence[Decision], precision: float) -> Figure:
    """Draws the course of the first pairs' differences, their repeated intervals as bands.

    Pairs have a look each; the precision, in percentage points, is marked on both sides of zero.
    """
    shown = pairs[:MOST_PAIRS]
    columns, rows = min(len(shown), 2), -(-len(shown) // 2)
    total = 0.6 + (_PANEL_INCHES + _BETWEEN_INCHES) * rows
    figure = new_figure(total)
    figure.subplots_adjust(
        left=0.09, right=0.98, bottom=0.5 / total, top=1 - 1 / total, hspace=_BETWEEN_INCHES / _PANEL_INCHES
    )
    for place, pair in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, place)
        _draw(axes, pair, precision)
        style_axes(axes, "seeds" if place > len(shown) - columns else "", "points ahead")
        axes.set_title(_title(pair), size=9.5, color=INK, loc="left")
    hidden = f"the first {len(shown)} of {len(pairs):,} pairs; " if len(shown) < len(pairs) else ""
    add_title(figure, "Differences by number of seeds", f"{hidden}bands: repeated intervals")
    return figure


def plot_page_decision(pair: Decision, precision: float, width_inches: float) -> Figure:
    """Draws one pair's course for a page; see `plot_decisions`."""
    figure = new_figure(_PAGE_PANEL_INCHES, width_inches)
    axes = figure.add_axes((0.15, 0.19, 0.82, 0.75))
    _draw(axes, pair, precision)
    rule_lightly(axes, "seeds")
    return figure


def _draw(axes: Axes, pair: Decision, precision: float) -> None:
    """Draws how far the better one is ahead; the axis reaches as far as the later half of its looks."""
    seeds = np.array([look.num_seeds for look in pair.looks])
    difference, low, high = 100 * np.array([pair.ahead(look) for look in pair.looks]).T
    colour = BLUE if pair.outcome in ("better", "as good") else VERMILION
    axes.axhline(0, color=INK, linewidth=1)
    for line in (-precision, precision):
        axes.axhline(line, color=QUIET, linewidth=1, linestyle=(0, (3, 2)))
    axes.fill_between(seeds, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(seeds, difference, color=colour, linewidth=1.8, marker="o", markersize=4.5)
    axes.plot(seeds[-1:].repeat(2), [low[-1], high[-1]], color=colour, linewidth=1.8)
    later = slice(len(seeds) // 2, None)
    reach = max(float(np.abs([low[later], high[later]]).max()), _REACH * precision)
    axes.set(xlim=(seeds[0] - 0.5, seeds[-1] + 0.5), ylim=(-reach, reach))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _title(pair: Decision) -> str:
    names = [shorten(label, _LONGEST_LABEL) for label in pair.labels]
    line = " minus ".join(names)
    return line if len(line) <= _LONGEST_LABEL else "\nminus ".join(names)


def describe_decision(pair: Decision) -> str:
    """Says in words where a course begins and ends."""
    words = []
    for look in (pair.looks[0], pair.looks[-1]):
        difference, low, high = pair.ahead(look)
        words.append(
            f"{points(difference)} ({points(low)} to {points(high)}) after {plural(look.num_seeds, 'seed')}"
        )
    return f"from {words[0]} to {words[1]}: {pair.outcome}"
