"""Keras Tuner's oracles, so kept that a killed search is resumed from its last trial.

Keras Tuner writes an oracle's state into several files in place, leaves a part of it out (the grid's
order, the Bayesian oracle's generator), and takes `seed=0` for no seed. Here `state` gives all of it
as plain data, for one whole file, and `restore` takes it back.
"""

import collections
import contextlib
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    RandomSearchOracle,
)

from mnist_exp.config.schema import (
    BayesianTunerConfig,
    GridTunerConfig,
    HyperbandTunerConfig,
    RandomTunerConfig,
    TunerConfig,
)
from mnist_exp.tuning.search_space import Dimension, SearchSpace
from mnist_exp.words import direction_of

_UNLIMITED = 10**9


class SavedOracle(keras_tuner.Oracle):
    """What every oracle here shares: nothing printed, nothing written, and a state that is plain data."""

    def save(self) -> None:
        """Does nothing; whoever owns the oracle writes `state` down."""

    def _save_trial(self, trial: Trial) -> None:
        """Does nothing; see `save`."""

    def state(self) -> dict[str, Any]:
        """Gives all that the next proposals depend on, for JSON; a Gaussian process is fitted again."""
        own = self.get_state()
        # The search space is in the run's directory already.
        for name in ("hyperparameters", "display"):
            own.pop(name)
        trials = [
            {
                "id": trial.trial_id,
                "values": trial.hyperparameters.values,
                "score": trial.score,
                "status": trial.status,
            }
            for trial in self.trials.values()
        ]
        return {"oracle": own, "trials": trials}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to an earlier `state`; trials that were running then are handed out again first."""
        for record in state["trials"]:
            hyperparameters = self.get_space()
            hyperparameters.values = record["values"]
            trial = Trial(hyperparameters, record["id"], record["status"])
            trial.score = record["score"]
            self.trials[trial.trial_id] = trial
        own = {"hyperparameters": self.hyperparameters.get_config(), "display": self._display.get_state()}
        self.set_state(own | state["oracle"])
        ongoing = [trial.trial_id for trial in self.ongoing_trials.values()]
        # Keras Tuner takes from the end.
        self._retry_queue += [name for name in reversed(ongoing) if name not in self._retry_queue]
        self.ongoing_trials.clear()

    def finish(self, name: str, score: float | None) -> None:
        """Learns what came of a trial; None for nothing."""
        trial = self.trials[name]
        trial.score = score
        trial.status = TrialStatus.FAILED if score is None else TrialStatus.COMPLETED
        self.end_trial(trial)

    def repeat(self, names: list[str]) -> None:
        """Hands trials that have ended out again."""
        for name in names:
            self.trials[name].status = TrialStatus.RUNNING
            self._retry_queue.insert(0, name)

    def score_trial(self, trial: Trial) -> None:
        """Does nothing: whoever ends a trial has set its score."""


class RandomOracle(SavedOracle, RandomSearchOracle):
    """Values drawn at random, no combination twice."""


class HyperbandSearchOracle(SavedOracle, HyperbandOracle):
    """Successive halving of random trials."""

    def finish(self, name: str, score: float | None) -> None:
        """Takes a failure for the worst of scores; with no score it would cost its round a promotion."""
        worst = -1e300 if self.objective.direction == "max" else 1e300
        super().finish(name, worst if score is None else score)


class GridOracle(SavedOracle, GridSearchOracle):
    """Every combination in order."""

    def get_state(self) -> dict[str, Any]:
        """Adds the order of the combinations tried."""
        order = self._ordered_ids
        following = [[key, value] for key, value in order._next_index.items() if value is not None]
        return super().get_state() | {
            "ordered_ids": {"memory": order._memory, "next": following, "last": order._last_index},
            "populate_next": self._populate_next,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        super().set_state(state)
        saved, order = state["ordered_ids"], self._ordered_ids
        order._memory = saved["memory"]
        order._data_to_index = {trial_id: index for index, trial_id in enumerate(order._memory)}
        order._next_index = collections.defaultdict(lambda: None, [tuple(pair) for pair in saved["next"]])
        order._last_index = saved["last"]
        self._populate_next = state["populate_next"]


class BayesianOracle(SavedOracle, BayesianOptimizationOracle):
    """A Gaussian process over the trials so far."""

    def get_state(self) -> dict[str, Any]:
        """Adds the generator's state."""
        name, keys, position, has_gauss, cached = self._random_state.get_state()
        return super().get_state() | {
            "generator": [name, keys.tolist(), position, has_gauss, cached],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        super().set_state(state)
        name, keys, *rest = state["generator"]
        self._random_state.set_state((name, np.array(keys, np.uint32), *rest))


def build_oracle(tuner: TunerConfig, space: SearchSpace, seed: int) -> SavedOracle:
    """Builds the oracle that proposes a search's trials, the same ones for the same seed."""
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", direction_of(tuner.objective)),
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        # Never 0, which Keras Tuner takes for no seed at all.
        "seed": int(np.random.SeedSequence([seed, 0x7475]).generate_state(1)[0] // 2) + 1,
        "max_consecutive_failed_trials": _UNLIMITED,
    }
    oracle: SavedOracle
    match tuner:
        case RandomTunerConfig():
            oracle = RandomOracle(**common)
        case GridTunerConfig():
            oracle = GridOracle(**common)
        case HyperbandTunerConfig():
            oracle = HyperbandSearchOracle(
                max_epochs=tuner.epochs, factor=tuner.factor, hyperband_iterations=tuner.iterations, **common
            )
        case BayesianTunerConfig():
            oracle = BayesianOracle(
                num_initial_points=tuner.initial_trials, alpha=tuner.alpha, beta=tuner.beta, **common
            )
    oracle.max_trials = tuner.max_trials or _UNLIMITED
    oracle.verbose = 0
    return oracle


def hyperparameters(space: SearchSpace) -> keras_tuner.HyperParameters:
    """Says a search space in Keras Tuner's words."""
    made = keras_tuner.HyperParameters()
    for dimension in space.dimensions:
        with contextlib.ExitStack() as scopes:
            for parent, values in dimension.encoded_conditions:
                scopes.enter_context(made.conditional_scope(parent, list(values)))
            _register(made, dimension)
    return made


def _register(made: keras_tuner.HyperParameters, dimension: Dimension) -> None:
    default = dimension.encode(dimension.default)
    limits = {name: getattr(dimension, name) for name in ("min_value", "max_value", "step", "sampling")}
    match dimension.kind:
        case "int":
            made.Int(dimension.id, default=default, **limits)
        case "float":
            made.Float(dimension.id, default=default, **limits)
        case "boolean":
            made.Boolean(dimension.id, default=default)
        case "choice":
            made.Choice(dimension.id, list(dimension.encoded_values), default=default)
