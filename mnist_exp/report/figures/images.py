"""Figures made of images: predictions, mistakes, first-layer weights, the atlas of disagreements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mnist_exp.evaluation.pictures import Picture
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.report.figures.fonts import drawable_names, note_inches, write_note
from mnist_exp.report.figures.style import (
    BLUE,
    DARK_VERMILION,
    FAINT,
    INK,
    PALE_BLUE,
    PALE_VERMILION,
    QUIET,
    VERMILION,
    WIDTH_INCHES,
    add_title,
    new_figure,
    shorten,
)
from mnist_exp.report.figures.tiles import Sheet, TileGrid, plan_captioned_grid, plan_grid
from mnist_exp.report.predictions import Choice, file_name
from mnist_exp.words import confidence, one_line

# Negative ends darker than positive: the signs stay apart in grey.
_SIGNED = LinearSegmentedColormap.from_list("signed", ["#00294a", BLUE, "#ffffff", "#f5b27c", VERMILION])
_TITLE_INCHES = 0.55
_SCALE_INCHES = 0.75
_MAX_UNITS = 60
_LONGEST_NAME = 14
_ATLAS_TITLE_INCHES, _HEADING_INCHES = 0.5, 0.36
_COLUMNS = 10
_LONGEST_TILE_NAME, _LONGEST_LINE = 9, 12
_LINE_INCHES = 0.14
PICTURES_A_FIGURE = 12
_ROW_INCHES, _TILE = 1.5, 1.08
_COLUMN_INCHES = 3.95


def plot_sample_predictions(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
) -> Figure:
    """Draws the first images with prediction, confidence and true class; errors framed and crossed.

    Args:
        images: uint8 (N, height, width), 0 background; as many are drawn as fit (20 to 32).
        labels: True classes (N,).
        probabilities: Class probabilities (N, C), rows summing to 1.
    """
    names = [shorten(name, _LONGEST_NAME) for name in drawable_names(class_names)]
    grid = plan_captioned_grid(len(images), 4, names, above=0.0, below=0.46)
    shown = slice(grid.capacity)
    predicted, labels = probabilities[shown].argmax(axis=1), labels[shown]
    figure = new_figure(_TITLE_INCHES + grid.height + note_inches(class_names))
    write_note(figure, class_names)
    sheet = Sheet(figure, _TITLE_INCHES)
    sheet.draw_tiles(grid, _ink(images[shown]))
    sheet.draw_frames(grid, predicted != labels)
    for index, (choice, label) in enumerate(zip(predicted, labels, strict=True)):
        share = confidence(float(probabilities[index, choice]))
        _write_prediction(sheet, grid, index, names[choice], names[label], share)
    num_right = int((predicted == labels).sum())
    add_title(figure, "Sample predictions", f"✓ {num_right} right   ✗ {len(labels) - num_right} wrong")
    return figure


def _write_prediction(
    sheet: Sheet, grid: TileGrid, index: int, predicted: str, true: str, share: str
) -> None:
    x, y = grid.corner(index)
    below = y + grid.tile + 0.07
    right = predicted == true
    style = {"color": INK} if right else {"color": DARK_VERMILION, "weight": "bold"}
    sheet.write(x, below, f"{'✓' if right else '✗'} {predicted}", grid.text_size, **style)
    sheet.write(x + grid.tile, below, share, grid.text_size, ha="right", **style)
    sheet.write(x, below + 0.17, f"true {true}", grid.text_size, color=QUIET if right else INK)


def plot_mistakes(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
) -> Figure:
    """Draws the wrong predictions, the most confident first, each with its two likeliest classes.

    Args:
        images: uint8 (N, height, width), 0 background.
        labels: True classes (N,).
        probabilities: Class probabilities (N, C), rows summing to 1.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    if not wrong.size:
        return _no_mistakes(len(labels))
    names = [shorten(name, _LONGEST_NAME) for name in drawable_names(class_names)]
    grid = plan_captioned_grid(len(wrong), 3, names, above=0.27, below=0.5)
    shown = wrong[: grid.capacity]
    figure = new_figure(_TITLE_INCHES + grid.height + note_inches(class_names))
    write_note(figure, class_names)
    sheet = Sheet(figure, _TITLE_INCHES)
    sheet.draw_tiles(grid, _ink(images[shown]))
    sheet.draw_frames(grid, np.zeros(len(shown), dtype=bool))
    bars = [
        bar
        for place, index in enumerate(shown)
        for bar in _write_top_two(sheet, grid, place, int(labels[index]), probabilities[index], names)
    ]
    sheet.draw_patches(bars, zorder=1)
    kind = "all" if len(shown) == len(wrong) else f"the {len(shown)} most confident"
    add_title(figure, "Mistakes", f"{kind} of {len(wrong):,} in {len(labels):,} images")
    return figure


