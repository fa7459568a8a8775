"""A search as it was requested, frozen: the same for its workers, and after a resume."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp.config.keys import known_keys
from mnist_exp.config.parsing import SWEEP_KEYS, Composition, parse, resolve
from mnist_exp.config.refusals import explain_hydra
from mnist_exp.config.schema import Config, HyperbandTunerConfig, TunerConfig
from mnist_exp.config.unused import refuse_switched_off, refuse_unused_numbers, take_out_switched_off
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.tuning.dimensions import Dimension, written
from mnist_exp.tuning.search_space import SearchSpace, assemble, parse_search_space
from mnist_exp.tuning.space_lists import list_of
from mnist_exp.words import direction_of

GROUPS = ("model", "optimizer", "schedule", "augmentation", "training")
"""What a search may change. Everything else is the same for all trials, or they could not be compared."""

_NOT_FOR_TRIALS = (*SWEEP_KEYS, "hydra", "tuner", "search_space", "tracker")
_DECIDE_SCORES = ("training.monitor", "training.direction")
_ABSENT = object()
DEFAULT = "default"
"""The candidate that is the configuration as it stands, untuned."""


@dataclass(frozen=True)
class Blueprint:
    """The configuration that a search began with.

    Attributes:
        base: The composed configuration, interpolations kept as text.
        options: Group to option to node, for each group whose option is searched.
        choices: Group to the option that was composed, the data's included.
        own_data: What differs under `data` from its option's file, but for where the images are.
    """

    base: dict[str, Any]
    options: dict[str, dict[str, Any]]
    choices: dict[str, str]
    lengths: dict[str, str | int]
    own_data: dict[str, Any] = field(default_factory=dict)

    def config(self, values: Mapping[str, Any]) -> Config:
        """Gives a trial's checked configuration; see `composed`."""
        return parse(self.composed(values))

    def composed(self, values: Mapping[str, Any]) -> DictConfig:
        """Gives a trial's whole configuration, or raises ConfigError where a path does not exist.

        `values` are by the names of the search space, active ones only; empty for the untuned one.
        """
        paths = assemble(values, self.lengths)
        chosen = {group: paths.pop(group) for group in self.options if group in paths}
        nodes = {group: self.options[group][option] for group, option in chosen.items()}
        composed = OmegaConf.create(self.base | nodes | {"mode": "train"})
        for path, value in paths.items():
            _set(composed, path, value)
        return composed


def freeze(composition: Composition, space: SearchSpace) -> Blueprint:
    """Freezes a configuration and every option of its groups that a search may choose.

    Raises:
        ConfigError: A path cannot be searched, an option does not exist, or does not take an override.
    """
    composed, choices = composition.composed, composition.choices
    for dimension in space.dimensions:
        _check_searchable(dimension)
    kept = [str(key) for key in composed if key not in _NOT_FOR_TRIALS]
    base = OmegaConf.to_container(OmegaConf.masked_copy(composed, kept), resolve=False)
    assert isinstance(base, dict)
    options = {
        dimension.name: _compose_options(dimension, composition)
        for dimension in space.dimensions
        if dimension.name in GROUPS
    }
    own = {group: choices[group] for group in ("data", *GROUPS) if group in choices}
    own_data = {}
    if "data" in own:
        own_data = _changed_data(base["data"], composition.compose([f"data={own['data']}"]))
    return Blueprint(
        base={str(key): node for key, node in base.items()},
        options=options,
        choices=own,
        lengths=dict(space.lengths),
        own_data=own_data,
    )


def check(space: SearchSpace, blueprint: Blueprint) -> None:
    """Makes sure that trials can be made: tries each range's ends and each choice, others at defaults.

    Raises:
        ConfigError: A value is not accepted; names the search space's entry.
    """
    tried: list[dict[str, Any]] = []
    for dimension in space.dimensions:
        for value in _extremes(dimension):
            values = space.example(dimension, value)
            if values in tried:
                continue
            tried.append(values)
            try:
                _check_trial(space, blueprint, values)
            except ConfigError as error:
                raise _blame(error, dimension, space) from error


