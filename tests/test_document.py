"""One document, two renderers: what both show, what only one has room for, and that texts stay texts."""

from io import StringIO

import numpy as np
import rich.console
from rich.cells import cell_len

from mnist_exp.report.console import render_parts
from mnist_exp.report.document import (
    Cell,
    Column,
    Command,
    Commands,
    Digit,
    Digits,
    Document,
    Fact,
    Facts,
    Folded,
    Heading,
    Notice,
    Part,
    Row,
    Score,
    Table,
    Words,
    row,
)
from mnist_exp.report.html import render_page
from mnist_exp.report.terminal import PLAIN_WIDTH, Terminal
from tests.pages.page_makers import HOSTILE
from tests.pages.page_reading import Page, assert_self_contained


def console(*parts: Part) -> str:
    stream = StringIO()
    Terminal(stream).print(render_parts(parts))
    return stream.getvalue()


def page(*parts: Part) -> Page:
    return Page(render_page(Document("title", "kicker", "heading", parts=list(parts))))


def runs(count: int, **details: int) -> Table:
    columns = [Column("run", "words"), Column("score"), Column("what it is", "long")]
    rows = [row(f"run {number}", f"{number}.5", f"units {number}") for number in range(count)]
    return Table("Runs", columns, rows, num_rows=100, source="runs.csv", on="both", **details)


def test_each_shows_its_own_parts_and_both_show_the_rest() -> None:
    parts = [Words("for both", on="both"), Words("for the page"), Words("for the console", on="console")]
    assert console(*parts) == "for both\n\nfor the console\n"
    text = page(*parts).text
    assert "for both" in text and "for the page" in text and "for the console" not in text


def test_a_console_has_fewer_rows_and_long_cells_below_them() -> None:
    lines = console(runs(30, most=2)).splitlines()
    assert [line.split() for line in lines if line.startswith(" run ")][1:] == [
        ["run", "0", "0.5"],
        ["run", "1", "1.5"],
    ]
    assert "The first 2 of 100; runs.csv has them all." in lines
    assert lines[-2:] == ["run 0  units 0", "run 1  units 1"]
    shown = page(runs(30))
    assert len(shown.named("tr")) == 31 and "The first 30 of 100; runs.csv has them all." in shown.text
    assert "units 29" in shown.text


def test_facts_in_a_row_are_one_grid_and_a_name_is_said_once() -> None:
    facts = Facts([Fact("note", "one"), Fact("note", "two"), Fact("note", "three")], most=2, on="both")
    score = Score("test accuracy", 0.9837, (0.981, 0.986), on="both")
    assert console(score, facts).splitlines() == [
        "test accuracy  98.37%, 95% interval 98.10 to 98.60%",
        "note           one",
        "               two",
        "               and 1 more",
    ]
    text = page(score, facts).text
    assert text.count("note") == 1 and "three" in text and "95% interval 98.10 to 98.60%" in text
    some = Facts([Fact("failed", "one"), Fact("failed", "two")], most=1, num_facts=130, on="both")
    assert console(some).splitlines()[-1].strip() == "and 129 more"


def test_no_number_is_cut_however_narrow_the_console() -> None:
    columns = [Column("candidate", "words"), Column("score"), Column("confirmed"), Column("parameters")]
    texts = ("trial 1 (winner)", "73.80% (68.72 to 78.88)", "48.90% (41.00 to 56.80)", "101,770")
    for width in (100, 60, 40):
        stream = StringIO()
        rich.console.Console(file=stream, width=width).print(
            render_parts([Table("Candidates", columns, [row(*texts)], on="both")])
        )
        for digits in ("73.80%", "78.88)", "101,770"):
            assert digits in stream.getvalue(), (width, digits)


def test_commands_stay_whole_and_say_once_what_they_are_for() -> None:
    long = "mnist-exp " + "word " * 40
    text = console(Commands([Command("next", long), Command("next", "mnist-exp")], on="both"))
    assert text == f"next\n  {long.rstrip()}\n  mnist-exp\n"


def test_a_cell_is_sorted_by_its_order_where_it_has_one() -> None:
    rows = [Row([Cell("a"), Cell("2 min", "120")]), Row([Cell("b"), Cell("–", "")])]
    cells = page(Table("Times", [Column("run", "words"), Column("took")], rows)).elements
    orders = [each.attributes.get("data-order") for each in cells if each.name == "td"]
    assert orders == ["120", ""]


def test_texts_of_strangers_stay_texts_wherever_they_stand() -> None:
    digit = Digit(np.zeros((28, 28), np.uint8), [HOSTILE, HOSTILE], HOSTILE)
    parts: list[Part] = [
        Words(HOSTILE, on="both"),
        Notice(HOSTILE, HOSTILE, hint=HOSTILE, on="both"),
        Facts([Fact("name", HOSTILE), Fact("code", HOSTILE, is_code=True)], on="both"),
        Heading(HOSTILE, on="both"),
        Table(
            HOSTILE, [Column(HOSTILE, "words"), Column(HOSTILE, "code")], [row(HOSTILE, HOSTILE)], on="both"
        ),
        Digits([digit], on="both"),
        Commands([Command(HOSTILE, HOSTILE)], on="both"),
        Folded(HOSTILE, [Words(HOSTILE)]),
    ]
    shown = page(*parts)
    assert_self_contained(shown)
    assert not set("\u202e\u2066\u200b\x07") & set(shown.source)
    text = console(*parts)
    assert "\x07" not in text and "\x1b" not in text and "<script>alert(1)</script>" in text
    wide = [line for line in text.splitlines() if cell_len(line) > PLAIN_WIDTH]
    assert all(line.startswith("  ") for line in wide), "only commands may be wider than the screen"
