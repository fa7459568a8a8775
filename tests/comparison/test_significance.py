"""Tests and intervals against independent ways of computing them."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, t, ttest_ind, ttest_rel

from mnist_exp.statistics import (
    Discordance,
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


def enumerated_p_value(only_first: int, only_second: int) -> Fraction:
    """Adds up all ways in which coins can fall that are no likelier than what was seen."""
    count = only_first + only_second
    seen = comb(count, only_first)
    return sum(
        (Fraction(comb(count, k), 2**count) for k in range(count + 1) if comb(count, k) <= seen), Fraction(0)
    )


def random_counts(generator: np.random.Generator) -> Discordance:
    cells = generator.multinomial(int(generator.integers(1, 400)), generator.dirichlet([3, 0.5, 0.5, 0.5]))
    return Discordance(*map(int, cells))


def test_mcnemar_is_the_enumeration_of_all_outcomes() -> None:
    for only_first, only_second in product(range(14), repeat=2):
        expected = float(enumerated_p_value(only_first, only_second))
        assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected, rel=1e-14)


def test_mcnemar_is_scipys_binomial_test_on_random_tables() -> None:
    generator = np.random.default_rng(0)
    for only_first, only_second in generator.integers(0, 300, (200, 2)).tolist():
        expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
        assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_images_neither_overflows_nor_vanishes() -> None:
    assert mcnemar_p_value(50_000, 50_000) == 1.0
    assert 0 <= mcnemar_p_value(10_000, 0) < 1e-300


def test_counts_are_who_is_right_where() -> None:
    first = np.array([True, True, False, False, True])
    second = np.array([True, False, True, False, True])
    counts = count_discordance(first, second)
    assert counts == Discordance(both=2, only_first=1, only_second=1, neither=1)
    assert counts.count == 5 and counts.difference == 0


def test_the_paired_interval_is_newcombes() -> None:
    """The paper's example (36, 12, 2, 0), method 10."""
    low, high = paired_difference_interval(Discordance(both=36, only_first=12, only_second=2, neither=0))
    assert (low, high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_paired_interval_turns_round_with_its_sides() -> None:
    generator = np.random.default_rng(1)
    for _ in range(300):
        counts = random_counts(generator)
        turned = Discordance(counts.both, counts.only_second, counts.only_first, counts.neither)
        low, high = paired_difference_interval(counts)
        assert paired_difference_interval(turned) == pytest.approx((-high, -low), abs=1e-12)
        assert -1 <= low <= counts.difference <= high <= 1


def test_identical_networks_have_an_interval_around_zero_with_a_width() -> None:
    low, high = paired_difference_interval(Discordance(both=9800, only_first=0, only_second=0, neither=200))
    assert low == pytest.approx(-high)
    assert 0 < high < 0.001


@pytest.mark.parametrize("chances", [(0.9, 0.04, 0.02, 0.04), (0.5, 0.2, 0.1, 0.2), (0.97, 0.02, 0.01, 0.0)])
def test_the_paired_interval_holds_the_truth_as_often_as_it_says(chances: tuple[float, ...]) -> None:
    generator = np.random.default_rng(2)
    truth = chances[1] - chances[2]
    tables = generator.multinomial(400, chances, 4000).tolist()
    intervals = np.array([paired_difference_interval(Discordance(*table)) for table in tables])
    covered = ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean()
    assert 0.94 <= covered <= 0.985


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_the_paired_test_is_scipys(count: int) -> None:
    generator = np.random.default_rng(count)
    first, second = generator.normal(0.98, 0.001, (2, count))
    expected = ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    found = paired_t_test(first.tolist(), second.tolist())
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.difference == pytest.approx(first.mean() - second.mean())


@pytest.mark.parametrize(("count", "other"), [(2, 2), (2, 7), (5, 5), (3, 40)])
def test_the_welch_test_is_scipys(count: int, other: int) -> None:
    generator = np.random.default_rng(count * other)
    first, second = generator.normal(0.98, 0.001, count), generator.normal(0.979, 0.004, other)
    expected = ttest_ind(first, second, equal_var=False)
    interval = expected.confidence_interval(0.95)
    found = welch_t_test(first.tolist(), second.tolist())
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_the_pooled_test_is_scipys_and_takes_a_single_score() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.normal(0.98, 0.001, 4), generator.normal(0.979, 0.001, 5)
    expected = ttest_ind(first, second).pvalue
    assert pooled_t_test(first.tolist(), second.tolist()).p_value == pytest.approx(expected, rel=1e-9)
    single = [0.975]
    spread = second.std(ddof=1) * (1 + 1 / 5) ** 0.5
    found = pooled_t_test(single, second.tolist())
    assert found.freedom == 4
    assert found.interval[1] - found.difference == pytest.approx(2.7764451 * spread, rel=1e-6)
    assert pooled_variance([[1.0, 3.0], [0.0, 0.0, 3.0], [7.0]]) == pytest.approx((2.0 + 6.0) / 3)
    assert pooled_variance([[1.0], [2.0]]) is None


def test_scores_that_never_vary_are_not_free_of_error() -> None:
    step = 1 / 10_000
    same = paired_t_test([0.98, 0.98], [0.98, 0.98], step)
    assert same.p_value == 1.0 and same.interval[0] < 0 < same.interval[1]
    apart = paired_t_test([0.98, 0.98], [0.9799, 0.9799], step)
    assert apart.p_value > 0.05
    assert welch_t_test([0.98] * 3, [0.98] * 3, step).p_value == 1.0
    assert paired_t_test([0.98, 0.98], [0.98, 0.98]).interval == (0.0, 0.0)


def test_the_paired_test_of_equals_rejects_as_often_as_it_says() -> None:
    generator = np.random.default_rng(4)
    scores = np.round(generator.normal(0.98, 0.0007, (6000, 2, 3)), 4)
    p_values = [paired_t_test(first, second, 1e-4).p_value for first, second in scores.tolist()]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.012)


