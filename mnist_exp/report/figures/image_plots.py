"""Images as figures: what a network predicts, where it errs, what its first layer looks for."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import drawable_names, note_inches, write_note
from mnist_exp.report.figures.style import (
    BLUE,
    DARK_VERMILION,
    INK,
    PALE_BLUE,
    PALE_VERMILION,
    QUIET,
    VERMILION,
    WIDTH_INCHES,
    add_title,
    blank_axes,
    new_figure,
    shorten,
)
from mnist_exp.report.figures.tile_grid import (
    TileGrid,
    draw_frames,
    draw_tiles,
    plan_captioned_grid,
    plan_grid,
)
from mnist_exp.words import confidence

# Negative ends darker than positive: the signs stay apart in grey.
_SIGNED = LinearSegmentedColormap.from_list("signed", ["#00294a", BLUE, "#ffffff", "#f5b27c", VERMILION])
_TITLE_INCHES = 0.55
_SCALE_INCHES = 0.75
_MAX_UNITS = 60
_LONGEST_NAME = 14


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
        class_names: The C names.
    """
    names = [shorten(name, _LONGEST_NAME) for name in drawable_names(class_names)]
    grid = plan_captioned_grid(len(images), 4, names, above=0.0, below=0.46)
    shown = slice(grid.capacity)
    predicted, labels = probabilities[shown].argmax(axis=1), labels[shown]
    figure = new_figure(_TITLE_INCHES + grid.height + note_inches(class_names))
    write_note(figure, class_names)
    axes = blank_axes(figure, grid.height, _TITLE_INCHES)
    draw_tiles(axes, grid, _ink(images[shown]))
    draw_frames(axes, grid, predicted != labels)
    for index, (choice, label) in enumerate(zip(predicted, labels, strict=True)):
        share = confidence(float(probabilities[index, choice]))
        _write_prediction(axes, grid, index, names[choice], names[label], share)
    num_right = int((predicted == labels).sum())
    add_title(figure, "Sample predictions", f"✓ {num_right} right   ✗ {len(labels) - num_right} wrong")
    return figure


def _write_prediction(axes: Axes, grid: TileGrid, index: int, predicted: str, true: str, share: str) -> None:
    """Writes a tile's two lines: mark, prediction and confidence; the true class."""
    x, y = grid.corner(index)
    below = y + grid.tile + 0.07
    right = predicted == true
    style = {"color": INK} if right else {"color": DARK_VERMILION, "weight": "bold"}
    _write(axes, x, below, f"{'✓' if right else '✗'} {predicted}", grid.text_size, **style)
    _write(axes, x + grid.tile, below, share, grid.text_size, ha="right", **style)
    _write(axes, x, below + 0.17, f"true {true}", grid.text_size, color=QUIET if right else INK)


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
        class_names: The C names.
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
    axes = blank_axes(figure, grid.height, _TITLE_INCHES)
    draw_tiles(axes, grid, _ink(images[shown]))
    draw_frames(axes, grid, np.zeros(len(shown), dtype=bool))
    bars = [
        bar
        for place, index in enumerate(shown)
        for bar in _write_top_two(axes, grid, place, int(labels[index]), probabilities[index], names)
    ]
    axes.add_collection(PatchCollection(bars, match_original=True, zorder=1), autolim=False)
    kind = "all" if len(shown) == len(wrong) else f"the {len(shown)} most confident"
    add_title(figure, "Mistakes", f"{kind} of {len(wrong):,} in {len(labels):,} images")
    return figure


def _no_mistakes(num_images: int) -> Figure:
    """Says that there is nothing to show."""
    figure = new_figure(1.3)
    figure.text(0.5, 0.34, f"✓ no mistakes in {num_images:,} images", ha="center", size=12, color=INK)
    add_title(figure, "Mistakes")
    return figure


def _write_top_two(
    axes: Axes,
    grid: TileGrid,
    place: int,
    label: int,
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
) -> list[Rectangle]:
    """Writes the true class above a tile and the two likeliest classes below; returns their bars."""
    x, y = grid.corner(place)
    _write(axes, x, y - 0.19, f"true {class_names[label]}", grid.text_size, color=INK, weight="bold")
    bars = []
    for line, chosen in enumerate(np.argsort(-probabilities, kind="stable")[:2]):
        share = float(probabilities[chosen])
        top = y + grid.tile + 0.07 + 0.19 * line
        colour = PALE_BLUE if chosen == label else PALE_VERMILION
        bars.append(Rectangle((x, top - 0.02), share * grid.tile, 0.17, facecolor=colour, edgecolor="none"))
        mark = "✓ " if chosen == label else "✗ "
        _write(axes, x + 0.03, top, f"{mark}{class_names[chosen]}", grid.text_size, color=INK)
        _write(axes, x + grid.tile, top, confidence(share), grid.text_size, ha="right", color=INK)
    return bars


def plot_first_layer_weights(kernel: NDArray[np.floating], image_shape: tuple[int, int]) -> Figure:
    """Draws what each unit of a first dense layer looks for, the units of largest norm first.

    Args:
        kernel: Weights (height * width, units).
        image_shape: (height, width) of the images that the layer sees.
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
    draw_tiles(blank_axes(figure, grid.height, _TITLE_INCHES), grid, _rgb(_SIGNED(scale(tiles))))
    _add_weight_scale(figure, scale)
    count = f"{num_units} of {num_units}" if len(order) == num_units else f"{len(order)} of {num_units:,}"
    add_title(figure, "First-layer weights", f"{count} units, largest norm first")
    return figure


def _add_weight_scale(figure: Figure, scale: Normalize) -> None:
    """Adds the colour bar that all tiles share."""
    total = figure.get_figheight()
    height = min(2.4, total - _TITLE_INCHES - 0.3)
    bottom = (total - _TITLE_INCHES - height - 0.06) / total
    axes = figure.add_axes((0.925, bottom, 0.017, height / total))
    bar = figure.colorbar(ScalarMappable(scale, _SIGNED), cax=axes, extend="both", extendfrac=0.04)
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=8.5, labelcolor=QUIET, length=0)
    axes.locator_params(axis="y", nbins=5)


def _ink(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns images (N, height, width) as dark ink on pale paper, RGB (N, height, width, 3)."""
    return _rgb(colormaps["Greys"](Normalize(-12, 255)(images)))


def _rgb(colours: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Returns colours in [0, 1] (..., 4) as bytes (..., 3)."""
    return np.asarray(255 * colours[..., :3] + 0.5, dtype=np.uint8)


def _write(axes: Axes, x: float, y: float, text: str, size: float, **style: str) -> None:
    """Writes text with its upper left (or right) corner at a place; dollar signs stay dollar signs."""
    axes.text(x, y, text, size=size, va="top", parse_math=False, **style)  # type: ignore[arg-type]
