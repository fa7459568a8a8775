"""An atlas of errors: test images that one group gets right and another wrong, and those all miss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.report.figures.style import (
    INK,
    QUIET,
    WIDTH_INCHES,
    add_title,
    blank_axes,
    new_figure,
    shorten,
)
from mnist_exp.report.figures.tile_grid import TileGrid, draw_frames, draw_tiles, plan_grid

_TITLE_INCHES, _HEADING_INCHES = 0.5, 0.36
_COLUMNS = 10
_LONGEST_NAME, _LONGEST_LINE = 9, 12
_LINE_INCHES = 0.14


@dataclass(frozen=True)
class AtlasTile:
    """One image.

    Attributes:
        index: Its place among the test images.
        true: Name of its class.
        caption: Who takes it for what.
    """

    index: int
    true: str
    caption: str


@dataclass(frozen=True)
class AtlasSection:
    """Images that have something in common.

    Attributes:
        title: What.
        count: How many there are.
        tiles: The clearest of them.
    """

    title: str
    count: int
    tiles: Sequence[AtlasTile]


def plot_atlas(sections: Sequence[AtlasSection], images: NDArray[np.uint8]) -> Figure:
    """Draws each section's images in rows, with their class above and what they are taken for below.

    Args:
        sections: One or more.
        images: All test images, uint8 (N, height, width), 0 background.
    """
    lines = max((len(_lines(tile)) for section in sections for tile in section.tiles), default=1)
    below = 0.11 + _LINE_INCHES * lines
    grids = [
        plan_grid(_COLUMNS, _num_rows(section), WIDTH_INCHES, gap=0.1, above=0.2, below=below)
        for section in sections
    ]
    heights = [grid.height if section.tiles else 0.3 for grid, section in zip(grids, sections, strict=True)]
    figure = new_figure(_TITLE_INCHES + sum(heights) + _HEADING_INCHES * len(sections))
    top = _TITLE_INCHES
    for section, grid, height in zip(sections, grids, heights, strict=True):
        place = 1 - (top + 0.1) / figure.get_figheight()
        words = f"{section.title}: {section.count:,}"
        figure.text(0.02, place, words, size=10, va="top", weight="bold", color=INK, parse_math=False)
        top += _HEADING_INCHES
        _draw_section(blank_axes(figure, height, top), section, grid, images)
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


def _draw_section(axes: Axes, section: AtlasSection, grid: TileGrid, images: NDArray[np.uint8]) -> None:
    """Draws a section's images with the words above and below each."""
    if not section.tiles:
        axes.text(0.16, 0.05, "none", va="top", size=9, color=QUIET)
        return
    chosen = images[[tile.index for tile in section.tiles]]
    draw_tiles(axes, grid, np.repeat((255 - chosen)[..., np.newaxis], 3, axis=3))
    draw_frames(axes, grid, np.zeros(len(chosen), dtype=bool))
    for number, tile in enumerate(section.tiles):
        x, y = grid.corner(number)
        axes.text(x, y - 0.17, f"true {shorten(tile.true, _LONGEST_NAME)}", size=8.5, va="top", color=INK,
                  parse_math=False)  # fmt: skip
        axes.text(x, y + grid.tile + 0.04, "\n".join(_lines(tile)), size=8, va="top", color=QUIET,
                  parse_math=False)  # fmt: skip
