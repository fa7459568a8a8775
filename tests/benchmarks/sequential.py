"""How often `until=decided` errs, and how many seeds it takes, in simulated sweeps.

uv run python tests/benchmarks/sequential.py
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.sequential import Decision, Rule, follow, simulate_boundaries
from mnist_exp.statistics import seeds_to_see, wilson_interval

LEVEL, FIRST_SEEDS, MOST_SEEDS = 0.05, 3, 30
NUM_IMAGES, ACCURACY = 5000, 0.985
SPREAD = 0.001
"""Standard deviation of accuracy over seeds, where scores are normal."""

DECIDED_BY_DIFFERENCE_ALONE = 1e-12
CHUNK = 500
Scores = NDArray[np.float64]
"""Of simulated sweeps: (sweeps, configurations, seeds)."""

Draw = Callable[[np.random.Generator, tuple[int, int, int]], Scores]


def normal(generator: np.random.Generator, shape: tuple[int, int, int], shared: float = 0.0) -> Scores:
    """Draws scores; all but the first configuration share so much of their variance, seed by seed."""
    own = generator.normal(0, SPREAD, shape)
    common = generator.normal(0, SPREAD, (shape[0], 1, shape[2]))
    own[:, 1:] = (1 - shared) ** 0.5 * own[:, 1:] + shared**0.5 * common
    return ACCURACY + own


def binomial(generator: np.random.Generator, shape: tuple[int, int, int]) -> Scores:
    """Draws how many of the validation images a network gets right."""
    return generator.binomial(NUM_IMAGES, ACCURACY, shape) / NUM_IMAGES


KINDS: dict[str, tuple[Draw, float]] = {
    "normal": (normal, 0.0),
    "normal, all but the first correlated 0.8": (partial(normal, shared=0.8), 0.0),
    "binomial, 5,000 images": (binomial, 1 / NUM_IMAGES),
}
"""Each with what its scores are rounded to."""


def make_rule(num_configurations: int, precision: float, step: float) -> Rule:
    """Makes the rule of a sweep with the shipped settings."""
    level = LEVEL / (num_configurations * (num_configurations - 1) / 2)
    return Rule(level, FIRST_SEEDS, simulate_boundaries(level, FIRST_SEEDS, MOST_SEEDS), precision, step)


def decide(
    seed: int, draw: Draw, num_configurations: int, ahead: float, rule: Rule
) -> list[tuple[list[str], int]]:
    """Decides `CHUNK` sweeps; gives each one's outcomes, and the number of seeds of its first pair.

    Args:
        ahead: By how much the first configuration is better than the others.
    """
    scores = draw(np.random.default_rng(seed), (CHUNK, num_configurations, MOST_SEEDS))
    scores[:, 0] += ahead
    found = []
    for sweep in scores:
        pairs, _ = follow({str(place): row.tolist() for place, row in enumerate(sweep)}, rule)
        found.append(([_outcome(pair) for pair in pairs], pairs[0].looks[-1].num_seeds))
    return found


def _outcome(pair: Decision) -> str:
    return f"better: {pair.labels[0]}" if pair.outcome == "better" else pair.outcome


def main() -> None:
    """Simulates, and prints three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=20_000, help="simulated sweeps a row")
    num_sweeps = parser.parse_args().sweeps
    with ProcessPoolExecutor(2) as pool:

        def simulate(
            draw: Draw, num_configurations: int, ahead: float, rule: Rule
        ) -> list[tuple[list[str], int]]:
            one = partial(decide, draw=draw, num_configurations=num_configurations, ahead=ahead, rule=rule)
            return [sweep for chunk in pool.map(one, range(num_sweeps // CHUNK)) for sweep in chunk]

        print('| equal configurations | scores | a false "better" | upper 99% bound |\n|--:|---|--:|--:|')
        for num_configurations in (2, 3, 6):
            for name, (draw, step) in KINDS.items():
                rule = make_rule(num_configurations, DECIDED_BY_DIFFERENCE_ALONE, step)
                found = simulate(draw, num_configurations, 0.0, rule)
                print(f"| {num_configurations} | {name} | {_share(found, 'better')} |", flush=True)
        print('\n| true difference | spread of differences | a false "as good" | upper 99% bound |')
        print("|---|---|--:|--:|")
        for spread in (0.25, 0.5, 1.0):
            precision = SPREAD * 2**0.5 / spread
            found = simulate(normal, 2, precision, make_rule(2, precision, 0.0))
            print(f"| the precision | {spread:g} of it | {_share(found, 'as good')} |", flush=True)
        print("\n| difference in sd | found | seeds, mean | fixed number for that chance, at most 90% |")
        print("|--:|--:|--:|--:|")
        rule = make_rule(2, DECIDED_BY_DIFFERENCE_ALONE, 0.0)
        for size in (0.0, 0.5, 1.0, 2.0, 3.0):
            found = simulate(normal, 2, size * SPREAD * 2**0.5, rule)
            power = float(np.mean(["better: 0" in outcomes for outcomes, _ in found]))
            fixed = "–" if not size else f"{seeds_to_see(size, 1.0, paired=True, power=min(power, 0.9))}"
            seeds = float(np.mean([seeds for _, seeds in found]))
            print(f"| {size:g} | {100 * power:.1f}% | {seeds:.1f} | {fixed} |", flush=True)


def _share(found: list[tuple[list[str], int]], outcome: str) -> str:
    """Counts sweeps with such an outcome, with the upper bound of their share."""
    count = sum(any(each.startswith(outcome) for each in outcomes) for outcomes, _ in found)
    upper = wilson_interval(count, len(found), 0.98)[1]
    return f"{100 * count / len(found):.2f}% | {100 * upper:.2f}%"


if __name__ == "__main__":
    main()
