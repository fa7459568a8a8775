"""The forms that text on the console takes: facts, columns, lines that never wrap, commands to copy."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def render_facts(*rows: tuple[str, str | Text]) -> Table:
    """Sets quiet names beside values, which are broken rather than shortened and never read as markup."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return table


def columns(*headings: str, num_left: int | None = None) -> Table:
    """Makes an empty table with a quiet line under its headings.

    Args:
        headings: One for each column.
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


def render_next(commands: Sequence[str]) -> list[RenderableType]:
    """Shows commands to try, each whole on its own line so that it can be copied."""
    if not commands:
        return []
    # Longer than the screen rather than broken: a broken line is another command when pasted.
    lines = [Text(f"  {command}", style="cyan", no_wrap=True, overflow="ignore") for command in commands]
    return [Text(), Text("next", style="bright_black"), Group(*lines)]
