"""Every picture of an evaluation."""

from functools import partial

from mnist_exp.evaluation.evaluating import Evaluated
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.report.figures.class_scores_plot import plot_class_scores
from mnist_exp.report.figures.curves import plot_confusion_matrix
from mnist_exp.report.figures.image_plots import plot_mistakes
from mnist_exp.report.figures.reliability_plot import plot_reliability
from mnist_exp.report.figures.robustness_plot import plot_robustness
from mnist_exp.report.figures.style import Plot


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
