"""How numbers, scores, values and unsafe texts are written where a person reads them."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

_CONTROL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|.)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_MOST_CHARACTERS = 10_000
# Characters that are invisible, or that change the order in which others are read.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffc\ud800-\udfff\U000e0000-\U000e0fff]"
)
_ENTRY = re.compile(r"(.+)\.(\d{1,6})")
_LIST_PART = re.compile(r"\.(\d{1,6}|length)$")
_OBJECTIVES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "accuracy": "training accuracy",
    "loss": "training loss",
}
_DEFAULT = "default"
_MOST_DIGITS = 10**15
_LONGEST_VALUES = 300


def is_accuracy(metric: str) -> bool:
    """Says whether a metric of Keras is a fraction of right predictions, and no loss: `val_accuracy` is."""
    return metric.endswith("accuracy")


def direction_of(metric: str) -> Literal["max", "min"]:
    """Says whether a larger (`max`) or a smaller (`min`) value of a metric is better."""
    return "max" if is_accuracy(metric) else "min"


def percent(fraction: float, digits: int = 2) -> str:
    """Writes a fraction as a percentage: 0.9802 becomes `98.02%`."""
    return f"{100 * fraction:.{digits}f}%"


def confidence(probability: float) -> str:
    """Writes a probability as a percentage that never rounds to certainty: `97.3%`, `>99.9%`, `<0.1%`."""
    if 0.9995 <= probability < 1:
        return ">99.9%"
    return "<0.1%" if 0 < probability < 0.0005 else percent(probability, 1)


def rate(value: float) -> str:
    """Writes a learning rate with three significant digits: `0.001`, `3.81e-05`."""
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Writes a duration in seconds with the unit a person would choose: `0.21 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """Writes a size in bytes with a decimal unit: `46 kB`, `612 MB`, `1.48 GB`."""
    if num_bytes < 1e6:
        return f"{num_bytes / 1e3:.0f} kB"
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.2f} GB"


def loss_text(value: float) -> str:
    """Writes a loss: four decimals below 10 (`0.0825`), four digits above (`2,314`)."""
    return f"{value:.4f}" if value < 10 else f"{value:,.4g}"


def without_control(text: str) -> str:
    """Removes terminal sequences and every control character but newline and tab."""
    return _CONTROL.sub("", text)


def plural(count: int, noun: str) -> str:
    """Words a count: `1 epoch`, `20 epochs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def name_some(names: Sequence[str], most: int) -> str:
    """Lists names, and counts those beyond so many: `ann, cnn and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def visible(text: str, most: int = _MOST_CHARACTERS) -> str:
    r"""Writes unseen characters as `\u202e`, and cuts a text after so many characters."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)


def shortened(text: str, most: int = 80) -> str:
    """Cuts a text that is too long for a message."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_line(text: str) -> str:
    """Puts text on one line, without control characters."""
    return " ".join(without_control(text).split())


def objective_words(objective: str) -> str:
    """Words a metric and which way is better: `highest validation accuracy`."""
    extreme = "highest" if direction_of(objective) == "max" else "lowest"
    return f"{extreme} {_OBJECTIVES.get(objective, one_line(objective))}"


def score_text(score: float | None, objective: str) -> str:
    """Writes a score: an accuracy as a percentage, anything else as a loss; `–` for none."""
    if score is None:
        return "–"
    return percent(score) if is_accuracy(objective) else loss_text(score)


def interval_text(interval: tuple[float, float], objective: str) -> str:
    """Writes an interval of scores: `98.05 to 98.55`."""
    return " to ".join(_bare(bound, objective) for bound in interval)


def _bare(value: float, objective: str) -> str:
    return score_text(value, objective).removesuffix("%")


def candidate_name(candidate: str) -> str:
    """Names a candidate: `trial 7`, `untuned default`."""
    return "untuned default" if candidate == _DEFAULT else one_line(candidate.replace("_", " "))


def describe_values(values: Mapping[str, Any]) -> str:
    """Words the values of a `TrialRecord`: `units 256-128, relu, dropout 0.2, adamw 0.00312`.

    Names lose their group where they stay unambiguous, entries of a list are put together, and the
    optimizer's name is followed by its learning rate.
    """
    chosen = _join_lists(values)
    names = _short_names(chosen)
    rate = chosen.pop("optimizer.learning_rate", None) if "optimizer" in chosen else None
    phrases = [_phrase(names[path], value) for path, value in chosen.items()]
    if rate is not None:
        phrases[list(chosen).index("optimizer")] += f" {_value_text(rate)}"
    return one_line(", ".join(phrases))


def _join_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Puts `units.0` and `units.1` under `units`; one alone stays: the rest of its list is not searched."""
    entries: dict[str, dict[int, Any]] = {}
    for name, value in values.items():
        if match := _ENTRY.fullmatch(name):
            entries.setdefault(match[1], {})[int(match[2])] = value
    fewest = 1 if any(name.endswith(".length") for name in values) else 2
    lists = {
        path: [found[position] for position in sorted(found)]
        for path, found in entries.items()
        if len(found) >= fewest and max(found) == len(found) - 1
    }
    joined: dict[str, Any] = {}
    for name, value in values.items():
        path = _LIST_PART.sub("", name)
        joined.update({path: lists[path]} if path in lists else {name: value})
    return joined


def _short_names(paths: Mapping[str, Any]) -> dict[str, str]:
    """Drops the group from each path, unless two would then be called the same."""
    short = {path: path.partition(".")[2] or path for path in paths}
    counts = Counter(short.values())
    return {path: name if counts[name] == 1 else path for path, name in short.items()}


def _phrase(name: str, value: Any) -> str:
    """Words one name and value; an activation and an optimizer need no name."""
    words = re.sub(r"\.(\d+)$", r"[\1]", name).replace(".", " ").replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return _value_text(value) if name in ("activation", "optimizer") else f"{words} {_value_text(value)}"


def _value_text(value: Any) -> str:
    """Writes a value of YAML: numbers with three significant digits, lists joined by hyphens."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list) and value and not any(isinstance(entry, list | dict) for entry in value):
        return "-".join(map(_value_text, value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "none" if value is None else str(value)


def count_text(number: int, separator: str = ",") -> str:
    """Writes a whole number: `101,770`; one that nothing can have as `out of range`."""
    return f"{number:{separator}}" if abs(number) < _MOST_DIGITS else "out of range"


def time_text(stamp: str) -> str:
    """Writes a time of a manifest for people: `22 Nov 2026, 19:06 UTC`; what is no time, as it is."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone(UTC):%-d %b %Y, %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return stamp


def accuracy_interval_text(interval: tuple[float, float]) -> str:
    """Writes an interval of shares: `98.05 to 98.55%`."""
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}%"


def values_text(values: Mapping[str, Any], most: int = _LONGEST_VALUES) -> str:
    """Words what a trial tried, on one line of bounded length."""
    try:
        return visible(describe_values(values), most)
    except (RecursionError, ValueError, TypeError):
        return "unreadable values"
