"""Pairs decided seed by seed: how often wrongly, after how many seeds, and what a look counts."""

from collections.abc import Sequence
from functools import cache
from math import nan

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_exp.comparison.sequential import Decision, Rule, follow, simulate_boundaries
from mnist_exp.statistics import seeds_to_see

FIRST, MOST = 3, 30
NO_PRECISION = 1e-12


LEVELS = {2: 0.05, 3: 0.05 / 3}
"""Of one pair, by the number of configurations."""


@cache
def boundaries_for(num_configurations: int) -> list[float]:
    return simulate_boundaries(LEVELS[num_configurations], FIRST, MOST)


def rule_for(num_configurations: int, precision: float = NO_PRECISION, step: float = 0.0) -> Rule:
    level, boundaries = LEVELS[num_configurations], boundaries_for(num_configurations)
    return Rule(level, FIRST, boundaries, precision, step)


def decide(scores: NDArray[np.float64], rule: Rule) -> list[Decision]:
    named = {f"net{place}": row.tolist() for place, row in enumerate(scores)}
    pairs, wanted = follow(named, rule)
    assert not wanted
    return pairs


def share_of_sweeps(sweeps: Sequence[list[Decision]], outcome: str) -> float:
    return float(np.mean([any(pair.outcome == outcome for pair in pairs) for pairs in sweeps]))


@pytest.mark.parametrize("num_configurations", [2, 3])
def test_equal_configurations_are_seldom_told_apart(num_configurations: int) -> None:
    generator = np.random.default_rng(11)
    rule = rule_for(num_configurations)
    scores = generator.standard_normal((400, num_configurations, MOST))
    sweeps = [decide(each, rule) for each in scores]
    # The upper 99.9% bound of 5% in 400.
    assert share_of_sweeps(sweeps, "better") <= 0.084


def test_one_that_is_looked_at_as_usual_errs_far_more_often() -> None:
    generator = np.random.default_rng(12)
    usual = Rule(0.05, FIRST, [2.0] * (MOST - FIRST + 1), NO_PRECISION, 0.0)
    sweeps = [decide(each, usual) for each in generator.standard_normal((300, 2, MOST))]
    assert share_of_sweeps(sweeps, "better") > 0.2


def test_a_difference_is_found_after_few_seeds() -> None:
    generator = np.random.default_rng(13)
    # The difference of two scores varies by the root of two times as much.
    scores = generator.standard_normal((300, 2, MOST)) + 2 * 2**0.5 * np.array([[1.0], [0.0]])
    sweeps = [decide(each, rule_for(2)) for each in scores]
    assert share_of_sweeps(sweeps, "better") > 0.99
    assert all(pairs[0].labels == ("net0", "net1") for pairs in sweeps)
    assert np.mean([pairs[0].looks[-1].num_seeds for pairs in sweeps]) < 7.5


def test_what_differs_by_the_precision_is_seldom_called_as_good() -> None:
    generator = np.random.default_rng(14)
    rule = rule_for(2, precision=1.0)
    scores = 0.5 * generator.standard_normal((400, 2, MOST))
    assert share_of_sweeps([decide(each, rule) for each in scores], "as good") > 0.9
    scores[:, 0] += 1.0
    assert share_of_sweeps([decide(each, rule) for each in scores], "as good") <= 0.084


def test_one_that_is_worse_gets_no_more_seeds() -> None:
    alike = np.random.default_rng(15).normal(0.98, 0.002, (2, MOST))
    bad = np.linspace(0.70, 0.701, MOST)
    scores: dict[str, list[float | None]] = {
        "a": [*alike[0]],
        "b": [*alike[1]],
        "bad": [*bad[:3]] + [None] * 27,
    }
    pairs, wanted = follow(scores, rule_for(3))
    assert [pair.outcome for pair in pairs] == ["open", "better", "better"]
    assert not wanted
    assert [pair.looks[-1].num_seeds for pair in pairs[1:]] == [3, 3]
    scores["b"][7] = None
    pairs, wanted = follow(scores, rule_for(3))
    assert wanted == [("b", 7)]
    assert pairs[0].outcome == "in question"
    assert pairs[0].looks[-1].num_seeds == 7


def test_a_pair_of_two_that_lose_to_a_third_is_dropped() -> None:
    bad = np.random.default_rng(16).normal(0.7, 0.005, (2, 4))
    scores = {"good": [0.99, 0.991, 0.989, 0.99], "bad": [*bad[0]], "worst": [*bad[1]]}
    rule = Rule(0.05, 3, [4.0, 4.0], NO_PRECISION, 0.0)
    pairs, wanted = follow(scores, rule)
    assert [pair.outcome for pair in pairs] == ["better", "better", "dropped"]
    for pair in pairs:
        pair.count_fixed_seeds(rule)
    assert pairs[0].fixed_seeds == 2
    assert pairs[2].fixed_seeds is None
    assert not wanted


def test_a_seed_without_a_score_counts_for_nobody() -> None:
    generator = np.random.default_rng(17)
    scores = generator.standard_normal((2, MOST))
    whole = decide(scores, rule_for(2))[0]
    scores[0, 4] = scores[1, 20] = nan
    holed = decide(scores, rule_for(2))[0]
    kept = np.delete(scores, [4, 20], axis=1)
    assert [look.num_seeds for look in whole.looks] == list(range(3, 31))
    assert [look.num_seeds for look in holed.looks] == list(range(3, 29))
    for look in holed.looks:
        assert look.difference == pytest.approx((kept[0] - kept[1])[: look.num_seeds].mean())


def test_one_that_always_fails_is_asked_no_more() -> None:
    scores = {"a": [0.98, 0.981, 0.979, None], "b": [0.98, 0.98, 0.98, None], "broken": [nan, nan, nan, None]}
    pairs, wanted = follow(scores, Rule(0.05, 3, [14.0, 9.5], NO_PRECISION, 0.0))
    assert [pair.outcome for pair in pairs] == ["in question", "dropped", "dropped"]
    assert wanted == [("a", 3), ("b", 3)]


def test_scores_that_are_equal_for_being_rounded_are_not_free_of_error() -> None:
    scores = np.full((2, MOST), 0.98)
    scores[0] += 1 / 500
    assert decide(scores, rule_for(2))[0].looks[-1].num_seeds == FIRST  # no rounding: certain at once
    rounded = decide(scores, rule_for(2, step=1 / 500))[0]
    assert rounded.outcome == "better"
    assert rounded.looks[-1].num_seeds > FIRST


def test_a_smaller_level_needs_more_and_each_look_less() -> None:
    loose, strict = boundaries_for(2), boundaries_for(3)
    assert all(one < other for one, other in zip(loose, strict, strict=True))
    assert loose == sorted(loose, reverse=True)
    assert simulate_boundaries(0.05, 3, 4) == simulate_boundaries(0.05, 3, 4)


def test_a_larger_spread_never_takes_fewer_fixed_seeds() -> None:
    for level in (0.95, 0.99, 1 - 0.05 / 6):
        counts = [
            seeds_to_see(0.05, spread / 1000, paired=True, power=0.9, level=level) for spread in range(1, 80)
        ]
        assert counts == sorted(counts)
