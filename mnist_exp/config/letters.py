"""Look-alike and invisible characters, called by their Unicode names."""

import re
import unicodedata

from mnist_exp.errors import ConfigError
from mnist_exp.words import shortened

# Controls, and dashes, quotes, spaces and line ends that a text processor or another system puts in.
_ODD = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\xa0\u00ad\u061c\u2000-\u2015\u2018-\u201f\u2028-\u202f\u205f-\u206f\u2212"
    "\u3000\ufeff\uff01-\uff5e]"
)
_PLAIN = (
    {"\u2212": "-"} | dict.fromkeys("‐‑‒–—―", "-") | dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"')
)
_TWINS = dict(zip("АВЕІЈКМНОРСТУХѕаеіјорсухһԁ", "ABEIJKMHOPCTYXsaeijopcyxhd", strict=True)) | dict(
    zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορ", "ABEZHIKMNOPTYXavop", strict=True)
)
"""Cyrillic and Greek letters that look like Latin ones."""
_NAMES = {"\r": "carriage return", "\n": "line feed", "\ufeff": "byte order mark", "\x1b": "escape character"}
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")


def name_of(letter: str) -> str:
    """Names a character, with an article and its number: `a Cyrillic small letter a (U+0430)`."""
    name = _NAMES.get(letter) or unicodedata.name(letter, "control character").lower()
    name = re.sub("^(cyrillic|greek|latin)", lambda script: script[0].capitalize(), name)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} (U+{ord(letter):04X})"


def check_letters(word: str) -> None:
    """Refuses, by a ConfigError, a letter that only looks like another; quoted text and paths hold any."""
    unquoted = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), word)
    found = [match.start() for match in _ODD.finditer(unquoted)]
    for place in sorted(found + _places_of_twins(unquoted))[:1]:
        problem = f"its character {place + 1} is {name_of(word[place])}."
        raise ConfigError(f"{shortened(ascii(word)[1:-1])}: {problem}", _instead(word[place]))


def describe_twins(text: str) -> str:
    """Says which letter of a text looks like a Latin one and is none; empty where there is none."""
    for place in _places_of_twins(text):
        return f"Its character {place + 1} is {name_of(text[place])}. {_instead(text[place])}"
    return ""


def _instead(letter: str) -> str:
    plain = _PLAIN.get(letter) or _TWINS.get(letter) or unicodedata.normalize("NFKC", letter).strip()
    return f"Type {plain} instead." if plain.isprintable() and plain else "Leave it out."


def _places_of_twins(text: str) -> list[int]:
    """Finds letters of other scripts among Latin ones; a word all of another script is one."""
    places = []
    for word in _WORD.finditer(text):
        foreign = [place for place, letter in enumerate(word[0], word.start()) if not letter.isascii()]
        if len(foreign) < len(word[0]) and all(text[place] in _TWINS for place in foreign):
            places += foreign
    return places
