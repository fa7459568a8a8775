"""An atlas of errors: test images that one group gets right and another wrong, and those all miss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_exp.plot_style import INK, QUIET, WIDTH_INCHES, add_title, blank_axes, new_figure, shorten
from mnist_exp.tile_grid import draw_frames, draw_tiles, plan_grid

_TITLE_INCHES, _HEADING_INCHES = 0.5, 0.36
_COLUMNS = 10
_LONGEST_NAME = 9


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
    grids = [
        plan_grid(_COLUMNS, _num_rows(section), WIDTH_INCHES, gap=0.1, above=0.2, below=0.25)
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
        axes = blank_axes(figure, height, top)
        top += height
        if not section.tiles:
            axes.text(0.16, 0.05, "none", va="top", size=9, color=QUIET)
            continue
        chosen = images[[tile.index for tile in section.tiles]]
        draw_tiles(axes, grid, np.repeat((255 - chosen)[..., np.newaxis], 3, axis=3))
        draw_frames(axes, grid, np.zeros(len(chosen), dtype=bool))
        for number, tile in enumerate(section.tiles):
            x, y = grid.corner(number)
            axes.text(x, y - 0.17, f"true {shorten(tile.true, _LONGEST_NAME)}", size=8.5, va="top", color=INK,
                      parse_math=False)  # fmt: skip
            axes.text(x, y + grid.tile + 0.04, tile.caption, size=8, va="top", color=QUIET, parse_math=False)
    add_title(figure, "Error atlas", "the clearest first")
    return figure


def _num_rows(section: AtlasSection) -> int:
    return max(1, -(-len(section.tiles) // _COLUMNS))
