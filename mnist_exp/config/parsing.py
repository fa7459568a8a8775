"""From what Hydra composed to typed configurations and requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp.config.checks import check
from mnist_exp.config.commands import LAUNCHER, command, with_runs_dir
from mnist_exp.config.keys import MODE_KEYS
from mnist_exp.config.overrides import plain_key
from mnist_exp.config.refusals import as_typed, explain_rejection
from mnist_exp.config.requests import NoUntilConfig, SweepPlanConfig, SweepRequest
from mnist_exp.config.schema import Config
from mnist_exp.config.trees import find_odd, without_teacher
from mnist_exp.errors import ConfigError
from mnist_exp.words import shortened

Request = TypeVar("Request", bound=Struct)
SWEEP_KEYS = SweepRequest.__struct_fields__
"""Root keys that speak of a whole sweep, and are no part of any job's configuration."""

_OF_RUNS = ("model", "optimizer", "schedule", "augmentation", "training", "data", "seed", "experiment")

NO_SWEEP = SweepRequest(
    plan=False, rerun="unfinished", on_fail="continue", sweep_plan=SweepPlanConfig(), until=NoUntilConfig()
)
"""The keys of a single run."""


def refuse_unused(
    typed: Sequence[str], mode: str, purpose: str, accepted: str, *, also: Sequence[str] = (), only: str = ""
) -> None:
    """Raises ConfigError where something was typed that would not count.

    Args:
        purpose: What the mode does, and `accepted` which keys it has, as the message says it.
        also: What else counts: a root key, or one dotted key.
        only: What can be set of a run's own configuration; empty for nothing to say of that.
    """
    used = ("mode", "runs_dir", *MODE_KEYS[mode], *also)
    for key in map(plain_key, typed):
        root = key.partition(".")[0]
        if root in used or key in used:
            continue
        if only and root in _OF_RUNS:
            raise ConfigError(f"{key}: mode={mode} takes it from the run's own configuration.", only)
        raise ConfigError(f"{key}: mode={mode} {purpose}, and has no use for it.", f"Accepted: {accepted}.")


def none_given(key: str, runs_dir: str, *example: str) -> ConfigError:
    """Says that a request names no runs, with a command that does."""
    words = with_runs_dir(example, {"runs_dir": runs_dir}, Path.cwd())
    return ConfigError(f"{key}: got none.", f"Say which, such as: {command(*words)}")


def read_request(tree: dict[str, Any], shape: type[Request]) -> Request:
    """Gives a resolved configuration the types of a request; keys that it has no field for are left out.

    Raises:
        ConfigError: A value is not accepted.
    """
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), tree, shape) from error


@dataclass(frozen=True)
class Composition:
    """What Hydra made of the command line: interpolations kept, its own keys left out of the overrides."""

    composed: DictConfig
    overrides: list[str]
    choices: dict[str, str]
    compose: Callable[[list[str]], DictConfig]


def parse(composed: DictConfig) -> Config:
    """Checks a job's composed configuration, without Hydra's own node, and gives it types.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type or lies out of range, or two
            values cannot go together. Says which, what came, and what is accepted.
    """
    return parse_tree(resolve(composed))


def parse_sweep_request(composed: DictConfig) -> SweepRequest:
    """Reads the keys of a whole sweep, with or without Hydra's own node.

    Raises:
        ConfigError: A key is unknown or a value is not accepted.
    """
    tree = _to_tree(OmegaConf.masked_copy(composed, list(SWEEP_KEYS)))
    _refuse_odd(tree)
    return read_request(tree, SweepRequest)


def refuse_sweep_keys(composed: DictConfig) -> None:
    """Refuses, by a ConfigError, a single run that is asked for what only a sweep can do."""
    requested, unchanged = map(msgspec.structs.asdict, (parse_sweep_request(composed), NO_SWEEP))
    for key in _sweep_keys(composed):
        if requested[key] != unchanged[key]:
            raise ConfigError(f"{key}: it belongs to a sweep.", "Add -m.")


def _sweep_keys(composed: DictConfig) -> list[str]:
    """Lists the keys that speak of a whole sweep, without those that mean something to the mode itself."""
    own = MODE_KEYS.get(str(OmegaConf.select(composed, "mode")), ())
    return [key for key in SWEEP_KEYS if key not in own]


def refuse_launcher(composed: DictConfig) -> None:
    """Refuses, by a ConfigError, a launcher for a run on its own, composed with Hydra's node."""
    is_single = composed.get("mode") != "tune" and composed.get("resume") is None
    launching = [word for word in composed.hydra.overrides.hydra if word.startswith(LAUNCHER)]
    if is_single and launching:
        raise ConfigError(
            f"{shortened(launching[0])}: it says where a sweep's jobs or a search's trials run.",
            "Add -m, or mode=tune.",
        )


def refuse_no_folder(composed: DictConfig, key: str) -> None:
    """Refuses, by a ConfigError, an empty `hydra.run.dir` or `hydra.sweep.dir`: the current folder."""
    value = OmegaConf.select(composed, key)
    if not value:
        raise ConfigError(f"{key}: got {as_typed(value)}; a folder is needed.", "Leave it out for a new one.")


def refuse_outside_options(composed: DictConfig) -> None:
    """Refuses, by a ConfigError, options outside of their group's folder: a run may be named after one."""
    for group, option in composed.hydra.runtime.choices.items():
        if ".." in str(option).split("/"):
            raise ConfigError(f"{group}: got {option}; a name without .. is needed.")


def parse_tree(tree: dict[str, Any], *, is_trained: bool = False) -> Config:
    """Checks a resolved configuration and gives it types; see `parse` and `without_teacher`."""
    _refuse_odd(tree)
    config = read_request(_gather_free_keys(without_teacher(tree, is_trained=is_trained)), Config)
    check(config)
    return config


def resolve(composed: DictConfig) -> dict[str, Any]:
    """Replaces interpolations by values, as in `config.yaml`, without keys of whole sweeps and of Hydra."""
    left_out = (*_sweep_keys(composed), "hydra")
    tree = _to_tree(
        composed if "hydra" not in composed else OmegaConf.masked_copy(composed, own_keys(composed))
    )
    return without_teacher({key: value for key, value in tree.items() if key not in left_out})


def own_keys(composed: DictConfig) -> list[str]:
    """Lists the root keys that are not Hydra's."""
    return [str(key) for key in composed if key != "hydra"]


def _to_tree(composed: DictConfig) -> dict[str, Any]:
    try:
        tree = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError) as error:
        message = str(error).strip().splitlines()
        key = getattr(error, "full_key", None) or "configuration"
        problem = shortened(message[0], 400) if message else "interpolations that refer to each other"
        raise ConfigError(f"{shortened(str(key))}: {problem}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _refuse_odd(tree: dict[str, Any]) -> None:
    if problem := find_odd(tree):
        raise ConfigError(problem)


def _gather_free_keys(tree: dict[str, Any]) -> dict[str, Any]:
    """Moves an optimizer's own arguments and a sequential model's own numbers into one node."""
    tree = dict(tree)
    model, optimizer = tree.get("model"), tree.get("optimizer")
    if isinstance(optimizer, dict):
        tree["optimizer"] = _gather(optimizer, {"name", "learning_rate"}, "arguments")
    if isinstance(model, dict) and model.get("family") == "sequential":
        tree["model"] = _gather(model, {"family", "name", "layers"}, "numbers")
    return tree


def _gather(node: dict[str, Any], own: set[str], into: str) -> dict[str, Any]:
    kept = {key: value for key, value in node.items() if key in own}
    return kept | {into: {key: value for key, value in node.items() if key not in own}}
