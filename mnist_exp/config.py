"""From what Hydra composed to a checked, typed `Config`; the only reader of `DictConfig`."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import msgspec.yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp import keras_names
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.refusals import explain_rejection
from mnist_exp.schema import (
    BayesianTunerConfig,
    Config,
    MlpConfig,
    OptimizerConfig,
    RandomTunerConfig,
    SequentialConfig,
    SweepPlanConfig,
    SweepRequest,
)

SWEEP_KEYS = SweepRequest.__struct_fields__
"""Root keys that speak of a whole sweep, and are no part of any job's configuration."""

NO_SWEEP = SweepRequest(plan=False, rerun="unfinished", on_fail="continue", sweep_plan=SweepPlanConfig())
"""What is asked of a single run."""

_MAY_CHANGE = ("max_trials", "max_minutes", "patience_trials", "workers")


@dataclass(frozen=True)
class Composition:
    """What Hydra made of the command line, for those who need more than the values.

    Attributes:
        composed: Interpolations included.
        overrides: What was typed, Hydra's own keys left out.
        choices: The option chosen of each group.
        compose: Composes again, from a list of overrides.
    """

    composed: DictConfig
    overrides: list[str]
    choices: dict[str, str]
    compose: Callable[[list[str]], DictConfig]


def parse(composed: DictConfig) -> Config:
    """Checks a composed configuration and gives it types.

    Args:
        composed: The job's configuration, without Hydra's own node.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type or lies out of range, or two
            values cannot go together. Says which, what came, and what is accepted.
    """
    return parse_tree(resolve(composed))


def parse_sweep_request(composed: DictConfig) -> SweepRequest:
    """Reads what is asked of a whole sweep.

    Args:
        composed: The sweep's configuration, with or without Hydra's own node.

    Raises:
        ConfigError: A key is unknown or a value is not accepted.
    """
    tree = _to_tree(OmegaConf.masked_copy(composed, list(SWEEP_KEYS)))
    try:
        return msgspec.convert(tree, SweepRequest)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), tree, SweepRequest) from error


def refuse_sweep_keys(composed: DictConfig) -> None:
    """Makes sure that a single run is asked for nothing that only a sweep can do.

    Raises:
        ConfigError: A key belongs to a sweep.
    """
    asked = msgspec.structs.asdict(parse_sweep_request(composed))
    for key, value in asked.items():
        if value != msgspec.structs.asdict(NO_SWEEP)[key]:
            raise ConfigError(f"{key}: it belongs to a sweep.", "Add -m.")


def read_config(run_path: Path) -> Config:
    """Reads the configuration that a run was started with.

    Args:
        run_path: The run's directory.

    Raises:
        ConfigError: Its `config.yaml` is missing, damaged, or not accepted any more.
    """
    tree = _read_tree(run_path / "config.yaml")
    try:
        return parse_tree(tree)
    except ConfigError as error:
        raise ConfigError(f"{run_path / 'config.yaml'}: {error.message}", error.hint) from error


def resumed_tree(run_path: Path, requested: dict[str, Any], typed: list[str]) -> dict[str, Any]:
    """Reads a run's configuration to go on with it, other budgets included.

    Args:
        run_path: The run's directory.
        requested: What was composed this time.
        typed: The overrides that this came from.

    Raises:
        ConfigError: The run cannot be gone on with, or not with these overrides.
    """
    tree = _read_tree(run_path / "config.yaml")
    if tree.get("mode") != "tune":
        raise ConfigError(
            f"resume: {run_path} was made by mode={tree.get('mode')}.",
            "Only a search (mode=tune) can be gone on with.",
        )
    changes: dict[str, Any] = {}
    for override in typed:
        key = override.partition("=")[0].lstrip("+~")
        group, _, name = key.partition(".")
        if group == "tuner" and name in _MAY_CHANGE:
            changes[name] = requested["tuner"][name]
        elif key != "resume" and override != "mode=tune":
            accepted = ", ".join(f"tuner.{name}" for name in _MAY_CHANGE)
            raise ConfigError(
                f"{key}: {run_path} goes on with its own configuration; this cannot be changed.",
                f"Accepted beside mode=tune resume=…: {accepted}.",
            )
    return tree | {"tuner": tree["tuner"] | changes}


def _read_tree(path: Path) -> dict[str, Any]:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}.") from error


def parse_tree(tree: dict[str, Any]) -> Config:
    """Checks a resolved configuration and gives it types; see `parse`."""
    for key, value in _leaves(tree):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}: got {value}; a finite number is needed.")
    shaped = _gather_free_keys(tree)
    try:
        config = msgspec.convert(shaped, Config)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), shaped) from error
    _check(config)
    return config


def resolve(composed: DictConfig) -> dict[str, Any]:
    """Replaces every interpolation by its value; the result is what `config.yaml` holds.

    What is asked of a whole sweep, and Hydra's own node, are left out.
    """
    left_out = (*SWEEP_KEYS, "hydra")
    tree = _to_tree(
        composed if "hydra" not in composed else OmegaConf.masked_copy(composed, own_keys(composed))
    )
    return {key: value for key, value in tree.items() if key not in left_out}


def own_keys(composed: DictConfig) -> list[str]:
    """Lists the root keys that are not Hydra's."""
    return [str(key) for key in composed if key != "hydra"]


