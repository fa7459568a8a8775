"""Letters that figures can draw: DejaVu Sans, else an installed font that has them, else a class's number."""

import functools
import unicodedata
from collections.abc import Iterator, Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontEntry,
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    ttfFontProperty,
)
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

USUAL = "DejaVu Sans"
_NOT_LETTERS = ("Last Resort", "STIX", "cm")  # boxes for everything; mathematics
_INVISIBLE = ("Cc", "Cf", "Cs")
_NUMBERED = "Numbers stand for classes whose names no font here can write; the report names them."
_QUIET = "#6b6b6b"


def note_inches(class_names: Sequence[str]) -> float:
    """Gives the room that `write_note` needs at a figure's foot; 0 without a note."""
    return 0.0 if describe_numbered(class_names) is None else 0.15


def write_note(figure: Figure, class_names: Sequence[str]) -> None:
    """Writes at a figure's foot that some of its classes go by their number, where some do."""
    if describe_numbered(class_names) is not None:
        down = 0.03 / figure.get_figheight()
        figure.text(0.02, down, _NUMBERED, ha="left", va="bottom", size=7.5, color=_QUIET)


def drawable_names(class_names: Sequence[str]) -> list[str]:
    """Gives what figures call each class: see `drawable_name`."""
    return [drawable_name(name, number) for number, name in enumerate(class_names)]


def drawable_name(name: str, number: int) -> str:
    """Gives a class's name without invisible characters, or its number where no font can write it."""
    shown = _visible(name)
    return shown if can_draw(shown) else str(number)


def describe_numbered(class_names: Sequence[str]) -> str | None:
    """Says which classes figures call by number; None for none of them."""
    labels = drawable_names(class_names)
    named = [
        f"{label} {name}" for label, name in zip(labels, class_names, strict=True) if label != _visible(name)
    ]
    if not named:
        return None
    return (
        f"Figures call classes by number where no font here can write their names: {', '.join(named)}. "
        "Install a font that has their letters, such as Noto's."
    )


def width_of(text: str) -> int:
    """Counts the columns that a text takes: letters as wide as high take two, accents none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def measurable(text: str) -> str:
    """Gives letters that are about as wide, where DejaVu Sans does not have a text's own."""
    if text.isascii():
        return text
    return "".join(letter if _is_usual(letter) else "n" * width_of(letter) for letter in text)


def can_draw(text: str) -> bool:
    """Says whether there is a font for each letter; Matplotlib joins and orders them as they are read."""
    return bool(text) and all(_is_usual(letter) or _family_with(letter) is not None for letter in text)


def fit_fonts(figure: Figure) -> None:
    """Gives each text of a figure the fonts that its letters need; what no font has becomes a question mark.

    Dollar signs stay dollar signs, but for Matplotlib's own powers of ten.
    """
    for text in _texts(figure):
        words = text.get_text()
        if "$" in words and "\\math" not in words:
            text.set_parse_math(False)
        if words.isascii():
            continue
        lacking = [letter for letter in dict.fromkeys(words) if letter != "\n" and not _is_usual(letter)]
        families = dict.fromkeys(_family_with(letter) for letter in lacking)
        for letter in lacking:
            if _family_with(letter) is None:
                words = words.replace(letter, "" if unicodedata.category(letter) in _INVISIBLE else "?")
        if lacking:
            text.set_text(words)
            text.set_fontfamily([USUAL, *filter(None, families)])
            text.set_fontweight("normal")  # few fonts are there in bold, and Matplotlib warns of others


def _texts(artist: Artist) -> Iterator[Text]:
    """Yields the texts that are shown; unlike `findobj`, it makes no ticks of axes that show none."""
    if not artist.get_visible():
        return
    if isinstance(artist, Text):
        yield artist
    for child in artist.get_children():
        yield from _texts(child)


def _visible(name: str) -> str:
    """Composes letters and their accents, and leaves out what steers a text and is not seen."""
    composed = unicodedata.normalize("NFC", name)
    is_seen = [unicodedata.category(letter) not in _INVISIBLE and letter != "\ufe0f" for letter in composed]
    return "".join(letter for letter, seen in zip(composed, is_seen, strict=True) if seen)


@functools.cache
def _usual_letters() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=USUAL))).get_charmap())


def _is_usual(letter: str) -> bool:
    return ord(letter) in _usual_letters()


@functools.cache
def _family_with(letter: str) -> str | None:
    """Names a font family that has a letter; fonts are opened one by one until one has it, each once."""
    for font in _other_fonts():
        if ord(letter) in _letters_of(font.fname) and _can_render(font.fname, letter):
            if font not in fontManager.ttflist:
                fontManager.addfont(font.fname)
            return font.name
    return None


@functools.cache
def _other_fonts() -> list[FontEntry]:
    """Lists one font a family, sans serif first: those of Matplotlib's list, and those installed since."""
    known = {font.fname for font in fontManager.ttflist}
    added = [_entry(path) for path in sorted(findSystemFonts()) if path not in known]
    fonts = sorted([*fontManager.ttflist, *filter(None, added)], key=_preference)
    families: dict[str, FontEntry] = {}
    for font in fonts:
        if font.name != USUAL and not font.name.startswith(_NOT_LETTERS):
            families.setdefault(font.name, font)
    return list(families.values())


def _preference(font: FontEntry) -> tuple[bool, bool, bool, str]:
    is_sans = any(word in font.name for word in ("Sans", "Gothic", "Hei"))
    return (
        font.style != "normal",
        str(font.weight) not in ("400", "normal", "regular"),
        not is_sans,
        font.name,
    )


def _entry(path: str) -> FontEntry | None:
    try:
        return ttfFontProperty(FT2Font(path))
    except Exception:  # a damaged font is none; what FreeType raises has no class in common
        return None


@functools.cache
def _letters_of(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except Exception:  # as above
        return frozenset()


def _can_render(path: str, letter: str) -> bool:
    """Says whether a font has outlines; those of coloured emoji are pictures."""
    try:
        font = FT2Font(path)
        font.set_size(10, 100)
        font.load_char(ord(letter))
    except Exception:  # as above
        return False
    return True
