"""What a search was for, as its figures show it: scores on an axis that fits most of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mnist_exp.report.figures.style import set_round_ticks
from mnist_exp.runs.records import TrialRecord
from mnist_exp.words import is_accuracy, loss_text, percent

_METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss"}
_METRICS |= {"accuracy": "Training accuracy", "loss": "Training loss"}
# Scores are cut where they fall this many times farther behind the best than two thirds of them do.
_REACH = 4.0
_MANY_TRIALS = 100


@dataclass(frozen=True)
class Objective:
    """What a search was for.

    Attributes:
        name: The metric, as in `metrics.jsonl`.
        direction: Whether a larger (`max`) or a smaller (`min`) one is better.
    """

    name: str
    direction: Literal["max", "min"]

    @property
    def sign(self) -> int:
        """Factor that makes larger better."""
        return 1 if self.direction == "max" else -1

    @property
    def label(self) -> str:
        """The metric's name for an axis."""
        return _METRICS.get(self.name, self.name)

    @property
    def is_accuracy(self) -> bool:
        """Whether scores are fractions, which people read in percent."""
        return is_accuracy(self.name)

    def text(self, score: float) -> str:
        """Writes a score: an accuracy in percent, a loss as it is."""
        return percent(score) if self.is_accuracy else loss_text(score)

    def best_trial(self, scored: Sequence[TrialRecord]) -> TrialRecord:
        """Returns the best of scored trials, the earliest of equals."""
        return min(scored, key=lambda trial: (-self.sign * trial_score(trial), trial.trial))

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float]:
        """Returns low and high of an axis that shows most scores well and cuts a few awful ones."""
        worst, usual, good = map(float, np.quantile(self.sign * scores, [0, 1 / 3, 1]))
        edge = max(worst, good - _REACH * (good - usual)) if good > usual else worst
        margin = 0.06 * (good - edge) or 0.01 * abs(good) or 0.01
        low, high = sorted((self.sign * (good + margin), self.sign * (edge - margin)))
        return low, high

    def cut_note(self, scores: NDArray[np.float64], limits: tuple[float, float]) -> str:
        """Says how far scores reach beyond the limits; nothing where none does."""
        worst = self.sign * float(np.min(self.sign * scores))
        if limits[0] <= worst <= limits[1]:
            return ""
        return f"cut, {'down' if self.sign > 0 else 'up'} to {self.text(worst)}"

    def format_axis(self, axes: Axes, which: Literal["x", "y"], max_intervals: int = 6) -> None:
        """Makes an axis' ticks round scores."""
        set_round_ticks(axes.xaxis if which == "x" else axes.yaxis, self.is_accuracy, max_intervals)


def trial_score(trial: TrialRecord) -> float:
    """Returns a trial's score, NaN without one."""
    return float("nan") if trial.score is None else trial.score


def trial_scores(trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """Returns the trials' scores, float64 (num_trials,), NaN without one."""
    return np.array([trial.score for trial in trials], dtype=np.float64)


def draw_scores(
    axes: Axes,
    x: NDArray[np.float64],
    scores: NDArray[np.float64],
    objective: Objective,
    limits: tuple[float, float],
    size: float,
    **style: Any,
) -> None:
    """Draws scores as dots, those beyond the limits as triangles at the edge.

    Args:
        x: Where each score lies along the x axis (num_trials,).
        scores: Of the trials (num_trials,).
        objective: What the scores are.
        limits: Low and high of the y axis.
        size: Of a dot in points; dots are smaller where there are more than a hundred.
        **style: Of the dots, as `Axes.plot` takes it. A label becomes, for the triangles, what was cut.
    """
    size = size if len(x) <= _MANY_TRIALS else 3
    cut = (scores < limits[0]) | (scores > limits[1])
    axes.plot(x[~cut], scores[~cut], "o", markersize=size, alpha=0.65, markeredgewidth=0, **style)
    if cut.any():
        style |= {"label": objective.cut_note(scores, limits)} if "label" in style else {}
        axes.plot(x[cut], np.clip(scores[cut], *limits), "v" if objective.sign > 0 else "^", clip_on=False,
                  markersize=size + 1, markeredgewidth=0, **style)  # fmt: skip
