"""Pairs of configurations looked at after each seed, with a level that holds however often one looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import isfinite
from statistics import fmean
from typing import Literal, TypeGuard

import numpy as np

from mnist_exp.statistics import seeds_to_see

_SEQUENCES, _SEED = 1_000_000, 0
_POWER = 0.9


def simulate_boundaries(level: float, first_seeds: int, most_seeds: int) -> list[float]:
    """Finds how large |t| must be at each look, so that all looks together err as rarely as `level` says.

    Without a difference, the distribution of the whole sequence of paired t statistics does not depend on
    the spread of scores: it is simulated. The level is spent in proportion to seeds (Lan and DeMets 1983,
    "Discrete sequential boundaries for clinical trials").

    Returns:
        For each number of seeds, from the first look's to the last's.
    """
    generator = np.random.default_rng(_SEED)
    sums, squares = np.zeros(_SEQUENCES), np.zeros(_SEQUENCES)
    boundaries = []
    for num_seeds in range(1, most_seeds + 1):
        differences = generator.standard_normal(len(sums))
        sums += differences
        squares += differences**2
        if num_seeds < first_seeds:
            continue
        error = np.sqrt((squares - sums**2 / num_seeds) / (num_seeds - 1) / num_seeds)
        t = np.abs(sums / num_seeds) / error
        num_kept = _SEQUENCES - round(_SEQUENCES * level * num_seeds / most_seeds)
        boundaries.append(float(np.partition(t, num_kept - 1)[num_kept - 1]))
        is_kept = t <= boundaries[-1]
        sums, squares = sums[is_kept], squares[is_kept]
    return boundaries


@dataclass(frozen=True, slots=True)
class Rule:
    """When a pair is decided; scores are shares of images.

    Attributes:
        level: Chance that the repeated intervals of one pair's looks do not all hold the true difference.
        boundaries: From `simulate_boundaries` for that level.
        precision: A difference that is certainly smaller counts as none.
        step: 1 / number of images: the variance of differences counts as no less than rounding makes it.
    """

    level: float
    first_seeds: int
    boundaries: list[float]
    precision: float
    step: float


@dataclass(frozen=True, slots=True)
class Look:
    """The first's scores minus the second's over so many seeds, and the mean's repeated interval."""

    num_seeds: int
    difference: float
    sd: float
    interval: tuple[float, float]


@dataclass(slots=True)
class Decision:
    """What is known of two configurations.

    Attributes:
        outcome: `dropped` if one of them is worse than a third, or has no score at all; `open` if there
            were no seeds left.
        fixed_seeds: About how many seeds it takes with their number fixed beforehand to see this
            difference, or that there is none, with a chance of 90%; null where nothing is asked.
    """

    first: str
    second: str
    outcome: Literal["in question", "better", "as good", "dropped", "open"] = "in question"
    looks: list[Look] = field(default_factory=list)
    fixed_seeds: int | None = None

    @property
    def labels(self) -> tuple[str, str]:
        """The better configuration and the worse one, so far; in the order of jobs before the first look."""
        is_swapped = bool(self.looks) and self.looks[-1].difference < 0
        return (self.second, self.first) if is_swapped else (self.first, self.second)

    def ahead(self, look: Look) -> tuple[float, float, float]:
        """Gives a look's difference and the bounds of its interval, as of the better one minus the worse."""
        low, high = look.interval
        is_swapped = self.labels[0] != self.first
        return (-look.difference, -high, -low) if is_swapped else (look.difference, low, high)

    def add_look(self, scores: Sequence[float | None], others: Sequence[float | None], rule: Rule) -> None:
        """Looks at the seeds on which both have a score, if these have become more, and decides if it can."""
        sides = zip(scores, others, strict=True)
        differences = [one - other for one, other in sides if _is_score(one) and _is_score(other)]
        num_seeds = len(differences)
        if num_seeds < rule.first_seeds or (self.looks and num_seeds == self.looks[-1].num_seeds):
            return
        difference = fmean(differences)
        square = sum((each - difference) ** 2 for each in differences) / (num_seeds - 1)
        square = max(square, rule.step**2 / 6)
        margin = rule.boundaries[num_seeds - rule.first_seeds] * (square / num_seeds) ** 0.5
        interval = (difference - margin, difference + margin)
        self.looks.append(Look(num_seeds, difference, square**0.5, interval))
        if abs(difference) > margin:
            self.outcome = "better"
        elif abs(difference) + margin < rule.precision:
            self.outcome = "as good"

    def count_fixed_seeds(self, rule: Rule) -> None:
        """Computes `fixed_seeds`, from the last look."""
        if not self.looks or self.outcome == "dropped":
            return
        look, size, power = self.looks[-1], rule.precision, (1 + _POWER) / 2
        if self.outcome == "better":
            size, power = abs(look.difference), _POWER
        self.fixed_seeds = seeds_to_see(size, look.sd, paired=True, power=power, level=1 - rule.level)


def follow(
    scores: Mapping[str, Sequence[float | None]], rule: Rule
) -> tuple[list[Decision], list[tuple[str, int]]]:
    """Looks at all pairs after each seed, until each is decided or there are no more seeds.

    Args:
        scores: By configuration, of each seed; None for one that is waited for, NaN for one without a score.

    Returns:
        The pairs, and what the next look waits for: a configuration and the place of a seed each.
    """
    pairs = [Decision(*labels) for labels in combinations(scores, 2)]
    for num_seeds in range(rule.first_seeds, rule.first_seeds + len(rule.boundaries)):
        asked = [pair for pair in pairs if pair.outcome == "in question"]
        needed = [label for label in scores if any(label in pair.labels for pair in asked)]
        wanted = [
            (label, seed) for seed in range(num_seeds) for label in needed if scores[label][seed] is None
        ]
        if wanted:
            return pairs, wanted
        for pair in asked:
            pair.add_look(scores[pair.first][:num_seeds], scores[pair.second][:num_seeds], rule)
        beaten = {pair.labels[1] for pair in pairs if pair.outcome == "better"}
        beaten |= {label for label in needed if not any(map(_is_score, scores[label][:num_seeds]))}
        for pair in asked:
            if pair.outcome == "in question" and not beaten.isdisjoint(pair.labels):
                pair.outcome = "dropped"
    for pair in pairs:
        pair.outcome = "open" if pair.outcome == "in question" else pair.outcome
    return pairs, []


def _is_score(score: float | None) -> TypeGuard[float]:
    return score is not None and isfinite(score)
