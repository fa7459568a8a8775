"""Lists in a search space: `units.length` and `units.each` become one dimension an entry."""

from collections.abc import Mapping
from typing import Any

from mnist_exp.errors import ConfigError, nearest
from mnist_exp.tuning.dimensions import read_dimension, refuse, written

_MOST_ENTRIES = 100

Entries = Mapping[str, list[dict[str, Any]]]
Named = dict[str, tuple[str, list[dict[str, Any]]]]


def list_of(name: str) -> str | None:
    """Names the list whose length or entry a name is; None for any other."""
    path, _, last = name.rpartition(".")
    return path if path and (last == "length" or last.isdecimal()) else None


def expand_lists(entries: Entries) -> tuple[Named, dict[str, str]]:
    """Gives every entry of a list a name of its own.

    Returns:
        For each name, the key that it comes from and its alternatives; and for each list that is put
        together from entries, the name of its length.

    Raises:
        ConfigError: A list has no length, or not an entry for every position.
    """
    lengths = _find_lengths(entries)
    named: Named = {}
    for key, alternatives in entries.items():
        path = key.removesuffix(".each")
        if path == key:
            named[key] = (key, alternatives)
            continue
        for position in range(max(length_values(entries, lengths[path]))):
            if f"{path}.{position}" not in entries:
                named[f"{path}.{position}"] = (key, alternatives)
    for path, length in lengths.items():
        for position in range(max(length_values(entries, length))):
            if f"{path}.{position}" not in named:
                problem = f"entry {position} of {path} is not described."
                raise refuse(length, problem, f'Add "{path}.each".')
    return named, lengths


def length_values(entries: Entries, name: str) -> list[int]:
    """Lists the lengths that a list may have."""
    values: list[int] = []
    for fields in entries[name]:
        possible = read_dimension(name, name, fields, None).possible_values()
        if possible is None or len(possible) >= 10 * _MOST_ENTRIES:
            raise _refuse_length(name, "its range")
        for value in possible:
            if type(value) is not int or not 0 <= value <= _MOST_ENTRIES:
                raise _refuse_length(name, written(value))
            values.append(value)
    return values


def _refuse_length(name: str, came: str) -> ConfigError:
    return refuse(name, f"got {came}; a length is a whole number from 0 to {_MOST_ENTRIES}.")


def _find_lengths(entries: Entries) -> dict[str, str]:
    lengths = {key.removesuffix(".length"): key for key in entries if key.endswith(".length")}
    as_many = {}
    for key, alternatives in entries.items():
        for fields in alternatives:
            if "as_many_as" in fields:
                as_many[key.removesuffix(".each")] = _length_of(key, fields["as_many_as"], lengths)
        path = key.removesuffix(".each")
        if path != key and path not in lengths and path not in as_many:
            raise refuse(
                key, f"the list has no length; accepted: as_many_as, or {path}.length.", 'Add "as_many_as".'
            )
    return lengths | as_many


def _length_of(key: str, other: Any, lengths: Mapping[str, str]) -> str:
    """Gives the name of the length of the list that another is as long as."""
    field = f"{key}.as_many_as"
    if not key.endswith(".each"):
        raise refuse(field, "only the entries of a list can be as many as another's.", f'Write "{key}.each".')
    if key.removesuffix(".each") in lengths:
        raise refuse(field, f"{key.removesuffix('.each')} has a length of its own.", "Leave one out.")
    if not isinstance(other, str) or other not in lengths:
        hint = nearest(str(other), lengths) if lengths else f'Add "{written(other)}.length".'
        raise refuse(field, f"{written(other)} has no length in this search space.", hint)
    return lengths[other]