def _to_tree(composed: DictConfig) -> dict[str, Any]:
    try:
        tree = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError) as error:
        message = str(error).strip().splitlines()
        key = getattr(error, "full_key", None) or "configuration"
        raise ConfigError(
            f"{key}: {message[0] if message else 'interpolations that refer to each other'}"
        ) from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value with its dotted key."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{key}[{number}]")
    else:
        yield key, tree


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


def _check(config: Config) -> None:
    """Refuses values that are fine alone but not together, or that Keras does not know."""
    _check_optimizer(config.optimizer)
    match config.model:
        case MlpConfig():
            _check_mlp(config.model)
        case SequentialConfig():
            _check_layers(config.model)
    _check_monitor(config)
    _check_tuner(config)


def _check_optimizer(config: OptimizerConfig) -> None:
    names = {name.lower(): name for name in keras_names.optimizers()}
    if config.name.lower() not in names:
        raise ConfigError(
            f'optimizer.name: "{config.name}" is not a Keras optimizer.', nearest(config.name, names)
        )
    if config.arguments.keys() & {"use_ema", "ema_momentum"}:
        raise ConfigError("optimizer.use_ema: set training.ema_momentum instead.")
    accepted = keras_names.optimizer_arguments(names[config.name.lower()])
    for argument in config.arguments:
        if accepted is not None and argument not in accepted:
            raise ConfigError(
                f'optimizer.{argument}: "{config.name}" takes no such argument.', nearest(argument, accepted)
            )


def _check_mlp(config: MlpConfig) -> None:
    activations = [config.activation] if isinstance(config.activation, str) else config.activation
    for activation in activations:
        if activation not in keras_names.activations():
            hint = nearest(activation, keras_names.activations())
            raise ConfigError(f'model.activation: "{activation}" is not a Keras activation.', hint)
    for key, value in (("activation", config.activation), ("dropout", config.dropout)):
        if isinstance(value, list) and len(value) != len(config.units):
            raise ConfigError(
                f"model.{key}: got {len(value)} values for the {len(config.units)} layers of model.units.",
                "Give one value for all, or one for each layer.",
            )


def _check_layers(config: SequentialConfig) -> None:
    if not config.layers:
        raise ConfigError("model.layers: got none; at least one is needed.")
    for number, entry in enumerate(config.layers):
        key = f"model.layers[{number}]"
        if isinstance(entry, dict) and len(entry) != 1:
            raise ConfigError(f"{key}: got {len(entry)} names; each layer is one name with its arguments.")
        name, arguments = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
        if name in keras_names.RUN_FOREIGN_CODE:
            raise ConfigError(f'{key}: "{name}" is refused: a YAML file does not run code.')
        if name not in keras_names.layers():
            raise ConfigError(
                f'{key}: "{name}" is not a Keras layer to stack.', nearest(name, keras_names.layers())
            )
        accepted = keras_names.layer_arguments(name)
        for argument, value in (arguments or {}).items():
            if accepted is not None and argument not in accepted:
                raise ConfigError(f"{key}.{name}.{argument}: no such argument.", nearest(argument, accepted))
            if isinstance(value, dict):
                raise ConfigError(
                    f"{key}.{name}.{argument}: got a mapping; a number, text or list is needed."
                )


def _check_monitor(config: Config) -> None:
    training = config.training
    better = "max" if training.monitor.endswith("accuracy") else "min"
    if training.direction != better:
        raise ConfigError(
            f"training.direction: got {training.direction} with training.monitor={training.monitor}.",
            f"Set training.direction={better}.",
        )
    if config.data.validation == 0 and training.monitor.startswith("val_"):
        stays = (
            training.early_stopping.patience == 0
            and config.schedule.__class__.__name__ != "PlateauScheduleConfig"
        )
        if not stays:
            raise ConfigError(
                f"training.monitor: {training.monitor} needs validation images, and data.validation is 0.",
                "Set training.monitor=loss training.direction=min.",
            )


def _check_tuner(config: Config) -> None:
    if config.mode != "tune":
        if config.tuner is not None or config.search_space is not None:
            raise ConfigError("tuner: belongs to mode=tune.", "Add mode=tune.")
        return
    if config.tuner is None:
        raise ConfigError("tuner: mode=tune needs one.", "Choose mode=tune, not a value for mode.")
    if config.data.validation in (0, "test"):
        raise ConfigError(
            f"data.validation: got {config.data.validation}; a search scores its trials on validation "
            "images, never on test images.",
            "Set data.validation to a number, such as 5000.",
        )
    if isinstance(config.tuner, BayesianTunerConfig | RandomTunerConfig) and not (
        config.tuner.max_trials or config.tuner.max_minutes or config.tuner.patience_trials
    ):
        raise ConfigError(
            "tuner.max_trials: got null, and no other budget: the search would not end.",
            "Set tuner.max_trials, tuner.max_minutes or tuner.patience_trials.",
        )
    if isinstance(config.tuner, BayesianTunerConfig) and find_spec("sklearn") is None:
        raise ConfigError(
            "tuner=bayesian needs scikit-learn, which is not installed.",
            "Install it with: pip install 'mnist-exp[bayesian]'",
        )
