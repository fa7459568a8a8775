"""One searched value: its range or choices, what Keras Tuner is told of it, and what a reader is."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mnist_exp.errors import ConfigError, nearest

Kind = Literal["int", "float", "choice", "boolean"]
Conditions = tuple[tuple[str, tuple[Any, ...]], ...]
# Whole numbers up to here are exact as floats too.
LARGEST_INT = 2**53
MOST_VALUES = 10_000
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


@dataclass(frozen=True)
class Dimension:
    """A value that is searched.

    Attributes:
        id: Unique; Keras Tuner knows values by it. The name, with `#2` for its second alternative.
        name: A dotted path, `<list>.length`, or `<list>.<position>` for one entry of a list.
        key: The name as the search space has it, for messages: `model.units.each`.
        kind: What it is to Keras Tuner; a float with a step is a choice of all its values.
        min_value: Smallest value of a range; null without one.
        max_value: Largest value of a range, itself included.
        step: Distance between values, or their quotient where `sampling` is not linear; null for
            every value between.
        sampling: `linear`, `log` (small values as likely as large ones) or `reverse_log`.
        values: Every value of a choice or boolean, in order; empty for a range.
        conditions: Names, each with those of its values for which this one is chosen at all.
        encoded_conditions: The same as Keras Tuner is told it.
    """

    id: str
    name: str
    key: str
    kind: Kind
    min_value: int | float | None = None
    max_value: int | float | None = None
    step: int | float | None = None
    sampling: str = "linear"
    values: tuple[Any, ...] = ()
    default: Any = None
    conditions: Conditions = ()
    encoded_conditions: Conditions = ()

    @property
    def encoded_values(self) -> tuple[str, ...] | tuple[int, ...]:
        """A choice's values as Keras Tuner takes them: text or whole numbers.

        Numbers that are not all whole are encoded by position, since Keras Tuner's workers are sent
        single precision and its oracles look for equal values; anything but text and numbers as JSON.
        """
        if all(isinstance(value, str) for value in self.values):
            return self.values
        if all(type(value) is int and abs(value) <= LARGEST_INT for value in self.values):
            return self.values
        if all(is_number(value) for value in self.values):
            return tuple(range(len(self.values)))
        return tuple(json.dumps(value) for value in self.values)

    def encode(self, value: Any) -> Any:
        """Gives a value the form in which Keras Tuner takes it."""
        if self.kind != "choice":
            return value
        return self.encoded_values[_position(value, self.values)]

    def decode(self, encoded: Any) -> Any:
        """Gives the value that Keras Tuner means; a float from a range with six significant digits."""
        if self.kind == "boolean":
            return bool(encoded)
        if self.kind == "choice":
            return self.values[self.encoded_values.index(encoded)]
        assert self.min_value is not None and self.max_value is not None
        value = int(encoded) if self.kind == "int" else float(f"{encoded:.6g}")
        return min(max(value, self.min_value), self.max_value)

    def possible_values(self) -> Sequence[Any] | None:
        """Lists every value it can have; None for a float from a range without a step."""
        if self.kind in ("choice", "boolean"):
            return self.values
        if self.kind == "float":
            return None
        assert isinstance(self.min_value, int) and isinstance(self.max_value, int)
        if self.step is None or self.sampling == "linear":
            return range(self.min_value, self.max_value + 1, int(self.step or 1))
        values = list_steps(self.min_value, self.max_value, self.step, self.sampling)
        return [round(value) for value in values]

    def find(self, value: Any) -> tuple[Any, ...]:
        """Returns the value as this dimension writes it, alone; nothing where it cannot have it."""
        possible = self.possible_values()
        if isinstance(possible, range):
            return (int(value),) if is_whole(value) and value in possible else ()
        if possible is not None:
            return tuple(other for other in possible if is_same(value, other))[:1]
        assert self.min_value is not None and self.max_value is not None
        inside = is_number(value) and self.min_value <= value <= self.max_value
        return (float(value),) if inside else ()


def is_same(value: Any, other: Any) -> bool:
    """Tells whether two values mean the same in YAML: 1 and 1.0 do, 1 and true do not."""
    if is_number(value) and is_number(other):
        return bool(math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-15))
    return json.dumps(value, default=str) == json.dumps(other, default=str)


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """Tells whether a value is one of several."""
    return any(is_same(value, other) for other in values)


def is_number(value: Any) -> bool:
    """Tells whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Tells whether a value is a whole number, as 2 and 2.0 are."""
    return is_number(value) and math.isfinite(value) and value == int(value)


def describe(dimension: Dimension) -> tuple[str, str]:
    """Puts a dimension into words: `32 to 512 by 32`, `0.0001 to 0.01, log` or `relu, tanh or sigmoid`.

    The second text says when it is chosen at all, as `optimizer is adam or rmsprop`; empty for always.
    """
    if dimension.min_value is None:
        span = _any_of(dimension.values)
    else:
        span = f"{written(dimension.min_value)} to {written(dimension.max_value)}"
        if dimension.step is not None:
            by = "by" if dimension.sampling == "linear" else "times"
            span += f" {by} {written(dimension.step)}"
        if dimension.sampling != "linear":
            span += f", {dimension.sampling.replace('_', ' ')}"
    conditions = (f"{name} is {_any_of(values)}" for name, values in dimension.conditions)
    return span, " and ".join(conditions)


def written(value: Any) -> str:
    """Writes a value as the command line takes it, without spaces."""
    if isinstance(value, list | tuple):
        return f"[{','.join(written(entry) for entry in value)}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _any_of(values: Sequence[Any]) -> str:
    """Writes `a, b or c`; four and more whole numbers in a row as `1 to 4`."""
    if len(values) > 2 and all(is_whole(value) for value in values):
        first, last = values[0], values[-1]
        if list(values) == list(range(first, last + 1)):
            return f"{first} to {last}"
    texts = [written(value) for value in values]
    return " or ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def count_steps(low: float, high: float, step: float, sampling: str) -> int:
    """Counts a range's values; past `MOST_VALUES` it only says that there are more."""
    span = (high - low) / step if sampling == "linear" else math.log(high / low) / math.log(step)
    return math.floor(span + 1e-9) + 1 if span <= MOST_VALUES else MOST_VALUES + 1


