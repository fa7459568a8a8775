"""Tests of one group against others: the one that fits their seeds, corrected for their number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from mnist_exp.comparison.bootstrap import bootstrap_interval
from mnist_exp.comparison.grouping import SeedGroup
from mnist_exp.comparison.measures import fold_accuracies, test_ratio
from mnist_exp.runs.run import Run
from mnist_exp.statistics import (
    Discordance,
    MeanTest,
    corrected_t_test,
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
from mnist_exp.words import plural

Method = Literal["McNemar", "paired t", "Welch t", "pooled t", "corrected t", "none"]
ALPHA = 0.05
DIFFERENCE_TO_SEE = 0.001
MOST_SEEDS_WORTH_SAYING = 1000
# A pair of many seeds takes a hundredth of a second to resample; those farther down are seldom read.
_MOST_RESAMPLED = 10
_FEWEST_SHARED_SEEDS = 3
_LEAST_SHARED = 0.8
"""Share of the larger side's runs; where fewer have a partner, pairs would leave too many out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The leading group against another one, on the test images.

    Attributes:
        method: Exact McNemar for two single runs, paired t where seeds match, Welch's t otherwise;
            pooled t where one side is a single run; corrected t over the folds of a cross-validation
            that both have; `none` where nothing can be tested.
        difference: Mean test accuracy of the first minus the second, of the seeds that are tested.
        interval: Its 95% interval; null without a test.
        p_value: Two-sided, of this test alone; null without a test.
        corrected_p_value: The same after Holm's correction for all pairs of the set.
        image_interval: 95% interval over other seeds and other test images (bootstrap); null where
            it was not computed, and where a side's single run says nothing of its other seeds.
        more_seeds: How many more seeds a side would show 0.1 points, with a chance of 80%; null
            where nothing is known of the spread.
        num_folds: Number of folds that both have; null without cross-validation.
    """

    first: str
    second: str
    method: Method
    difference: float
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    corrected_p_value: float | None = None
    num_seeds: tuple[int, int]
    discordance: Discordance | None = None
    image_interval: tuple[float, float] | None = None
    more_seeds: int | None = None
    is_optimistic: bool
    sentence: str = ""
    num_folds: int | None = None

    @property
    def is_decided(self) -> bool:
        """Whether one of the two is better beyond chance."""
        return self.corrected_p_value is not None and self.corrected_p_value < ALPHA

    @property
    def better(self) -> str:
        """The label of the more accurate one."""
        return self.first if self.difference > 0 else self.second

    @property
    def worse(self) -> str:
        """The label of the less accurate one."""
        return self.second if self.difference > 0 else self.first


def word_pair(pair: Pair, num_pairs: int) -> Pair:
    """Gives a pair, tested and corrected, its sentence."""
    sentence = _word_decision(pair, num_pairs) + (_word_images(pair) if pair.is_decided else _word_more(pair))
    if pair.is_optimistic:
        sentence += "; optimistic: test images were used to choose an epoch"
    return replace(pair, sentence=sentence)


def _word_decision(pair: Pair, num_pairs: int) -> str:
    if pair.interval is None or pair.corrected_p_value is None:
        words = f"cannot test {pair.first} against {pair.second}: difference {points(pair.difference)} points"
        why = "predictions.npz is missing" if pair.num_folds is None else "fewer than two folds are common"
        return f"{words}, and {why}"
    name, alone = ("Holm p", " for this pair alone") if num_pairs > 1 else ("p", "")
    number = plural(pair.num_folds, "fold") if pair.num_folds else _word_seeds(pair.num_seeds)
    evidence = f"{p_value_text(pair.corrected_p_value, name)}, {number}"
    difference, (low, high) = pair.difference, pair.interval
    if pair.is_decided and difference < 0:
        difference, low, high = -difference, -high, -low
    size = f"{points(difference)} points (95%{alone} {points(low)} to {points(high)}, {evidence})"
    if pair.is_decided:
        return f"{pair.better} is better than {pair.worse} by {size}"
    return f"cannot tell {pair.first} from {pair.second}: difference {size}"


def _word_images(pair: Pair) -> str:
    if pair.method == "McNemar":
        return "; this is about these two networks: with other seeds it may differ"
    if pair.image_interval is None or pair.image_interval[0] * pair.image_interval[1] > 0:
        return ""
    low, high = pair.image_interval
    if pair.difference < 0:
        low, high = -high, -low
    interval = f"{points(low)} to {points(high)}"
    return f"; on other test images it may not be: 95% {interval} over seeds and images"


def _word_more(pair: Pair) -> str:
    wanted = f"{100 * DIFFERENCE_TO_SEE:g} points"
    if pair.num_folds is not None:
        return ""
    if pair.more_seeds is None:
        return "; one seed each does not say how much seeds matter" if pair.interval is not None else ""
    if pair.more_seeds > MOST_SEEDS_WORTH_SAYING:
        return f"; more than {MOST_SEEDS_WORTH_SAYING:,} more seeds would be needed to detect {wanted}"
    if not pair.more_seeds:
        return f"; {wanted} would most likely have been detected"
    verb = "seed would be" if pair.more_seeds == 1 else "seeds would be"
    return f"; about {pair.more_seeds:,} more {verb} needed to detect {wanted}"


def _word_seeds(num_seeds: tuple[int, int]) -> str:
    first, second = num_seeds
    return plural(first, "seed") if first == second else f"{plural(first, 'seed')} against {second:,}"


def points(fraction: float) -> str:
    """Writes a difference of accuracies in percentage points: `0.21`, `−0.10`."""
    text = f"{100 * fraction:.2f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def p_value_text(p_value: float, name: str = "p") -> str:
    """Writes a p value with as many digits as are of use: `p = 0.0006`, `p = 0.047`, `p < 0.0001`."""
    if p_value < 0.0001:
        return f"{name} < 0.0001"
    return f"{name} = {p_value:.{2 if 0.01 <= p_value < 0.1 else 1}g}"


def compare_with_leader(leader: SeedGroup, others: Sequence[SeedGroup], chosen_on_test: bool) -> list[Pair]:
    """Tests the leading group against each of the others, corrected for their number (Holm).

    Where test images chose the leader, also for all pairs of groups that could have been tested (Bonferroni).
    """
    variance = pooled_variance([_scores(group.runs) for group in [leader, *others]])
    pairs = [
        _test_pair(leader, other, variance, place < _MOST_RESAMPLED) for place, other in enumerate(others)
    ]
    p_values = {place: pair.p_value for place, pair in enumerate(pairs) if pair.p_value is not None}
    num_chances = (len(others) + 1) / 2 if chosen_on_test else 1.0
    for place, p_value in zip(p_values, holm(list(p_values.values())), strict=True):
        pairs[place] = replace(pairs[place], corrected_p_value=min(1.0, num_chances * p_value))
    return [word_pair(pair, len(p_values)) for pair in pairs]


def _test_pair(first: SeedGroup, second: SeedGroup, variance: float | None, resampled: bool) -> Pair:
    if first.folds != second.folds or len(first.folds) > 1:
        return _compare_folds(first, second)
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
        num_seeds=(len(one), len(other)),
        image_interval=_resample(one, other, is_paired) if resampled and several else None,
        # Scores that happen to be equal are not free of error: as the tests have it.
        more_seeds=_more_seeds(max(spread, step / 6**0.5), is_paired, min(len(one), len(other))),
        is_optimistic=first.is_optimistic or second.is_optimistic,
    )


def _compare_networks(first: SeedGroup, second: SeedGroup, variance: float | None) -> Pair:
    """Compares two single runs image by image; without predictions nothing can be tested."""
    runs = first.runs[0], second.runs[0]
    predictions = runs[0].predicted_classes, runs[1].predicted_classes
    pair = Pair(
        first=first.label,
        second=second.label,
        method="none",
        difference=runs[0].result.test_accuracy - runs[1].result.test_accuracy,
        num_seeds=(1, 1),
        more_seeds=None if variance is None else _more_seeds(variance**0.5, False, 1),
        is_optimistic=first.is_optimistic or second.is_optimistic,
    )
    if predictions[0] is None or predictions[1] is None:
        return pair
    counts = count_discordance(predictions[0].correct, predictions[1].correct)
    p_value, interval = (
        mcnemar_p_value(counts.only_first, counts.only_second),
        paired_difference_interval(counts),
    )
    return replace(pair, method="McNemar", interval=interval, p_value=p_value, discordance=counts)


def _compare_folds(first: SeedGroup, second: SeedGroup) -> Pair:
    """Compares two cross-validations on the folds that both have; one fold alone tells nothing of others."""
    folds = set(first.folds) & set(second.folds)
    one, other = ([run for run in group.runs if not folds or run.fold in folds] for group in (first, second))
    scores, other_scores = fold_accuracies(one), fold_accuracies(other)
    pair = Pair(
        first=first.label,
        second=second.label,
        method="none",
        difference=fmean(scores) - fmean(other_scores),
        num_seeds=(len(first.seeds), len(second.seeds)),
        is_optimistic=first.is_optimistic or second.is_optimistic,
        num_folds=len(folds),
    )
    if len(folds) < 2:
        return pair
    step = 1 / one[0].data.num_test
    found = corrected_t_test(scores, other_scores, test_ratio([*one, *other]), step)
    return replace(pair, method="corrected t", interval=found.interval, p_value=found.p_value)


def _match_seeds(first: SeedGroup, second: SeedGroup) -> tuple[list[Run], list[Run], bool]:
    """Puts runs of the same seeds side by side, where few runs are lost by that."""
    shared = sorted(set(first.seeds) & set(second.seeds))
    most = max(len(first.runs), len(second.runs))
    is_all = len(shared) == len(first.runs) == len(second.runs)
    are_most = len(shared) >= max(_FEWEST_SHARED_SEEDS, _LEAST_SHARED * most)
    if len(shared) < 2 or not (is_all or are_most):
        return first.runs, second.runs, False
    one, other = ({run.manifest.seed: run for run in group.runs} for group in (first, second))
    return [one[seed] for seed in shared], [other[seed] for seed in shared], True


def _scores(runs: Sequence[Run]) -> list[float]:
    return [run.result.test_accuracy for run in runs]


def _resample(one: Sequence[Run], other: Sequence[Run], is_paired: bool) -> tuple[float, float] | None:
    """Resamples seeds and images; None where a run has no predictions."""
    sides = []
    for runs in (one, other):
        found = [run.predicted_classes for run in runs]
        rows = [each.correct for each in found if each is not None]
        if len(rows) < len(found):
            return None
        sides.append(np.stack(rows))
    return bootstrap_interval(sides[0], sides[1], paired=is_paired)


def _more_seeds(spread: float, is_paired: bool, num_seeds: int) -> int:
    """Says how many more seeds would show 0.1 points; 0 where there are enough."""
    return max(0, seeds_to_see(DIFFERENCE_TO_SEE, spread, paired=is_paired) - num_seeds)