def _check_trial(space: SearchSpace, blueprint: Blueprint, values: Mapping[str, Any]) -> None:
    composed, given = blueprint.composed(values), assemble(values, blueprint.lengths)
    config = parse(composed)
    refuse_unused_numbers(composed, config, given)
    refuse_switched_off(config, given, [dimension.name for dimension in space.dimensions])


def experiment_yaml(blueprint: Blueprint, values: Mapping[str, Any], title_lines: Iterable[str]) -> str:
    """Writes a trial as a file for `conf/experiment/`, whole, so that later defaults change nothing.

    Of the data it has the option and what differs from it: another `data=` still means other images.
    Interpolations are kept; `values` are by the names of the search space, active ones only.
    """
    composed = blueprint.composed(values)
    take_out_switched_off(composed, parse(composed))
    chosen = blueprint.choices | {group: values[group] for group in blueprint.options if group in values}
    defaults = [{f"override /{group}": option} for group, option in chosen.items()]
    header = ["# @package _global_", *(f"# {line}".rstrip() for line in title_lines)]
    own = {"data": blueprint.own_data} if blueprint.own_data else {}
    nodes = OmegaConf.merge(own, OmegaConf.masked_copy(composed, list(GROUPS)))
    return "\n".join([*header, OmegaConf.to_yaml(OmegaConf.create({"defaults": defaults})), ""]) + str(
        OmegaConf.to_yaml(nodes, resolve=False)
    )


def _check_searchable(dimension: Dimension) -> None:
    group = dimension.name.partition(".")[0]
    key = f"search_space.{dimension.key}"
    if group not in GROUPS:
        if group in known_keys():
            accepted = ", ".join(GROUPS)
            raise ConfigError(f"{key}: it is the same for all trials.", f"What can be searched: {accepted}.")
        raise ConfigError(f"{key}: there is no such key.", nearest(dimension.name, _searchable_keys()))
    if dimension.name in _DECIDE_SCORES:
        raise ConfigError(f"{key}: it decides what a score is, so it is the same for all trials.")


def _changed_data(found: dict[str, Any], composed: DictConfig) -> dict[str, Any]:
    """Lists what an experiment or the command line changed under `data`; the path is a machine's own."""
    filed = OmegaConf.to_container(composed.data, resolve=False)
    assert isinstance(filed, dict)
    return {
        key: value
        for key, value in found.items()
        if key != "path" and (key not in filed or filed[key] != value)
    }


def _compose_options(dimension: Dimension, composition: Composition) -> dict[str, Any]:
    group, overrides = dimension.name, composition.overrides
    others = [override for override in overrides if override.partition("=")[0].lstrip("+") != group]
    nodes = {}
    for option in dimension.values:
        if not isinstance(option, str):
            raise ConfigError(
                f"search_space.{dimension.key}: got {written(option)}; {group} is a group of files.",
                "Name its options.",
            )
        try:
            composed = composition.compose([*others, f"{group}={option}"])
        except Exception as error:  # Hydra's errors have no class in common.
            refusal = explain_hydra(error, overrides)
            problem = refusal.message.removeprefix(f"{group}: ")
            if problem == refusal.message:
                problem = f"{option} does not go with what was typed: {problem}"
            raise ConfigError(f"search_space.{dimension.key}: {problem}", refusal.hint) from error
        nodes[option] = OmegaConf.to_container(composed[group], resolve=False)
    return nodes


def _blame(error: ConfigError, tried: Dimension, space: SearchSpace) -> ConfigError:
    """Names the entry of the search space that a refused value comes from."""
    came, _, problem = error.message.removeprefix("search_space.").partition(": ")
    path = came.partition("[")[0]
    for dimension in (tried, *space.dimensions):
        if path in (dimension.name, list_of(dimension.name)):
            return ConfigError(f"search_space.{dimension.key}: {problem}", error.hint)
    return ConfigError(f"search_space.{tried.key}: {came}: {problem}", error.hint)