def _no_mistakes(num_images: int) -> Figure:
    figure = new_figure(1.3)
    figure.text(0.5, 0.34, f"✓ no mistakes in {num_images:,} images", ha="center", size=12, color=INK)
    add_title(figure, "Mistakes")
    return figure


def _write_top_two(
    sheet: Sheet,
    grid: TileGrid,
    place: int,
    label: int,
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
) -> list[Rectangle]:
    """Writes the true class above a tile and the two likeliest classes below; returns their bars."""
    x, y = grid.corner(place)
    sheet.write(x, y - 0.19, f"true {class_names[label]}", grid.text_size, color=INK, weight="bold")
    bars = []
    for line, chosen in enumerate(np.argsort(-probabilities, kind="stable")[:2]):
        share = float(probabilities[chosen])
        top = y + grid.tile + 0.07 + 0.19 * line
        colour = PALE_BLUE if chosen == label else PALE_VERMILION
        bars.append(Rectangle((x, top - 0.02), share * grid.tile, 0.17, facecolor=colour, edgecolor="none"))
        mark = "✓ " if chosen == label else "✗ "
        sheet.write(x + 0.03, top, f"{mark}{class_names[chosen]}", grid.text_size, color=INK)
        sheet.write(x + grid.tile, top, confidence(share), grid.text_size, ha="right", color=INK)
    return bars


