"""Reads one entry of a search space; nothing that Keras Tuner would refuse gets through."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mnist_exp.errors import ConfigError, nearest
from mnist_exp.tuning.dimensions import (
    LARGEST_INT,
    MOST_VALUES,
    Dimension,
    Kind,
    count_steps,
    describe,
    is_among,
    is_number,
    is_whole,
    list_steps,
    written,
)

_FIELDS: dict[str, set[str]] = {
    "int": {"min_value", "max_value", "step", "sampling"},
    "float": {"min_value", "max_value", "step", "sampling"},
    "choice": {"values"},
    "boolean": set(),
}
_FIELDS_OF_ALL = {"type", "default", "when", "as_many_as"}
FIELDS = set().union(_FIELDS_OF_ALL, *_FIELDS.values())
_SAMPLINGS = {"linear", "log", "reverse_log"}
# Keras Tuner's workers are sent single precision: beyond these a number becomes 0 or infinite.
_SMALLEST, _LARGEST = 1e-37, 1e38


def read_dimension(key: str, name: str, fields: Mapping[str, Any], base_value: Any) -> Dimension:
    """Reads one entry of a search space, its conditions left out.

    Args:
        key: The entry's name as written, for messages.
        name: The name of the value that is searched.
        fields: The entry.
        base_value: What the configuration has there; the default where it can be.

    Raises:
        ConfigError: Keras Tuner could not search it, or not all of it.
    """
    kind = fields.get("type")
    if "type" not in fields:
        raise refuse(key, 'it has no "type"; accepted: int, float, choice, boolean.', nearest_field(fields))
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise refuse(f"{key}.type", f"got {written(kind)}.", nearest(str(kind), _FIELDS))
    accepted = _FIELDS[kind] | _FIELDS_OF_ALL
    for field in fields:
        if field not in accepted:
            raise refuse(f"{key}.{field}", f"{kind} has no such field.", nearest(str(field), accepted))
    if kind == "boolean":
        dimension = Dimension(name, name, key, "boolean", values=(True, False))
    elif kind == "choice":
        dimension = Dimension(name, name, key, "choice", values=_read_values(key, fields.get("values")))
    else:
        dimension = _read_range(key, name, kind == "int", fields)
    default = _choose_default(dimension, fields, base_value)
    return replace(dimension, default=default)


def refuse(key: str, problem: str, hint: str = "") -> ConfigError:
    """Says what is wrong with an entry of a search space."""
    return ConfigError(f"search_space.{key}: {problem}", hint)


def nearest_field(fields: Iterable[str]) -> str:
    """Says which field was probably meant by one that there is not."""
    unknown = [str(field) for field in fields if field not in FIELDS]
    return nearest(unknown[0], FIELDS) if unknown else 'Add "type".'


def _read_values(key: str, values: Any) -> tuple[Any, ...]:
    """Checks a choice's values."""
    if not isinstance(values, list) or not values:
        raise refuse(f"{key}.values", f"got {written(values)}; a list of at least one value is needed.")
    for number, value in enumerate(values):
        if isinstance(value, float) and not math.isfinite(value):
            raise refuse(f"{key}.values", f"got {value}; a finite number is needed.")
        if is_among(value, values[:number]):
            raise refuse(f"{key}.values", f"{written(value)} comes twice.", "Leave one out.")
    return tuple(values)


def _read_range(key: str, name: str, is_int: bool, fields: Mapping[str, Any]) -> Dimension:
    """Checks a range of numbers."""
    low, high = (_read_number(key, field, is_int, fields) for field in ("min_value", "max_value"))
    step = _read_number(key, "step", is_int, fields) if fields.get("step") is not None else None
    sampling = fields.get("sampling") or "linear"
    if not isinstance(sampling, str) or sampling not in _SAMPLINGS:
        raise refuse(f"{key}.sampling", f"got {written(sampling)}.", nearest(str(sampling), _SAMPLINGS))
    if low > high:
        raise refuse(key, f"the range is empty: min_value {written(low)} is above max_value {written(high)}.")
    if sampling != "linear" and low <= 0:
        raise refuse(f"{key}.min_value", f"got {written(low)}; sampling={sampling} needs one above 0.")
    smallest_step = 0 if sampling == "linear" else 1
    if step is not None and step <= smallest_step:
        needed = f"sampling={sampling} needs one above {smallest_step}"
        raise refuse(f"{key}.step", f"got {written(step)}; {needed}.")
    kind: Kind = "int" if is_int else "float"
    if is_int or step is None:
        return Dimension(name, name, key, kind, low, high, step, sampling)
    if count_steps(low, high, step, sampling) > MOST_VALUES:
        raise refuse(f"{key}.step", f"got {written(step)}; it makes more than {MOST_VALUES:,} values.")
    # A choice, since Keras Tuner's own arithmetic loses the end of a range such as 0 to 0.5 by 0.1.
    values = tuple(list_steps(low, high, step, sampling))
    return Dimension(name, name, key, "choice", low, high, step, sampling, values)


def _read_number(key: str, field: str, is_int: bool, fields: Mapping[str, Any]) -> Any:
    """Checks one number of a range; a whole one for an int."""
    value = fields.get(field)
    if value is None:
        raise refuse(f"{key}.{field}", f"it is missing; {fields['type']} needs min_value and max_value.")
    if not is_number(value) or not math.isfinite(value) or (is_int and not is_whole(value)):
        needed = "a whole number" if is_int else "a finite number"
        raise refuse(f"{key}.{field}", f"got {written(value)}; {needed} is needed.")
    largest = LARGEST_INT if is_int else _LARGEST
    if abs(value) > largest or 0 < abs(value) < _SMALLEST:
        raise refuse(f"{key}.{field}", f"got {value:.6g}; accepted: {_SMALLEST} to {largest:.3g} in size.")
    return int(value) if is_int else float(value)


def _choose_default(dimension: Dimension, fields: Mapping[str, Any], base_value: Any) -> Any:
    """Takes the entry's own default, else the configuration's value, else Keras Tuner's rule."""
    if "default" in fields:
        found = dimension.find(fields["default"])
        if not found:
            accepted = describe(dimension)[0]
            came = written(fields["default"])
            raise refuse(f"{dimension.key}.default", f"got {came}; accepted: {accepted}.")
        return found[0]
    if found := dimension.find(base_value):
        return found[0]
    if dimension.kind == "boolean":
        return False
    return dimension.values[0] if dimension.values else dimension.min_value