def _set(composed: DictConfig, path: str, value: Any) -> None:
    """Sets the value at a path that exists, or that some configuration may have."""
    head, _, last = path.rpartition(".")
    try:
        parent = OmegaConf.select(composed, head) if head else composed
    except OmegaConfBaseException:
        parent = None
    if isinstance(parent, ListConfig):
        exists = last.isdecimal() and int(last) < len(parent)
    else:
        exists = isinstance(parent, DictConfig) and last in parent
    if not exists and not (isinstance(parent, DictConfig) and _may_add(composed, path)):
        raise _explain_missing(composed, path, parent)
    OmegaConf.update(composed, path, value, merge=False, force_add=True)


def _may_add(composed: DictConfig, path: str) -> bool:
    # A sequential model's own numbers are what its file says they are: one more would change nothing.
    is_closed = path.startswith("model.") and composed.model.get("family") == "sequential"
    return path in _searchable_keys() and not is_closed


def _explain_missing(composed: DictConfig, path: str, parent: Any) -> ConfigError:
    group, _, rest = path.partition(".")
    if isinstance(parent, ListConfig):
        return ConfigError(f"search_space.{path}: the list has {len(parent)} entries, counted from 0.")
    if path in _searchable_keys():
        return ConfigError(
            f"search_space.{path}: {group} {composed[group].get('name')} has no such key.",
            f"Choose another {group}, or another search_space.",
        )
    accepted = {key for key in _searchable_keys() if key.partition(".")[0] == group and "." in key}
    accepted |= {f"{group}.{key}" for key in composed[group]} - {f"{group}.layers"}
    return ConfigError(f"search_space.{path}: there is no such key.", nearest(path, accepted))


def _extremes(dimension: Dimension) -> list[Any]:
    """Lists the values of a dimension that are worth trying beforehand."""
    if dimension.min_value is not None:
        return [dimension.default, dimension.min_value, (dimension.values or [dimension.max_value])[-1]]
    return list(dimension.values)


@functools.cache
def _searchable_keys() -> frozenset[str]:
    return frozenset(key for key in known_keys() if key.partition(".")[0] in GROUPS)


@dataclass(frozen=True)
class Search:
    """What is searched, from which configuration, and how."""

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
        """Makes the configuration of one training, or raises ConfigError where values do not go together.

        `epochs` stand in for `training.epochs`, unless the search chooses that itself.
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
        # Interpolations in it are text: nothing may resolve them.
        return {"space": msgspec.to_builtins(self.space), "blueprint": msgspec.to_builtins(self.blueprint)}

    @classmethod
    def from_tree(cls, tree: dict[str, Any], config: Config) -> "Search":
        """Takes `to_tree` back."""
        blueprint = msgspec.convert(tree["blueprint"], Blueprint)
        return cls(config, blueprint, msgspec.convert(tree["space"], SearchSpace))


def tuner_name(tuner: TunerConfig) -> str:
    """Says how trials are proposed, such as `random`."""
    return str(tuner.__struct_config__.tag)


def plan_search(config: Config, composition: Composition) -> tuple[Search, list[str]]:
    """Reads what is to be searched and freezes what it is searched from.

    Returns the search, and a sentence about each searched path that the command line gave a value.

    Raises:
        ConfigError: It cannot be searched; says which entry of the search space, and why.
    """
    base = resolve(composition.composed)
    space, sentences = parse_search_space(config.search_space or {}, base).fix(_given(composition, base))
    blueprint = freeze(composition, space)
    check(space, blueprint)
    names = [dimension.name for dimension in space.dimensions]
    if isinstance(config.tuner, HyperbandTunerConfig) and "training.epochs" in names:
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
