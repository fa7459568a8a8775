"""What was confirmed, as a figure: each candidate's search score beside its scores on fresh seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.report.figures.objective_axis import Objective
from mnist_exp.report.figures.style import (
    BLUE,
    INK,
    PALE_VERMILION,
    QUIET,
    VERMILION,
    add_title,
    new_figure,
    style_axes,
    write_beside,
    write_instead,
)
from mnist_exp.runs.records import CandidateRecord

_SEARCH_SCORE: dict[str, Any] = {
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.3,
}


def plot_confirmation(candidates: Sequence[CandidateRecord], objective: Objective) -> Figure:
    """Draws what the search thought of each candidate beside its scores on fresh seeds.

    Args:
        candidates: Best first. One whose trainings all failed keeps an empty row that says so.
        objective: What the scores are.
    """
    shown = np.array([score for candidate in candidates for score in _all_scores(candidate)])
    if not shown.size:
        return write_instead(new_figure(2.4), "Confirmation", "No candidate was trained again.")
    total = 1.45 + 0.5 * len(candidates)
    figure = new_figure(total)
    axes = figure.add_axes((0.13, 0.6 / total, 0.56, 0.5 * len(candidates) / total))
    limits = _candidate_limits(candidates, shown)
    for row, candidate in enumerate(candidates):
        _draw_candidate(axes, row, candidate, objective, limits)
    names = [candidate.candidate.replace("_", " ") for candidate in candidates]
    axes.set_yticks(range(len(names)), names)
    style_axes(axes, objective.label)
    objective.format_axis(axes, "x")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.set(xlim=limits, ylim=(len(names) - 0.5, -0.5))
    add_title(figure, "Confirmation")
    _explain_candidates(figure, axes)
    return figure


def _candidate_limits(
    candidates: Sequence[CandidateRecord], scores: NDArray[np.float64]
) -> tuple[float, float]:
    """Returns limits that hold all scores, and intervals unless they would press the scores together."""
    reach = 0.8 * float(np.ptp(scores)) or 0.01 * float(abs(scores[0])) or 0.01
    ends = [end for candidate in candidates for end in candidate.confirmed_interval or ()]
    low = max(min([*scores, *ends]), float(scores.min()) - reach)
    high = min(max([*scores, *ends]), float(scores.max()) + reach)
    margin = 0.06 * (high - low) or reach
    return low - margin, high + margin


def _all_scores(candidate: CandidateRecord) -> list[float]:
    """Returns a candidate's search score, if any, and its confirmed ones."""
    found = [] if candidate.search_score is None else [candidate.search_score]
    return [*found, *candidate.confirmed_scores]


def _draw_candidate(
    axes: Axes, row: int, candidate: CandidateRecord, objective: Objective, limits: tuple[float, float]
) -> None:
    """Draws one candidate's row: interval, mean, fresh seeds, search score and figures."""
    is_default = candidate.candidate == "default"
    color = VERMILION if is_default else BLUE
    if is_default:
        axes.axhspan(row - 0.5, row + 0.5, color=PALE_VERMILION, alpha=0.35, linewidth=0)
    if candidate.confirmed_interval is not None:
        _draw_interval(axes, row + 0.16, candidate.confirmed_interval, limits, color)
    if candidate.confirmed_score is not None:
        mean = [candidate.confirmed_score]
        axes.plot(mean, [row + 0.16], "|", color=color, markersize=12, markeredgewidth=3)
    seeds = candidate.confirmed_scores
    axes.plot(seeds, [row - 0.14] * len(seeds), "o", color=color, alpha=0.75, markersize=6, markeredgewidth=0)
    if candidate.search_score is not None:
        axes.plot([candidate.search_score], [row - 0.14], "o", **_SEARCH_SCORE)
    write_beside(axes, row, _candidate_text(candidate, objective))


def _draw_interval(
    axes: Axes, height: float, interval: tuple[float, float], limits: tuple[float, float], color: str
) -> None:
    """Draws an interval; an end beyond the limits becomes an arrow."""
    low, high = np.clip(interval, *limits)
    axes.plot([low, high], [height, height], color=color, linewidth=1.8)
    for end, shown, arrow in ((interval[0], low, "<"), (interval[1], high, ">")):
        axes.plot([shown], [height], "|" if end == shown else arrow, color=color, markersize=7, clip_on=False)


def _candidate_text(candidate: CandidateRecord, objective: Objective) -> str:
    """Writes a candidate's confirmed mean and interval."""
    if candidate.confirmed_score is None:
        return "every training failed"
    text = objective.text(candidate.confirmed_score)
    if candidate.confirmed_interval is None:
        return f"{text}  (one seed)"
    low, high = (objective.text(end).rstrip("%") for end in candidate.confirmed_interval)
    return f"{text}  ({low} to {high})"


def _explain_candidates(figure: Figure, axes: Axes) -> None:
    """Adds the legend of the candidates' marks."""
    handles = [
        *axes.plot([], [], "o", label="search score", **_SEARCH_SCORE),
        *axes.plot([], [], "o", color=QUIET, markersize=6, markeredgewidth=0, label="a fresh seed"),
        *axes.plot([], [], "|-", color=QUIET, markersize=10, label="mean of fresh seeds, 95% interval"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=3, frameon=False, fontsize=9,
                  bbox_to_anchor=(0.99, 1 - 0.08 / figure.get_figheight()))  # fmt: skip
