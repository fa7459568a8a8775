"""What was typed, before Hydra reads it: foreign flags, bare words, letters that only look right."""

import importlib.metadata
import re
import unicodedata
from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser

from mnist_exp import CONF_DIR
from mnist_exp.config.commands import command, flags_first, setting
from mnist_exp.config.meanings import meanings, mode_meant
from mnist_exp.config.plain_values import shortened
from mnist_exp.errors import ConfigError, nearest

_VERSION, _RERUN = "--version", "--experimental-rerun"
_MODES = {"help": "--help", "version": _VERSION}
# Dashes, quotes, spaces and line ends that a text processor or another system puts in place of plain ones.
_LOOKALIKE = re.compile("[\r\n\u00a0\u2000-\u2015\u2018-\u201f\u2212\u202f\u205f\u3000\ufeff\uff01-\uff5e]")
_PLAIN = (
    {"\u2212": "-"} | dict.fromkeys("‐‑‒–—―", "-") | dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"')
)
_NAMES = {"\r": "carriage return", "\n": "line feed", "\ufeff": "byte order mark"}
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""", re.DOTALL)


def accepted_arguments(typed: Sequence[str]) -> list[str]:
    """Refuses what Hydra would take for something else, or has no words for.

    Args:
        typed: The command line's arguments.

    Returns:
        The same, in the order that Hydra reads.

    Raises:
        ConfigError: An argument is no override and no flag; says what was most likely meant.
        SystemExit: The version was asked for, and is printed.
    """
    if _VERSION in typed:
        print(f"mnist-exp {importlib.metadata.version('mnist-exp')}")
        raise SystemExit(0)
    parser = get_args_parser()
    # Else `--experiment` would be short for `--experimental-rerun`, which unpickles a file.
    parser.allow_abbrev, parser.exit_on_error = False, False
    for word in typed:
        if re.match(r"-[a-z]{3}", word):  # else `-model` would be `-m` with something behind it
            raise _no_flag(word, typed, parser)
    try:
        given, unknown = parser.parse_known_args(flags_first(typed))
    except ArgumentError as error:
        raise ConfigError(f"{error.argument_name}: {error.message}.", "--hydra-help lists flags.") from error
    if given.experimental_rerun is not None:
        raise ConfigError(
            f"{_RERUN}: refused: it would unpickle a file.", "Use resume=… or mode=verify run=…."
        )
    for word in given.overrides + unknown:
        _check_letters(word)
    flags = [word for word in unknown if word.startswith("-")]
    if flags:
        raise _no_flag(flags[0], typed, parser)
    overrides = given.overrides + [word for word in unknown if not word.startswith("-")]
    for place, word in enumerate(overrides):
        _check_word(word, overrides[place + 1 :], overrides[:place])
    return flags_first(typed)


def _check_letters(word: str) -> None:
    """Names a letter that only looks like another one; what is quoted may hold any, and so may paths."""
    for found in _LOOKALIKE.finditer(_QUOTED.sub(lambda quoted: "x" * len(quoted[0]), word)):
        letter = found[0]
        name = _NAMES.get(letter) or unicodedata.name(letter, "letter nobody sees").lower()
        article = "an" if name[0] in "aeiou" else "a"
        plain = _PLAIN.get(letter, unicodedata.normalize("NFKC", letter)).strip()
        raise ConfigError(
            f"{shortened(ascii(word)[1:-1])}: its character {found.start() + 1} is {article} {name} "
            f"(U+{ord(letter):04X}).",
            f"Type {plain} instead." if plain else "Leave it out.",
        )


def _no_flag(flag: str, typed: Sequence[str], parser: ArgumentParser) -> ConfigError:
    """Says what a flag that there is not was meant for: an override, or another flag."""
    name, equals, value = flag.partition("=")
    key = name.lstrip("-").replace("-", "_")
    following = list(typed)[list(typed).index(flag) + 1 :][:1]
    if not equals and following and "=" not in following[0] and not following[0].startswith("-"):
        value = following[0]
    known = meanings(key)
    if known:
        better = command(f"{known[0]}={value}") if value else f"{known[0]}=…"
        return ConfigError(f"{shortened(flag)}: keys have no dashes.", f"Write {better}")
    flags = [option for action in parser._actions for option in action.option_strings if option != _RERUN]
    return ConfigError(f"{shortened(flag)}: there is no such flag.", nearest(name, flags))


def _check_word(word: str, after: Sequence[str], before: Sequence[str]) -> None:
    """Refuses a word that is no override: a key alone, a value alone, a sign between spaces."""
    key, equals, value = word.partition("=")
    bare = key.lstrip("+~")
    if equals and (not key or (not value and after and "=" not in after[0] and _options(bare))):
        raise ConfigError(f"{shortened(word)}: an override has no spaces around =.", "Write model=ann.")
    if equals and key.endswith("+"):
        raise ConfigError(f"{shortened(word)}: values are set, not added to.", f"Write {bare[:-1]}={value}.")
    if equals and value.endswith((".yaml", ".yml")) and (options := _options(bare)):
        own = "YAML of your own: --config-dir FOLDER, with the file in FOLDER/" + bare + "."
        answer = nearest(Path(value).stem, options)
        raise ConfigError(
            f"{bare}: got a file, {shortened(value)}; an option's name is needed.", f"{answer} {own}"
        )
    if equals or word.startswith("~"):
        return
    raise ConfigError(f'"{shortened(word)}": an override is key=value.', _meant(word, after, before))


def _meant(word: str, after: Sequence[str], before: Sequence[str]) -> str:
    """Says what a word without = was most likely meant for."""
    if "=" in (*after[:1], *before[-1:]):
        return "It has no spaces around =: model=ann."
    if word in _MODES:
        return f"Write {_MODES[word]}."
    if (Path(word) / "manifest.json").exists():
        return f"A run: {command('mode=evaluate', setting('run', word))}"
    name, colon, option = word.partition(":")
    if colon and (known := meanings(name)):
        return f"Write {known[0]}={option}."
    if mode := mode_meant(word):
        return f"Write mode={mode}."
    groups = [group for group in _groups() if word.lower() in _options(group)]
    if groups:
        return f"Write {groups[0]}={word.lower()}."
    known = meanings(word)
    if known:
        value = after[0] if after and "=" not in after[0] else ""
        return f"Write {known[0]}={value}." if value else f"Write {known[0]}=…."
    return "Such as model=ann or training.epochs=5; --help lists them."


def _groups() -> Iterator[str]:
    """Yields the groups that a bare word may be an option of, the likeliest first."""
    first = ("mode", "model", "experiment", "data")
    yield from first
    yield from (path.name for path in sorted(CONF_DIR.iterdir()) if path.is_dir() and path.name not in first)


def _options(group: str) -> list[str]:
    """Lists a group's options; none for what is no group."""
    is_group = re.fullmatch(r"[a-z_]+", group) is not None
    return [path.stem for path in sorted((CONF_DIR / group).glob("*.yaml"))] if is_group else []
