"""Which hyperparameters mattered in a search, and how sure that is."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_exp.runs.records import TrialRecord

MIN_TRIALS = 8
_MAX_NUMBERS = 6  # distinct ones that stay groups of their own
_NUM_DRAWS = 500


@dataclass(frozen=True)
class Importance:
    """How much of the differences between trials one hyperparameter explains.

    Attributes:
        share: Of the differences in rank of the scores, in [0, 1]; 0 for what chance would give.
        interval: 95% bootstrap interval of it, within [0, 1]; too narrow for large shares of few trials.
        p_value: Probability of a share at least as large if it did not matter at all.
        num_trials: Completed trials in which it was present.
    """

    name: str
    share: float
    interval: tuple[float, float]
    p_value: float
    num_trials: int


def importances(trials: Sequence[TrialRecord]) -> list[Importance]:
    """Says how much of the differences between the scores each hyperparameter explains.

    The Kruskal-Wallis test of a hyperparameter's values as groups (Kruskal and Wallis 1952, "Use of
    ranks in one-criterion variance analysis") and its effect size, of which what chance would give
    is taken off: (H - k + 1) / (n - k) for k groups of n trials (Tomczak and Tomczak 2014, "The
    need to report effect size estimates revisited"). Numbers with more than six distinct values
    are cut into quarters first. Each hyperparameter is looked at alone: what matters only together
    with another one is missed.

    Largest share first. Left out are hyperparameters with fewer than eight scored trials, with
    one value, or with a value of its own in every trial.
    """
    scored = scored_trials(trials)
    names = {name: None for trial in scored for name in trial.values}
    found = [importance for name in names if (importance := _importance(name, scored)) is not None]
    return sorted(found, key=lambda importance: -importance.share)


def scored_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Returns the completed trials whose score is a finite number, in the order given."""
    return [
        trial
        for trial in trials
        if trial.status == "completed" and trial.score is not None and math.isfinite(trial.score)
    ]


def are_numbers(values: Sequence[Any]) -> bool:
    """Says whether all values are numbers, of which true and false are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def value_text(value: Any) -> str:
    """Writes a hyperparameter's value as YAML would have it: `relu`, `true`, `[256, 128]`."""
    return value if isinstance(value, str) else json.dumps(value)


def _importance(name: str, trials: Sequence[TrialRecord]) -> Importance | None:
    """Tests one hyperparameter on the scored trials that have it; None where that is no test."""
    present = [trial for trial in trials if name in trial.values]
    groups = _groups([trial.values[name] for trial in present])
    count = len(present)
    if count < MIN_TRIALS or not 1 < groups.max() + 1 < count:
        return None
    # Imported here: it takes 0.2 s, which commands without a search need not wait for.
    from scipy.special import chdtrc

    scores = np.array([trial.score for trial in present], dtype=np.float64)
    statistics, num_groups = _kruskal_wallis(np.ones((1, count)), scores, groups)
    share = float(_shares(statistics, num_groups, count)[0])
    p_value = float(chdtrc(groups.max(), statistics[0]))
    return Importance(name, share, _bootstrap(scores, groups, share), p_value, count)


def _groups(values: Sequence[Any]) -> NDArray[np.int64]:
    """Numbers the values' groups from 0 up, int64 (n,): quarters for many numbers, else a group a value."""
    if are_numbers(values):
        levels, places, counts = np.unique(
            np.array(values, dtype=np.float64), return_inverse=True, return_counts=True
        )
        if len(levels) > _MAX_NUMBERS:
            # By the middle of each value's ranks: equal values stay together, and never in one group all.
            middles = (np.cumsum(counts) - counts / 2) / len(values)
            places = np.floor(4 * middles).astype(np.int64)[places]
    else:
        places = np.array([value_text(value) for value in values])
    return np.unique(places, return_inverse=True)[1].astype(np.int64)


def _kruskal_wallis(
    draws: NDArray[np.float64], scores: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes the statistic, corrected for ties, of many samples from the same trials.

    Args:
        draws: How often each sample holds each trial (num_draws, n); n in all a sample.
        scores: Of the trials (n,).
        groups: Of the trials (n,), from 0 up.

    Returns:
        The statistic (num_draws,), 0 where all scores are equal, and the number of groups that a
        sample has (num_draws,).
    """
    count = len(scores)
    _, firsts, levels = np.unique(np.sort(scores), return_index=True, return_inverse=True)
    order = np.argsort(scores, kind="stable")
    draws, groups = draws[:, order], groups[order]
    ties = np.add.reduceat(draws, firsts, axis=1)
    ranks = (np.cumsum(ties, axis=1) - ties / 2 + 0.5)[:, levels]
    members = np.eye(groups.max() + 1)[groups]
    sizes = draws @ members
    # About their mean, so that equal groups give 0 without rounding.
    sums = (draws * (ranks - (count + 1) / 2)) @ members
    between = 12 / (count * (count + 1)) * (sums**2 / np.maximum(sizes, 1)).sum(axis=1)
    untied = 1 - (ties**3 - ties).sum(axis=1) / (count**3 - count)
    return np.where(untied > 0, between / np.where(untied > 0, untied, 1), 0), (sizes > 0).sum(axis=1)


def _shares(
    statistics: NDArray[np.float64], num_groups: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Returns the share explained beyond chance (num_draws,), at least 0."""
    return np.maximum(0, (statistics - num_groups + 1) / np.maximum(count - num_groups, 1))


def _bootstrap(scores: NDArray[np.float64], groups: NDArray[np.int64], share: float) -> tuple[float, float]:
    """Bounds a share by drawing trials again, with replacement (Efron 1979), always the same draws."""
    count = len(scores)
    chosen = np.random.default_rng(0).integers(0, count, (_NUM_DRAWS, count))
    chosen += count * np.arange(_NUM_DRAWS)[:, np.newaxis]
    draws = np.bincount(chosen.ravel(), minlength=_NUM_DRAWS * count).reshape(_NUM_DRAWS, count)
    shares = _shares(*_kruskal_wallis(draws.astype(np.float64), scores, groups), count)
    low, high = np.quantile(shares, [0.025, 0.975])
    return max(0.0, min(float(low), share)), min(1.0, max(float(high), share))
