"""Two sides, their ratio and the bar it is held against: as data, a table row and a JSON object."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from children import Child


class Bar(NamedTuple):
    """What is asked for.

    Attributes:
        kind: `speedup` (theirs / ours, at least), `cost` (ours / theirs, at most) or `limit`
            (ours alone, at most, in the row's unit).
        value: The bar.
    """

    kind: Literal["speedup", "cost", "limit"]
    value: float

    def __str__(self) -> str:
        """Returns it as the table shows it."""
        sign = "at least" if self.kind == "speedup" else "at most"
        return f"{sign} {self.value:g}" + (" s" if self.kind == "limit" else "")


@dataclass
class Row:
    """One line of the table.

    Attributes:
        name: For `--only`.
        title: What is measured.
        read: Takes the figure from a finished process.
        bar: What is asked for.
        unit: Of the figures.
        ours: One figure a repeat.
        theirs: One figure a repeat; none where the bar is a limit.
    """

    name: str
    title: str
    read: Callable[[Child], float]
    bar: Bar
    unit: Literal["s", "MB"] = "s"
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair, as the bar counts it; the figures themselves for a limit."""
        pairs = zip(self.ours, self.theirs, strict=False)
        match self.bar.kind:
            case "speedup":
                return [theirs / ours for ours, theirs in pairs]
            case "cost":
                return [ours / theirs for ours, theirs in pairs]
            case _:
                return self.ours

    @property
    def is_met(self) -> bool:
        """Whether the median ratio meets the bar."""
        middle = statistics.median(self.ratios)
        return middle >= self.bar.value if self.bar.kind == "speedup" else middle <= self.bar.value

    def as_json(self) -> dict[str, Any]:
        """Returns every figure, the medians, the ratio and the verdict."""
        ratios = None if self.bar.kind == "limit" else self.ratios
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs or None,
            "ours_median": statistics.median(self.ours),
            "theirs_median": statistics.median(self.theirs) if self.theirs else None,
            "ratios": ratios,
            "ratio_median": ratios and statistics.median(ratios),
            "bar": {"kind": self.bar.kind, "value": self.bar.value},
            "met": self.is_met,
        }


@dataclass(frozen=True)
class Pair:
    """Two commands that are run in turn, and the rows that come of them.

    Attributes:
        ours: This project's command.
        against: What `theirs` is, in words.
        theirs: The other side's command; empty where there is none.
        rows: What is read from both.
        expected_status: Exit status of `ours`.
    """

    ours: tuple[str, ...]
    against: str
    theirs: tuple[str, ...]
    rows: list[Row]
    expected_status: int = 0


def markdown(pairs: list[Pair]) -> str:
    """Sets out the table."""
    lines = [
        "| measured | mnist-exp | compared with | ratio (range) | bar | met |",
        "|---|--:|--:|--:|--:|---|",
    ]
    return "\n".join([*lines, *(_line(row, pair.against) for pair in pairs for row in pair.rows)])


def _line(row: Row, against: str) -> str:
    ours = _figure(statistics.median(row.ours), row.unit)
    theirs = f"{against} {_figure(statistics.median(row.theirs), row.unit)}" if row.theirs else "–"
    ratios = row.ratios
    spread = f"({min(ratios):.3g} to {max(ratios):.3g})"
    ratio = spread if row.bar.kind == "limit" else f"{statistics.median(ratios):.3g} {spread}"
    verdict = "yes" if row.is_met else "**no**"
    return f"| `{row.name}`: {row.title} | {ours} | {theirs} | {ratio} | {row.bar} | {verdict} |"


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if unit == "MB" else f"{value:.3g} {unit}"
