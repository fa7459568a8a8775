"""Hyperparameters' values for figures: in which order, as which categories, on which scale."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_exp.report.figures.importance import are_numbers, value_text
from mnist_exp.runs.records import TrialRecord

MAX_HYPERPARAMETERS = 16  # in one figure
_MAX_CATEGORIES = 12
_MAX_NUMBER_CATEGORIES = 6
_OTHERS = "others"


def hyperparameter_names(trials: Sequence[TrialRecord]) -> list[str]:
    """Lists the hyperparameters of any trial as the search space has them, lists' entries in order."""
    names = {name: None for trial in trials for name in trial.values}
    families: dict[str, int] = {}
    for name in names:
        families.setdefault(_family(name)[0], len(families))
    return sorted(names, key=lambda name: (families[_family(name)[0]], _family(name)[1]))


def _family(name: str) -> tuple[str, int]:
    """Splits `model.units.2` into its list and position; a list's length has position -1."""
    match = re.fullmatch(r"(.+)\.(length|\d+)", name)
    if match is None:
        return name, -1
    return match[1], -1 if match[2] == "length" else int(match[2])


def value_categories(values: Sequence[Any]) -> list[str]:
    """Lists the values as categories, rare ones as others; empty where they are numbers on a scale."""
    texts = Counter(map(value_text, values))
    if are_numbers(values):
        few = len(texts) <= _MAX_NUMBER_CATEGORIES and len(values) >= 2 * len(texts)
        return sorted(texts, key=float) if few else []
    if len(texts) <= _MAX_CATEGORIES:
        return sorted(texts)
    return [*sorted(text for text, _ in texts.most_common(_MAX_CATEGORIES - 1)), _OTHERS]


def category_places(values: Sequence[Any], categories: Sequence[str]) -> NDArray[np.float64]:
    """Returns each value's position among the categories, the last one for others."""
    places = {text: place for place, text in enumerate(categories)}
    return np.array([places.get(value_text(value), len(categories) - 1) for value in values], np.float64)


def is_logarithmic(values: NDArray[np.float64]) -> bool:
    """Says whether numbers span so much that a linear axis would press them together."""
    return bool(values.min() > 0 and values.max() >= 50 * values.min())
