"""Figures within a page: SVG whose text is text and whose colours are the page's, light, dark or printed."""

from collections.abc import Sequence
from math import cos, radians, sin
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Transform
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from mnist_exp.errors import words_of
from mnist_exp.report.figures.fonts import measurable
from mnist_exp.report.figures.style import (
    COLOURS,
    FAINT,
    INK,
    PALE_BLUE,
    PALE_VERMILION,
    QUIET,
    Plot,
    own_style,
)
from mnist_exp.words import visible

# One unit of a page's figure is a point: a telephone shows 270 of them as about 360 pixels.
PAGE_INCHES, SMALL_PAGE_INCHES = 270 / 72, 220 / 72
_DPI = 72
_LONGEST_TEXT = 200
_CAPS = {"projecting": "square", "round": "round"}
# Colours of the page's style sheet, each with what stands for it elsewhere.
_PAGE_COLOURS = {
    INK: "currentColor",
    QUIET: "var(--quiet,currentColor)",
    FAINT: "var(--faint,currentColor)",
    PALE_BLUE: f"var(--accent-soft,{PALE_BLUE})",
    PALE_VERMILION: f"var(--warn-soft,{PALE_VERMILION})",
    "#ffffff": "var(--paper,#fff)",
}
_PAGE_COLOURS |= {colour.lower(): f"var(--c{place},{colour})" for place, colour in enumerate(COLOURS)}


class EmbeddedFigure(NamedTuple):
    """A figure as a page shows it; its markup is empty where it could not be drawn."""

    title: str
    markup: Markup
    caption: str = ""


class Drawing(NamedTuple):
    """A figure to be embedded; `words` say what it shows, with values, to those who do not see it."""

    title: str
    plot: Plot
    words: str
    caption: str = ""


def embed(drawings: Sequence[Drawing]) -> list[EmbeddedFigure]:
    """Draws figures as SVG; one that cannot be drawn costs nothing but itself."""
    found = []
    with own_style():
        for drawing in drawings:
            markup, caption = Markup(), drawing.caption
            try:
                markup = figure_svg(drawing.plot(), f"{drawing.title}: {drawing.words}")
            except Exception as error:
                caption = f"Not drawn: {type(error).__name__}: {words_of(error)}"
            found.append(EmbeddedFigure(drawing.title, markup, caption))
    return found


def figure_svg(figure: Figure, words: str) -> Markup:
    """Draws a figure as an `svg` element, the same for the same figure, without identifiers and styles.

    It has no images and mathematics; `words` are for those who do not see it.
    """
    figure.dpi = _DPI
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    width, height = _DPI * figure.get_size_inches()
    renderer = SvgRenderer(width, height)
    figure.draw(renderer)
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" fill="none" stroke-linejoin="round">')
    opened = head.format(_short(width), _short(height), visible(words))
    return opened + Markup("".join(renderer.parts)) + Markup("</svg>")


