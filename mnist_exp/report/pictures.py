"""What a comparison's page draws of its runs."""

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.comparison import Examined
from mnist_exp.comparison.grouping import ComparableSet
from mnist_exp.comparison.report import SetReport
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report import comparison_plots
from mnist_exp.report.charts.comparison_figures import ComparisonFigures, draw_figures
from mnist_exp.report.comparison_views import forest
from mnist_exp.report.document import Digit, Digits, Heading, Part, Picture, Words
from mnist_exp.report.figures.images import AtlasSection
from mnist_exp.report.html import draw

# As many as stand side by side on a wide screen.
_DIGITS_A_ROW = 9


def illustrate(examined: Examined) -> tuple[list[Picture], list[Part]]:
    """Draws each set's intervals, and curves, costs, classes and digits of the first set.

    Args:
        examined: With at least one set.
    """
    forests = [
        Picture("Test accuracy, 95% intervals", draw("forest", forest(report, found)), _word_forest(report))
        for report, found in zip(examined.comparison.sets, examined.sets, strict=True)
    ]
    found = examined.sets[0]
    sections: list[Part] = []
    for picture in comparison_pictures(examined):
        sections += [Heading(picture.title), picture]
    return forests, sections + _digits(found)


def comparison_pictures(examined: Examined) -> list[Picture]:
    """Draws learning curves, costs and classes of the first set."""
    figures = draw_figures(examined.sets[0])
    pictures = []
    if figures.curves:
        has_seeds = any(len(group.seeds) > 1 for group in examined.comparison.sets[0].groups)
        hint = "Means over seeds; bands are one standard deviation to either side." if has_seeds else ""
        pictures.append(Picture("Learning curves", draw("charts", figures.curves, ""), hint))
    if figures.costs:
        markup = draw("charts", figures.costs, "three")
        pictures.append(Picture("Accuracy against cost", markup, _word_costs(figures)))
    if figures.classes:
        pictures.append(Picture("Class by class", draw("forest", figures.classes), _word_classes(figures)))
    return pictures


def _word_forest(report: SetReport) -> str:
    """Says what the marks beside the intervals mean."""
    marks = "Dot: the network’s accuracy, with its interval."
    if any(len(row.seeds) > 1 for row in report.groups):
        marks = "Large dot: mean over seeds, with its interval. Small dots: single seeds."
    if report.leader is None:
        return marks
    images = "test" if report.is_chosen_on_test else "validation"
    return f"{marks} Broken line: {report.leader}, the best on {images} images."


def _word_costs(figures: ComparisonFigures) -> str:
    names = "; ".join(f"{number}: {name}" for number, name in enumerate(figures.names, 1))
    return f"Upwards is better, to the left is cheaper. Ringed: nothing cheaper is as accurate. {names}."


def _word_classes(figures: ComparisonFigures) -> str:
    first, second = figures.sides
    return (
        f"How many points {first} is ahead of {second} on the images of each class (in brackets: how many "
        "images). An interval that crosses the broken line says that the two cannot be told apart there; "
        "each is for itself, so of twenty about one misleads."
    )


def _digits(found: ComparableSet) -> list[Part]:
    """Shows the images that tell the first two groups apart."""
    if len(found.groups) < 2:
        return []
    title = Heading("Digits that tell them apart")
    one, other = (comparison_plots.correct_predictions(group) for group in found.groups[:2])
    if one is None or other is None:
        return [title, Words("Not known, as class by class: a run has no predictions.npz.", "quiet")]
    images = load_test_images([run for group in found.groups for run in group.runs])
    if images is None:
        return [title, Words("Not shown: the test images are not at hand.", "quiet")]
    hint = "Below each: its class, then (→) the most common wrong prediction. A click enlarges."
    parts: list[Part] = [title, Words(hint, "quiet")]
    for section in comparison_plots.atlas_sections(found, one, other):
        parts += _section(section, images)
    return parts


def _section(section: AtlasSection, images: NDArray[np.uint8]) -> list[Part]:
    """Shows a section's images: whole rows, where there is at least one."""
    whole = len(section.tiles) // _DIGITS_A_ROW * _DIGITS_A_ROW
    digits = [
        Digit(
            images[tile.index],
            [f"true {tile.true}", tile.caption],
            f"Test image {tile.index:,} is {tile.true}. {tile.caption}",
        )
        for tile in section.tiles[: whole or None]
    ]
    heading = Heading(f"{section.title}: {section.count:,}", 3)
    return [heading, Digits(digits) if digits else Words("None.", "quiet")]
