"""A run's numbers as figures: learning curves and the confusion matrix."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import drawable_names, note_inches, width_of, write_note
from mnist_exp.report.figures.style import (
    BLUE,
    FAINT,
    INK,
    PALE_BLUE,
    QUIET,
    VERMILION,
    WIDTH_INCHES,
    add_title,
    new_figure,
    set_round_ticks,
    shorten,
    style_axes,
)
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import loss_text, percent

_ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#fdd0a2", "#f08a35", "#a63603"])
_RECALL = LinearSegmentedColormap.from_list("recall", ["#eef5fa", PALE_BLUE])
# Curves are cut where they reach this many times farther than three quarters of all epochs do.
_REACH = 8.0
_MAX_MARKED_EPOCHS = 40
# A cell of a confusion matrix where there are many classes, and a matrix at its largest.
_CELL_INCHES, _MAX_SIDE_INCHES = 0.25, 16.0
_SMALLEST_POINTS = 6.0
_MOST_SLANTED = 30


def plot_learning_curves(
    rows: Sequence[EpochMetrics],
    best_epoch: int,
    label_smoothing: float = 0.0,
    mixup: float = 0.0,
) -> Figure:
    """Draws loss, accuracy and learning rate over the epochs, the best epoch marked.

    Args:
        rows: One or more epochs, in order. Numbers that are not finite leave a gap.
        best_epoch: The 1-based epoch whose weights were kept.
        label_smoothing: Of the training objective, which lifts the training loss alone.
        mixup: Of the training images, which lifts that loss and lowers the training accuracy.
    """
    figure = new_figure(6.4)
    loss, accuracy, learning_rate = (
        figure.add_axes((0.105, bottom, 0.865, height))
        for bottom, height in ((0.565, 0.33), (0.215, 0.32), (0.085, 0.1))
    )
    _draw_metric(loss, rows, ("loss", "val_loss"), best_epoch)
    _draw_metric(accuracy, rows, ("accuracy", "val_accuracy"), best_epoch)
    _draw_learning_rate(learning_rate, rows)
    for axes, name in ((loss, "Loss"), (accuracy, "Accuracy"), (learning_rate, "Learning\nrate")):
        _style(axes, name, best_epoch)
    _rule_epochs(rows, learning_rate, (loss, accuracy))
    add_title(figure, "Learning curves")
    handles, names = loss.get_legend_handles_labels()
    if label_smoothing or mixup:
        what = "of images mixed in pairs" if mixup else "loss with smoothed labels"
        names = [f"{name} ({what})" if name == "training" else name for name in names]
    figure.legend(handles, names, loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(0.98, 0.995))
    loss.annotate(
        f"best epoch {best_epoch}", (best_epoch, 1), (0, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha=_side(rows, best_epoch), va="bottom", color=QUIET, size=9.5,
    )  # fmt: skip
    return figure


def metric_values(rows: Sequence[EpochMetrics], name: str) -> NDArray[np.float64]:
    """Returns one metric of all epochs, float64 (epochs,), NaN where there is none."""
    values = np.array([getattr(row, name) for row in rows], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _draw_metric(axes: Axes, rows: Sequence[EpochMetrics], names: tuple[str, str], best_epoch: int) -> None:
    """Draws a metric's training and validation curve and writes the best epoch's value."""
    epochs = [row.epoch for row in rows]
    training, validation = metric_values(rows, names[0]), metric_values(rows, names[1])
    marks = len(rows) <= _MAX_MARKED_EPOCHS
    axes.plot(epochs, training, color=VERMILION, linestyle=(0, (4, 1.6)), linewidth=1.6,
              marker="s" if marks else "", markersize=4, label="training")  # fmt: skip
    if np.isfinite(validation).any():
        axes.plot(epochs, validation, color=BLUE, linewidth=2, marker="o" if marks else "", markersize=5,
                  label="validation")  # fmt: skip
    rising = names[0] == "accuracy"
    wording: Callable[[float], str] = percent if rising else loss_text
    everything = np.concatenate([training, validation])
    finite = everything[np.isfinite(everything)]
    if finite.size:
        _zoom(axes, finite, rising, wording)
    shown = validation if np.isfinite(validation).any() else training
    _mark_best(axes, rows, shown, best_epoch, wording)


def _zoom(axes: Axes, values: NDArray[np.float64], rising: bool, wording: Callable[[float], str]) -> None:
    """Limits the y axis to where most epochs are, and says how far the rest reach."""
    good = values.max() if rising else values.min()
    usual = np.quantile(values, 0.25 if rising else 0.75)
    worst = values.min() if rising else values.max()
    limit = good + _REACH * (usual - good)
    cut = (worst < limit) if rising and usual != good else (worst > limit and usual != good)
    edge = limit if cut else worst
    margin = 0.07 * abs(edge - good) or 0.05 * abs(good) or 0.05
    low, high = min(good, edge) - margin, max(good, edge) + margin
    axes.set_ylim(max(low, 0.0) if not rising else low, min(high, 1.02) if rising else high)
    if cut:
        note = f"cut: {'falls to' if rising else 'rises to'} {wording(float(worst))}"
        axes.text(0.5, 0.05 if rising else 0.95, note, transform=axes.transAxes, ha="center",
                  va="bottom" if rising else "top", size=9, color=QUIET)  # fmt: skip


def _mark_best(
    axes: Axes,
    rows: Sequence[EpochMetrics],
    values: NDArray[np.float64],
    best_epoch: int,
    wording: Callable[[float], str],
) -> None:
    """Rings the best epoch's value and writes it beside."""
    found = [value for row, value in zip(rows, values, strict=True) if row.epoch == best_epoch]
    if not found or not np.isfinite(found[0]):
        return
    axes.plot([best_epoch], found, "o", markersize=10, markerfacecolor="none", markeredgecolor=INK)
    side = _side(rows, best_epoch)
    up = wording is not percent
    axes.annotate(
        wording(float(found[0])), (best_epoch, found[0]), (-6 if side == "right" else 6, 9 if up else -9),
        textcoords="offset points", ha=side, va="bottom" if up else "top", weight="bold", color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip


def _side(rows: Sequence[EpochMetrics], best_epoch: int) -> str:
    """Returns the alignment that keeps a label at the best epoch inside the axes."""
    if len(rows) == 1:
        return "left"
    return "right" if best_epoch > (rows[0].epoch + rows[-1].epoch) / 2 else "left"


def _draw_learning_rate(axes: Axes, rows: Sequence[EpochMetrics]) -> None:
    """Draws the learning rate from zero up, its highest value as the only tick."""
    values = metric_values(rows, "learning_rate")
    highest = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    epochs, marker = [row.epoch for row in rows], "." if len(rows) == 1 else ""
    axes.plot(epochs, values, color=INK, linewidth=1.4, marker=marker)
    axes.set_ylim(0, 1.25 * highest or 1.0)
    axes.set_yticks([0, highest], ["0", f"{highest:.2g}"])


def _style(axes: Axes, name: str, best_epoch: int) -> None:
    """Names an axis, rules it lightly and draws the best epoch's line through it."""
    style_axes(axes, ylabel=name)
    axes.yaxis.set_label_coords(-0.09, 0.5)
    axes.yaxis.label.set_verticalalignment("center")
    axes.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", zorder=1)
    if name == "Accuracy":
        set_round_ticks(axes.yaxis, in_percent=True)


def _rule_epochs(rows: Sequence[EpochMetrics], lowest: Axes, others: Sequence[Axes]) -> None:
    """Numbers epochs below the lowest axes, and rules the others at the same ones.

    The others have no ticks of their own, each of which is three lines and two texts to Matplotlib.
    """
    first, last = rows[0].epoch, rows[-1].epoch
    margin = 0.02 * (last - first) or 0.5
    limits = (first - margin, last + margin)
    found = MaxNLocator(10, integer=True, min_n_ticks=1).tick_values(*limits)
    epochs = [epoch for epoch in found if limits[0] <= epoch <= limits[1]]
    lowest.set(xlim=limits, xticks=epochs)
    lowest.set_xlabel("Epoch", color=INK)
    for axes in others:
        axes.set(xlim=limits, xticks=[])
        axes.vlines(
            epochs, 0, 1, color=FAINT, linewidth=0.6, zorder=0.5, transform=axes.get_xaxis_transform()
        )


def plot_confusion_matrix(counts: NDArray[np.integer], class_names: Sequence[str]) -> Figure:
    """Draws which classes are taken for which, and each class's recall.

    Colours are shares of the true class's images. Errors have a scale of their own, which ends at
    the largest of them, so that they show beside a diagonal of 99%.

    Args:
        counts: Integers (C, C): row true class, column predicted class.
        class_names: The C names.
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
    """Makes a figure with a square for the matrix and a strip for the scale, with room for the names.

    Args:
        class_names: As they are drawn.
        note: Inches left free at the figure's foot.
    """
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
    """Writes every count that is not zero into its cell, where it can be read there."""
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
    """Gives the size of letters that fit into a matrix' cell, four of them side by side."""
    num_classes = axes.get_xlim()[1] + 0.5
    figure = axes.get_figure(root=True)
    assert figure is not None
    side = axes.get_position().width * figure.get_figwidth()
    return min(10.0, 72 * side / num_classes / 3)


def _name_classes(axes: Axes, class_names: Sequence[str]) -> None:
    """Names rows and columns, slanting names too long to stand side by side."""
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
    """Writes each row's recall at its right, a dash for a class without images."""
    num_classes = len(counts)
    size = max(_letter_points(axes), _SMALLEST_POINTS)
    axes.text(num_classes - 0.3, -0.6, "recall", size=9.5, color=QUIET, ha="left", va="bottom")
    for row in range(num_classes):
        recall = percent(shares[row, row], 1) if counts[row].any() else "–"
        axes.text(num_classes - 0.3, row, recall, size=size, color=INK, ha="left", va="center")


def _draw_error_scale(axes: Axes, scale: Normalize) -> None:
    """Draws the colour bar of the errors."""
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
