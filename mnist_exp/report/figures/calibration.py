"""The reliability diagram: how often a network is right when it is so sure."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from mnist_exp.evaluation.distortions import DISTORTIONS, distort
from mnist_exp.evaluation.results import Calibration, ConfidenceBin, Robustness
from mnist_exp.report.figures.scales import set_round_ticks
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_BLUE,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    style_axes,
)
from mnist_exp.words import percent

_HEIGHT = 5.1
_ROW_INCHES = 2.8
_TILE = 0.46


def plot_reliability(measured: Calibration, num_images: int) -> Figure:
    """Draws accuracy against confidence, in bins of equal width and of equal count.

    After DeGroot and Fienberg 1983, "The comparison and evaluation of forecasters", and Niculescu-Mizil
    and Caruana 2005, "Predicting good probabilities with supervised learning".
    """
    figure = new_figure(_HEIGHT)
    left, counts, right = (
        figure.add_axes(place)
        for place in ((0.085, 0.345, 0.38, 0.495), (0.085, 0.115, 0.38, 0.16), (0.6, 0.115, 0.38, 0.725))
    )
    _draw_bins(left, measured.equal_width, (0.0, 1.0))
    _draw_counts(counts, measured.equal_width)
    _draw_bins(right, measured.equal_count, _reach(measured.equal_count))
    left.tick_params(labelbottom=False)
    style_axes(left, ylabel="accuracy")
    style_axes(counts, "confidence", "images")
    style_axes(right, "confidence", "accuracy")
    error = percent(measured.expected_calibration_error)
    left.set_title(f"bins of equal width: error {error}", size=10, color=INK, loc="left")
    right.set_title("bins of equal count", size=10, color=INK, loc="left")
    _name_direction(left)
    add_title(figure, "Reliability", f"{num_images:,} images; bars are 95% intervals")
    return figure


def _draw_bins(axes: Axes, bins: Sequence[ConfidenceBin], limits: tuple[float, float]) -> None:
    axes.plot((0, 1), (0, 1), color=QUIET, linewidth=1, linestyle=(0, (3, 2)), zorder=1)
    for each in bins:
        if each.confidence is None or each.accuracy is None or each.interval is None:
            continue
        low, high = each.interval
        colour = BLUE if low <= each.confidence <= high else VERMILION
        axes.plot(
            [each.confidence] * 2, [each.confidence, each.accuracy], color=PALE_BLUE, linewidth=5, zorder=2
        )
        axes.plot([each.confidence] * 2, each.interval, color=colour, linewidth=1.3, zorder=3)
        face = colour if colour == BLUE else "white"
        axes.plot([each.confidence], [each.accuracy], "o", color=colour, markersize=5.5,
                  markerfacecolor=face, markeredgewidth=1.4, zorder=4)  # fmt: skip
    margin = 0.025 * (limits[1] - limits[0])
    axes.set(xlim=(limits[0] - margin, limits[1] + margin), ylim=(limits[0] - margin, limits[1] + margin))
    for axis in (axes.xaxis, axes.yaxis):
        set_round_ticks(axis, in_percent=True, max_intervals=5)


def _reach(bins: Sequence[ConfidenceBin]) -> tuple[float, float]:
    lows = [min(each.confidence or 1.0, (each.interval or (1.0,))[0]) for each in bins if each.count]
    return min(min(lows, default=0.0), 0.98), 1.0


def _draw_counts(axes: Axes, bins: Sequence[ConfidenceBin]) -> None:
    widths = [each.high - each.low for each in bins]
    axes.bar([each.low for each in bins], [each.count for each in bins], widths, align="edge",
             color=PALE_BLUE, edgecolor="white", linewidth=0.8)  # fmt: skip
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlim=(-0.025, 1.025), ylim=(0, 2 * max(each.count for each in bins)))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    highest = len(str(max(each.count for each in bins)))
    axes.set_yticks([0, *(10.0**power for power in range(0, highest, 1 if highest < 4 else 2))])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    set_round_ticks(axes.xaxis, in_percent=True, max_intervals=5)


def _name_direction(axes: Axes) -> None:
    axes.text(0.0, 0.995, "underconfident", size=9, color=QUIET, va="top")
    axes.text(0.97, 0.05, "overconfident", size=9, color=QUIET, ha="right")
    axes.text(0.97, 0.13, "○ interval misses the confidence", size=8.5, color=VERMILION, ha="right")


def plot_robustness(found: Sequence[Robustness], image: NDArray[np.uint8]) -> Figure:
    """Draws a panel for each distortion: accuracy with its interval, the image at each severity above.

    There is one distortion or more; the image is uint8 (H, W).
    """
    rows = -(-len(found) // 2)
    total = 0.5 + _ROW_INCHES * rows
    figure = new_figure(total)
    lowest = min(level.interval[0] for each in found for level in each.levels)
    for place, each in enumerate(found):
        row, column = divmod(place, 2)
        bottom = total - 0.5 - (row + 1) * _ROW_INCHES + 0.55
        left = 0.7 + 3.85 * column
        axes = figure.add_axes((left / 8, bottom / total, 3.25 / 8, 1.5 / total))
        _draw(axes, each, lowest)
        axes.set_ylabel("accuracy" if column == 0 else "")
        _draw_examples(figure, (left, bottom + 1.62), total, each, image)
    images = f"{found[0].num_images:,} images" if found else ""
    add_title(figure, "Accuracy on distorted images", f"{images}; bands are 95% intervals")
    return figure


def _draw(axes: Axes, found: Robustness, lowest: float) -> None:
    places = range(len(found.levels))
    lows, highs = zip(*(level.interval for level in found.levels), strict=True)
    axes.fill_between(places, lows, highs, color=PALE_BLUE, linewidth=0)
    accuracies = [level.accuracy for level in found.levels]
    axes.plot(places, accuracies, color=BLUE, linewidth=2, marker="o", markersize=5)
    style_axes(axes, f"{found.distortion} ({found.unit})", "accuracy")
    axes.set_xticks(places, [f"{level.severity:g}" for level in found.levels])
    axes.set(xlim=(-0.5, len(found.levels) - 0.5), ylim=(max(0.0, lowest - 0.03), 1.02))
    set_round_ticks(axes.yaxis, in_percent=True, max_intervals=5)
    last = accuracies[-1]
    has_room = last - axes.get_ylim()[0] > 0.15
    axes.annotate(
        f"{100 * last:.1f}%", (len(accuracies) - 1, last), (0, -8 if has_room else 8),
        textcoords="offset points", ha="center", va="top" if has_room else "bottom", size=9, color=INK,
        weight="bold", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip


def _draw_examples(
    figure: Figure, corner: tuple[float, float], total: float, found: Robustness, image: NDArray[np.uint8]
) -> None:
    distortion = next(each for each in DISTORTIONS if each.name == found.distortion)
    step = 3.25 / len(found.levels)
    for place, level in enumerate(found.levels):
        left = corner[0] + step * (place + 0.5) - _TILE / 2
        axes = figure.add_axes((left / 8, corner[1] / total, _TILE / 8, _TILE / total))
        seen = distort(image[np.newaxis], distortion, level.severity)[0]
        axes.imshow(colormaps["Greys"](Normalize(-12, 255)(seen)), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=QUIET, linewidth=0.5)
