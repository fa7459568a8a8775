"""The confusion matrix: which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import drawable_names, note_inches, width_of, write_note
from mnist_exp.report.figures.style import (
    FAINT,
    INK,
    PALE_BLUE,
    QUIET,
    WIDTH_INCHES,
    add_title,
    new_figure,
    shorten,
)
from mnist_exp.words import percent

_ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#fdd0a2", "#f08a35", "#a63603"])
_RECALL = LinearSegmentedColormap.from_list("recall", ["#eef5fa", PALE_BLUE])
# A cell of a confusion matrix where there are many classes, and a matrix at its largest.
_CELL_INCHES, _MAX_SIDE_INCHES = 0.25, 16.0
_SMALLEST_POINTS = 6.0
_MOST_SLANTED = 30


def plot_confusion_matrix(counts: NDArray[np.integer], class_names: Sequence[str]) -> Figure:
    """Draws which classes are taken for which, and each class's recall.

    Colours are shares of the true class's images. Errors have a scale of their own, which ends at
    the largest of them, so that they show beside a diagonal of 99%.

    The counts are integers (C, C): row true class, column predicted class.
    """
    names = [shorten(name, 14) for name in drawable_names(class_names)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = np.where(np.eye(len(names), dtype=bool), 0.0, shares)
    scale = Normalize(0, max(float(errors.max()), 0.001))
    figure, axes, scale_axes = _matrix_axes(names, note_inches(class_names))
    write_note(figure, class_names)
    edges = np.arange(len(names) + 1) - 0.5
    # Quadrilaterals: an image would be resampled to as many pixels as the matrix has.
    axes.pcolormesh(edges, edges, _matrix_colours(shares, errors, scale))
    axes.invert_yaxis()
    _write_counts(axes, counts, scale(errors))
    _name_classes(axes, names)
    _write_recall(axes, counts, shares)
    _draw_error_scale(scale_axes, scale)
    right, total = int(np.trace(counts)), int(counts.sum())
    remark = f"{right:,} of {total:,} right ({percent(right / max(total, 1))}), {total - right:,} wrong"
    add_title(figure, "Confusion matrix", remark)
    return figure


def _matrix_axes(class_names: Sequence[str], note: float) -> tuple[Figure, Axes, Axes]:
    """Makes a square for the matrix and a strip for the scale; `note` inches are left free at the foot."""
    longest = max(map(width_of, class_names))
    left, bottom, top = 0.45 + 0.085 * longest, 0.55 + (0.05 * longest if longest > 3 else 0), 0.85
    side = max(min(5.6, 6.55 - left), min(_CELL_INCHES * len(class_names), _MAX_SIDE_INCHES))
    bottom += note
    width, total = max(WIDTH_INCHES, left + side + 1.45), top + side + bottom
    figure = new_figure(total)
    figure.set_figwidth(width)
    axes = figure.add_axes((left / width, bottom / total, side / width, side / total))
    strip = figure.add_axes(((left + side + 1.25) / width, bottom / total, 0.13 / width, 1.8 / total))
    return figure, axes, strip


def _matrix_colours(
    shares: NDArray[np.float64], errors: NDArray[np.float64], scale: Normalize
) -> NDArray[np.float64]:
    """Returns colours (C, C, 4): the diagonal in pale blue by recall, errors in orange by share."""
    diagonal = np.eye(len(shares), dtype=bool)[:, :, np.newaxis]
    return np.where(diagonal, _RECALL(shares), _ERRORS(scale(errors)))


def _write_counts(axes: Axes, counts: NDArray[np.integer], darkness: NDArray[np.float64]) -> None:
    size = _letter_points(axes)
    if size < _SMALLEST_POINTS:
        return  # the colours tell
    for row, column in np.argwhere(counts):
        axes.text(
            column, row, f"{counts[row, column]:,}", ha="center", va="center", size=size,
            weight="bold" if row == column else "normal",
            color="white" if darkness[row, column] > 0.72 else INK,
        )  # fmt: skip


def _letter_points(axes: Axes) -> float:
    num_classes = axes.get_xlim()[1] + 0.5
    figure = axes.get_figure(root=True)
    assert figure is not None
    side = axes.get_position().width * figure.get_figwidth()
    return min(10.0, 72 * side / num_classes / 3)


def _name_classes(axes: Axes, class_names: Sequence[str]) -> None:
    places = range(len(class_names))
    size = max(_letter_points(axes), _SMALLEST_POINTS)
    slanted = max(map(width_of, class_names)) > 3
    axes.set_yticks(places, class_names, size=size, parse_math=False)
    axes.set_xticks(places, class_names, size=size, parse_math=False)
    if slanted:
        rotation = 35 if len(class_names) <= _MOST_SLANTED else 90
        axes.tick_params(axis="x", labelrotation=rotation)
        for label in axes.get_xticklabels():
            label.set(ha="right", va="top" if rotation == 35 else "center", rotation_mode="anchor")
    axes.set_xlabel("predicted", color=QUIET)
    axes.set_ylabel("true", color=QUIET)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    edges = np.arange(len(class_names) + 1) - 0.5
    axes.hlines(edges, -0.5, len(class_names) - 0.5, color=FAINT, linewidth=0.6)
    axes.vlines(edges, -0.5, len(class_names) - 0.5, color=FAINT, linewidth=0.6)


def _write_recall(axes: Axes, counts: NDArray[np.integer], shares: NDArray[np.float64]) -> None:
    num_classes = len(counts)
    size = max(_letter_points(axes), _SMALLEST_POINTS)
    axes.text(num_classes - 0.3, -0.6, "recall", size=9.5, color=QUIET, ha="left", va="bottom")
    for row in range(num_classes):
        recall = percent(shares[row, row], 1) if counts[row].any() else "–"
        axes.text(num_classes - 0.3, row, recall, size=size, color=INK, ha="left", va="center")


def _draw_error_scale(axes: Axes, scale: Normalize) -> None:
    strip = np.linspace(scale.vmin or 0.0, scale.vmax or 1.0, 128)[:, np.newaxis]
    edges = np.linspace(strip[0, 0], strip[-1, 0], len(strip) + 1)
    axes.pcolormesh([0, 1], edges, strip, cmap=_ERRORS)
    axes.set_xticks([])
    axes.yaxis.set_ticks_position("left")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=8.5, labelcolor=QUIET, length=0)
    axes.set_title("share\nof row", size=8.5, color=QUIET, loc="right", pad=11)
