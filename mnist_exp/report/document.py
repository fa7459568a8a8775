"""A result as plain data, told once: what the console, a page and Markdown are made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mnist_exp.report.figures.embedding import EmbeddedFigure

Place = Literal["page", "console", "both"]
Tone = Literal["", "lead", "strong", "good", "careful", "bad", "quiet", "path"]
"""`good` is the best or the answer, `careful` what is doubtful, `quiet` what explains."""


@dataclass(frozen=True)
class Part:
    """One part of a document; `on` is where it is shown, `both` what a console has room for, too."""

    kind: ClassVar[str]
    on: Place = field(default="page", kw_only=True)

    def __init_subclass__(cls, **details: Any) -> None:
        """Names the kind as templates do."""
        super().__init_subclass__(**details)
        cls.kind = cls.__name__.lower()


@dataclass
class Document:
    """A result for people.

    Attributes:
        title: For a browser's tab.
        kicker: The quiet line at the top.
        heading: The answer, or what it is about.
        is_sentence: Whether the heading is a whole sentence.
        parts: In their order; a heading of level 2 begins a section.
    """

    title: str
    kicker: str
    heading: str
    is_sentence: bool = False
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Heading(Part):
    """A heading of level 2 or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Words(Part):
    """A paragraph."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Notice(Part):
    """What a reader must not miss; `hint` says what to do."""

    title: str
    text: str
    tone: Tone = "careful"
    hint: str = ""


@dataclass(frozen=True)
class Score(Part):
    """The accuracy that a result is about, a fraction, and its 95% interval."""

    name: str
    value: float
    interval: tuple[float, float]


class Fact(NamedTuple):
    """A name and its value."""

    name: str
    value: str
    tone: Tone = ""
    is_code: bool = False


@dataclass(frozen=True)
class Facts(Part):
    """Names and values, a name that comes again shown once.

    Attributes:
        is_grid: Whether a page sets them as a grid of numbers.
        most: How many of them a console shows.
        num_facts: Number of facts that there are; -1 for those that are here.
    """

    facts: Sequence[Fact]
    is_grid: bool = False
    most: int = 100
    num_facts: int = -1


class Column(NamedTuple):
    """A column; the console tells `long` ones below the table."""

    heading: str
    kind: Literal["words", "number", "long", "code"] = "number"


class Cell(NamedTuple):
    """A cell and what a page sorts it by; None for its text, empty for the end; and where a page leads."""

    text: str
    order: str | None = None
    link: str = ""


class Row(NamedTuple):
    """A line of a table."""

    cells: Sequence[Cell]
    tone: Tone = ""


@dataclass(frozen=True)
class Table(Part):
    """A table; a page sorts it by any column.

    Attributes:
        name: What its rows are.
        num_rows: Number of rows that there are; -1 for those that are here.
        source: What has them all.
        style: On a page: `tall` scrolls, `settings` has a wide first column, `filtered` a field for words.
        most: How many rows a console shows.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    num_rows: int = -1
    source: str = ""
    style: str = ""
    most: int = 20


def row(*texts: str, tone: Tone = "") -> Row:
    """Makes a line of cells that are sorted by their texts."""
    return Row([Cell(text) for text in texts], tone)


@dataclass(frozen=True)
class Picture(Part):
    """What only a page can hold, and what must be known to read it."""

    markup: Markup
    caption: str = ""


@dataclass(frozen=True)
class Figures(Part):
    """Figures side by side; `layout` is `single` for one alone, `three` for small ones."""

    figures: Sequence["EmbeddedFigure"]
    layout: Literal["", "single", "three"] = ""


class Digit(NamedTuple):
    """An image, uint8 (height, width), 0 background; lines below it; all of it in a sentence."""

    image: NDArray[np.uint8]
    lines: Sequence[str]
    words: str = ""


@dataclass(frozen=True)
class Digits(Part):
    """Images side by side; a console shows one row, or as many as it takes."""

    digits: Sequence[Digit]
    is_one_row: bool = False


class Command(NamedTuple):
    """A command to copy, and what it is for."""

    purpose: str
    text: str


@dataclass(frozen=True)
class Commands(Part):
    """Commands, each whole on its own line."""

    commands: Sequence[Command]


@dataclass(frozen=True)
class Folded(Part):
    """Parts that a page shows on request."""

    summary: str
    parts: Sequence[Part]
    is_open: bool = False


def next_commands(commands: Sequence[str]) -> Commands:
    """Lists commands to try."""
    return Commands([Command("next", text) for text in commands], on="console")
