"""Best-so-far curves of several strategies: the median over seeds in a band from worst to best."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.style import BLUE, FAINT, INK, QUIET, VERMILION, add_title, new_figure
from mnist_exp.words import percent

# Strategies have dashes as well as colours.
_STYLES = {"random": (QUIET, ":"), "hyperband": (VERMILION, "--"), "bayesian": (BLUE, "-")}
# Scores before this share of the budget may leave the picture.
_EARLY = 0.1


class Curve(NamedTuple):
    """One search.

    Attributes:
        strategy: Name of the tuner.
        seed: Of the search.
        epochs: Number of epochs trained in all when each trial ended.
        best: The best validation accuracy by then, a fraction; 0 before the first completed trial.
        search_s: Seconds of the search.
        process_s: Seconds of the whole command.
    """

    strategy: str
    seed: int
    epochs: list[int]
    best: list[float]
    search_s: float
    process_s: float

    def best_at(self, epochs: int) -> float | None:
        """Gives the best score once so many epochs were trained; None before the first trial."""
        place = bisect_right(self.epochs, epochs)
        return self.best[place - 1] or None if place else None


def plot_strategies(curves: Sequence[Curve]) -> Figure:
    """Draws the median of each strategy over the epochs trained, in a band from worst to best seed."""
    figure = new_figure(4.0)
    axes = figure.add_axes((0.105, 0.13, 0.865, 0.685))
    total, lowest, highest = min(curve.epochs[-1] for curve in curves), [], []
    for strategy in dict.fromkeys(curve.strategy for curve in curves):
        places, scores = _scores([curve for curve in curves if curve.strategy == strategy], total)
        median, (colour, dashes) = np.median(scores, axis=0), _STYLES[strategy]
        axes.fill_between(
            places, scores.min(axis=0), scores.max(axis=0), step="post", color=colour, alpha=0.16, linewidth=0
        )
        label = f"{strategy}: {percent(median[-1])}"
        axes.step(places, median, where="post", color=colour, linestyle=dashes, linewidth=2, label=label)
        lowest.append(median[places >= _EARLY * total][0])
        highest.append(scores.max())
    margin = 0.06 * (max(highest) - min(lowest)) or 0.01
    axes.set(xlim=(0, total), ylim=(min(lowest) - margin, max(highest) + margin))
    axes.set_xlabel("Epochs trained in all", color=INK)
    axes.set_ylabel("Best validation accuracy so far", color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g}%"))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=INK, color=QUIET)
    num_seeds = len({curve.seed for curve in curves})
    add_title(figure, "Search strategies", f"line: median of {num_seeds} searches; band: worst to best")
    figure.legend(loc="upper left", ncols=len(_STYLES), frameon=False, bbox_to_anchor=(0.006, 0.925))
    return figure


def _scores(curves: Sequence[Curve], total: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lists epochs, int64 (E,), from the first at which all curves have a score, and these (curves, E)."""
    places = range(1, total + 1)
    rows = np.array([[curve.best_at(place) or np.nan for place in places] for curve in curves])
    known = ~np.isnan(rows).any(axis=0)
    return np.array(places)[known], rows[:, known]
