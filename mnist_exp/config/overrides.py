"""Overrides as text and as values: what a plan's YAML says, written so that Hydra reads it back."""

import functools
import math
import re
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from mnist_exp.errors import ConfigError
from mnist_exp.words import one_line

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
_RESERVED = {"true", "false", "null", "inf", "nan"}


def plain_key(override: str) -> str:
    """Names the key of an override without signs: `+optimizer.amsgrad=true` sets `optimizer.amsgrad`."""
    return override.partition("=")[0].lstrip("+~")


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


@functools.lru_cache(maxsize=10_000)
def parse_override(text: str) -> Override:
    """Reads one override that sweeps over nothing; raises HydraException where Hydra cannot read it."""
    return _parser().parse_overrides([text])[0]


def override_value(text: str) -> tuple[str, Any]:
    """Says which key an override sets, without signs, and to which value."""
    override = parse_override(text)
    return plain_key(override.get_key_element()), override.value()


def to_override(key: str, value: Any, place: str) -> str:
    """Writes a key and a value of YAML as an override that Hydra reads back to the same value.

    Args:
        key: A dotted path or a group, with `+` or `++` in front where it is to be added.
        value: Of YAML: numbers, true and false, null, text, lists and mappings.
        place: Where this comes from, for messages, such as `sweep_plan.grid`.

    Raises:
        ConfigError: The key is none, or the value cannot be written as an override.
    """
    text = f"{key}={_value_text(value, f'{place}.{key}')}"
    try:
        override = parse_override(text)
        is_same = override.get_key_element() == key and same_value(override.value(), value)
        is_same &= not override.is_delete()
    except HydraException:
        is_same = False
    if not is_same:
        raise ConfigError(f"{place}.{one_line(key)}: cannot be written as an override: {one_line(text)}.")
    return text


def same_value(one: Any, other: Any) -> bool:
    """Says whether two values are the same: 1 is 1.0, but neither is true, and NaN is NaN."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        # Looked up alone, the key 1 would find the key true.
        return same_value(list(one), list(other)) and same_value(list(one.values()), list(other.values()))
    return bool(one == other)


def _value_text(value: Any, key: str) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return _string_text(value)
        case list() | tuple():
            return f"[{_joined(_value_text(entry, key) for entry in value)}]"
        case dict():
            items = (f"{_key_text(name)}:{_value_text(entry, key)}" for name, entry in value.items())
            return f"{{{_joined(items)}}}"
    raise ConfigError(
        f"{one_line(key)}: got {type(value).__name__}; numbers, text, lists and mappings are accepted."
    )


def _joined(texts: Iterable[str]) -> str:
    return ",".join(texts)


def _string_text(text: str) -> str:
    if (_BARE.fullmatch(text) and text.lower() not in _RESERVED) or _reads_as_itself(text):
        return text
    # In a shell's single quotes, double ones need no escape.
    quote = Quote.single if '"' in text else Quote.double
    return QuotedString(text, quote).with_quotes()


def _reads_as_itself(text: str) -> bool:
    """Says whether Hydra's grammar reads a text without quotes as that text, in a list, too."""
    if text == "" or "\\" in text:
        return False
    try:
        override = parse_override(f"key={text}")
    except HydraException:
        return False
    return not override.is_sweep_override() and override.value() == text


def _key_text(name: Any) -> str:
    """Writes a mapping's key, which Hydra's grammar lets no one quote."""
    return Override._get_value_element_as_str(name) if isinstance(name, str) else _value_text(name, "")
