"""Images set out in rows and columns on a figure, composed into one picture.

One axes an image would draw fifty times slower.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import width_of
from mnist_exp.report.figures.style import DPI, FAINT, VERMILION, WIDTH_INCHES

_MARGIN_INCHES = 0.16


class TileGrid(NamedTuple):
    """Where tiles stand, in inches from the upper left corner of full-width axes.

    Attributes:
        columns: Number of tiles side by side.
        rows: Number of rows of tiles.
        tile: Width and height of a tile.
        gap: Room between two tiles of a row.
        above: Room over each row, for captions.
        below: Room under each row, for captions.
        text_size: Size in points that fits captions to tiles.
    """

    columns: int
    rows: int
    tile: float
    gap: float
    above: float
    below: float
    text_size: float

    @property
    def capacity(self) -> int:
        """The number of tiles that fit."""
        return self.columns * self.rows

    @property
    def height(self) -> float:
        """Height of all rows in inches."""
        return self.rows * (self.above + self.tile + self.below)

    def corner(self, index: int) -> tuple[float, float]:
        """Returns the upper left corner (x, y) of a tile in inches, y downwards."""
        row, column = divmod(index, self.columns)
        x = _MARGIN_INCHES + self.gap / 2 + column * (self.tile + self.gap)
        return x, row * (self.above + self.tile + self.below) + self.above


def plan_grid(columns: int, rows: int, width_inches: float, gap: float, **captions: float) -> TileGrid:
    """Plans a grid that fills a width.

    Args:
        columns: Number of tiles side by side.
        rows: Number of rows.
        width_inches: Width to fill, margins included.
        gap: Inches between two tiles.
        **captions: `above`, `below` and `text_size` where tiles have captions.
    """
    tile = (width_inches - 2 * _MARGIN_INCHES) / columns - gap
    return TileGrid(columns, rows, tile, gap, **({"above": 0.0, "below": gap, "text_size": 9.0} | captions))


def plan_captioned_grid(
    num_tiles: int, max_rows: int, class_names: Sequence[str], above: float, below: float
) -> TileGrid:
    """Plans a full-width grid whose tiles are wide enough for class names beneath them."""
    longest = max(map(width_of, class_names))
    columns, gap = 8 if longest <= 3 else 5, 0.14
    rows = max(1, min(max_rows, -(-num_tiles // columns)))
    tile = (WIDTH_INCHES - 2 * _MARGIN_INCHES) / columns - gap
    # A character of DejaVu Sans is about 0.6 of its size wide; a caption has 8 beside the name.
    text_size = min(9.0, 72 * tile / (0.6 * (longest + 8)))
    return plan_grid(columns, rows, WIDTH_INCHES, gap, above=above, below=below, text_size=text_size)


def draw_tiles(axes: Axes, grid: TileGrid, tiles: NDArray[np.uint8]) -> None:
    """Draws tiles uint8 RGB (N, height, width, 3) as one picture, each pixel a crisp square."""
    side = round(grid.tile * DPI)
    width = round(WIDTH_INCHES * DPI)
    canvas = np.full((round(grid.height * DPI), width, 3), 255, dtype=np.uint8)
    down, across = (np.arange(side) * size // side for size in tiles.shape[1:3])
    for index, tile in enumerate(tiles):
        x, y = (round(inches * DPI) for inches in grid.corner(index))
        canvas[y : y + side, x : x + side] = tile[down][:, across]
    axes.imshow(canvas, extent=(0, WIDTH_INCHES, grid.height, 0), aspect="auto", interpolation="nearest")


def draw_frames(axes: Axes, grid: TileGrid, strong: NDArray[np.bool_]) -> None:
    """Frames each tile: thin and pale, or thick and coloured where `strong` (N,) is true."""
    frames = [
        Rectangle(
            grid.corner(index), grid.tile, grid.tile, fill=False,
            edgecolor=VERMILION if chosen else FAINT, linewidth=2.5 if chosen else 0.6,
        )
        for index, chosen in enumerate(strong)
    ]  # fmt: skip
    axes.add_collection(PatchCollection(frames, match_original=True, zorder=3, clip_on=False), autolim=False)
