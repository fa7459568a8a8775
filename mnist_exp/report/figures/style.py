"""What all figures share: colours, sizes, and how a figure becomes a PNG.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which people with any common
colour blindness tell apart; every figure also works without them.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mnist_exp.errors import words_of
from mnist_exp.report.figures.fonts import fit_fonts, width_of
from mnist_exp.runs import files

if TYPE_CHECKING:
    from matplotlib.axis import Axis

Plot = Callable[[], Figure]
WIDTH_INCHES = 8.0
DPI = 150
BLUE = "#0072B2"
VERMILION = "#D55E00"
DARK_VERMILION = "#a63603"
INK = "#222222"
QUIET = "#6b6b6b"
FAINT = "#d9d9d9"
PALE_BLUE = "#bcd9ec"
PALE_VERMILION = "#f6c9a8"
_MARGIN_INCHES = 0.16
# Okabe and Ito's (https://jfly.uni-koeln.de/color/), without their yellow, too pale on white.
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8c8c8c")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MOST_COLOURS = len(COLOURS)
LONGEST_LABEL = 46


def new_figure(height_inches: float) -> Figure:
    """Makes an empty white figure of the shared width, apart from pyplot's global state."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Draws a figure as PNG: 1,200 pixels wide, the same bytes for the same figure."""
    fit_fonts(figure)
    buffer = BytesIO()
    # Level 3 takes a third of the default level's time for a few percent more bytes.
    figure.savefig(
        buffer, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
    )
    return buffer.getvalue()


def draw_plots(plots: Mapping[str, Plot], folder: Path) -> list[str]:
    """Draws figures under Matplotlib's own defaults; one that cannot be drawn costs nothing but itself.

    Args:
        plots: Name of the file, without its ending, to what makes the figure.
        folder: Where `<name>.png` is written.

    Returns:
        A sentence for each that could not be drawn.

    Raises:
        RunError: A file cannot be written.
    """
    missing = []
    for name, plot in plots.items():
        try:
            with matplotlib.rc_context():
                matplotlib.rcdefaults()
                png = figure_png(plot())
        except Exception as error:
            missing.append(f"plots/{name}.png was not drawn: {type(error).__name__}: {words_of(error)}")
        else:
            files.write_bytes(folder / f"{name}.png", png)
    return missing


def blank_axes(figure: Figure, height_inches: float, top_inches: float) -> "Axes":
    """Adds full-width axes without frame or ticks, measured in inches from their upper left corner.

    Args:
        figure: The figure to add to.
        height_inches: Height of the axes; y grows downwards from 0 to it.
        top_inches: Room left free above, for a title.
    """
    total = figure.get_figheight()
    bottom = (total - top_inches - height_inches) / total
    axes = figure.add_axes((0, bottom, 1, height_inches / total))
    axes.set(xlim=(0, WIDTH_INCHES), ylim=(height_inches, 0))
    axes.set_axis_off()
    return axes


def add_title(figure: Figure, title: str, remark: str = "") -> None:
    """Writes a figure's title at its upper left and a quiet remark at its upper right."""
    top = 1 - 0.16 / figure.get_figheight()
    figure.text(0.02, top, title, ha="left", va="top", size=12, weight="bold", color=INK)
    figure.text(0.98, top, remark, ha="right", va="top", size=9.5, color=QUIET, linespacing=1.2)


def write_instead(figure: Figure, title: str, words: str) -> Figure:
    """Writes words in the place of a drawing, and returns the figure."""
    add_title(figure, title)
    figure.text(0.5, 0.45, words, ha="center", va="center", size=11, color=QUIET)
    return figure


def style_axes(axes: "Axes", xlabel: str = "", ylabel: str = "") -> None:
    """Names the axes and rules them lightly."""
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET, labelcolor=INK, labelsize=9)
    axes.tick_params(which="minor", colors=QUIET)


def set_round_ticks(axis: "Axis", in_percent: bool, max_intervals: int = 6) -> None:
    """Puts an axis' ticks at round numbers, and writes fractions in percent."""
    factor, unit = (100, "%") if in_percent else (1, "")
    axis.set_major_locator(MaxNLocator(max_intervals, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{factor * value:.6g}{unit}"))


def write_beside(axes: "Axes", row: int, text: str) -> None:
    """Writes a row's figures at the right of the axes."""
    axes.annotate(
        text, (1, row), (12, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="left", va="center", size=9, color=INK,
    )  # fmt: skip


def shorten(text: str, length: int) -> str:
    """Cuts a text to so many columns, the last of them … where something is missing."""
    if width_of(text) <= length:
        return text
    kept = text
    while width_of(kept) > length - 1:
        kept = kept[:-1]
    return f"{kept}…"


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


def line_style(place: int) -> dict[str, Any]:
    """Returns colour and dashes of the group at a place, 0 for the best on validation."""
    return {"color": COLOURS[place % MOST_COLOURS], "linestyle": _DASHES[place % len(_DASHES)]}