def list_steps(low: float, high: float, step: float, sampling: str) -> list[float]:
    """Lists a range's values in order, without the noise of adding up."""
    counted = range(count_steps(low, high, step, sampling))
    if sampling == "linear":
        values = [low + number * step for number in counted]
        values = [value if abs(value) > 1e-9 * step else 0.0 for value in values]
    else:
        values = [low * step**number for number in counted]
    if sampling == "reverse_log":
        values = [high + low - value for value in reversed(values)]
    return [min(float(f"{value:.12g}"), high) for value in values]


def _position(value: Any, values: Sequence[Any]) -> int:
    return next(number for number, other in enumerate(values) if is_same(value, other))


def read_dimension(key: str, name: str, fields: Mapping[str, Any], base_value: Any) -> Dimension:
    """Reads one entry of a search space, its conditions left out; `base_value` is its default if it can be.

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
    if not isinstance(values, list) or not values:
        raise refuse(f"{key}.values", f"got {written(values)}; a list of at least one value is needed.")
    for number, value in enumerate(values):
        if isinstance(value, float) and not math.isfinite(value):
            raise refuse(f"{key}.values", f"got {value}; a finite number is needed.")
        if is_among(value, values[:number]):
            raise refuse(f"{key}.values", f"{written(value)} is given twice.", "Leave one out.")
    return tuple(values)


def _read_range(key: str, name: str, is_int: bool, fields: Mapping[str, Any]) -> Dimension:
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