class SvgRenderer(RendererBase):
    """Collects the elements of an `svg` element.

    Paths are cut at their axes' edges instead of being hidden beyond them, which would take identifiers.
    Width and height are in points.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._width, self._height = width, height
        self._ruler = RendererAgg(1, 1, _DPI)  # type: ignore[no-untyped-call]

    def get_canvas_width_height(self) -> tuple[float, float]:
        """Returns the size in points."""
        return self._width, self._height

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: Any
    ) -> tuple[float, float, float]:
        """Measures a line in points, as DejaVu Sans would set it; the page's own font is about as wide."""
        shown = measurable(visible(s, _LONGEST_TEXT))
        width, height, descent = self._ruler.get_text_width_height_descent(shown, prop, False)  # type: ignore[no-untyped-call]
        return width, height, descent

    def draw_path(
        self, gc: GraphicsContextBase, path: Path, transform: Transform, face: ColorType | None = None
    ) -> None:
        """Draws a line or an area."""
        clip = gc.get_clip_rectangle()
        is_area = face is not None
        placed = path.transformed(transform)
        if is_area and clip is not None:
            placed = placed.clip_to_bbox(clip)
        edges = None if is_area or clip is None else clip.extents
        cleaned = placed.cleaned(
            remove_nans=True, clip=edges, simplify=path.should_simplify and not is_area, curves=True
        )
        self._add(self._path_data(cleaned), gc, face)

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        face: ColorType | None = None,
    ) -> None:
        """Draws a marker at each point within the axes."""
        places = trans.transform(path.vertices)
        if not places.any():  # a collection's only path, at no offset
            self.draw_path(gc, marker_path, marker_trans, face)
            return
        clip = gc.get_clip_rectangle()
        if clip is not None:
            inside = (places >= np.subtract(clip.min, 0.1)) & (places <= np.add(clip.max, 0.1))
            places = places[inside.all(axis=1)]
        places = places[np.isfinite(places).all(axis=1)]
        if _is_circle(marker_path) and face is not None and not gc.get_linewidth():
            self._add_dots(places, marker_path.get_extents(marker_trans).width, gc, face)
            return
        shape = _marker_data(marker_path, marker_trans)
        self._add("".join(f"M{self._point(place)}{shape}" for place in places), gc, face)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        """Writes a line whose base line begins at (x, y), in points from the upper left corner.

        It is tied to the page where it is aligned, so that another font's width moves its free ends alone.
        """
        anchor, share = "start", 0.0
        if mtext is not None:
            anchor, share = {"center": ("middle", 0.5), "right": ("end", 1.0)}.get(
                mtext.get_horizontalalignment(), (anchor, share)
            )
        along = share * self.get_text_width_height_descent(s, prop, ismath)[0]
        x += along * cos(radians(angle))
        y -= along * sin(radians(angle))
        attributes = f'x="{_short(x)}" y="{_short(y)}" font-size="{_short(prop.get_size_in_points())}"'
        if anchor != "start":
            attributes += f' text-anchor="{anchor}"'
        if prop.get_weight() in ("bold", 700):
            attributes += ' font-weight="bold"'
        if angle:
            attributes += f' transform="rotate({_short(-angle)} {_short(x)} {_short(y)})"'
        attributes += _paint("fill", gc.get_rgb(), None)
        self.parts.append(f"<text {attributes}>{escape(visible(s, _LONGEST_TEXT))}</text>")

    def _add(self, data: str, gc: GraphicsContextBase, face: ColorType | None) -> None:
        forced = gc.get_alpha() if gc.get_forced_alpha() else None
        paint = "" if face is None else _paint("fill", face, forced)
        width = gc.get_linewidth()
        edge = _paint("stroke", gc.get_rgb(), forced) if width else ""
        if edge:
            paint += f'{edge} stroke-width="{_short(width)}"'
            if gc.get_capstyle() in _CAPS:
                paint += f' stroke-linecap="{_CAPS[gc.get_capstyle()]}"'
            dashes = gc.get_dashes()[1]
            if dashes is not None:
                paint += f' stroke-dasharray="{" ".join(map(_short, np.ravel(dashes)))}"'
        if data and paint:
            self.parts.append(f'<path d="{data}"{paint}/>')

    def _add_dots(
        self, places: NDArray[np.float64], size: float, gc: GraphicsContextBase, face: ColorType
    ) -> None:
        """Adds dots as lines of no length with round ends, of which a search may have thousands."""
        data = "".join(f"M{self._point(place)}h0" for place in places)
        paint = _paint("stroke", face, gc.get_alpha() if gc.get_forced_alpha() else None)
        if data:
            self.parts.append(
                f'<path d="{data}"{paint} stroke-width="{_short(size)}" stroke-linecap="round"/>'
            )

    def _path_data(self, path: Path) -> str:
        """Writes path data (https://www.w3.org/TR/SVG2/paths.html)."""
        letters = {int(Path.MOVETO): "M", int(Path.LINETO): "L", int(Path.CURVE3): "Q", int(Path.CURVE4): "C"}
        steps, before = list[str](), None
        for vertex, code in zip(np.array(path.vertices), np.array(path.codes).tolist(), strict=True):
            if code == Path.STOP:
                break
            if code == Path.CLOSEPOLY:
                steps.append("z")
            else:
                # A curve's letter stands before its first point alone.
                is_further = code == before and code in (Path.CURVE3, Path.CURVE4)
                steps.append(f"{' ' if is_further else letters[code]}{self._point(vertex)}")
            before = code
        return "".join(steps)

    def _point(self, place: NDArray[np.float64]) -> str:
        return f"{_short(place[0])} {_short(self._height - place[1])}"


def _is_circle(marker: Path) -> bool:
    """Says whether a marker has curves: of those that are used, circles alone do."""
    return marker.codes is not None and bool(np.isin(Path.CURVE4, np.array(marker.codes)))


def _marker_data(marker: Path, transform: Transform) -> str:
    """Writes path data of a marker, beginning and measured at the marker's middle."""
    if _is_circle(marker):
        size = marker.get_extents(transform).width
        radius, whole = _short(size / 2), _short(size)
        arc = f"a{radius} {radius} 0 1 0"
        return f"m-{radius} 0{arc} {whole} 0{arc} -{whole} 0z"
    steps, last = list[str](), np.zeros(2)
    for vertices, code in marker.iter_segments(transform, simplify=False):
        if code == Path.CLOSEPOLY:
            steps.append("z")
            continue
        right, up = vertices - last
        steps.append(f"{'m' if code == Path.MOVETO else 'l'}{_short(right)} {_short(-up)}")
        last = vertices
    return "".join(steps)


def _paint(name: str, colour: ColorType, opacity: float | None) -> str:
    colour = to_rgba(colour)
    if opacity is None:
        opacity = colour[3]
    if opacity == 0:
        return ""
    code = to_hex(colour)
    attribute = f' {name}="{_PAGE_COLOURS.get(code, code)}"'
    return attribute if opacity == 1 else f'{attribute} {name}-opacity="{opacity:.2g}"'


def _short(value: float) -> str:
    """Writes a number to a tenth."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
