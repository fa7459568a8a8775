"""A search as it was asked for, frozen: the same for the chief, its workers, and after a resume."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from omegaconf import OmegaConf

from mnist_exp.config.parsing import Composition, resolve
from mnist_exp.config.schema import Config, HyperbandTunerConfig, TunerConfig
from mnist_exp.errors import ConfigError
from mnist_exp.tuning.blueprint import Blueprint, check, freeze
from mnist_exp.tuning.search_space import SearchSpace, parse_search_space
from mnist_exp.words import direction_of

_ABSENT = object()
DEFAULT = "default"
"""The candidate that is the configuration as it stands, untuned."""


@dataclass(frozen=True)
class Search:
    """What is searched, from which configuration, and how.

    Attributes:
        config: The untuned configuration.
        blueprint: What trials' configurations are made from.
        space: What is searched.
    """

    config: Config
    blueprint: Blueprint
    space: SearchSpace

    @property
    def tuner(self) -> TunerConfig:
        """The `tuner` node."""
        assert self.config.tuner is not None
        return self.config.tuner

    @property
    def direction(self) -> Literal["max", "min"]:
        """Whether a larger (`max`) or a smaller (`min`) score is better."""
        return direction_of(self.tuner.objective)

    def trial_config(
        self, values: dict[str, Any], seed: int, threads: int, epochs: int | None = None
    ) -> Config:
        """Makes the configuration of one training.

        Args:
            values: By the names of the search space; none for the untuned configuration.
            seed: Of this training.
            threads: Number of threads of one operation.
            epochs: Instead of `training.epochs`, unless the search chooses that itself.

        Raises:
            ConfigError: The values do not go together.
        """
        config = self.blueprint.config(values)
        if epochs is None or "training.epochs" in values:
            epochs = config.training.epochs
        training = msgspec.structs.replace(
            config.training,
            monitor=self.tuner.objective,
            direction=self.direction,
            threads=threads,
            epochs=epochs,
        )
        return msgspec.structs.replace(config, seed=seed, training=training)

    def trial_seed(self, trial: int, execution: int) -> int:
        """Derives the seed of one of a trial's trainings."""
        # Imported here: --help need not wait for it, nor is it imported before `environment.shield`.
        import numpy as np

        return int(np.random.SeedSequence([self.config.seed, trial, execution]).generate_state(1)[0] // 2)

    def confirmation_seeds(self) -> list[int]:
        """Lists the fresh seeds that candidates are trained again on."""
        return [(self.config.seed + 1 + number) % 2**31 for number in range(self.tuner.confirm.seeds)]

    def to_tree(self) -> dict[str, Any]:
        """Gives what `search.yaml` holds."""
        return {"space": self.space.to_tree(), "blueprint": self.blueprint.to_tree()}

    @classmethod
    def from_tree(cls, tree: dict[str, Any], config: Config) -> "Search":
        """Takes `to_tree` back.

        Args:
            tree: Read from `search.yaml`.
            config: The run's, read from `config.yaml`.
        """
        return cls(config, Blueprint.from_tree(tree["blueprint"]), SearchSpace.from_tree(tree["space"]))


def tuner_name(tuner: TunerConfig) -> str:
    """Says how trials are proposed, such as `random`."""
    return str(tuner.__struct_config__.tag)


def plan_search(config: Config, composition: Composition) -> tuple[Search, list[str]]:
    """Reads what is to be searched and freezes what it is searched from.

    Args:
        config: The untuned configuration, with its tuner.
        composition: What it was composed from.

    Returns:
        The search, and a sentence about each searched path that the command line gave a value.

    Raises:
        ConfigError: It cannot be searched; says which entry of the search space, and why.
    """
    base = resolve(composition.composed)
    space, sentences = parse_search_space(config.search_space or {}, base).fix(_given(composition, base))
    blueprint = freeze(
        composition.composed, space, composition.compose, composition.overrides, composition.choices
    )
    check(space, blueprint)
    if isinstance(config.tuner, HyperbandTunerConfig) and any(
        dimension.name == "training.epochs" for dimension in space.dimensions
    ):
        raise ConfigError(
            "search_space.training.epochs: tuner=hyperband decides on the epochs itself.",
            "Remove it from the search space, or choose another tuner.",
        )
    return Search(config, blueprint, space), sentences


def _given(composition: Composition, base: dict[str, Any]) -> dict[str, Any]:
    """Lists what the command line set, by dotted path; a group's name with its option."""
    given: dict[str, Any] = {}
    for override in composition.overrides:
        path = override.partition("=")[0].lstrip("+~")
        if path in composition.choices:
            given[path] = composition.choices[path]
        elif (value := OmegaConf.select(OmegaConf.create(base), path, default=_ABSENT)) is not _ABSENT:
            given[path] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return given
