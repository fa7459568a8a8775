"""Values with their intervals in rows: groups of runs, a search's candidates, classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_exp.comparison.pairs import Pair, points
from mnist_exp.report.figures.scales import (
    Interval,
    Objective,
    interval_limits,
    set_point_ticks,
    set_round_ticks,
)
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_VERMILION,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    rule_lightly,
    shorten,
    style_axes,
    write_beside,
    write_instead,
)
from mnist_exp.runs.records import CandidateRecord
from mnist_exp.words import percent

_GROUP_INCHES, _CANDIDATE_INCHES = 0.42, 0.5
_LONGEST_LINE, _MOST_LINES = 24, 2
_LINE_INCHES = 0.16
_MARK_INCHES, _SEED_INCHES, _LABEL_INCHES = 0.18, 0.09, 0.28  # above a row's foot on a page
_REFERENCE: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (3, 2)), "zorder": 1}
_SEED: dict[str, Any] = {"color": QUIET, "markersize": 3.2, "alpha": 0.7, "markeredgewidth": 0}
_FRESH_SEED = {**_SEED, "markersize": 6}
RING: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 1.4}


@dataclass(frozen=True)
class IntervalRow:
    """A value with its interval.

    Attributes:
        value: Null for none, like the interval.
        is_sure: Whether the mark is filled.
        points: What the value is the mean of, drawn beside it.
        is_shaded: Whether the row is told from the others.
    """

    label: str
    value: float | None
    interval: Interval | None
    text: str
    colour: str = BLUE
    is_sure: bool = True
    points: Sequence[float] = ()
    is_shaded: bool = False


@dataclass(frozen=True)
class ForestRow:
    """One group: test accuracy of each of its seeds, their mean, and its 95% interval.

    Attributes:
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

    Rows, one or more, are in the order of the table, of `num_groups` in all; a single group has no leader.
    """
    height = _GROUP_INCHES * len(rows)
    total = height + 1.55
    figure = new_figure(total)
    bottom, tall = 0.95 / total, height / total
    left = figure.add_axes((0.245, bottom, 0.315, tall))
    draw_rows(left, accuracy_rows(rows), "s")
    style_axes(left, "Test accuracy")
    set_round_ticks(left.xaxis, in_percent=True, max_intervals=4)
    name_rows(left, [_break(f"{row.label} (optimistic)" if row.is_optimistic else row.label) for row in rows])
    if leader is not None:
        right = figure.add_axes((0.59, bottom, 0.175, tall))
        differences = difference_rows(rows)
        draw_rows(right, differences, "D", reference=0.0)
        style_axes(right, "Ahead by (points)")
        set_point_ticks(right.xaxis, 3)
        name_rows(right, [""] * len(rows))
        right.spines["left"].set_visible(False)
        for place, row in enumerate(differences):
            write_beside(right, place, row.text)
    _explain_groups(figure, left)
    hidden = f"the first {len(rows)} of {num_groups:,} groups" if len(rows) < num_groups else ""
    add_title(figure, "Test accuracy, 95% intervals", hidden)
    return figure


def accuracy_rows(rows: Sequence[ForestRow]) -> list[IntervalRow]:
    """Gives each group's test accuracy, with its seeds where there are several."""
    return [
        IntervalRow(
            label=row.label,
            value=row.mean,
            interval=row.interval,
            text=f"{percent(row.mean)} ({100 * row.interval[0]:.2f} to {100 * row.interval[1]:.2f})",
            colour=VERMILION if row.is_optimistic else BLUE,
            points=row.scores if len(row.scores) > 1 else (),
            is_shaded=row.is_optimistic,
        )
        for row in rows
    ]


