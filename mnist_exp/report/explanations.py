"""What intervals and tests mean, in a plain sentence each."""

from mnist_exp.comparison.report import SetReport

_INTERVAL_OF_MEAN = (
    "Interval of a mean (t)",
    "With more and more seeds, a group's mean accuracy on these images would most likely lie in it.",
)
_INTERVAL_OF_FOLDS = (
    "Interval over folds (corrected t)",
    "The mean accuracy of networks trained on as many images of this kind would most likely lie in it. It is "
    "wider than with independent runs: folds share most of the images that they are trained on.",
)
_INTERVAL_OF_ONE = (
    "Interval of one network (Wilson)",
    "With more and more images of this kind, this one network's accuracy would most likely lie in it; it "
    "says nothing about other seeds.",
)
_TESTS = {
    "McNemar": (
        "McNemar's test",
        "Counts the images that only one of the two networks gets right, and tests whether a fair coin would "
        "split them so unevenly. The interval of the difference is Newcombe’s (1998, method 10).",
    ),
    "paired t": (
        "Paired t test",
        "Both sides were trained with the same seeds: it tests whether the mean of the differences, seed by "
        "seed, is farther from zero than their spread explains.",
    ),
    "Welch t": (
        "Welch's t test",
        "The seeds differ: it tests whether the two means are farther apart than the spreads of both sides "
        "explain.",
    ),
    "corrected t": (
        "Corrected t test",
        "Both sides were tested on the same folds: it tests whether the mean of the differences, fold by "
        "fold, is farther from zero than their spread explains, corrected for what folds share (Nadeau and "
        "Bengio 2003). Several seeds of a fold count as their mean.",
    ),
    "pooled t": (
        "Pooled t test",
        "One side is a single run: it tests whether that run is farther from the other side's mean than the "
        "other side's spread explains.",
    ),
}
_BOOTSTRAP = (
    "Over seeds and images (bootstrap)",
    "Seeds and test images are resampled thousands of times: this interval allows for other test images.",
)
_HOLM = (
    "Holm's correction",
    "Among many tests some find a difference by chance; the p values are raised so that finding even one "
    "such is as rare as with a single test.",
)
_CHOSEN_ON_TEST = (
    "Chosen by the same images",
    "Test images chose the leader, so any two groups could have been the pair tested: the p values are "
    "raised once more, as for tests of all pairs (Bonferroni).",
)
_REPEATED = (
    "Repeated interval",
    "Seeds were added until each pair was decided, and who looks often finds differences by chance. These "
    "intervals are so much wider that all of them, however often one looks, most likely hold the true "
    "difference: that of the means over seeds on these images. On other images it may be another.",
)
_P_VALUE = (
    "p value",
    "The probability of a difference at least as large if the two were equally good; below 0.05 they are "
    "called different.",
)


def explanations(report: SetReport) -> list[tuple[str, str]]:
    """Says in plain words what the tests and intervals of a set mean, those that it has."""
    methods = {pair.method for pair in report.pairs}
    counts = [len(row.folds or row.seeds) for row in report.groups]
    of_mean = _INTERVAL_OF_MEAN if report.data.fold is None else _INTERVAL_OF_FOLDS
    found = [of_mean] if counts and max(counts) > 1 else []
    found += [_INTERVAL_OF_ONE] if any(row.num_runs == 1 for row in report.groups) else []
    found += [words for method, words in _TESTS.items() if method in methods]
    found += [_BOOTSTRAP] if any(pair.image_interval is not None for pair in report.pairs) else []
    found += [_HOLM] if len(report.pairs) > 1 else []
    found += [_CHOSEN_ON_TEST] if len(report.pairs) > 1 and report.is_chosen_on_test else []
    found += [_REPEATED] if report.decisions else []
    return [*found, _P_VALUE] if methods - {"none"} else found
