"""Intervals of a comparison on a common scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from mnist_exp.comparison.grouping import ComparableSet
from mnist_exp.comparison.pairs import points
from mnist_exp.comparison.report import GroupRow, SetReport
from mnist_exp.report.charts.charts import percent_tick
from mnist_exp.report.charts.scale import Scale
from mnist_exp.words import percent, visible

_MOST_FOREST_ROWS = 24
_LONGEST_LABEL = 120


@dataclass(frozen=True)
class IntervalRow:
    """A value and its interval; places are percentages of a cell's width.

    Attributes:
        label: What it is of.
        figures: The value as text.
        words: The value and its interval in words.
        low: Start of the interval.
        value: Place of the value.
        high: End of the interval.
        seeds: Places of single seeds.
        reference: Place of the line that it is compared with; negative for none.
        tone: `ahead`, `behind`, `unsure` or `optimistic`.
    """

    label: str
    figures: str
    words: str
    low: float
    value: float
    high: float
    seeds: list[float]
    reference: float
    tone: str


@dataclass(frozen=True)
class Forest:
    """Intervals on a common scale: rows, ticks (place and text), and how many there are in all."""

    rows: list[IntervalRow]
    ticks: list[tuple[float, str]]
    num_rows: int


def forest(report: SetReport, found: ComparableSet) -> Forest:
    """Puts each group's test accuracy, its interval and its seeds on a common scale."""
    rows = report.groups[:_MOST_FOREST_ROWS]
    scores = {group.label: [run.result.test_accuracy for run in group.runs] for group in found.groups}
    means = {label: sum(values) / len(values) for label, values in scores.items()}
    edges = [bound for row in rows for bound in (*row.test_interval, *scores[row.label])]
    margin = 0.04 * (max(edges) - min(edges)) or 0.01
    scale = Scale(min(edges) - margin, max(edges) + margin, 0, 100)
    leader = scale.place(means[report.leader]) if report.leader is not None else -1.0
    return Forest(
        rows=[_forest_row(row, scores[row.label], means[row.label], scale, leader) for row in rows],
        ticks=[(scale.place(tick), percent_tick(tick)) for tick in scale.ticks(5)],
        num_rows=len(report.groups),
    )


def _forest_row(
    row: GroupRow, scores: Sequence[float], mean: float, scale: Scale, leader: float
) -> IntervalRow:
    low, high = row.test_interval
    figures = f"{percent(mean)} ({100 * low:.2f} to {100 * high:.2f})"
    label = visible(row.label, _LONGEST_LABEL)
    return IntervalRow(
        label=label,
        figures=figures,
        words=f"{label}: {figures}",
        low=scale.place(low),
        value=scale.place(mean),
        high=scale.place(high),
        seeds=[scale.place(score) for score in scores[:50]] if len(scores) > 1 else [],
        reference=leader,
        tone="optimistic" if row.is_optimistic else "ahead",
    )


def difference_forest(rows: Sequence[tuple[str, float, tuple[float, float], str]]) -> Forest:
    """Puts differences and their intervals on a common scale, with a line at none.

    Args:
        rows: Label, difference, its interval, and what else is to be said.
    """
    edges = [0.0, *(bound for _, _, interval, _ in rows for bound in interval)]
    margin = 0.04 * (max(edges) - min(edges)) or 0.01
    scale = Scale(min(edges) - margin, max(edges) + margin, 0, 100)
    found = []
    for label, difference, (low, high), figures in rows[:_MOST_FOREST_ROWS]:
        tone = "ahead" if difference > 0 else "behind"
        if low <= 0 <= high:
            tone = "unsure"
        words = f"{label}: {points(difference)} points, 95% {points(low)} to {points(high)}"
        places = (scale.place(low), scale.place(difference), scale.place(high))
        found.append(IntervalRow(label, figures, words, *places, [], scale.place(0.0), tone))
    ticks = [(scale.place(tick), f"{100 * tick:.3g}".replace("-", "−")) for tick in scale.ticks(5)]
    return Forest(found, ticks, len(rows))
