"""Metrics over the epochs: of one run, and of groups of runs as means with bands."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import width_of
from mnist_exp.report.figures.scales import Objective
from mnist_exp.report.figures.style import (
    BLUE,
    FAINT,
    INK,
    LONGEST_LABEL,
    QUIET,
    VERMILION,
    add_title,
    line_style,
    new_figure,
    rule_lightly,
    shorten,
    style_axes,
    write_instead,
)
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import plural

# Curves are cut where they reach this many times farther than three quarters of all epochs do.
_REACH = 8.0
_MAX_MARKED_EPOCHS = 40
_MOST_EPOCHS = 400  # of a curve on a page
_LARGEST = 1e12
_LEGEND_LINE_INCHES = 0.21
_FEW_GROUPS = 4
_PAGE_PANEL_INCHES = 2.3
_LONGEST_PAIR, _LONGEST_PAGE_LABEL = 36, 38  # letters of two names and of one above a page's panel
_TRAINING: dict[str, Any] = {"color": VERMILION, "linestyle": (0, (4, 1.6)), "linewidth": 1.6, "marker": "s"}
_VALIDATION: dict[str, Any] = {"color": BLUE, "linewidth": 2, "marker": "o"}
PANELS = (Objective("val_accuracy", "max"), Objective("val_loss", "min"))
PANELS_WITHOUT_VALIDATION = (Objective("accuracy", "max"), Objective("loss", "min"))


@dataclass(frozen=True, eq=False)
class Curve:
    """A metric over the epochs.

    Attributes:
        epochs: float64 (N,).
        values: float64 (N,), NaN where there is none.
        sd: Half the height of its band (N,); null without a band.
        style: Of the line, as `Axes.plot` takes it.
    """

    label: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]
    sd: NDArray[np.float64] | None = None
    style: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupCurves:
    """One group's learning curves: of each of its seeds, a row an epoch."""

    label: str
    rows: Sequence[Sequence[EpochMetrics]]


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
    for axes, objective in zip((accuracy, loss), PANELS_WITHOUT_VALIDATION, strict=True):
        curves = run_curves(rows, objective.name)
        draw_curves(axes, curves, objective)
        mark_epoch(axes, curves[0], best_epoch, objective)
    _draw_learning_rate(learning_rate, rows)
    style_axes(learning_rate, "Epoch", "Learning\nrate")
    learning_rate.yaxis.set_label_coords(-0.09, 0.5)
    learning_rate.yaxis.label.set_verticalalignment("center")
    _rule_epochs(rows, learning_rate, (loss, accuracy))
    for axes, name in ((loss, "Loss"), (accuracy, "Accuracy")):
        rule_lightly(axes)
        axes.text(
            -0.09, 0.5, name, transform=axes.transAxes, rotation=90, ha="center", va="center", color=INK
        )
    for axes in (loss, accuracy, learning_rate):
        axes.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", zorder=1)
    add_title(figure, "Learning curves")
    handles, names = loss.get_legend_handles_labels()
    if label_smoothing or mixup:
        what = "of images mixed in pairs" if mixup else "loss with smoothed labels"
        names = [f"{name} ({what})" if name == "training" else name for name in names]
    figure.legend(handles, names, loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(0.98, 0.995))
    side = _side(curves[0].epochs, best_epoch)
    loss.annotate(
        f"best epoch {best_epoch}", (best_epoch, 1), (0, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha=side, va="bottom", color=QUIET, size=9.5,
    )  # fmt: skip
    return figure


def metric_values(rows: Sequence[EpochMetrics], name: str) -> NDArray[np.float64]:
    """Returns one metric of all epochs, float64 (epochs,), NaN for none and for one that is out of range."""
    values = np.array([getattr(row, name) for row in rows], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < _LARGEST, values, np.nan)


def run_curves(rows: Sequence[EpochMetrics], name: str, training: str = "training") -> list[Curve]:
    """Returns a run's curves of `accuracy` or `loss`, that of validation images first, where there is one."""
    epochs = np.array([row.epoch for row in rows], np.float64)
    order = np.argsort(epochs, kind="stable")
    found = [
        Curve("validation", epochs[order], metric_values(rows, f"val_{name}")[order], style=_VALIDATION),
        Curve(training, epochs[order], metric_values(rows, name)[order], style=_TRAINING),
    ]
    return found if np.isfinite(found[0].values).any() else found[1:]


def draw_curves(axes: Axes, curves: Sequence[Curve], objective: Objective) -> None:
    """Draws curves and their bands, the first in front, and limits the axis to where most of them are."""
    opacity = 0.16 if len(curves) <= _FEW_GROUPS else 0.08
    for place, curve in enumerate(curves):
        style = {"markersize": 4.5, "zorder": 10 - place, **curve.style}
        if len(curve.epochs) > _MAX_MARKED_EPOCHS:
            style["marker"] = ""
        axes.plot(curve.epochs, curve.values, label=curve.label, **style)
        if curve.sd is not None:
            low, high = curve.values - curve.sd, curve.values + curve.sd
            axes.fill_between(curve.epochs, low, high, color=style["color"], alpha=opacity, linewidth=0)
    values = np.concatenate([curve.values for curve in curves])
    finite = values[np.isfinite(values)]
    if finite.size:
        _limit(axes, finite, objective)
    objective.format_axis(axes, "y")


def _limit(axes: Axes, values: NDArray[np.float64], objective: Objective) -> None:
    """Limits the y axis to where most values are, and says how far the rest reach."""
    low, high = objective.limits(values, _REACH)
    limits = (low, high) if objective.is_accuracy else (max(low, 0.0), high)
    axes.set_ylim(*limits)
    height, side = (0.04, "bottom") if objective.sign > 0 else (0.96, "top")
    note = objective.cut_note(values, limits)
    if note:
        axes.text(0.5, height, note, transform=axes.transAxes, ha="center", va=side, size=9, color=QUIET)


def mark_epoch(axes: Axes, curve: Curve, epoch: int, objective: Objective) -> None:
    """Rings an epoch's value and writes it beside."""
    found = curve.values[curve.epochs == epoch]
    if not found.size or not np.isfinite(found[0]):
        return
    axes.plot([epoch], found[:1], "o", markersize=10, markerfacecolor="none", markeredgecolor=INK, zorder=11)
    side = _side(curve.epochs, epoch)
    is_above = objective.sign < 0
    axes.annotate(
        objective.text(float(found[0])), (epoch, found[0]),
        (-6 if side == "right" else 6, 9 if is_above else -9), textcoords="offset points", ha=side,
        va="bottom" if is_above else "top", weight="bold", color=INK, zorder=12,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip


def _side(epochs: NDArray[np.float64], epoch: int) -> str:
    """Returns the alignment that keeps a label at an epoch inside the axes."""
    return "right" if len(epochs) > 1 and epoch > (epochs[0] + epochs[-1]) / 2 else "left"


def _draw_learning_rate(axes: Axes, rows: Sequence[EpochMetrics]) -> None:
    values = metric_values(rows, "learning_rate")
    highest = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    epochs, marker = [row.epoch for row in rows], "." if len(rows) == 1 else ""
    axes.plot(epochs, values, color=INK, linewidth=1.4, marker=marker)
    axes.set_ylim(0, 1.25 * highest or 1.0)
    axes.set_yticks([0, highest], ["0", f"{highest:.2g}"])


def _rule_epochs(rows: Sequence[EpochMetrics], lowest: Axes, others: Sequence[Axes]) -> None:
    """Numbers epochs below the lowest axes and rules the others there: their own ticks would take longer."""
    limits = _epoch_limits(rows[0].epoch, rows[-1].epoch)
    found = MaxNLocator(10, integer=True, min_n_ticks=1).tick_values(*limits)
    epochs = [epoch for epoch in found if limits[0] <= epoch <= limits[1]]
    lowest.set(xlim=limits, xticks=epochs)
    for axes in others:
        axes.set(xlim=limits, xticks=[])
        axes.vlines(
            epochs, 0, 1, color=FAINT, linewidth=0.6, zorder=0.5, transform=axes.get_xaxis_transform()
        )


def _epoch_limits(first: float, last: float) -> tuple[float, float]:
    margin = 0.02 * (last - first) or 0.5
    return first - margin, last + margin


def plot_page_curves(
    curves: Sequence[Curve], objective: Objective, width_inches: float, best_epoch: int | None = None
) -> Figure:
    """Draws a metric of one or more curves for a page, their names above; `best_epoch` rings the first."""
    curves = [_thinned(curve, best_epoch) for curve in curves]
    columns = len(curves) if sum(len(curve.label) for curve in curves) <= _LONGEST_PAIR else 1
    legend = _LEGEND_LINE_INCHES * -(-len(curves) // columns) + 0.1
    total = _PAGE_PANEL_INCHES + legend
    figure = new_figure(total, width_inches)
    left, bottom, right = 0.62, 0.45, 0.12
    place = (
        left / width_inches,
        bottom / total,
        1 - (left + right) / width_inches,
        1 - (legend + bottom) / total,
    )
    axes = figure.add_axes(place)
    draw_curves(axes, curves, objective)
    if best_epoch is not None:
        mark_epoch(axes, curves[0], best_epoch, objective)
    ends = [end for curve in curves for end in (curve.epochs[0], curve.epochs[-1])]
    axes.set_xlim(*_epoch_limits(min(ends), max(ends)))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    rule_lightly(axes, "epoch")
    _name_curves(figure, curves, columns)
    return figure


def _name_curves(figure: Figure, curves: Sequence[Curve], columns: int) -> None:
    """Names curves at the figure's top, each beside a piece of its line, in a third of a legend's time."""
    x = 0.0
    for place, curve in enumerate(curves):
        x = 0.02 if place % columns == 0 else x
        y = figure.get_figheight() - 0.1 - _LEGEND_LINE_INCHES * (place // columns)
        inches = figure.dpi_scale_trans
        style = {**curve.style, "marker": ""}
        figure.add_artist(Line2D([x, x + 0.3], [y, y], transform=inches, **style))
        label = shorten(curve.label, _LONGEST_PAGE_LABEL)
        figure.text(x + 0.37, y, label, transform=inches, va="center_baseline", size=9, color=INK)
        x += 0.55 + 0.075 * width_of(curve.label)


def _thinned(curve: Curve, kept: int | None) -> Curve:
    """Leaves as many epochs as can be told apart, among them one to be kept and the last."""
    count = len(curve.epochs)
    is_kept = np.arange(count) % (-(-count // _MOST_EPOCHS) or 1) == 0
    is_kept |= curve.epochs == kept
    is_kept[-1:] = True
    sd = None if curve.sd is None else curve.sd[is_kept]
    return replace(curve, epochs=curve.epochs[is_kept], values=curve.values[is_kept], sd=sd)


def describe_curves(curves: Sequence[Curve], objective: Objective) -> str:
    """Says in words where curves begin and end, and where each is best."""
    parts = []
    for curve in curves:
        (known,) = np.nonzero(np.isfinite(curve.values))
        if not known.size:
            continue
        best = known[np.argmax(objective.sign * curve.values[known])]
        first, last, best_text = (objective.text(curve.values[at]) for at in (known[0], known[-1], best))
        words = f"{curve.label} from {first} to {last} in {plural(len(known), 'epoch')}"
        parts.append(f"{words}, best in epoch {curve.epochs[best]:.0f}: {best_text}")
    return "; ".join(parts) or "nothing was measured"


def plot_group_curves(groups: Sequence[GroupCurves], num_groups: int) -> Figure:
    """Draws accuracy and loss on validation images over the epochs, a line and a band a group.

    Groups are best on validation first, as many as colours tell apart, of `num_groups` in all.
    """
    if not any(rows for group in groups for rows in group.rows):
        return write_instead(new_figure(2.4), "Learning curves", "No run has any.")
    legend = 0.15 + _LEGEND_LINE_INCHES * -(-len(groups) // 2)
    total = 6.3 + legend
    figure = new_figure(total)
    for place, objective in enumerate(panels_of(groups)):
        axes = figure.add_axes((0.105, (legend + 0.55 + (1 - place) * 2.75) / total, 0.865, 2.5 / total))
        curves = group_curves(groups, objective.name)
        draw_curves(axes, curves, objective)
        style_axes(axes, "" if place == 0 else "Epoch", objective.label)
        axes.set_xlim(*_epoch_limits(1, max(len(curve.epochs) for curve in curves)))
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
        axes.tick_params(labelbottom=place == 1)
        axes.yaxis.set_label_coords(-0.09, 0.5)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower left", ncols=2, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.09, 0.0), handlelength=3)  # fmt: skip
    add_title(figure, "Learning curves", _remark(groups, num_groups))
    return figure


def panels_of(groups: Sequence[GroupCurves]) -> tuple[Objective, ...]:
    """Returns the metrics that groups are compared by: those on validation images, where there are any."""
    rows = (row for group in groups for rows in group.rows for row in rows)
    return PANELS if any(row.val_accuracy is not None for row in rows) else PANELS_WITHOUT_VALIDATION


def _remark(groups: Sequence[GroupCurves], num_groups: int) -> str:
    shown = f"the {len(groups)} best of {num_groups:,} groups" if len(groups) < num_groups else ""
    band = "means over seeds, bands: ± sd" if max(len(group.rows) for group in groups) > 1 else ""
    return "; ".join(part for part in (shown, band) if part)


def group_curves(groups: Sequence[GroupCurves], name: str) -> list[Curve]:
    """Returns each group's mean curve of a metric, but for groups without an epoch."""
    found = []
    for place, group in enumerate(groups):
        epochs, mean, sd = mean_curve(group.rows, name)
        if epochs.size:
            style = {"linewidth": 1.8, "marker": "o" if len(epochs) == 1 else "", **line_style(place)}
            found.append(Curve(shorten(group.label, LONGEST_LABEL), epochs, mean, sd, style))
    return found


def mean_curve(
    rows: Sequence[Sequence[EpochMetrics]], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums a metric up over seeds, while most of them are trained: few are not the group.

    Returns epochs, mean and standard deviation, (N,) each, NaN where few seeds have a value.
    """
    values = np.full((len(rows), max((len(each) for each in rows), default=0)), np.nan)
    for place, each in enumerate(rows):
        values[place, : len(each)] = metric_values(each, name)
    counts = np.isfinite(values).sum(axis=0)
    usual = counts > len(values) / 2
    mean = np.where(usual, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
    square = np.nansum((values - mean) ** 2, axis=0) / np.maximum(counts - 1, 1)
    return np.arange(1.0, values.shape[1] + 1), mean, np.sqrt(square)
