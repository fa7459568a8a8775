"""From a template and values to a page: everything escaped, nothing asked of a network."""

import hashlib
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mnist_exp.runs import files

TEMPLATES_DIR = Path(__file__).with_name("templates")
PAGE = "report.html"
_MOST_CHARACTERS = 10_000
# Characters that nobody sees, or that change the order in which others are read.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffc\ud800-\udfff\U000e0000-\U000e0fff]"
)


def write_page(folder: Path, template: str, **values: Any) -> None:
    """Writes `report.html`, whole or not at all.

    Args:
        folder: Where.
        template: Name of the template.
        values: What it shows.

    Raises:
        RunError: The file could not be written.
    """
    files.write_bytes(folder / PAGE, render(template, **values).encode())


def render(template: str, **values: Any) -> str:
    """Makes a page of a template; its style and its script are part of it, and the only ones allowed."""
    style, script = (
        (TEMPLATES_DIR / name).read_text(encoding="utf-8").strip() for name in ("page.css", "page.js")
    )
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    return _environment().get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy, **values
    )  # fmt: skip


def _digest(text: str) -> str:
    """Names a text as a content security policy does (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _finish(value: Any) -> Any:
    """Makes unseen characters visible and cuts endless texts, wherever a template writes a value."""
    if value is None:
        raise TypeError("a template wrote None")
    return value if isinstance(value, Markup) else visible(str(value))


def visible(text: str, most: int = _MOST_CHARACTERS) -> str:
    r"""Writes unseen characters as `\u202e`, and cuts a text after so many characters."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)
