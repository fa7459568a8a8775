"""Learning curves of groups of runs: the mean over seeds, and a band of one standard deviation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mnist_exp.report.figures.curves import metric_values
from mnist_exp.report.figures.objective_axis import Objective
from mnist_exp.report.figures.style import (
    INK,
    LONGEST_LABEL,
    QUIET,
    add_title,
    line_style,
    new_figure,
    shorten,
    style_axes,
    write_instead,
)
from mnist_exp.runs.records import EpochMetrics

_PANELS = (Objective("val_accuracy", "max"), Objective("val_loss", "min"))
_PANELS_WITHOUT_VALIDATION = (Objective("accuracy", "max"), Objective("loss", "min"))
_LEGEND_LINE_INCHES = 0.21
_FEW_GROUPS = 4
_LARGEST = 1e12


@dataclass(frozen=True)
class GroupCurves:
    """One group's learning curves.

    Attributes:
        label: The group's.
        rows: Of each of its seeds, a row an epoch.
    """

    label: str
    rows: Sequence[Sequence[EpochMetrics]]


def plot_group_curves(groups: Sequence[GroupCurves], num_groups: int) -> Figure:
    """Draws accuracy and loss on validation images over the epochs, a line and a band a group.

    Args:
        groups: Best on validation first, as many as colours tell apart.
        num_groups: Number of groups that there are.
    """
    if not any(rows for group in groups for rows in group.rows):
        return write_instead(new_figure(2.4), "Learning curves", "No run has any.")
    panels = _PANELS if _has_any(groups, "val_accuracy") else _PANELS_WITHOUT_VALIDATION
    legend = 0.15 + _LEGEND_LINE_INCHES * -(-len(groups) // 2)
    total = 6.3 + legend
    figure = new_figure(total)
    for place, objective in enumerate(panels):
        axes = figure.add_axes((0.105, (legend + 0.55 + (1 - place) * 2.75) / total, 0.865, 2.5 / total))
        _draw_panel(axes, groups, objective)
        axes.tick_params(labelbottom=place == 1)
        axes.set_xlabel("Epoch" if place else "", color=INK)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, [shorten(label, LONGEST_LABEL) for label in labels], loc="lower left",
                  ncols=2, frameon=False, fontsize=9, bbox_to_anchor=(0.09, 0.0), handlelength=3)  # fmt: skip
    add_title(figure, "Learning curves", _remark(groups, num_groups))
    return figure


def _has_any(groups: Sequence[GroupCurves], name: str) -> bool:
    return any(getattr(row, name) is not None for group in groups for rows in group.rows for row in rows)


def _remark(groups: Sequence[GroupCurves], num_groups: int) -> str:
    shown = f"the {len(groups)} best of {num_groups:,} groups" if len(groups) < num_groups else ""
    band = "means over seeds, bands: ± sd" if max(len(group.rows) for group in groups) > 1 else ""
    return "; ".join(part for part in (shown, band) if part)


def _draw_panel(axes: Axes, groups: Sequence[GroupCurves], objective: Objective) -> None:
    """Draws one metric of all groups."""
    shown = [np.array([0.0])[:0]]
    longest, alpha = 1, 0.16 if len(groups) <= _FEW_GROUPS else 0.08
    for place, group in enumerate(groups):
        epochs, mean, sd = mean_curve(group.rows, objective.name)
        if not epochs.size:
            continue
        axes.plot(epochs, mean, linewidth=1.8, zorder=10 - place, label=group.label,
                  marker="o" if len(epochs) == 1 else "", markersize=5, **line_style(place))  # fmt: skip
        colour = line_style(place)["color"]
        axes.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=alpha, linewidth=0)
        shown.append(mean[np.isfinite(mean)])
        longest = max(longest, len(epochs))
    values = np.concatenate(shown)
    style_axes(axes, ylabel=objective.label)
    if values.size:
        axes.set_ylim(*objective.limits(values))
        note = objective.cut_note(values, axes.get_ylim())
        axes.text(0.99, 0.04 if objective.sign > 0 else 0.96, note, transform=axes.transAxes, ha="right",
                  va="bottom" if objective.sign > 0 else "top", size=9, color=QUIET)  # fmt: skip
    margin = 0.02 * (longest - 1) or 0.5
    axes.set_xlim(1 - margin, longest + margin)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    objective.format_axis(axes, "y")
    axes.yaxis.set_label_coords(-0.09, 0.5)


def mean_curve(
    rows: Sequence[Sequence[EpochMetrics]], name: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums a metric up over seeds, while most of them are trained: few are not the group.

    Args:
        rows: Of each seed, a row an epoch.
        name: The metric.

    Returns:
        Epochs (N,), mean (N,) and standard deviation (N,), NaN where few seeds have a value.
    """
    values = _matrix(rows, name)
    counts = np.isfinite(values).sum(axis=0)
    usual = counts > len(values) / 2
    mean = np.where(usual, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
    square = np.nansum((values - mean) ** 2, axis=0) / np.maximum(counts - 1, 1)
    return np.arange(1, values.shape[1] + 1), mean, np.sqrt(square)


def _matrix(rows: Sequence[Sequence[EpochMetrics]], name: str) -> NDArray[np.float64]:
    """Returns a metric (seeds, epochs), NaN where a seed has stopped and where it is beyond all measure."""
    longest = max((len(each) for each in rows), default=0)
    values = np.full((len(rows), longest), np.nan)
    for place, each in enumerate(rows):
        values[place, : len(each)] = metric_values(each, name)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < _LARGEST, values, np.nan)
