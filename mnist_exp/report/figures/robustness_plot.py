"""Accuracy against the severity of shifts, rotations, noise and blur, with what the images look like."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.evaluation.distortions import DISTORTIONS, distort
from mnist_exp.evaluation.records import Robustness
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_BLUE,
    QUIET,
    add_title,
    new_figure,
    set_round_ticks,
    style_axes,
)

_ROW_INCHES = 2.8
_TILE = 0.46


def plot_robustness(found: Sequence[Robustness], image: NDArray[np.uint8]) -> Figure:
    """Draws a panel for each distortion: accuracy with its interval, the image at each severity above.

    Args:
        found: One or more.
        image: An image to show, uint8 (H, W).
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
    add_title(figure, "Accuracy on harder images", f"{images}; bands are 95% intervals")
    return figure


def _draw(axes: Axes, found: Robustness, lowest: float) -> None:
    """Draws accuracy over severity; severities stand at even steps, below their images."""
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
    """Draws an image as the network sees it at each severity, in dark ink."""
    distortion = next(each for each in DISTORTIONS if each.name == found.distortion)
    step = 3.25 / len(found.levels)
    for place, level in enumerate(found.levels):
        left = corner[0] + step * (place + 0.5) - _TILE / 2
        axes = figure.add_axes((left / 8, corner[1] / total, _TILE / 8, _TILE / total))
        seen = distort(image[np.newaxis], distortion, level.severity)[0]
        axes.imshow(colormaps["Greys"](Normalize(-12, 255)(seen)), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=QUIET, linewidth=0.5)
