"""How a trial's score and values are written where a person reads them.

Everything here is one line without control characters, whatever a user or a library wrote.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mnist_exp.report.streams import without_control
from mnist_exp.runs.trial_records import ConfirmationRecord, TrialRecord
from mnist_exp.words import direction_of, is_accuracy, loss_text, percent

_ENTRY = re.compile(r"(.+)\.(\d{1,6})")
_LIST_PART = re.compile(r"\.(\d{1,6}|length)$")
_OBJECTIVES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "accuracy": "training accuracy",
    "loss": "training loss",
}
_DEFAULT = "default"


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


def margin_text(margin: float, objective: str) -> str:
    """Writes half the width of an interval of scores: `± 0.12`, in points where these are accuracies."""
    return f"± {_bare(margin, objective)}"


def _bare(value: float, objective: str) -> str:
    """Writes a score without its unit."""
    return score_text(value, objective).removesuffix("%")


def candidate_name(candidate: str) -> str:
    """Names a candidate: `trial 7`, `untuned default`."""
    return "untuned default" if candidate == _DEFAULT else one_line(candidate.replace("_", " "))


def failure_text(record: TrialRecord | ConfirmationRecord) -> str:
    """Words why a training came to nothing: `failed: ` and the first line of the message."""
    if record.status == "stopped":
        return "stopped before its last epoch"
    message = record.error.message.strip() if record.error is not None else ""
    first = one_line(message.partition("\n")[0]) or (record.error.type if record.error else "unknown reason")
    return f"failed: {first}"


def describe_values(values: Mapping[str, Any]) -> str:
    """Words what was chosen: `units 256-128, relu, dropout 0.2, adamw 0.00312`.

    Names lose their group where they stay unambiguous, entries of a list are put together, and the
    optimizer's name is followed by its learning rate.

    Args:
        values: As in `TrialRecord`.
    """
    chosen = _join_lists(values)
    names = _short_names(chosen)
    rate = chosen.pop("optimizer.learning_rate", None) if "optimizer" in chosen else None
    phrases = [_phrase(names[path], value) for path, value in chosen.items()]
    if rate is not None:
        phrases[list(chosen).index("optimizer")] += f" {_value_text(rate)}"
    return one_line(", ".join(phrases))


def _join_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Puts entries such as `units.0` and `units.1` together under `units`, in the order of `values`.

    An entry alone stays so in a space without lengths: the rest of its list is not searched.
    """
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
