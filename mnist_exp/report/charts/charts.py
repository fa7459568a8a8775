"""Charts as numbers that a template draws as SVG: scales, ticks, lines with bands, points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnist_exp.report.charts.scale import Scale

WIDTH, HEIGHT = 360, 226
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 350, 12, 188
# Points are drawn smaller, with letters that are larger beside them.
_POINTS_LEFT = 76
_MOST_POINTS = 400
_MOST_MARKS = 40
_LARGEST = 1e12
_LOGARITHMIC_FROM = 30.0
# Curves are cut where they reach this many times farther than three quarters of all values do.
_REACH = 8.0
Text = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """What a line is drawn from.

    Attributes:
        label: Its name in the legend.
        x: float64 (N,), ascending.
        y: float64 (N,), NaN where there is none.
        sd: Half the height of its band (N,); null without a band.
        colour: Number of its colour and dashes.
        is_joined: Whether its points are joined by a line.
    """

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    sd: NDArray[np.float64] | None = None
    colour: int = 0
    is_joined: bool = True


@dataclass(frozen=True)
class Line:
    """A line, ready to be drawn: SVG path data of the line and its band, and places of its points."""

    label: str
    path: str
    band: str
    points: list[tuple[float, float]]
    colour: int


@dataclass(frozen=True)
class Mark:
    """A point that is told from others.

    Attributes:
        x: Where it is.
        y: Where it is.
        text: Its words.
        text_y: How high these stand.
        anchor: The end of the words that is at the point.
        colour: Number of its colour.
        is_ringed: Whether it is ringed.
    """

    x: float
    y: float
    text: str
    text_y: float
    anchor: str = "start"
    colour: int = 0
    is_ringed: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn; places are in units of its view box.

    Attributes:
        title: What it shows.
        x_label: Under its horizontal axis.
        lines: Lines with bands.
        marks: Points with words.
        x_ticks: Place and text.
        y_ticks: Place and text.
        note: What must be known to read it; may be empty.
        left: Where its vertical axis stands.
    """

    title: str
    x_label: str
    lines: list[Line]
    marks: list[Mark]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    note: str = ""
    left: int = _LEFT


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    text: Text,
    tick_text: Text,
    rising: bool,
    x_label: str = "epoch",
    marked: float | None = None,
) -> Chart | None:
    """Lays out lines over a common horizontal axis of whole numbers.

    Args:
        series: One or more.
        text: Writes a value.
        tick_text: Writes a value at a tick.
        rising: Whether larger is better: the worst end of the axis is the one that is cut.
        x_label: Under the horizontal axis.
        marked: Where on the horizontal axis the first series is ringed and its value written.

    Returns:
        The chart; None where no series has a value.
    """
    shown = [_bounded(each) for each in series]
    values = np.concatenate([each.y[np.isfinite(each.y)] for each in shown])
    if not values.size:
        return None
    low, high, note = _limits(values, rising, text)
    vertical = Scale(low, high, _BOTTOM, _TOP)
    edges = min(each.x[0] for each in shown), max(each.x[-1] for each in shown)
    margin = 0.02 * (edges[1] - edges[0]) or 0.5
    horizontal = Scale(edges[0] - margin, edges[1] + margin, _LEFT, _RIGHT)
    return Chart(
        title=title,
        x_label=x_label,
        lines=[_line(each, horizontal, vertical) for each in shown],
        marks=[] if marked is None else _marked(shown[0], marked, (horizontal, vertical), text, rising),
        x_ticks=[(horizontal.place(x), f"{x:,.0f}") for x in horizontal.ticks(6) if x == round(x)],
        y_ticks=[(vertical.place(y), tick_text(y)) for y in vertical.ticks(5)],
        note=note,
    )


