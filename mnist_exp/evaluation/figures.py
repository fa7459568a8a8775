"""Every picture of an evaluation."""

from matplotlib.figure import Figure

from mnist_exp.evaluation.class_scores_plot import plot_class_scores
from mnist_exp.evaluation.evaluating import Evaluated
from mnist_exp.evaluation.reliability_plot import plot_reliability
from mnist_exp.evaluation.robustness_plot import plot_robustness
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.image_plots import plot_mistakes
from mnist_exp.plots import plot_confusion_matrix


def draw_evaluation(evaluated: Evaluated, scored: ScoredSplit) -> dict[str, Figure]:
    """Draws every picture of an evaluation.

    Args:
        evaluated: What was measured.
        scored: On which images.

    Returns:
        Name of the file without its ending to the picture.
    """
    record, names, seen = evaluated.record, scored.source.class_names, scored.seen
    figures = {
        "reliability": plot_reliability(record.calibration, record.num_images),
        "per_class": plot_class_scores(record.classes),
        "confusion_matrix": plot_confusion_matrix(evaluated.counts, names),
        "mistakes": plot_mistakes(seen.images, seen.labels, evaluated.probabilities, names),
    }
    if record.robustness:
        figures["robustness"] = plot_robustness(record.robustness, seen.images[0])
    return figures
