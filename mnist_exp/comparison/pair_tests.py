"""Tests of one group against others: the one that fits their seeds, corrected for their number."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnist_exp.comparison.bootstrap import bootstrap_interval
from mnist_exp.comparison.grouping import SeedGroup
from mnist_exp.comparison.pairs import DIFFERENCE_TO_SEE, Method, Pair, word_pair
from mnist_exp.runs.run import RunResult
from mnist_exp.significance import (
    MeanTest,
    count_discordance,
    holm,
    mcnemar_p_value,
    paired_difference_interval,
    paired_t_test,
    pooled_t_test,
    pooled_variance,
    seeds_to_see,
    welch_t_test,
)

# A pair of many seeds takes a hundredth of a second to resample; those farther down are seldom read.
_MOST_RESAMPLED = 10
_FEWEST_SHARED_SEEDS = 3
_LEAST_SHARED = 0.8
"""Share of the larger side's runs; where fewer have a partner, pairs would leave too many out."""


def compare_with_leader(leader: SeedGroup, others: Sequence[SeedGroup], chosen_on_test: bool) -> list[Pair]:
    """Tests the leading group against each of the others, corrected for their number (Holm).

    Args:
        leader: The best of its set.
        others: The rest, the most interesting first.
        chosen_on_test: Whether test images chose the leader. Any pair of groups could then have been
            tested here, and p values are corrected for that many (Bonferroni).
    """
    variance = pooled_variance([_scores(group.runs) for group in [leader, *others]])
    pairs = [
        _test_pair(leader, other, variance, place < _MOST_RESAMPLED) for place, other in enumerate(others)
    ]
    p_values = [pair.p_value for pair in pairs if pair.p_value is not None]
    num_chances = (len(others) + 1) / 2 if chosen_on_test else 1.0
    corrected = iter(min(1.0, num_chances * p_value) for p_value in holm(p_values))
    return [
        word_pair(pair, len(p_values))
        for pair in (
            pair if pair.p_value is None else replace(pair, corrected_p_value=next(corrected))
            for pair in pairs
        )
    ]


def _test_pair(first: SeedGroup, second: SeedGroup, variance: float | None, resampled: bool) -> Pair:
    """Picks the test and runs it."""
    if len(first.runs) == len(second.runs) == 1:
        return _compare_networks(first, second, variance)
    one, other, is_paired = _match_seeds(first, second)
    scores, other_scores = _scores(one), _scores(other)
    step = 1 / one[0].data.num_test
    found: MeanTest
    method: Method
    several = min(len(one), len(other)) > 1
    if is_paired:
        found, method = paired_t_test(scores, other_scores, step), "paired t"
        spread = float(np.std(np.subtract(scores, other_scores), ddof=1))
    else:
        found = (welch_t_test if several else pooled_t_test)(scores, other_scores, step)
        method = "Welch t" if several else "pooled t"
        spread = (pooled_variance([scores, other_scores]) or 0.0) ** 0.5
    return Pair(
        first=first.label,
        second=second.label,
        method=method,
        difference=found.difference,
        interval=found.interval,
        p_value=found.p_value,
        corrected_p_value=None,
        num_seeds=(len(one), len(other)),
        discordance=None,
        image_interval=_resample(one, other, is_paired) if resampled and several else None,
        # Scores that happen to be equal are not free of error: as the tests have it.
        more_seeds=_more_seeds(max(spread, step / 6**0.5), is_paired, min(len(one), len(other))),
        is_optimistic=first.is_optimistic or second.is_optimistic,
    )


def _compare_networks(first: SeedGroup, second: SeedGroup, variance: float | None) -> Pair:
    """Compares two single runs image by image; without predictions nothing can be tested."""
    runs = first.runs[0], second.runs[0]
    predictions = runs[0].predictions, runs[1].predictions
    counts = None
    if predictions[0] is not None and predictions[1] is not None:
        counts = count_discordance(predictions[0].correct, predictions[1].correct)
    return Pair(
        first=first.label,
        second=second.label,
        method="none" if counts is None else "McNemar",
        difference=runs[0].result.test_accuracy - runs[1].result.test_accuracy,
        interval=None if counts is None else paired_difference_interval(counts),
        p_value=None if counts is None else mcnemar_p_value(counts.only_first, counts.only_second),
        corrected_p_value=None,
        num_seeds=(1, 1),
        discordance=counts,
        image_interval=None,
        more_seeds=None if variance is None else _more_seeds(variance**0.5, False, 1),
        is_optimistic=first.is_optimistic or second.is_optimistic,
    )


def _match_seeds(first: SeedGroup, second: SeedGroup) -> tuple[list[RunResult], list[RunResult], bool]:
    """Puts runs of the same seeds side by side, where few runs are lost by that."""
    shared = sorted(set(first.seeds) & set(second.seeds))
    is_all = len(shared) == len(first.runs) == len(second.runs)
    are_most = len(shared) >= max(
        _FEWEST_SHARED_SEEDS, _LEAST_SHARED * max(len(first.runs), len(second.runs))
    )
    if len(shared) < 2 or not (is_all or are_most):
        return first.runs, second.runs, False
    one, other = ({run.manifest.seed: run for run in group.runs} for group in (first, second))
    return [one[seed] for seed in shared], [other[seed] for seed in shared], True


def _scores(runs: Sequence[RunResult]) -> list[float]:
    return [run.result.test_accuracy for run in runs]


def _resample(
    one: Sequence[RunResult], other: Sequence[RunResult], is_paired: bool
) -> tuple[float, float] | None:
    """Resamples seeds and images; None where a run has no predictions."""
    sides = []
    for runs in (one, other):
        found = [run.predictions for run in runs]
        rows = [each.correct for each in found if each is not None]
        if len(rows) < len(found):
            return None
        sides.append(np.stack(rows))
    return bootstrap_interval(sides[0], sides[1], paired=is_paired)


def _more_seeds(spread: float, is_paired: bool, num_seeds: int) -> int:
    """Says how many more seeds would show 0.1 points; 0 where there are enough."""
    return max(0, seeds_to_see(DIFFERENCE_TO_SEE, spread, paired=is_paired) - num_seeds)