def closed_testing(p_values: list[float]) -> list[float]:
    """Holm by its definition: a test is rejected when every group of tests with it is (Bonferroni)."""
    places = range(len(p_values))
    groups = [set(group) for size in range(1, len(p_values) + 1) for group in combinations(places, size)]
    bonferroni = [min(1.0, len(group) * min(p_values[place] for place in group)) for group in groups]
    pairs = list(zip(groups, bonferroni, strict=True))
    return [max(p_value for group, p_value in pairs if place in group) for place in places]


def test_holm_is_the_closed_test_of_its_definition() -> None:
    generator = np.random.default_rng(5)
    for _ in range(100):
        p_values = (generator.random(int(generator.integers(1, 7))) ** 3).tolist()
        assert holm(p_values) == pytest.approx(closed_testing(p_values))
    assert holm([]) == [] and holm([0.03]) == [0.03]
    assert holm([0.01, 0.01, 0.5]) == pytest.approx([0.03, 0.03, 0.5])


@pytest.mark.parametrize(("paired", "spread"), [(True, 0.001), (False, 0.0007)])
def test_so_many_seeds_show_the_difference_in_four_of_five_trials(paired: bool, spread: float) -> None:
    count = seeds_to_see(0.001, spread, paired=paired)
    assert simulated_power(count, spread, paired) >= 0.78
    assert count == 2 or simulated_power(count - 1, spread, paired) <= 0.82


def simulated_power(count: int, spread: float, paired: bool) -> float:
    generator = np.random.default_rng(6)
    if paired:
        differences = generator.normal(0.001, spread, (4000, count))
        return float(np.mean(ttest_rel(differences, np.zeros_like(differences), axis=1).pvalue < 0.05))
    first, second = generator.normal([[[0.001]], [[0.0]]], spread, (2, 4000, count))
    return float(np.mean(ttest_ind(first, second, axis=1).pvalue < 0.05))


def test_the_number_of_seeds_has_its_limits() -> None:
    assert seeds_to_see(0.001, 0.0, paired=True) == 2
    assert seeds_to_see(0.001, 1e-9, paired=False) == 2
    assert seeds_to_see(0.001, 100.0, paired=False) == 1_000_000
    # As the normal distribution has it: ((1.96 + 0.8416) * spread / difference) squared.
    assert seeds_to_see(0.001, 0.05, paired=True) == pytest.approx((2.8016 * 50) ** 2, rel=0.002)


def test_the_corrected_test_is_computed_as_by_hand() -> None:
    first, second = [0.98, 0.97, 0.99, 0.98, 0.98], [0.97, 0.95, 0.96, 0.96, 0.96]
    found = corrected_t_test(first, second, ratio=1 / 4)
    # Differences 1, 2, 3, 2 and 2 points: mean 2, variance 0.5; 0.5 × (1/5 + 1/4) = 0.225.
    error = 0.01 * 0.225**0.5
    assert found.difference == pytest.approx(0.02)
    assert found.freedom == 4
    assert found.p_value == pytest.approx(2 * t.sf(0.02 / error, 4))
    margin = t.ppf(0.975, 4) * error
    assert found.interval == pytest.approx((0.02 - margin, 0.02 + margin))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_the_corrected_test_keeps_its_level_where_folds_go_together(folds: int) -> None:
    # Equally good sides; each two folds' differences have the correlation that the paper assumes, 1 / folds.
    generator, count = np.random.default_rng(folds), 4000
    common = generator.normal(size=(count, 1)) * (1 / folds) ** 0.5
    differences = common + generator.normal(size=(count, folds)) * (1 - 1 / folds) ** 0.5
    nothing = [0.0] * folds
    tests = [corrected_t_test(row, nothing, 1 / (folds - 1)).p_value for row in differences.tolist()]
    naive = [paired_t_test(row, nothing).p_value for row in differences.tolist()]
    assert np.mean(np.array(tests) < 0.05) == pytest.approx(0.05, abs=0.011)
    assert np.mean(np.array(naive) < 0.05) > 0.08
