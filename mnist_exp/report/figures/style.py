"""What all figures share: colours, sizes, and how a figure becomes a PNG.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which people with any common
colour blindness tell apart; every figure also works without them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from mnist_exp.errors import words_of
from mnist_exp.report.figures.fonts import fit_fonts, width_of
from mnist_exp.report.figures.letters import WholeTextRenderer
from mnist_exp.report.png import png_bytes
from mnist_exp.runs import files

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
# Okabe and Ito's (https://jfly.uni-koeln.de/color/), without their yellow, too pale on white.
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8c8c8c")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MOST_COLOURS = len(COLOURS)
LONGEST_LABEL = 46


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> Figure:
    """Makes an empty white figure, as wide as all PNG files, apart from pyplot's global state."""
    figure = Figure(figsize=(width_inches, height_inches), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Draws a figure as PNG: 1,200 pixels wide, the same bytes for the same figure."""
    fit_fonts(figure)
    renderer = WholeTextRenderer(*figure.canvas.get_width_height(), DPI)
    figure.draw(renderer)
    # Level 3 takes half of level 4's time for a tenth more bytes.
    return png_bytes(np.asarray(renderer.buffer_rgba())[..., :3], level=3, dpi=DPI)  # type: ignore[no-untyped-call]


@contextmanager
def own_style() -> Iterator[None]:
    """Draws under Matplotlib's own defaults, whatever the user has set."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def draw_plots(plots: Mapping[str, Plot], folder: Path) -> list[str]:
    """Writes `<name>.png` under Matplotlib's own defaults; one that cannot be drawn costs only itself.

    Returns a sentence for each that could not be drawn.

    Raises:
        RunError: A file cannot be written.
    """
    missing = []
    with own_style():
        for name, plot in plots.items():
            try:
                png = figure_png(plot())
            except Exception as error:
                missing.append(f"plots/{name}.png was not drawn: {type(error).__name__}: {words_of(error)}")
            else:
                files.write_bytes(folder / f"{name}.png", png)
    return missing


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


def style_axes(axes: Axes, xlabel: str = "", ylabel: str = "") -> None:
    """Names the axes and rules them lightly."""
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET, labelcolor=INK, labelsize=9)
    axes.tick_params(which="minor", colors=QUIET)


def rule_lightly(axes: Axes, name: str = "") -> None:
    """Rules axes and writes their values, at their ticks' places, once their limits are known.

    Matplotlib's own ticks are three lines and two texts each, and take half of such a figure's time.

    Args:
        axes: With locators and formatters.
    """
    across, up = axes.get_xaxis_transform(), axes.get_yaxis_transform()
    heights = _ticks(axes.yaxis)
    axes.hlines([height for height, _ in heights], 0, 1, transform=up, color=FAINT, linewidth=0.6, zorder=0.5)
    for height, text in heights:
        axes.text(
            0, height, text, transform=up + _points(axes, -4, 0), ha="right", va="center", size=9, color=INK
        )
    for place, text in _ticks(axes.xaxis):
        axes.text(
            place, 0, text, transform=across + _points(axes, 0, -4), ha="center", va="top", size=9, color=INK
        )
    axes.text(
        1,
        0,
        name,
        transform=axes.transAxes + _points(axes, 0, -16),
        ha="right",
        va="top",
        size=9,
        color=QUIET,
    )
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)


def _points(axes: Axes, right: float, up: float) -> ScaledTranslation:
    """Moves what is drawn by so many points."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return ScaledTranslation(right / 72, up / 72, figure.dpi_scale_trans)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_majorticklocs() if low <= place <= high]
    return list(zip(places, axis.get_major_formatter().format_ticks(places), strict=True))


def write_beside(axes: Axes, row: int, text: str) -> None:
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


def line_style(place: int) -> dict[str, Any]:
    """Returns colour and dashes of the group at a place, 0 for the best on validation."""
    return {"color": COLOURS[place % MOST_COLOURS], "linestyle": _DASHES[place % len(_DASHES)]}
