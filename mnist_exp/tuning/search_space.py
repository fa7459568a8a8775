"""What a search may change: YAML to dimensions, and Keras Tuner's values to configuration values.

A search space maps dotted configuration paths to fields with Keras Tuner's argument names. A path's
last part may be `length` (how many entries a list has), `each` (every entry of it) or a number (one
entry). A list of mappings holds alternatives, whose `when`s exclude each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mnist_exp.errors import ConfigError
from mnist_exp.tuning.dimensions import (
    FIELDS,
    Dimension,
    describe,
    is_among,
    nearest_field,
    read_dimension,
    refuse,
    written,
)
from mnist_exp.tuning.space_conditions import arrange, requirements
from mnist_exp.tuning.space_lists import expand_lists, list_of

__all__ = ["Dimension", "SearchSpace", "assemble", "describe", "parse_search_space"]


@dataclass(frozen=True)
class SearchSpace:
    """What a search may change.

    Attributes:
        dimensions: What is searched; each comes after those that its conditions name.
        lengths: The lists that are put together from entries, each with its number of entries:
            the name of the dimension that has it, or the number itself.
    """

    dimensions: tuple[Dimension, ...]
    lengths: dict[str, str | int]

    def fix(self, overrides: Mapping[str, Any]) -> tuple["SearchSpace", list[str]]:
        """Takes what was given on the command line out of the search; a group's name stands for its option.

        Returns what is left to search, and a sentence about each path that was taken out.

        Raises:
            ConfigError: Nothing is left.
        """
        given = {path: value for path, value in _flat(overrides) if self._has(path)}
        known = {
            dimension.name: _value_in(given, dimension.name)
            for dimension in self.dimensions
            if dimension.name in given or list_of(dimension.name) in given
        }
        kept = _without(self.dimensions, known, self.lengths.keys() - given.keys())
        lengths = {
            path: known[length] if isinstance(length, str) and length in known else length
            for path, length in self.lengths.items()
            if path not in given and any(list_of(dimension.name) == path for dimension in kept)
        }
        if not any(len(dimension.values) != 1 for dimension in kept):
            raise ConfigError(
                "search_space: nothing is left to search, since every value is given.",
                "Give fewer, or choose mode=train.",
            )
        sentences = [f"{path}={written(value)} is given, and not searched" for path, value in given.items()]
        return SearchSpace(tuple(kept), lengths), sentences

    def decode(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """Gives Keras Tuner's values, by id, as configuration values by name; active ones only."""
        values: dict[str, Any] = {}
        for dimension in self.dimensions:
            if _is_active(dimension, values):
                values[dimension.name] = dimension.decode(encoded[dimension.id])
        return values

    def example(self, dimension: Dimension, value: Any) -> dict[str, Any]:
        """Gives values in which one is as told, its conditions hold, and all others are defaults."""
        parents = {other.name: other for other in self.dimensions}
        allowed = requirements(dimension, parents) or {}
        values: dict[str, Any] = {}
        for other in self.dimensions:
            if _is_active(other, values):
                accepted = allowed.get(other.name, (other.default,))
                values[other.name] = other.default if is_among(other.default, accepted) else accepted[0]
                if other.id == dimension.id:
                    values[other.name] = value
        return values

    def _has(self, path: str) -> bool:
        return any(path in (dimension.name, list_of(dimension.name)) for dimension in self.dimensions)


