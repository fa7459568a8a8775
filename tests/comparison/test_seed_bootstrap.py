"""The two-way bootstrap against a plain one, and against worlds whose truth is known."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_exp.comparison.bootstrap import bootstrap_interval


def networks(
    generator: np.random.Generator, num_seeds: int, num_images: int, skill: float, seed_sd: float
) -> NDArray[np.bool_]:
    """Networks that find the same images hard: (seeds, images)."""
    hardness = np.random.default_rng(0).random(num_images)
    skills = skill + generator.normal(0, seed_sd, (num_seeds, 1))
    return hardness + generator.normal(0, 0.02, (num_seeds, num_images)) < skills


def plain_bootstrap_sd(first: NDArray[np.bool_], second: NDArray[np.bool_], num_resamples: int) -> float:
    """Draws seeds (one fewer than there are) and images again by their places, paired."""
    generator = np.random.default_rng(7)
    num_seeds, num_images = first.shape
    drawn = []
    for _ in range(num_resamples):
        seeds = generator.integers(0, num_seeds, num_seeds - 1)
        images = generator.integers(0, num_images, num_images)
        drawn.append(first[np.ix_(seeds, images)].mean() - second[np.ix_(seeds, images)].mean())
    return float(np.std(drawn))


def test_it_is_as_wide_as_a_plain_bootstrap_with_the_t_distributions_factor() -> None:
    generator = np.random.default_rng(1)
    first, second = (networks(generator, 30, 500, skill, 0.01) for skill in (0.95, 0.94))
    low, high = bootstrap_interval(first, second, paired=True, num_resamples=8000)
    expected = plain_bootstrap_sd(first, second, 3000) * 2 * 1.96
    # 30 seeds or more degrees of freedom: the factor lies between 1 and 2.045 / 1.96.
    assert 0.95 * expected < high - low < 1.1 * expected


def test_identical_runs_differ_by_nothing() -> None:
    first = networks(np.random.default_rng(3), 4, 1000, 0.95, 0.01)
    assert bootstrap_interval(first, first, paired=True) == (0.0, 0.0)
    everything = np.ones((3, 100), bool)
    assert bootstrap_interval(everything, everything, paired=False) == (0.0, 0.0)


def test_one_seed_a_side_leaves_the_images_to_draw() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.random((1, 2000)) < 0.95, generator.random((1, 2000)) < 0.9
    low, high = bootstrap_interval(first, second, paired=True, num_resamples=8000)
    error = (first.astype(float) - second).std() / 2000**0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
def test_it_holds_the_truth_as_often_as_it_says(paired: bool, seed_sd: float) -> None:
    """New seeds and new images each time; both sides are equally good in the long run."""
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        hardness = generator.random(600)
        sides = [
            hardness + generator.normal(0, 0.03, (5, 600)) < 0.9 + generator.normal(0, seed_sd, (5, 1))
            for _ in range(2)
        ]
        low, high = bootstrap_interval(*sides, paired=paired, num_resamples=500)
        covered.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.92


def test_ten_seeds_on_ten_thousand_images_take_less_than_a_third_of_a_second() -> None:
    generator = np.random.default_rng(6)
    first, second = (networks(generator, 10, 10_000, skill, 0.002) for skill in (0.985, 0.983))
    elapsed, found = [], set()
    for _ in range(3):
        started = time.perf_counter()
        found.add(bootstrap_interval(first, second, paired=True))
        elapsed.append(time.perf_counter() - started)
    assert min(elapsed) < 0.3 and len(found) == 1, "the same arguments give the same bits"