def _bounded(series: Series) -> Series:
    """Thins a series out, and takes numbers beyond all measure for missing."""
    step = -(-len(series.x) // _MOST_POINTS)
    # The last one counts in any case.
    kept = np.unique(np.r_[0 : len(series.x) : step, len(series.x) - 1])
    y = series.y[kept]
    with np.errstate(invalid="ignore"):
        y = np.where(np.abs(y) < _LARGEST, y, np.nan)
    sd = None if series.sd is None else series.sd[kept]
    return replace(series, x=series.x[kept], y=y, sd=sd)


def _limits(values: NDArray[np.float64], rising: bool, text: Text) -> tuple[float, float, str]:
    """Returns low and high of an axis that shows most values well, and a note where it cuts some."""
    good, worst = (values.max(), values.min()) if rising else (values.min(), values.max())
    usual = float(np.quantile(values, 0.25 if rising else 0.75))
    limit = good + _REACH * (usual - good)
    is_cut = bool(usual != good and (worst < limit if rising else worst > limit))
    edge = limit if is_cut else worst
    margin = 0.07 * abs(edge - good) or 0.05 * abs(good) or 0.05
    note = f"Cut: {'falls to' if rising else 'rises to'} {text(float(worst))}." if is_cut else ""
    return float(min(good, edge) - margin), float(max(good, edge) + margin), note


def _line(series: Series, horizontal: Scale, vertical: Scale) -> Line:
    places = [
        (horizontal.place(x), vertical.place(y)) if math.isfinite(y) else None
        for x, y in zip(series.x, series.y, strict=True)
    ]
    points = [place for place in places if place is not None]
    return Line(
        label=series.label,
        path=_path(places) if series.is_joined else "",
        band=_band(series, horizontal, vertical),
        points=points if len(points) <= _MOST_MARKS or not series.is_joined else [],
        colour=series.colour,
    )


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    """Writes path data with a gap where a place is missing."""
    before = [None, *places]
    steps = [
        f"{'M' if previous is None else 'L'}{place[0]:g} {place[1]:g}"
        for previous, place in pairwise(before)
        if place is not None
    ]
    return "".join(steps)


def _band(series: Series, horizontal: Scale, vertical: Scale) -> str:
    """Writes path data of the area within one standard deviation; empty without one."""
    if series.sd is None:
        return ""
    known = np.isfinite(series.y) & np.isfinite(series.sd)
    x, y, sd = series.x[known], series.y[known], series.sd[known]
    if len(x) < 2 or not sd.any():
        return ""
    above = [(horizontal.place(a), vertical.place(b)) for a, b in zip(x, y + sd, strict=True)]
    below = [(horizontal.place(a), vertical.place(b)) for a, b in zip(x, y - sd, strict=True)]
    return _path([*above, *reversed(below)]) + "Z"


def _marked(series: Series, x: float, scales: tuple[Scale, Scale], text: Text, rising: bool) -> list[Mark]:
    """Rings a value; its words stand on the worse side, away from a training that does better."""
    found = np.flatnonzero((series.x == x) & np.isfinite(series.y))
    if not len(found):
        return []
    value = float(series.y[found[0]])
    place, height = scales[0].place(x), scales[1].place(value)
    anchor = "end" if x > (series.x[0] + series.x[-1]) / 2 else "start"
    return [Mark(place, height, text(value), _text_height(height, rising), anchor, is_ringed=True)]


def _text_height(height: float, is_below: bool) -> float:
    """Returns where the words of a point stand: on the wanted side, if there is room."""
    above, below = height - 9, height + 20
    if is_below:
        return below if below < _BOTTOM else above
    return above if height > 26 else below


@dataclass(frozen=True)
class Point:
    """What a point is drawn from: its place in values, its words, its colour, whether it is ringed."""

    x: float
    y: float
    text: str
    colour: int
    is_ringed: bool


def point_chart(title: str, points: Sequence[Point], *, x_text: Text, y_text: Text) -> Chart:
    """Lays out points; the horizontal axis is logarithmic where values are factors apart."""
    x = [point.x for point in points]
    y = [point.y for point in points]
    is_logarithmic = min(x) > 0 and max(x) / min(x) > _LOGARITHMIC_FROM
    horizontal = _point_scale(x, _POINTS_LEFT, _RIGHT, is_logarithmic)
    vertical = _point_scale(y, _BOTTOM, _TOP, False)
    return Chart(
        title=title,
        x_label="",
        lines=[],
        marks=[
            Mark(
                horizontal.place(point.x), vertical.place(point.y), point.text,
                _text_height(vertical.place(point.y), False),
                "end" if horizontal.place(point.x) > (_POINTS_LEFT + _RIGHT) / 2 else "start",
                point.colour, point.is_ringed,
            )
            for point in points
        ],
        x_ticks=[(horizontal.place(value), x_text(value)) for value in _few_ticks(horizontal)],
        y_ticks=[(vertical.place(value), y_text(value)) for value in vertical.ticks(5)],
        left=_POINTS_LEFT,
    )  # fmt: skip


def _few_ticks(scale: Scale) -> list[float]:
    """Returns three round values or so, two at the least: one alone tells no distance."""
    return next((ticks for most in (3, 4, 6) if len(ticks := scale.ticks(most)) > 1), scale.ticks(8))


def _point_scale(values: Sequence[float], start: float, end: float, is_logarithmic: bool) -> Scale:
    low, high = min(values), max(values)
    if is_logarithmic:
        return Scale(low / 1.5, high * 1.5, start, end, True)
    margin = 0.12 * (high - low) or 0.05 * abs(high) or 0.05
    return Scale(low - margin, high + margin, start, end)


def percent_tick(value: float) -> str:
    """Writes a fraction at a tick: `98.5%`."""
    return f"{100 * value:.6g}%".replace("-", "−")


def number_tick(value: float) -> str:
    """Writes a number at a tick: `150k`, `1.2M`, `0.02`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}".replace("-", "−")