def parse_search_space(tree: dict[str, Any], base: dict[str, Any]) -> SearchSpace:
    """Reads the `search_space` node; `base` has the defaults where they can be.

    A dotted path may be one key or nested mappings.

    Raises:
        ConfigError: Something in it cannot be searched; says what, and the nearest name that is accepted.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    _collect(tree, "", entries)
    if not entries:
        raise ConfigError("search_space: it is empty.", "Give it a path with a type and its range.")
    named, lengths = expand_lists(entries)
    read: dict[str, list[Dimension]] = {}
    for name, (key, alternatives) in named.items():
        value = _base_value(base, name)
        read[name] = [read_dimension(key, name, fields, value) for fields in alternatives]
    conditions = {
        name: [fields.get("when") or {} for fields in alternatives]
        for name, (_, alternatives) in named.items()
    }
    dimensions = arrange(read, conditions, lengths)
    return SearchSpace(dimensions, dict(lengths))


def assemble(values: Mapping[str, Any], lengths: Mapping[str, str | int]) -> dict[str, Any]:
    """Gives a trial's values, by active names, as configuration paths, lists put together from entries.

    An entry of a list that keeps its length stays apart: `model.filters.0`.

    Raises:
        ConfigError: A list has more or fewer entries than its length.
    """
    paths = {
        name: value
        for name, value in values.items()
        if list_of(name) not in lengths and not (name.endswith(".length") and name in lengths.values())
    }
    for path, length in lengths.items():
        count = values.get(length) if isinstance(length, str) else length
        expected = [f"{path}.{position}" for position in range(count or 0)]
        given = {name for name in values if list_of(name) == path} - {length}
        if count is not None and given == set(expected):
            paths[path] = [values[name] for name in expected]
        elif given:
            raise refuse(path, f"got {len(given)} entries for a list of {count}.")
    return paths


def _collect(tree: Mapping[str, Any], key: str, entries: dict[str, list[dict[str, Any]]]) -> None:
    """Gathers the entries by their dotted keys, from dotted and nested mappings alike."""
    for part, node in tree.items():
        path = f"{key}.{part}" if key else str(part)
        if isinstance(node, list) and node and all(isinstance(fields, dict) for fields in node):
            entries[path] = [dict(fields) for fields in node]
        elif isinstance(node, dict) and (node.keys() & FIELDS or not node):
            written_before = entries.get(path, [{}])
            if len(written_before) > 1:
                raise refuse(path, "it has alternatives.", "Give all of them, as a list.")
            entries[path] = [written_before[0] | node]
        elif isinstance(node, dict):
            _collect(node, path, entries)
        else:
            hint = nearest_field([str(part)])
            raise refuse(path, f"got {written(node)}; a mapping with a type and its range is needed.", hint)


def _base_value(base: Mapping[str, Any], name: str) -> Any:
    """Looks up a configuration value: a list's length or entry, a group's option by its name."""
    path, _, last = name.rpartition(".")
    if list_of(name) is not None:
        entries = _base_value(base, path)
        if last == "length":
            return len(entries) if isinstance(entries, list) else None
        return entries[min(int(last), len(entries) - 1)] if isinstance(entries, list) and entries else entries
    node: Any = base
    for part in name.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node.get("name") if isinstance(node, Mapping) else node


def _flat(overrides: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yields each given path with its value, and those within a given mapping."""
    for path, value in overrides.items():
        yield path, value
        if isinstance(value, Mapping):
            yield from _flat({f"{path}.{part}": inner for part, inner in value.items()})


def _value_in(given: Mapping[str, Any], name: str) -> Any:
    """Gives the value that a name has where it, or the list it belongs to, was given."""
    if name in given:
        return given[name]
    entries, last = given[name.rpartition(".")[0]], name.rpartition(".")[2]
    if not isinstance(entries, list):
        return None if last == "length" else entries
    if last == "length":
        return len(entries)
    return entries[int(last)] if int(last) < len(entries) else None


def _without(
    dimensions: Iterable[Dimension], known: Mapping[str, Any], assembled: Iterable[str]
) -> list[Dimension]:
    """Leaves out what is known, and what can no longer be chosen because of it."""
    kept: list[Dimension] = []
    gone: set[str] = set()
    for dimension in dimensions:
        met = [is_among(known[name], values) for name, values in dimension.conditions if name in known]
        if not all(met) or any(name in gone for name, _ in dimension.conditions):
            gone.add(dimension.name)
            continue
        if dimension.name in known and list_of(dimension.name) not in set(assembled):
            continue
        dimension = replace(
            dimension,
            conditions=tuple(pair for pair in dimension.conditions if pair[0] not in known),
            encoded_conditions=tuple(pair for pair in dimension.encoded_conditions if pair[0] not in known),
        )
        if dimension.name in known:
            # One entry of a list was given, and the others are searched.
            value = known[dimension.name]
            dimension = replace(
                dimension, kind="choice", values=(value,), default=value, min_value=None, max_value=None
            )
        kept.append(dimension)
    return kept


def _is_active(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    return all(name in values and is_among(values[name], accepted) for name, accepted in dimension.conditions)