def difference_rows(rows: Sequence[ForestRow]) -> list[IntervalRow]:
    """Gives how far the leader is ahead of each group; of itself, nothing but who it is."""
    found = []
    for row in rows:
        pair = row.pair
        if pair is None:
            found.append(IntervalRow(row.label, None, None, "best on validation"))
            continue
        text = f"{points(pair.difference)}, not tested"
        if pair.interval is not None:
            text = f"{points(pair.difference)} ({points(pair.interval[0])} to {points(pair.interval[1])})"
        colour = BLUE if pair.is_decided else QUIET
        found.append(IntervalRow(row.label, pair.difference, pair.interval, text, colour, pair.is_decided))
    return found


def _explain_groups(figure: Figure, axes: Axes) -> None:
    handles = [
        *axes.plot([], [], "s", color=BLUE, markersize=7, label="mean of its seeds"),
        *axes.plot([], [], "o", label="one seed", **_SEED),
        *axes.plot([], [], "D", color=BLUE, markersize=6, label="decided"),
        *axes.plot([], [], "D", color=QUIET, markersize=6, markerfacecolor="white", label="cannot tell"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.5, 0.0))  # fmt: skip


def plot_confirmation(candidates: Sequence[CandidateRecord], objective: Objective) -> Figure:
    """Draws what the search thought of each candidate, best first, beside its scores on fresh seeds.

    One whose trainings all failed keeps an empty row that says so.
    """
    rows = [_candidate_row(candidate, objective) for candidate in candidates]
    found = [candidate.search_score for candidate in candidates]
    if not any(row.points for row in rows) and all(score is None for score in found):
        return write_instead(new_figure(2.4), "Confirmation", "No candidate was trained again.")
    total = 1.45 + _CANDIDATE_INCHES * len(rows)
    figure = new_figure(total)
    axes = figure.add_axes((0.13, 0.6 / total, 0.56, _CANDIDATE_INCHES * len(rows) / total))
    known = [score for score in found if score is not None]
    # A mean of a few seeds has a wide interval, which would press its scores together.
    draw_rows(axes, rows, "s", known, widths_shown=0.0, seeds=_FRESH_SEED)
    for place, (row, score) in enumerate(zip(rows, found, strict=True)):
        write_beside(axes, place, row.text)
        if score is not None:
            axes.plot([score], [place + 0.24], "o", color=INK, markersize=9, **RING)
    style_axes(axes, objective.label)
    objective.format_axis(axes, "x")
    name_rows(axes, [row.label for row in rows])
    add_title(figure, "Confirmation")
    handles = [
        *axes.plot([], [], "o", color=INK, markersize=9, label="search score", **RING),
        *axes.plot([], [], "o", label="one fresh seed", **_FRESH_SEED),
        *axes.plot([], [], "s-", color=QUIET, markersize=7, label="mean of fresh seeds, 95% interval"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=3, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.99, 1 - 0.08 / total))  # fmt: skip
    return figure


def _candidate_row(candidate: CandidateRecord, objective: Objective) -> IntervalRow:
    is_default = candidate.candidate == "default"
    text = "every training failed"
    if candidate.confirmed_score is not None:
        text = f"{objective.text(candidate.confirmed_score)}  (one seed)"
        if candidate.confirmed_interval is not None:
            low, high = (objective.text(end).rstrip("%") for end in candidate.confirmed_interval)
            text = f"{objective.text(candidate.confirmed_score)}  ({low} to {high})"
    return IntervalRow(
        label=candidate.candidate.replace("_", " "),
        value=candidate.confirmed_score,
        interval=candidate.confirmed_interval,
        text=text,
        colour=VERMILION if is_default else BLUE,
        points=candidate.confirmed_scores,
        is_shaded=is_default,
    )


