"""What a configuration may hold: plain values, as many and as deep as its file can be read back with."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mnist_exp.words import shortened

DEEPEST, MOST_NODES, MOST_LETTERS = 50, 10_000, 4096
"""Of lists and mappings within each other, of values, and of a text; more is no configuration."""

_MOST_BITS = 128
# Terminals obey the first ones, and no file can be written with the others.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def find_odd(tree: dict[str, Any]) -> str | None:
    """Names the first dotted key of a resolved tree that holds what no configuration may, and says why."""
    for count, (key, value, depth) in enumerate(_nodes(tree, "", 0)):
        if depth >= DEEPEST or count > MOST_NODES:
            return f"{key}: larger or nested deeper than any configuration."
        for odd in [value, *(value if isinstance(value, dict) else ())]:
            if problem := _problem(odd):
                return f"{key}: {problem}"
    return None


def without_teacher(tree: dict[str, Any], *, is_trained: bool = False) -> dict[str, Any]:
    """Leaves out distillation, which is gone: a teacher's absence always, its name once `is_trained`."""
    training = tree.get("training")
    if not isinstance(training, dict):
        return tree
    teacher = training.get("teacher")
    if not isinstance(teacher, dict) or teacher.keys() != {"run", "weight", "temperature"}:
        return tree
    if teacher["run"] is not None and not is_trained:
        return tree
    return tree | {"training": {key: value for key, value in training.items() if key != "teacher"}}


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value within mappings by its dotted key; lists are values, and so are empty mappings."""
    if not isinstance(node, Mapping) or not node:
        yield key, node
        return
    for name, value in node.items():
        yield from leaves(value, f"{key}.{name}" if key else str(name))


def _nodes(node: Any, key: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Yields every node with its dotted key and the number of nodes around it."""
    yield key or "configuration", node, depth
    if depth >= DEEPEST:
        return
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _nodes(value, shortened(f"{key}.{name}" if key else f"{name}"), depth + 1)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _nodes(value, shortened(f"{key}[{number}]"), depth + 1)


def _problem(value: Any) -> str | None:
    """Says what is wrong with a value or a key, what is within it left aside."""
    match value:
        case float() if not math.isfinite(value):
            return f"got {value}; a finite number is needed."
        case int() if value.bit_length() > _MOST_BITS:
            return f"got a number of {value.bit_length():,} bits; {_MOST_BITS} at most are accepted."
        case str() if len(value) > MOST_LETTERS:
            return f"got a text of {len(value):,} letters; {MOST_LETTERS:,} at most are accepted."
        case str() if found := _UNPRINTABLE.search(value):
            return f"got {ascii(shortened(value))}; the character {ascii(found[0])} is not accepted."
        case str() | int() | float() | dict() | list() | None:
            return None
    accepted = "text, numbers, lists and mappings are accepted."
    return f"got {shortened(repr(value))}, a {type(value).__name__}; {accepted}"


def node_at(tree: Any, key: str) -> Any:
    """Looks up what came at a path such as `model.units[0]`; the last node found otherwise."""
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(tree, dict) and part in tree:
            tree = tree[part]
        elif isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            break
    return tree
