"""Ways of searching, and their budgets."""

from typing import Annotated, Literal

from msgspec import Meta

from mnist_exp.config.schema.values import Node, PositiveCount


class ConfirmConfig(Node, frozen=True):
    """How the best trials are checked once the search is over.

    Attributes:
        top: Number of trials that are trained again, beside the untuned default.
        seeds: Number of fresh seeds for each; 0 skips the confirmation.
    """

    top: Annotated[int, Meta(ge=1, le=1000)]
    seeds: Annotated[int, Meta(ge=0, le=1000)]


class _TunerConfig(Node, frozen=True):
    """What every way of searching has: a goal and a budget.

    Attributes:
        objective: The metric whose value at a training's best epoch is its score.
        max_trials: The search ends after so many trials; null for no limit.
        max_minutes: It ends after so many minutes; null for no limit.
        patience_trials: It ends after so many trials without a better score, failed ones counted; null never.
        epochs: Number of epochs of a trial.
        executions_per_trial: Number of trainings of a trial, each on a seed of its own.
        workers: Number of trials at once on this machine; 0 for one a core.
        keep: Number of trials whose weights are kept.
        confirm: How the best trials are checked once the search is over.
    """

    objective: Literal["val_accuracy", "val_loss"]
    max_trials: PositiveCount | None
    max_minutes: Annotated[float, Meta(gt=0, le=1_000_000)] | None
    patience_trials: PositiveCount | None
    epochs: Annotated[int, Meta(ge=1, le=100_000)]
    executions_per_trial: Annotated[int, Meta(ge=1, le=1000)]
    workers: Annotated[int, Meta(ge=0, le=1024)]
    keep: Annotated[int, Meta(ge=1, le=1000)]
    confirm: ConfirmConfig


class RandomTunerConfig(_TunerConfig, frozen=True, tag="random", tag_field="name"):
    """Values drawn at random."""


class GridTunerConfig(_TunerConfig, frozen=True, tag="grid", tag_field="name"):
    """Every combination in order."""


class HyperbandTunerConfig(_TunerConfig, frozen=True, tag="hyperband", tag_field="name"):
    """Many short trials, the best of them again with more epochs (Li et al. 2018).

    Attributes:
        factor: Of each round, one in `factor` goes on, with `factor` times the epochs.
        iterations: How often the whole procedure is gone through.
    """

    factor: Annotated[int, Meta(ge=2, le=100)]
    iterations: PositiveCount


class BayesianTunerConfig(_TunerConfig, frozen=True, tag="bayesian", tag_field="name"):
    """A Gaussian process over the trials so far proposes the next one (Snoek et al. 2012).

    Attributes:
        initial_trials: Number of random trials before the first proposal.
        alpha: Variance of the scores' noise, as the process assumes.
        beta: How much an uncertain region is worth exploring.
    """

    initial_trials: PositiveCount
    alpha: Annotated[float, Meta(gt=0, le=1)]
    beta: Annotated[float, Meta(ge=0, le=1000)]


TunerConfig = RandomTunerConfig | GridTunerConfig | HyperbandTunerConfig | BayesianTunerConfig
