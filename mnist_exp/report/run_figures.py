"""Which figures stand in the page of a run or of a search."""

from functools import partial
from typing import Any

import numpy as np

from mnist_exp.report.figures.curves import (
    PANELS_WITHOUT_VALIDATION,
    describe_curves,
    plot_page_curves,
    run_curves,
)
from mnist_exp.report.figures.embedding import PAGE_INCHES, Drawing, EmbeddedFigure, embed
from mnist_exp.report.figures.importance import scored_trials
from mnist_exp.report.figures.scales import Objective
from mnist_exp.report.figures.trials import describe_progress, plot_page_progress
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.words import direction_of


def run_figures(material: RunMaterial) -> list[EmbeddedFigure]:
    """Draws a run's accuracy and loss over the epochs; nothing before the first epoch."""
    drawings = []
    for title, objective in zip(("Accuracy", "Loss"), PANELS_WITHOUT_VALIDATION, strict=True):
        curves = run_curves(material.rows, objective.name, _name_training(material.config, objective))
        if any(np.isfinite(curve.values).any() for curve in curves):
            plot = partial(plot_page_curves, curves, objective, PAGE_INCHES, material.best_epoch)
            drawings.append(Drawing(title, plot, describe_curves(curves, objective)))
    return embed(drawings)


def _name_training(config: dict[str, Any], objective: Objective) -> str:
    training = config.get("training")
    if not isinstance(training, dict):
        return "training"
    if training.get("mixup"):
        return "training (mixed images)"
    is_smoothed = bool(training.get("label_smoothing")) and not objective.is_accuracy
    return "training (smoothed labels)" if is_smoothed else "training"


def search_figures(material: RunMaterial) -> list[EmbeddedFigure]:
    """Draws a search's scores and the best so far; nothing before the first score."""
    if not scored_trials(material.trials):
        return []
    metric = material.objective
    objective = Objective(metric, direction_of(metric))
    plot = partial(plot_page_progress, material.trials, objective, PAGE_INCHES)
    return embed([Drawing("Best so far", plot, describe_progress(material.trials, objective))])
