"""Which hyperparameters mattered, on made-up trials of which that is known."""

import time

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import kruskal

from mnist_exp.report.figures.importance import importances
from tests.trials import factors, make_trial


def test_what_decides_comes_first_and_what_does_nothing_could_be_chance():
    found = {importance.name: importance for importance in importances(factors(200))}
    assert list(found)[:2] == ["decides", "a_bit"]
    assert found["decides"].share > 0.7 and found["decides"].p_value < 1e-10
    assert 0.02 < found["a_bit"].share < 0.3 and found["a_bit"].p_value < 0.05
    for name in ("nothing", "idle"):
        assert found[name].share < 0.05 < found[name].p_value
        assert found[name].interval[0] == 0
    assert all(one.interval[0] <= one.share <= one.interval[1] for one in found.values())
    assert all(one.num_trials == 200 for one in found.values())


def test_share_and_chance_are_those_of_scipys_kruskal_test_with_ties():
    trials = [replace(trial, score=round(trial.score, 2)) for trial in factors(50)]
    groups = [[trial.score for trial in trials if trial.values["a_bit"] == name] for name in "xyz"]
    expected = kruskal(*groups)
    (found,) = [importance for importance in importances(trials) if importance.name == "a_bit"]
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.share == pytest.approx(max(0, (expected.statistic - 2) / 47))


def test_what_does_nothing_has_a_small_p_value_as_rarely_as_chance_says():
    found = [one for seed in range(100) for one in importances(factors(30, seed))]
    p_values = np.array([one.p_value for one in found if one.name in ("nothing", "idle")])
    assert len(p_values) == 200 and (p_values < 0.05).sum() <= 20
    assert np.mean([one.share for one in found if one.name == "idle"]) < 0.05


def test_intervals_of_a_share_hold_it_nearly_as_often_as_they_say():
    truth = {one.name: one.share for one in importances(factors(3_000, seed=1))}
    found = [one for seed in range(60) for one in importances(factors(60, seed))]
    held = [one.interval[0] <= truth[one.name] <= one.interval[1] for one in found if one.name == "a_bit"]
    assert np.mean(held) > 0.88


def test_a_hyperparameter_that_cannot_be_tested_is_left_out():
    few = [make_trial(n, 0.9 + 0.01 * n, {"width": n}) for n in range(7)]
    failed = [make_trial(n, 0.9, {"width": n}, "failed") for n in range(7, 20)]
    assert importances([*few, *failed]) == []
    constant = [make_trial(n, 0.9 + 0.001 * n, {"same": 3, "own": f"v{n}"}) for n in range(20)]
    assert importances(constant) == []


def test_equal_scores_explain_nothing():
    (found,) = importances([make_trial(n, 0.9, {"width": n % 3}) for n in range(20)])
    assert (found.share, found.p_value, found.interval) == (0, 1, (0, 0))


def test_numbers_with_many_values_are_compared_by_quarters_even_when_most_are_equal():
    trials = [make_trial(n, 0.9 + 0.01 * (n < 8), {"rate": float(n) if n < 8 else 100.0}) for n in range(40)]
    (found,) = importances(trials)
    assert found.share == pytest.approx(1)


def test_importances_are_the_same_each_time_and_quick():
    generator = np.random.default_rng(0)
    trials = [
        make_trial(n, 0.9 + 0.01 * generator.normal(), {f"name{i}": generator.uniform() for i in range(15)})
        for n in range(200)
    ]
    first = importances(trials)
    began = time.perf_counter()
    assert importances(trials) == first and len(first) == 15
    assert time.perf_counter() - began < 1.5
