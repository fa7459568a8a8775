"""From a document to a page: everything escaped, nothing loaded from a network."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from mnist_exp.report.document import Document, Heading, Part, Picture, Score, Table
from mnist_exp.report.png import SIGNATURE, png_bytes
from mnist_exp.runs import files
from mnist_exp.runs.folder import PAGE, DamagedRun, RunFolder
from mnist_exp.runs.notes import Notes
from mnist_exp.words import accuracy_interval_text, percent, visible

TEMPLATES_DIR = Path(__file__).with_name("templates")
MOST_BYTES = 3_000_000
_MAX_PAGE_BYTES = 100_000_000
_NOTES, _END = b"<!-- notes -->", b"<!-- end of notes -->"


def write_page(folder: Path, document: Document) -> None:
    """Writes `report.html`, whole or not at all; raises RunError where it could not be written."""
    files.write_bytes(folder / PAGE, render_page(document).encode())


def render_page(document: Document) -> str:
    """Makes a document's page; its style and its script are part of it, and the only ones allowed."""
    top, *sections = _sections([part for part in document.parts if part.on != "console"])
    style, script = (
        (TEMPLATES_DIR / name).read_text(encoding="utf-8").strip() for name in ("page.css", "page.js")
    )
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    return _environment().get_template("page.html").render(
        style=Markup(style), script=Markup(script), policy=policy, document=document, top=top,
        sections=sections,
    )  # fmt: skip


def notes_picture(notes: Notes) -> Picture:
    """Shows what people noted about a run, between marks by which `renew_notes` finds it."""
    banner = Markup('<div class="banner" role="note"><strong>{}</strong><p>{}</p></div>')
    shown = banner.format(visible(notes.marks), visible(notes.note)) if notes != Notes() else ""
    return Picture(Markup(_NOTES.decode()) + shown + Markup(_END.decode()))


def renew_notes(folder: Path, notes: Notes) -> None:
    """Changes what a page says that people noted about its run, and nothing else; raises RunError.

    A page that is not there yet, or is a link, stays as it is.
    """
    try:
        with RunFolder(folder) as run_files:
            page = run_files.read(PAGE, _MAX_PAGE_BYTES)
    except DamagedRun:
        return
    before, _, rest = page.partition(_NOTES)
    _, end, after = rest.partition(_END)
    if not end:  # of a run from before there were notes
        before, end, after = page.partition(b"</h1>")
        before += end
    files.write_bytes(folder / PAGE, before + notes_picture(notes).markup.encode() + after)


def _sections(parts: Sequence[Part]) -> list[list[Part]]:
    """Begins a section with each heading of level 2; the first is the page's top."""
    sections: list[list[Part]] = [[]]
    for part in parts:
        if isinstance(part, Heading) and part.level == 2:
            sections.append([])
        sections[-1].append(part)
    return sections


def draw(name: str, *values: Any, template: str = "charts.html") -> Markup:
    """Draws a chart, or another part, by a macro of a template."""
    macro = getattr(_environment().get_template(template).module, name)
    return Markup(macro(*values))


def render_table(table: Table) -> str:
    """Makes a table alone, for a notebook: without the script that sorts and filters."""
    return str(draw("table", table, False, template="parts.html"))


def render_frame(document: Document, height_px: int) -> str:
    """Puts a document's page within another page, a notebook: the style of neither reaches the other."""
    frame = Markup(
        '<iframe srcdoc="{}" title="{}" sandbox="allow-scripts" style="width: 100%; height: {}px; border: 0">'
        "</iframe>"
    )
    return str(frame.format(render_page(document), document.title, height_px))


def _digest(text: str) -> str:
    """Names a text as a content security policy does (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"cut": visible, "uri": image_uri, "percent": percent, "bar": _bar}
    environment.filters["interval"] = accuracy_interval_text
    return environment


def _finish(value: Any) -> Any:
    """Makes unseen characters visible and cuts endless texts, wherever a template writes a value."""
    if value is None:
        raise TypeError("a template wrote None")
    return value if isinstance(value, Markup) else visible(str(value))


def _bar(score: Score) -> dict[str, Any]:
    """Puts a score on a line from 0 to 100 with three widths of its interval to either side."""
    low, high = score.interval
    start = max(0.0, low - 3 * (high - low))
    end = min(1.0, high + 3 * (high - low))
    reach = (end - start) or 1.0
    low, value, high = (round(100 * (place - start) / reach, 2) for place in (low, score.value, high))
    return {"low": low, "value": value, "high": high, "start": percent(start, 1), "end": percent(end, 1)}


def png_uri(content: bytes) -> Markup | None:
    """Puts a PNG file in a URI; None for what is no PNG or too large for a page."""
    if not content.startswith(SIGNATURE) or len(content) > MOST_BYTES:
        return None
    return _uri(content)


def png_picture(alternative: str, uri: Markup) -> Picture:
    """Shows a PNG file; `uri` as from `png_uri`."""
    image = Markup('<p class="picture"><img src="{}" alt="{}"></p>').format(uri, alternative)
    return Picture(image)


def image_uri(pixels: NDArray[np.uint8]) -> Markup:
    """Puts an image, uint8 (height, width), 0 background, in a URI, as dark ink on white paper."""
    return _uri(png_bytes(255 - pixels, level=9))


def _uri(content: bytes) -> Markup:
    # Base 64 has nothing to escape, and must not be cut as other long texts are.
    return Markup(f"data:image/png;base64,{b64encode(content).decode()}")
