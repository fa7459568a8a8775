"""Every picture of an evaluation."""

from functools import partial

from mnist_exp.evaluation.class_scores_plot import plot_class_scores
from mnist_exp.evaluation.evaluating import Evaluated
from mnist_exp.evaluation.reliability_plot import plot_reliability
from mnist_exp.evaluation.robustness_plot import plot_robustness
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.image_plots import plot_mistakes
from mnist_exp.plot_style import Plot
from mnist_exp.plots import plot_confusion_matrix


def evaluation_plots(evaluated: Evaluated, scored: ScoredSplit) -> dict[str, Plot]:
    """Names every picture of an evaluation.

    Args:
        evaluated: What was measured.
        scored: On which images.

    Returns:
        Name of the file without its ending to what draws the picture.
    """
    record, names, seen = evaluated.record, scored.source.class_names, scored.seen
    plots: dict[str, Plot] = {
        "reliability": partial(plot_reliability, record.calibration, record.num_images),
        "per_class": partial(plot_class_scores, record.classes),
        "confusion_matrix": partial(plot_confusion_matrix, evaluated.counts, names),
        "mistakes": partial(plot_mistakes, seen.images, seen.labels, evaluated.probabilities, names),
    }
    if record.robustness:
        plots["robustness"] = partial(plot_robustness, record.robustness, seen.images[0])
    return plots
