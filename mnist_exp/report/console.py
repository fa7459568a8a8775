"""A document on the console, and the forms that text takes there: facts, columns, commands to copy."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mnist_exp.report import document
from mnist_exp.report.digits import DigitRows
from mnist_exp.report.document import Facts, Part, Row, Score, Tone, Words
from mnist_exp.words import accuracy_interval_text, percent, without_control

_PANEL_WIDTH = 80
_LONGEST_CELL = 66
_STYLES: dict[Tone, str] = {
    "": "", "lead": "", "strong": "bold", "good": "bold green", "careful": "yellow", "bad": "bold red",
    "quiet": "bright_black", "path": "cyan",
}  # fmt: skip


def render_parts(parts: Sequence[Part]) -> RenderableType:
    """Shows the parts that are for the console; facts that follow each other are one grid."""
    shown: list[RenderableType] = []
    has_gap = True
    for lines, continues in _blocks([part for part in parts if part.on != "page"]):
        if not (has_gap or continues):
            shown.append(Text())
        shown += lines
        has_gap = isinstance(lines[-1], Table) and lines[-1].box is not None
    return Group(*shown)


def _blocks(parts: Sequence[Part]) -> Iterator[tuple[list[RenderableType], bool]]:
    """Yields the lines of each block, and whether no blank line is needed before it."""
    for is_facts, group in groupby(parts, lambda part: isinstance(part, Facts | Score)):
        if is_facts:
            if rows := [row for part in group for row in _fact_rows(part)]:
                yield [render_facts(*rows)], False
            continue
        for part in group:
            is_hint = isinstance(part, Words) and part.tone == "quiet"
            if lines := _RENDERERS[part.kind](part):
                yield lines, is_hint or isinstance(part, document.Table)


def _text(text: str, tone: Tone = "") -> Text:
    return Text(without_control(text), style=_STYLES[tone])


def _render_heading(part: document.Heading) -> list[RenderableType]:
    return [_text(part.text, "strong")]


def _render_words(part: Words) -> list[RenderableType]:
    return [_text(part.text, part.tone)]


def _render_notice(part: document.Notice) -> list[RenderableType]:
    words = "\n".join(filter(None, [part.text, part.hint]))
    return [render_notice(words, part.title)]


def render_notice(text: str, title: str = "note") -> RenderableType:
    """Frames something that a reader must not miss."""
    return Panel(
        _text(text),
        title=_text(title),
        title_align="left",
        border_style="yellow",
        width=_PANEL_WIDTH,
        padding=(0, 1),
    )


def _fact_rows(part: Any) -> list[tuple[str, Text]]:
    """Words a score or facts; a name that comes again is left out."""
    if isinstance(part, Score):
        interval = f", 95% interval {accuracy_interval_text(part.interval)}"
        return [(part.name, Text.assemble((percent(part.value), _STYLES["good"]), interval))]
    rows = []
    previous = ""
    for fact in part.facts[: part.most]:
        rows.append(("" if fact.name == previous else fact.name, _text(fact.value, fact.tone)))
        previous = fact.name
    hidden = max(part.num_facts, len(part.facts)) - part.most
    if hidden > 0:
        rows.append(("", _text(f"and {hidden:,} more", "quiet")))
    return rows


def render_facts(*rows: tuple[str, str | Text]) -> Table:
    """Sets quiet names beside values, which are broken rather than shortened and never read as markup."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return table


def _render_table(part: document.Table) -> list[RenderableType]:
    """Shows the first rows, what long cells hold below them, and where the others are."""
    places = [place for place, column in enumerate(part.columns) if column.kind != "long"]
    table = columns(*(part.columns[place].heading for place in places))
    table.padding = (0, 1, 0, 0)
    for place, column in zip(places, table.columns, strict=True):
        if part.columns[place].kind == "number":
            column.justify = "right"
    rows = part.rows[: part.most]
    for each in rows:
        table.add_row(*(_cell(each, place) for place in places), style=_STYLES[each.tone])
    shown: list[RenderableType] = [table]
    num_rows = max(part.num_rows, len(part.rows))
    if num_rows > len(rows):
        shown.append(_text(f"The first {len(rows):,} of {num_rows:,}; {part.source} has them all.", "quiet"))
    if len(places) < len(part.columns):
        shown += [Text()] * (len(shown) > 1)
        shown.append(render_facts(*(_long_cells(each, part) for each in rows)))
    return shown


def _cell(row: Row, place: int) -> Text:
    """Cuts what would take more than about three lines."""
    text = row.cells[place].text
    return _text(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")


def _long_cells(row: Row, part: document.Table) -> tuple[str, Text]:
    long = [cell.text for cell, column in zip(row.cells, part.columns, strict=True) if column.kind == "long"]
    return row.cells[0].text, _text(" ".join(long))


def columns(*headings: str, num_left: int | None = None) -> Table:
    """Makes an empty table with a quiet line under its headings.

    Args:
        num_left: Number of columns, from the first, that hold words; the others hold numbers, set to
            the right. All of them by default.
    """
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bright_black", border_style="bright_black", pad_edge=False,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    for number, heading in enumerate(headings):
        is_left = num_left is None or number < num_left
        table.add_column(Text(heading), justify="left" if is_left else "right", overflow="fold")
    return table


def cropped(text: str, style: str = "") -> RenderableType:
    """Keeps text on one line, which ends with … where the screen is narrower."""
    # Printed alone, a Text would lose its no_wrap: rich joins what it prints into a new one.
    return Group(Text(text, style=style, no_wrap=True, overflow="ellipsis"))


class _Whole:
    """Text that is neither measured nor broken, which would take seconds for megabytes."""

    def __init__(self, text: str, style: str) -> None:
        self._text, self._style = text, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(without_control(self._text), console.get_style(self._style))
        yield Segment.line()


def whole(text: str, tone: Tone = "") -> RenderableType:
    """Keeps each line whole, however narrow the screen: a broken command is another one when pasted."""
    return _Whole(text, _STYLES[tone])


def _render_digits(part: document.Digits) -> list[RenderableType]:
    return [DigitRows(part.digits, is_one_row=part.is_one_row)]


def _render_commands(part: document.Commands) -> list[RenderableType]:
    shown: list[RenderableType] = []
    for purpose, commands in groupby(part.commands, key=lambda command: command.purpose):
        shown.append(_text(purpose, "quiet"))
        shown += [whole(f"  {command.text}", "path") for command in commands]
    return shown


def render_next(commands: Sequence[str]) -> list[RenderableType]:
    """Shows commands to try."""
    return [Text(), *_render_commands(document.next_commands(commands))] if commands else []


_RENDERERS: dict[str, Callable[[Any], list[RenderableType]]] = {
    "heading": _render_heading,
    "words": _render_words,
    "notice": _render_notice,
    "table": _render_table,
    "digits": _render_digits,
    "commands": _render_commands,
}