def plot_page_intervals(
    rows: Sequence[IntervalRow], width_inches: float, reference: float | None, in_points: bool
) -> Figure:
    """Draws rows for a page: label and figures above each interval, so that a telephone has room for both.

    `reference` is where a broken line stands, None for none; `in_points` means differences of accuracies.
    """
    labels = [_break(row.label) for row in rows]
    row_inches = 0.34 + _LINE_INCHES * max(label.count("\n") + 1 for label in labels)
    height = row_inches * len(rows)
    total = height + 0.32
    figure = new_figure(total, width_inches)
    axes = figure.add_axes((0.1 / width_inches, 0.3 / total, 1 - 0.2 / width_inches, height / total))
    feet = [row_inches * (place + 1) for place in range(len(rows))]
    marks = [foot - _MARK_INCHES for foot in feet]
    others = [] if reference is None else [reference]
    draw_rows(axes, rows, "o", others=others, marks=marks, step=_SEED_INCHES)
    if reference is not None:
        for foot in feet:  # from below a row's words
            axes.plot([reference, reference], [foot - _LABEL_INCHES, foot], **_REFERENCE)
    if in_points:
        set_point_ticks(axes.xaxis, 5)
    else:
        set_round_ticks(axes.xaxis, in_percent=True, max_intervals=5)
    axes.set(yticks=[], ylim=(height, 0))
    rule_lightly(axes)
    for foot, label, row in zip(feet, labels, rows, strict=True):
        for x, side, text in ((0, "left", label), (1, "right", row.text)):
            axes.text(x, foot - _LABEL_INCHES, text, transform=axes.get_yaxis_transform(), ha=side,
                      va="bottom", size=9.5, color=INK, parse_math=False,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    return figure


def describe_rows(rows: Sequence[IntervalRow]) -> str:
    """Says in words what rows show."""
    return "; ".join(f"{row.label}: {row.text}" for row in rows)


def draw_rows(
    axes: Axes,
    rows: Sequence[IntervalRow],
    marker: str,
    others: Sequence[float] = (),
    reference: float | None = None,
    marks: Sequence[float] | None = None,
    step: float = 0.24,
    widths_shown: float = 2.0,
    seeds: Mapping[str, Any] = _SEED,
) -> None:
    """Draws values, intervals and points, and limits the horizontal axis to them.

    Args:
        rows: From the top down.
        others: What else must be in view.
        reference: Where a broken line stands; None for none.
        marks: Heights of the rows; None for 0, 1, 2, …
        step: How far below it its points are drawn.
        widths_shown: As `interval_limits` takes it.
    """
    values = [row.value for row in rows if row.value is not None]
    values += [point for row in rows for point in row.points]
    values += others
    if reference is not None:
        values.append(reference)
        axes.axvline(reference, **_REFERENCE)
    intervals = [row.interval for row in rows if row.interval is not None]
    limits = interval_limits(values, intervals, widths_shown)
    for height, row in zip(marks or range(len(rows)), rows, strict=True):
        if row.is_shaded:
            axes.axhspan(height - 2 * step, height + 2 * step, color=PALE_VERMILION, alpha=0.35, linewidth=0)
        if row.interval is not None:
            _draw_interval(axes, height, row.interval, limits, row.colour)
        if row.value is not None:
            face = row.colour if row.is_sure else "white"
            axes.plot([row.value], [height], marker, color=row.colour, markersize=6.5, markerfacecolor=face)
        axes.plot(row.points, [height + step] * len(row.points), "o", **seeds)
    axes.set_xlim(*limits)


def _draw_interval(axes: Axes, height: float, interval: Interval, limits: Interval, colour: str) -> None:
    """Draws an interval; an end beyond the limits becomes an arrow."""
    low, high = max(interval[0], limits[0]), min(interval[1], limits[1])
    axes.plot([low, high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")
    for end, shown, arrow in ((interval[0], low, "<"), (interval[1], high, ">")):
        axes.plot(
            [shown], [height], "|" if end == shown else arrow, color=colour, markersize=7, clip_on=False
        )


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Names rows, each a unit high, from the top down."""
    axes.set_yticks(range(len(labels)), labels, size=9, parse_math=False)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, pad=6)
    axes.set_ylim(len(labels) - 0.5, -0.5)


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
