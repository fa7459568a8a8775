"""Small images side by side in a figure, with words and frames around them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from mnist_exp.report.figures.fonts import width_of
from mnist_exp.report.figures.style import DPI, FAINT, VERMILION, WIDTH_INCHES

_MARGIN_INCHES = 0.16


class TileGrid(NamedTuple):
    """Where tiles stand, in inches from the upper left corner of full-width axes; `text_size` in points.

    `above` and `below` are room for captions over and under each row.
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
    """Plans a grid that fills a width in inches, margins included, with inches between two tiles.

    `captions` are `above`, `below` and `text_size` where tiles have captions.
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


class Sheet:
    """A part of a figure, across its whole width, measured in inches from its upper left corner, y downwards.

    It has no axes, whose ticks nobody would see but which take a third of such a figure's time.

    The figure has its final size; `top_inches` are left free above, for a title.
    """

    def __init__(self, figure: Figure, top_inches: float) -> None:
        self._figure = figure
        upper = DPI * (figure.get_figheight() - top_inches)
        self._pixels = Affine2D().scale(DPI, -DPI).translate(0, upper)

    def write(self, x: float, y: float, text: str, size: float, **style: str) -> None:
        """Writes text with its upper left (or right) corner at a place; dollar signs stay dollar signs."""
        self._figure.text(x, y, text, size=size, va="top", parse_math=False, transform=self._pixels, **style)  # type: ignore[arg-type]

    def draw_tiles(self, grid: TileGrid, tiles: NDArray[np.uint8]) -> None:
        """Draws tiles uint8 RGBA (N, height, width, 4), each pixel a crisp square."""
        side = round(grid.tile * DPI)
        down, across = (np.arange(side) * size // side for size in tiles.shape[1:3])
        placed = []
        for index, tile in enumerate(tiles):
            x, y = grid.corner(index)
            left, bottom = self._pixels.transform((x, y + grid.tile))
            placed.append((round(left), round(bottom), tile[down[::-1]][:, across]))
        self._figure.add_artist(PixelImages(placed))

    def draw_frames(self, grid: TileGrid, strong: NDArray[np.bool_]) -> None:
        """Frames each tile: thin and pale, or thick and coloured where `strong` (N,) is true."""
        frames = [
            Rectangle(
                grid.corner(index), grid.tile, grid.tile, fill=False,
                edgecolor=VERMILION if chosen else FAINT, linewidth=2.5 if chosen else 0.6,
            )
            for index, chosen in enumerate(strong)
        ]  # fmt: skip
        self.draw_patches(frames, zorder=3)

    def draw_patches(self, patches: Sequence[Rectangle], zorder: int) -> None:
        """Draws rectangles as they are styled."""
        self._figure.add_artist(
            PatchCollection(patches, match_original=True, zorder=zorder, transform=self._pixels)
        )


class PixelImages(Artist):
    """Images whose pixels are the figure's, none of them resampled.

    Args:
        placed: Pixels from the figure's left and lower edge to each image's, and it: uint8
            (height, width, 4), RGBA, its last line first.
    """

    def __init__(self, placed: Sequence[tuple[int, int, NDArray[np.uint8]]]) -> None:
        super().__init__()
        self._placed = placed

    def draw(self, renderer: RendererBase) -> None:
        """Draws them."""
        graphics = renderer.new_gc()
        for left, bottom, pixels in self._placed:
            renderer.draw_image(graphics, left, bottom, pixels)
        graphics.restore()