def plot_first_layer_weights(kernel: NDArray[np.floating], image_shape: tuple[int, int]) -> Figure:
    """Draws what each unit of a first dense layer looks for, the units of largest norm first.

    The kernel is (height * width, units), the image shape (height, width).
    """
    num_units = kernel.shape[1]
    order = np.argsort(-np.linalg.norm(kernel, axis=0), kind="stable")[:_MAX_UNITS]
    tiles = kernel[:, order].T.reshape(-1, *image_shape)
    rows = max(1, round(np.sqrt(len(order) / 2.4)))
    columns = max(5, -(-len(order) // rows))
    grid = plan_grid(columns, -(-len(order) // columns), WIDTH_INCHES - _SCALE_INCHES, gap=0.06)
    # The farthest hundredth of the weights would pale all others; the bar's arrows say it is cut.
    reach = float(np.quantile(np.abs(tiles), 0.99)) or 1.0
    scale = Normalize(-reach, reach)
    figure = new_figure(_TITLE_INCHES + grid.height + 0.1)
    Sheet(figure, _TITLE_INCHES).draw_tiles(grid, _SIGNED(scale(tiles), bytes=True))
    _add_weight_scale(figure, scale)
    count = f"{num_units} of {num_units}" if len(order) == num_units else f"{len(order)} of {num_units:,}"
    add_title(figure, "First-layer weights", f"{count} units, largest norm first")
    return figure


def _add_weight_scale(figure: Figure, scale: Normalize) -> None:
    total = figure.get_figheight()
    height = min(2.4, total - _TITLE_INCHES - 0.3)
    bottom = (total - _TITLE_INCHES - height - 0.06) / total
    axes = figure.add_axes((0.925, bottom, 0.017, height / total))
    bar = figure.colorbar(ScalarMappable(scale, _SIGNED), cax=axes, extend="both", extendfrac=0.04)
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=8.5, labelcolor=QUIET, length=0)
    axes.locator_params(axis="y", nbins=5)


def _ink(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns images (N, height, width) as dark ink on pale paper, RGBA uint8 (N, height, width, 4)."""
    return colormaps["Greys"](Normalize(-12, 255)(images), bytes=True)


@dataclass(frozen=True)
class AtlasTile:
    """One image, by its place among the test images; its caption says which runs predict which class."""

    index: int
    true: str
    caption: str


@dataclass(frozen=True)
class AtlasSection:
    """Images that have something in common: how many there are, and the clearest of them."""

    title: str
    count: int
    tiles: Sequence[AtlasTile]


def plot_atlas(sections: Sequence[AtlasSection], images: NDArray[np.uint8]) -> Figure:
    """Draws each section's images in rows, with their class above and what they are taken for below.

    There is one section or more; images are all test images, uint8 (N, height, width), 0 background.
    """
    lines = max((len(_lines(tile)) for section in sections for tile in section.tiles), default=1)
    below = 0.11 + _LINE_INCHES * lines
    grids = [
        plan_grid(_COLUMNS, _num_rows(section), WIDTH_INCHES, gap=0.1, above=0.2, below=below)
        for section in sections
    ]
    heights = [grid.height if section.tiles else 0.3 for grid, section in zip(grids, sections, strict=True)]
    figure = new_figure(_ATLAS_TITLE_INCHES + sum(heights) + _HEADING_INCHES * len(sections))
    top = _ATLAS_TITLE_INCHES
    for section, grid, height in zip(sections, grids, heights, strict=True):
        place = 1 - (top + 0.1) / figure.get_figheight()
        words = f"{section.title}: {section.count:,}"
        figure.text(0.02, place, words, size=10, va="top", weight="bold", color=INK, parse_math=False)
        top += _HEADING_INCHES
        _draw_section(Sheet(figure, top), section, grid, images)
        top += height
    add_title(figure, "Error atlas", "the clearest first")
    return figure


def _num_rows(section: AtlasSection) -> int:
    return max(1, -(-len(section.tiles) // _COLUMNS))


def _lines(tile: AtlasTile) -> list[str]:
    """Breaks a caption that is wider than its image before its brackets."""
    if len(tile.caption) <= _LONGEST_LINE:
        return [tile.caption]
    words, bracket, rest = tile.caption.partition(" (")
    return [words, f"({rest}"] if bracket else [words]


def _draw_section(sheet: Sheet, section: AtlasSection, grid: TileGrid, images: NDArray[np.uint8]) -> None:
    if not section.tiles:
        sheet.write(0.16, 0.05, "none", 9, color=QUIET)
        return
    chosen = images[[tile.index for tile in section.tiles]]
    sheet.draw_tiles(grid, colormaps["gray_r"](chosen, bytes=True))
    sheet.draw_frames(grid, np.zeros(len(chosen), dtype=bool))
    for number, tile in enumerate(section.tiles):
        x, y = grid.corner(number)
        sheet.write(x, y - 0.17, f"true {shorten(tile.true, _LONGEST_TILE_NAME)}", 8.5, color=INK)
        sheet.write(x, y + grid.tile + 0.04, "\n".join(_lines(tile)), 8, color=QUIET)


def plot_predictions(
    pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]], remark: str = ""
) -> Figure:
    """Draws one to twelve pictures in two columns: the original, what the network saw, probabilities."""
    rows = -(-len(pictures) // 2)
    total = 0.5 + _ROW_INCHES * rows
    figure = new_figure(total)
    for place, (picture, found) in enumerate(zip(pictures, choices, strict=True)):
        row, column = divmod(place, 2)
        corner = (0.16 + _COLUMN_INCHES * column, total - 0.5 - _ROW_INCHES * (row + 1) + 0.12)
        _draw_picture(figure, total, corner, picture)
        _draw_choices(_axes(figure, total, (corner[0] + 2.36, corner[1]), 1.35), found)
    add_title(figure, "Predictions", remark)
    return figure


def _axes(figure: Figure, total: float, corner: tuple[float, float], width: float) -> Axes:
    """Adds axes without ticks, their place in inches."""
    axes = figure.add_axes((corner[0] / 8, corner[1] / total, width / 8, _TILE / total))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=FAINT, linewidth=0.8)
    return axes


def _draw_picture(figure: Figure, total: float, corner: tuple[float, float], picture: Picture) -> None:
    original = _axes(figure, total, corner, _TILE)
    if picture.thumbnail is not None:
        original.imshow(picture.thumbnail, cmap="gray", vmin=0, vmax=1)
    seen = _axes(figure, total, (corner[0] + _TILE + 0.1, corner[1]), _TILE)
    seen.imshow(colormaps["Greys"](Normalize(-12, 255)(picture.image)), interpolation="nearest")
    is_doubtful = shows_several(picture.image) or picture.has_surroundings
    name = shorten(one_line(file_name(picture.path).rpartition("/")[2]), 18 if is_doubtful else 34)
    doubt = "several?" if shows_several(picture.image) else "something else?"
    words, colour = (f"{name}: {doubt}", DARK_VERMILION) if is_doubtful else (name, QUIET)
    top = (corner[1] + _TILE + 0.05) / total
    figure.text(corner[0] / 8, top, words, size=8.5, color=colour, parse_math=False, va="bottom")


def _draw_choices(axes: Axes, choices: Sequence[Choice]) -> None:
    places = np.arange(len(choices))
    shares = [choice.probability for choice in choices]
    axes.barh(places, shares, 0.78, color=[BLUE, *[PALE_BLUE] * (len(choices) - 1)], alpha=0.45)
    for place, choice in enumerate(choices):
        style: dict[str, Any] = {"va": "center", "size": 10 if place == 0 else 9, "color": INK}
        weight = "bold" if place == 0 else "normal"
        name = shorten(one_line(choice.name), 11)
        axes.text(0.03, place, name, parse_math=False, weight=weight, **style)
        axes.text(0.98, place, confidence(choice.probability), ha="right", weight=weight, **style)
    axes.set(xlim=(0, 1), ylim=(2.5, -0.5))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(QUIET)
