"""Every picture of a trained network, drawn and written."""

from functools import partial
from typing import TYPE_CHECKING

from mnist_exp.config.schema import Config, MlpConfig
from mnist_exp.data.dataset import Images
from mnist_exp.report.figures import images
from mnist_exp.report.figures.confusion import plot_confusion_matrix
from mnist_exp.report.figures.curves import plot_learning_curves
from mnist_exp.report.figures.style import Plot, draw_plots
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.statistics import confusion_counts

if TYPE_CHECKING:
    from mnist_exp.training.scoring import Scored


def draw_training(
    run: RunDirectory, config: Config, scored: "Scored", test: Images, class_names: tuple[str, ...]
) -> list[str]:
    """Draws a trained network into its run's directory; returns a sentence for each undrawn picture."""
    return draw_plots(training_plots(config, scored, test, class_names), run.plots_dir)


def training_plots(
    config: Config, scored: "Scored", test: Images, class_names: tuple[str, ...]
) -> dict[str, Plot]:
    """Names every picture of a trained network: file name without ending to what draws it."""
    seen = (test.images, test.labels, scored.probabilities, class_names)
    counts = confusion_counts(scored.probabilities, test.labels, len(class_names))
    training = config.training
    curves = partial(
        plot_learning_curves,
        scored.rows,
        scored.best_epoch,
        training.label_smoothing,
        training.mixup,
    )
    figures: dict[str, Plot] = {
        "learning_curves": curves,
        "confusion_matrix": partial(plot_confusion_matrix, counts, class_names),
        "sample_predictions": partial(images.plot_sample_predictions, *seen),
        "mistakes": partial(images.plot_mistakes, *seen),
    }
    if isinstance(config.model, MlpConfig):
        kernel = next(variable for variable in scored.network.variables if variable.name == "kernel")
        shape = test.images.shape[1:]
        figures["first_layer_weights"] = partial(images.plot_first_layer_weights, kernel.numpy(), shape)
    return figures
