"""Figures within a page: sharp, safe, in the page's colours, and in words for those who do not see them."""

import re
from functools import partial

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from mnist_exp.report.figures.costs import CostPoint, plot_page_costs
from mnist_exp.report.figures.curves import PANELS, Curve, plot_page_curves
from mnist_exp.report.figures.embedding import PAGE_INCHES, SMALL_PAGE_INCHES, Drawing, embed, figure_svg
from mnist_exp.report.figures.intervals import IntervalRow, plot_page_intervals
from mnist_exp.report.figures.scales import Objective
from mnist_exp.report.figures.style import line_style, new_figure
from mnist_exp.report.figures.trials import plot_page_progress
from tests.pages.page_makers import HOSTILE
from tests.pages.page_reading import Page
from tests.test_plots import assert_readable, texts
from tests.trials import study

ACCURACY, LOSS = PANELS


def curves(values: list[float], labels: tuple[str, ...] = ("validation",)) -> list[Curve]:
    epochs = np.arange(1.0, len(values) + 1)
    sd = np.full(len(values), 0.01)
    styles = [{"linewidth": 2, **line_style(place)} for place in range(len(labels))]
    return [
        Curve(label, epochs, np.array(values), sd, style) for label, style in zip(labels, styles, strict=True)
    ]


def rows(count: int, label: str = "group") -> list[IntervalRow]:
    return [
        IntervalRow(f"{label} {place}", 0.9 + place / 1000, (0.89, 0.92), f"{place}", points=(0.9, 0.91))
        for place in range(count)
    ]


def page_intervals(shown: list[IntervalRow]) -> Figure:
    return plot_page_intervals(shown, PAGE_INCHES, 0.9, in_points=False)


def every_figure() -> list[Figure]:
    long = "a group whose settings differ in many ways and so has a long name"
    points = [CostPoint(f"g{n}", 0.9 + n / 50, (0.88, 0.99), (10.0 ** (n + 3), n + 1, 0.1)) for n in range(3)]
    return [
        plot_page_curves(curves([0.9, 0.95], ("validation", "training")), ACCURACY, PAGE_INCHES, 2),
        plot_page_curves(curves([2.0, 0.1, 0.2], (long,) * 8), LOSS, PAGE_INCHES),
        plot_page_curves(curves([0.5]), ACCURACY, PAGE_INCHES, 1),
        plot_page_progress(study(30), Objective("val_accuracy", "max"), PAGE_INCHES),
        page_intervals(rows(1)),
        page_intervals(rows(24, long)),
        *(plot_page_costs(points, place, SMALL_PAGE_INCHES) for place in range(3)),
    ]


def test_it_is_readable_text_in_the_page_s_colours_without_identifiers_and_styles() -> None:
    for figure in every_figure():
        assert_readable(figure)
        page = Page(figure_svg(figure, "words"))
        for element in page.elements:
            assert element.name in ("svg", "path", "text")
            assert not {"id", "style", "class", "clip-path"} & set(element.attributes)
            for name in ("fill", "stroke"):
                colour = element.attributes.get(name, "none")
                assert colour in ("none", "currentColor") or colour.startswith("var(--"), colour
        words = " ".join(page.text.split())
        for text in texts(figure):
            assert " ".join(text.split()) in words


def test_the_same_figure_makes_the_same_markup() -> None:
    first, second = ([figure_svg(figure, "words") for figure in every_figure()] for _ in range(2))
    assert first == second and len(set(first)) == len(first)


def test_nothing_is_drawn_beyond_the_figure() -> None:
    values = [1e9, *np.linspace(0.5, 0.1, 30), np.nan, np.inf, -1e9]
    figure = plot_page_curves(curves(values), LOSS, PAGE_INCHES)
    svg = figure_svg(figure, "words")
    width, height = 72 * figure.get_size_inches()
    for data in re.findall(r' d="([^"]*)"', svg):
        for x, y in re.findall(r"[MLC](-?[\d.]+) (-?[\d.]+)", data):
            assert -1 <= float(x) <= width + 1 and -1 <= float(y) <= height + 1
    assert "nan" not in svg and "inf" not in svg.replace("infinite", "")


def test_hostile_texts_stay_texts() -> None:
    labels = (HOSTILE, "$\\frac$", "\u202egnp.exe", "日本語", "$\\mathdefault{x}$")
    draw = partial(plot_page_curves, curves([0.1, 0.2], labels), ACCURACY, PAGE_INCHES)
    (figure,) = embed([Drawing(HOSTILE, draw, HOSTILE)])
    page = Page(figure.markup)
    assert {each.name for each in page.elements} == {"svg", "path", "text"}
    assert not set("\u202e\u2066\u200b\x07") & set(figure.markup)
    for text in ("<script>alert(1)</script>", "日本語", "$\\mathdefault{x}$"):
        assert text in page.text
    assert "<script>alert(1)</script>" in page.elements[0].attributes["aria-label"]


def test_a_figure_that_cannot_be_drawn_costs_the_others_nothing() -> None:
    def broken() -> Figure:
        raise ValueError("no room")

    first, second = embed([Drawing("one", broken, "x"), Drawing("two", partial(new_figure, 1.0), "is empty")])
    assert first.markup == "" and first.caption == "Not drawn: ValueError: no room"
    assert 'aria-label="two: is empty"' in second.markup and isinstance(second.markup, Markup)


def test_thousands_of_epochs_take_a_few_kilobytes_and_keep_the_best() -> None:
    values = np.linspace(0.5, 0.9, 20_000) + np.random.default_rng(0).normal(0, 0.02, 20_000)
    best = int(values.argmax()) + 1
    figure = plot_page_curves(curves(values.tolist()), ACCURACY, PAGE_INCHES, best)
    assert f"{100 * values.max():.2f}%" in texts(figure)
    assert len(figure_svg(figure, "words")) < 30_000
