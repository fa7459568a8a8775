"""Which dimensions of a search space are chosen when: alternatives, and the order of dependence."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from mnist_exp.errors import nearest
from mnist_exp.tuning.dimensions import Conditions, Dimension, describe, is_among, refuse, written
from mnist_exp.tuning.space_lists import list_of

_MOST_CHOICES = 1000

Dimensions = Mapping[str, list[Dimension]]
Region = dict[str, tuple[Any, ...]]


def arrange(
    dimensions: Dimensions, conditions: Mapping[str, list[Any]], lengths: Mapping[str, str]
) -> tuple[Dimension, ...]:
    """Puts dimensions in an order in which each comes after those that it depends on.

    Args:
        dimensions: The alternatives of each name, their conditions not set.
        conditions: The `when` of each of them, as written.
        lengths: For each list that is put together from entries, the name of its length.

    Returns:
        The dimensions with their conditions.

    Raises:
        ConfigError: A condition names what is not searched, a value that it cannot have, or itself in
            the end; or can never hold; or two alternatives of a name can hold at once.
    """
    arranged: dict[str, list[Dimension]] = {}
    for name, alternatives in dimensions.items():
        regions = [
            _read_region(dimension, when, dimensions)
            for dimension, when in zip(alternatives, conditions[name], strict=True)
        ]
        within = _entry_region(name, dimensions, lengths)
        arranged[name] = _with_conditions(alternatives, regions, within)
    ordered = [dimension for name in _in_order(arranged) for dimension in arranged[name]]
    parents = {name: made[0] for name, made in arranged.items() if made}
    for made in arranged.values():
        _check_conditions(made, parents)
    return tuple(_encode_conditions(dimension, arranged) for dimension in ordered)


def _read_region(dimension: Dimension, when: Any, dimensions: Dimensions) -> Region:
    """Checks what an entry's `when` says, and spells values as their own dimension does."""
    key = f"{dimension.key}.when"
    if not isinstance(when, dict):
        raise refuse(key, f"got {written(when)}; a mapping of other searched names to values is needed.")
    region: Region = {}
    for name, given in when.items():
        if name not in dimensions:
            raise refuse(key, f'"{name}" is not searched.', nearest(str(name), dimensions))
        parent = _parent_of(key, name, dimensions)
        values = [given] if parent.find(given) or not isinstance(given, list) else given
        if not values:
            raise refuse(key, f"no value of {name} is named.", "Name at least one.")
        for value in values:
            if not parent.find(value):
                accepted = nearest(written(value), map(written, parent.possible_values() or []))
                raise refuse(key, f"{name} is never {written(value)}.", accepted)
        region[name] = tuple(found for value in values for found in parent.find(value))
    return region


def _parent_of(key: str, name: str, dimensions: Dimensions) -> Dimension:
    if len(dimensions[name]) > 1:
        raise refuse(key, f"{name} has alternatives of its own.", "Name what these depend on.")
    parent = dimensions[name][0]
    possible = parent.possible_values()
    if possible is None or len(possible) > _MOST_CHOICES:
        raise refuse(key, f"{name} is a range of numbers; accepted: a choice, a boolean, an int, or a step.")
    return parent


def _entry_region(name: str, dimensions: Dimensions, lengths: Mapping[str, str]) -> Region:
    """Says for an entry of a list which lengths have it."""
    path, last = list_of(name), name.rpartition(".")[2]
    if path is None or path not in lengths or last == "length":
        return {}
    length = lengths[path]
    possible = _parent_of(length, length, dimensions).possible_values() or ()
    return {length: tuple(value for value in possible if value > int(last))}


def _with_conditions(alternatives: list[Dimension], regions: list[Region], within: Region) -> list[Dimension]:
    """Sets the conditions of a name's alternatives; one that an entry's list is too short for goes."""
    made: list[Dimension] = []
    for dimension, region in zip(alternatives, regions, strict=True):
        full = _intersect(region, within)
        if full is not None:
            identity = f"{dimension.name}#{len(made) + 1}" if made else dimension.name
            made.append(replace(dimension, id=identity, conditions=tuple(full.items())))
    if not made and not alternatives[0].key.endswith(".each"):
        raise refuse(alternatives[0].key, "its conditions never hold.")
    return made


def _intersect(region: Region, other: Region) -> Region | None:
    """Gives the region where both hold; None where they never do."""
    both = dict(region)
    for name, values in other.items():
        both[name] = tuple(value for value in both.get(name, values) if is_among(value, values))
    return both if all(both.values()) else None


def _in_order(arranged: Dimensions) -> list[str]:
    """Sorts names so that parents come first, and leaves the order alone otherwise."""
    ordered: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise refuse(f"{arranged[name][0].key}.when", f"it depends on itself: {circle}.")
        for parent, _ in (condition for dimension in arranged[name] for condition in dimension.conditions):
            visit(parent, (*path, name))
        if name not in ordered:
            ordered.append(name)

    for name in arranged:
        visit(name, ())
    return ordered


def _check_conditions(alternatives: list[Dimension], parents: Mapping[str, Dimension]) -> None:
    """Refuses alternatives of a name that are never chosen, and two that could be chosen together."""
    for dimension in alternatives:
        if requirements(dimension, parents) is None:
            problem = "its conditions and those of what it names never hold together."
            raise refuse(f"{dimension.key}.when", problem)
    for one, other in combinations(alternatives, 2):
        if _intersect(requirements(one, parents) or {}, requirements(other, parents) or {}) is not None:
            first, second = (describe(dimension)[1] or "always" for dimension in (one, other))
            problem = f"two of its alternatives may hold at once: {first}; {second}."
            raise refuse(one.key, problem, "Give each a `when` that excludes the other.")


def requirements(dimension: Dimension, parents: Mapping[str, Dimension]) -> Region | None:
    """Says which values others must have for a dimension to be chosen, parents of parents included.

    `parents` are all that a condition can name. None where they contradict each other.
    """
    region: Region = {}
    for name, values in dimension.conditions:
        further = requirements(parents[name], parents) if name in parents else None
        both = None if further is None else _intersect(region, further)
        both = None if both is None else _intersect(both, {name: values})
        if both is None:
            return None
        region = both
    return region


def _encode_conditions(dimension: Dimension, arranged: Dimensions) -> Dimension:
    encoded: Conditions = tuple(
        (name, tuple(arranged[name][0].encode(value) for value in values))
        for name, values in dimension.conditions
    )
    return replace(dimension, encoded_conditions=encoded)
