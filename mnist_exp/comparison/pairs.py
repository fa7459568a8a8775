"""One group against another: what a test of the two came to, in numbers and in a sentence."""

from dataclasses import dataclass, replace
from typing import Literal

from mnist_exp.report.console import plural
from mnist_exp.significance import Discordance

Method = Literal["McNemar", "paired t", "Welch t", "pooled t", "none"]

ALPHA = 0.05
DIFFERENCE_TO_SEE = 0.001
MOST_SEEDS_WORTH_SAYING = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """The leading group against another one, on the test images.

    Attributes:
        first: Label of the leading group.
        second: Label of the other one.
        method: Exact McNemar for two single runs, paired t where seeds match, Welch's t otherwise;
            pooled t where one side is a single run; `none` where nothing can be tested.
        difference: Mean test accuracy of the first minus the second, of the seeds that are tested.
        interval: Its 95% interval; null without a test.
        p_value: Two-sided, of this test alone; null without a test.
        corrected_p_value: The same after Holm's correction for all pairs of the set.
        num_seeds: Number of seeds tested on each side.
        discordance: With McNemar: what the two networks made of the images.
        image_interval: 95% interval over other seeds and other test images (bootstrap); null where
            it was not computed, and where a side's single run says nothing of its other seeds.
        more_seeds: How many more seeds a side would show 0.1 points, with a chance of 80%; null
            where nothing is known of the spread.
        is_optimistic: Whether test images had a part in choosing a side's epochs or its teacher.
        sentence: All that in words.
    """

    first: str
    second: str
    method: Method
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    corrected_p_value: float | None
    num_seeds: tuple[int, int]
    discordance: Discordance | None
    image_interval: tuple[float, float] | None
    more_seeds: int | None
    is_optimistic: bool
    sentence: str = ""

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
    """Gives a pair its sentence.

    Args:
        pair: Tested and corrected.
        num_pairs: For how many tests its p value was corrected.
    """
    sentence = _word_decision(pair, num_pairs) + (_word_images(pair) if pair.is_decided else _word_more(pair))
    if pair.is_optimistic:
        sentence += "; optimistic: test images had a part in choosing an epoch or a teacher"
    return replace(pair, sentence=sentence)


def _word_decision(pair: Pair, num_pairs: int) -> str:
    """Words which is better, or that nobody can tell."""
    if pair.interval is None or pair.corrected_p_value is None:
        words = f"cannot test {pair.first} against {pair.second}: difference {points(pair.difference)} points"
        return f"{words}, and predictions.npz is missing"
    name, alone = ("Holm p", " for this pair alone") if num_pairs > 1 else ("p", "")
    evidence = f"{p_value_text(pair.corrected_p_value, name)}, {_word_seeds(pair.num_seeds)}"
    if pair.is_decided:
        low, high = pair.interval if pair.difference > 0 else (-pair.interval[1], -pair.interval[0])
        size = (
            f"{points(abs(pair.difference))} points (95%{alone} {points(low)} to {points(high)}, {evidence})"
        )
        return f"{pair.better} is better than {pair.worse} by {size}"
    low, high = pair.interval
    size = f"{points(pair.difference)} points (95%{alone} {points(low)} to {points(high)}, {evidence})"
    return f"cannot tell {pair.first} from {pair.second}: difference {size}"


def _word_images(pair: Pair) -> str:
    """Words the doubt that is left where only these networks or test images tell the two apart."""
    if pair.method == "McNemar":
        return "; that is about these two networks, other seeds may say otherwise"
    if pair.image_interval is None or pair.image_interval[0] * pair.image_interval[1] > 0:
        return ""
    low, high = pair.image_interval
    if pair.difference < 0:
        low, high = -high, -low
    interval = f"{points(low)} to {points(high)}"
    return f"; on other test images it may not be: 95% {interval} over seeds and images"


def _word_more(pair: Pair) -> str:
    """Words what it would take to tell them apart."""
    wanted = f"{100 * DIFFERENCE_TO_SEE:g} points"
    if pair.more_seeds is None:
        return "; one seed each does not say how much seeds matter" if pair.interval is not None else ""
    if pair.more_seeds > MOST_SEEDS_WORTH_SAYING:
        return f"; more than {MOST_SEEDS_WORTH_SAYING:,} more seeds would be needed to see {wanted}"
    if not pair.more_seeds:
        return f"; {wanted} would most likely have been seen"
    verb = "seed would be" if pair.more_seeds == 1 else "seeds would be"
    return f"; about {pair.more_seeds:,} more {verb} needed to see {wanted}"


def _word_seeds(num_seeds: tuple[int, int]) -> str:
    first, second = num_seeds
    return plural(first, "seed") if first == second else f"{plural(first, 'seed')} against {second:,}"


def points(fraction: float) -> str:
    """Writes a difference of accuracies in percentage points: `0.21`, `−0.10`."""
    text = f"{100 * fraction:.2f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def p_value_text(p_value: float, name: str = "p") -> str:
    """Writes a p value as exactly as anybody needs it: `p = 0.0006`, `p = 0.047`, `p < 0.0001`."""
    if p_value < 0.0001:
        return f"{name} < 0.0001"
    return f"{name} = {p_value:.{2 if 0.01 <= p_value < 0.1 else 1}g}"
