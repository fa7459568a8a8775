"""How good, and how sure: figures from predictions and scores, without any framework.

Scores are finite; `level` is the share of such intervals that hold the true value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import NormalDist, mean, variance

import numpy as np
from numpy.typing import NDArray

_MOST_SEEDS = 1_000_000
_EVEN = 1.5


def accuracy(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Computes the share of images whose most probable class (N, C) is the true one (N,)."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def cross_entropy(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Computes the mean of -log p(true class), in nats; p is at least 1e-7, as in Keras."""
    true_class = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true_class, 1e-7, 1.0)).mean())


def confusion_counts(
    probabilities: NDArray[np.float32], labels: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """Counts images by true class (rows) and predicted class (columns): (C, C)."""
    pairs = labels.astype(np.int64) * num_classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """What accuracy must be read with where classes differ in size; all are shares.

    Attributes:
        balanced_accuracy: Mean recall of the classes that have images (Brodersen et al. 2010, "The balanced
            accuracy and its posterior distribution").
        majority_share: Of the largest class among the images: the accuracy of always predicting it.
        minority_share: Of the smallest class that has images.
    """

    balanced_accuracy: float
    majority_share: float
    minority_share: float

    @property
    def is_uneven(self) -> bool:
        """Whether the largest class is more than one and a half times as large as the smallest."""
        return self.majority_share > _EVEN * self.minority_share

    def majority_suffices(self, accuracy: float) -> bool:
        """Says whether always predicting the largest class is as accurate."""
        return accuracy <= self.majority_share


def class_balance(num_images: Sequence[int], num_right: Sequence[int]) -> ClassBalance:
    """Measures it, from each class's number of images and of those that are right; one image or more."""
    total = sum(num_images)
    shares = [count / total for count in num_images if count]
    recalls = [right / count for right, count in zip(num_right, num_images, strict=True) if count]
    return ClassBalance(mean(recalls), max(shares), min(shares))


def wilson_interval(num_right: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds a share that was measured on a sample of one or more, within [0, 1].

    Wilson's score interval (Wilson 1927, "Probable inference, the law of succession, and
    statistical inference"), which unlike the textbook one keeps its level near 0 and 1.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = num_right / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    margin = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count**2)) ** 0.5
    return max(centre - margin, 0.0), min(centre + margin, 1.0)


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Bounds the mean of independent measurements, as a score on several seeds; None with fewer than two.

    The t interval (Student 1908, "The probable error of a mean"), for values that are about
    normally distributed.
    """
    if len(values) < 2:
        return None
    error = (variance(values) / len(values)) ** 0.5
    return _around(mean(values), error, len(values) - 1, level)


def welch_interval(
    first: Sequence[float], second: Sequence[float], level: float = 0.95
) -> tuple[float, float] | None:
    """Bounds the difference of two means, mean(first) - mean(second), whose spreads may differ.

    Welch's interval with Satterthwaite's degrees of freedom (Welch 1947, "The generalization of
    Student's problem when several different population variances are involved"; Satterthwaite 1946).

    The same number twice where neither side varies; None where a side has fewer than two values.
    """
    if min(len(first), len(second)) < 2:
        return None
    difference = mean(first) - mean(second)
    squares = variance(first) / len(first), variance(second) / len(second)
    if not sum(squares):
        return difference, difference
    share = squares[0] / sum(squares)
    freedom = 1 / (share**2 / (len(first) - 1) + (1 - share) ** 2 / (len(second) - 1))
    return _around(difference, sum(squares) ** 0.5, freedom, level)


def _around(centre: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    """Returns centre minus and plus as many standard errors as Student's t says."""
    # Imported here: it takes 0.2 s, which commands without intervals need not wait for.
    from scipy.special import stdtrit

    margin = float(stdtrit(freedom, (1 + level) / 2)) * error
    return centre - margin, centre + margin


@dataclass(frozen=True, slots=True)
class Discordance:
    """What two networks made of the same images: how many both, one alone or neither got right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def count(self) -> int:
        """Number of images."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the first minus that of the second."""
        return (self.only_first - self.only_second) / self.count


@dataclass(frozen=True, slots=True)
class MeanTest:
    """The result of a t test of a difference of means, two-sided."""

    difference: float
    interval: tuple[float, float]
    p_value: float
    freedom: float


def count_discordance(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Discordance:
    """Counts on how many images each of two networks is right; bool (N,), N at least 1."""
    cells = np.bincount(2 * first.astype(np.int64) + second, minlength=4).tolist()
    return Discordance(both=cells[3], only_first=cells[2], only_second=cells[1], neither=cells[0])


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Tests whether two networks are equally accurate, from the images on which just one is right.

    McNemar's test in its exact form (McNemar 1947, "Note on the sampling error of the difference
    between correlated proportions or percentages"): were they equally accurate, each such image
    would be a toss of a coin. No approximation, whatever the counts. The p value is two-sided, 1 without
    any such image.
    """
    count, fewest = only_first + only_second, min(only_first, only_second)
    ways, total = 1, 0
    for successes in range(fewest + 1):
        total += ways
        ways = ways * (count - successes) // (successes + 1)
    # Whole numbers to the end: Python divides them correctly rounded, however large.
    return min(1.0, 2 * total / 2**count)


def paired_difference_interval(counts: Discordance, level: float = 0.95) -> tuple[float, float]:
    """Bounds the difference of two accuracies on the same images, one at least, within [-1, 1].

    Method 10 of Newcombe 1998, "Improved confidence intervals for the difference between binomial
    proportions based on paired data": both Wilson intervals, put together with the correlation of
    the two, which is corrected for continuity. It keeps its level near 100%, and has a width where
    the two never disagree.
    """
    right_first, right_second = counts.both + counts.only_first, counts.both + counts.only_second
    low_first, high_first = wilson_interval(right_first, counts.count, level)
    low_second, high_second = wilson_interval(right_second, counts.count, level)
    first, second = right_first / counts.count, right_second / counts.count
    below, above = first - low_first, high_first - first
    below_second, above_second = second - low_second, high_second - second
    twice = 2 * _correlation(counts)
    left = max(below**2 - twice * below * above_second + above_second**2, 0.0) ** 0.5
    right = max(above**2 - twice * above * below_second + below_second**2, 0.0) ** 0.5
    return counts.difference - left, counts.difference + right


def _correlation(counts: Discordance) -> float:
    """Returns phi of the four counts, corrected for continuity as Newcombe's method 10 does."""
    product = (counts.both + counts.only_first) * (counts.only_second + counts.neither)
    product *= (counts.both + counts.only_second) * (counts.only_first + counts.neither)
    if not product:
        return 0.0
    excess = counts.both * counts.neither - counts.only_first * counts.only_second
    if excess > 0:
        return max(excess - counts.count / 2, 0.0) / product**0.5
    return excess / product**0.5


def paired_t_test(
    first: Sequence[float], second: Sequence[float], step: float = 0.0, level: float = 0.95
) -> MeanTest:
    """Tests whether the mean differs, from two pairs of scores or more that belong together (same seeds).

    Student's t test of the differences (Student 1908, "The probable error of a mean").

    Args:
        step: What scores are rounded to: 1 / number of images. Their variance counts as no less
            than rounding makes it, since scores that happen to be equal are not free of error.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    square = max(variance(differences), step**2 / 6) / len(differences)
    return _t_test(mean(differences), square, len(differences) - 1, level)


def corrected_t_test(
    first: Sequence[float], second: Sequence[float], ratio: float, step: float = 0.0, level: float = 0.95
) -> MeanTest:
    """Tests whether the mean differs, from scores on the same two folds or more; see `paired_t_test`.

    The corrected resampled t test (Nadeau and Bengio 2003, "Inference for the generalization error",
    Machine Learning 52). Folds share most of what they are trained on, so differences go together: the
    variance of their mean is 1 / folds + `ratio` times theirs, where independent ones had 1 / folds.

    Args:
        ratio: Number of images tested on by that of images trained on.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    square = max(variance(differences), step**2 / 6) * (1 / len(differences) + ratio)
    return _t_test(mean(differences), square, len(differences) - 1, level)


def welch_t_test(
    first: Sequence[float], second: Sequence[float], step: float = 0.0, level: float = 0.95
) -> MeanTest:
    """Tests whether the mean differs, from two scores or more on seeds of their own; see `paired_t_test`.

    Welch's t test with Satterthwaite's degrees of freedom (Welch 1947, "The generalization of
    Student's problem when several different population variances are involved"; Satterthwaite 1946).
    """
    squares = [max(variance(scores), step**2 / 12) / len(scores) for scores in (first, second)]
    freedom = satterthwaite(squares, [len(first) - 1, len(second) - 1])
    return _t_test(mean(first) - mean(second), sum(squares), freedom, level)


def pooled_t_test(
    first: Sequence[float], second: Sequence[float], step: float = 0.0, level: float = 0.95
) -> MeanTest:
    """Student's t test where one side has a single score, of three in all; see `paired_t_test`.

    Both sides are taken to vary alike over seeds: a single score says nothing of that.
    """
    freedom = len(first) + len(second) - 2
    spread = max(pooled_variance([first, second]) or 0.0, step**2 / 12)
    square = spread * (1 / len(first) + 1 / len(second))
    return _t_test(mean(first) - mean(second), square, freedom, level)


def pooled_variance(samples: Sequence[Sequence[float]]) -> float | None:
    """Estimates the variance within samples that are taken to vary alike; None with no two scores."""
    several = [scores for scores in samples if len(scores) > 1]
    if not several:
        return None
    squares = sum((len(scores) - 1) * variance(scores) for scores in several)
    return squares / sum(len(scores) - 1 for scores in several)


def satterthwaite(squares: Sequence[float], freedoms: Sequence[float]) -> float:
    """Returns the degrees of freedom of a sum of variances (Satterthwaite 1946)."""
    total = sum(squares)
    if not total:
        return float(sum(freedoms))
    return 1 / sum(
        (square / total) ** 2 / freedom for square, freedom in zip(squares, freedoms, strict=True) if square
    )


def _t_test(difference: float, square: float, freedom: float, level: float) -> MeanTest:
    """Finishes a t test, from a difference and its squared standard error."""
    # Imported here: it takes 0.2 s, which commands without tests need not wait for.
    from scipy.special import stdtr

    error = square**0.5
    if not error:
        return MeanTest(difference, (difference, difference), 1.0 if not difference else 0.0, freedom)
    p_value = min(1.0, 2 * float(stdtr(freedom, -abs(difference) / error)))
    return MeanTest(difference, _around(difference, error, freedom, level), p_value, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p values for their number, so that all decisions together err as rarely as one.

    Holm 1979, "A simple sequentially rejective multiple test procedure", however the tests depend on
    one another. None becomes smaller.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def seeds_to_see(
    difference: float, spread: float, *, paired: bool, power: float = 0.8, level: float = 0.95
) -> int:
    """Says how many seeds a side show a difference above 0, with a chance of `power`.

    The power of the t test, by the noncentral t distribution (Cohen 1988, "Statistical power
    analysis for the behavioral sciences", chapter 2).

    Args:
        spread: Standard deviation of the differences by seed when paired, else of a side's scores.
        paired: Whether both sides use the same seeds.
        level: 1 minus the share of false alarms.

    Returns:
        The smallest number of seeds, at least 2 and at most a million.
    """

    def shows(count: int) -> bool:
        freedom = count - 1 if paired else 2 * (count - 1)
        error = spread * ((1 if paired else 2) / count) ** 0.5
        return _t_power(difference / error, freedom, level) >= power

    return 2 if not spread else _smallest(shows, 2, _MOST_SEEDS)


def _t_power(noncentrality: float, freedom: int, level: float) -> float:
    from scipy.special import nctdtr, stdtrit

    if noncentrality > 30:
        return 1.0
    edge = float(stdtrit(freedom, (1 + level) / 2))
    missed = float(nctdtr(freedom, noncentrality, edge))
    # Scipy 1.17 has NaN in many places of the far tail, where nothing is missed.
    return 1 - missed if isfinite(missed) else 1.0


def _smallest(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Returns the smallest number for which something holds that holds for all larger ones too."""
    reach = low
    while reach < high and not holds(reach):
        low, reach = reach + 1, min(2 * reach, high)
    while low < reach:
        middle = (low + reach) // 2
        low, reach = (low, middle) if holds(middle) else (middle + 1, reach)
    return low
