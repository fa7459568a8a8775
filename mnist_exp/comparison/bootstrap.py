"""How far a difference would move with other seeds and other test images: a two-way bootstrap."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mnist_exp.statistics import satterthwaite

_NUM_RESAMPLES = 2000
# Counts of one block of resamples that are held at a time.
_BLOCK = 2_000_000


def bootstrap_interval(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    *,
    paired: bool,
    level: float = 0.95,
    num_resamples: int = _NUM_RESAMPLES,
) -> tuple[float, float]:
    """Bounds the difference of two accuracies, mean(first) - mean(second), over seeds and test images.

    Seeds and images are both drawn again, crosswise: Owen 2007, "The pigeonhole bootstrap". Of S
    seeds S - 1 are drawn, since drawing S of so few makes the spread too small by (S - 1) / S (Rao
    and Wu 1988, "Resampling inference with complex survey data"), and the percentiles are moved out
    as much as Student's t is wider than the normal distribution, with the degrees of freedom of
    Satterthwaite 1946. The same arguments give the same bits.

    Args:
        first: Whether each network of the first side is right on each image (seeds, images).
        paired: Whether rows belong together one by one.
    """
    observed = float(first.mean() - second.mean())
    generator = np.random.default_rng(0)
    weights = _draw_seeds(generator, len(first), num_resamples)
    others = weights if paired else _draw_seeds(generator, len(second), num_resamples)
    drawn = _resample(generator, first, second, weights, others)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    stretch = _stretch(first, second, paired, float(drawn.var()), level)
    return observed + stretch * (float(low) - observed), observed + stretch * (float(high) - observed)


def _draw_seeds(generator: np.random.Generator, num_seeds: int, num_resamples: int) -> NDArray[np.float32]:
    """Returns each seed's share in each resample (resamples, seeds)."""
    size = max(num_seeds - 1, 1)
    counts = generator.multinomial(size, np.full(num_seeds, 1 / num_seeds), num_resamples)
    return (counts / size).astype(np.float32)


def _resample(
    generator: np.random.Generator,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    weights: NDArray[np.float32],
    others: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Returns the difference in each resample (resamples,); images on which all agree move nothing."""
    num_images = first.shape[1]
    right = first.sum(axis=0) + second.sum(axis=0)
    disputed = np.flatnonzero((right > 0) & (right < len(first) + len(second)))
    drawn = np.zeros(len(weights))
    if not disputed.size:
        return drawn
    one, other = (side[:, disputed].T.astype(np.float32) for side in (first, second))
    block = max(1, _BLOCK // disputed.size)
    for start in range(0, len(weights), block):
        part = slice(start, min(start + block, len(weights)))
        counts = _draw_images(generator, part.stop - start, disputed.size, num_images)
        sums = (counts @ one * weights[part]).sum(axis=1) - (counts @ other * others[part]).sum(axis=1)
        drawn[part] = sums / num_images
    return drawn


def _draw_images(
    generator: np.random.Generator, num_resamples: int, num_disputed: int, num_images: int
) -> NDArray[np.float32]:
    """Returns how often each disputed image is drawn (resamples, disputed)."""
    totals = generator.binomial(num_images, num_disputed / num_images, num_resamples)
    places = generator.integers(0, num_disputed, int(totals.sum()))
    places += np.repeat(np.arange(num_resamples) * num_disputed, totals)
    counts = np.bincount(places, minlength=num_resamples * num_disputed)
    return counts.reshape(num_resamples, num_disputed).astype(np.float32)


def _stretch(
    first: NDArray[np.bool_], second: NDArray[np.bool_], paired: bool, total: float, level: float
) -> float:
    """Returns how much wider Student's t is than the normal distribution for so few seeds."""
    from scipy.special import stdtrit

    scores = [first.mean(axis=1), second.mean(axis=1)]
    samples = [scores[0] - scores[1]] if paired else scores
    parts = [(float(each.var(ddof=1)) / len(each), len(each) - 1) for each in samples if len(each) > 1]
    squares = [square for square, _ in parts]
    if not total or not sum(squares):
        return 1.0
    # What the seeds do not explain is due to images, of which there are many.
    squares.append(max(total - sum(squares), 0.0))
    freedom = satterthwaite(squares, [*(freedom for _, freedom in parts), first.shape[1] - 1])
    return float(stdtrit(freedom, (1 + level) / 2)) / NormalDist().inv_cdf((1 + level) / 2)
