"""Values that change nothing, with which a run would be reported as another than the same run without."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp import CONF_DIR
from mnist_exp.config.commands import value_at
from mnist_exp.config.composing import Composer
from mnist_exp.config.overrides import override_value
from mnist_exp.config.schema import Config, SequentialConfig
from mnist_exp.config.trees import leaves
from mnist_exp.errors import ConfigError
from mnist_exp.words import shortened

_NOT_NUMBERS = ("family", "name", "layers")
_NO_ACTIVATION = "linear"
_MARK = "the number that is looked for"


def _validates(config: Config) -> bool:
    return config.training.monitor.startswith("val_")


def _searches_by_another(config: Config) -> bool:
    return config.tuner is not None and config.tuner.objective != config.training.monitor


def _takes_no_images_apart(config: Config) -> bool:
    """Says whether validation images alone are chosen; files may lack test images, too."""
    return config.data.folds is None and config.data.path is None


class _Switch(NamedTuple):
    """Keys that nothing uses while the key `switch` has one of the values `off`, and `applies`."""

    keys: tuple[str, ...]
    switch: str
    off: tuple[Any, ...]
    applies: Callable[[Config], bool] = lambda config: True


_SWITCHES = (
    _Switch(("training.early_stopping.min_delta",), "training.early_stopping.patience", (0,)),
    _Switch(("training.monitor",), "data.validation", (0,), _validates),
    _Switch(("training.monitor",), "tuner.objective", ("val_accuracy", "val_loss"), _searches_by_another),
    _Switch(("data.split_seed",), "data.validation", (0, "test"), _takes_no_images_apart),
    _Switch(("optimizer.nesterov",), "optimizer.momentum", (0, None)),
    _Switch(("augmentation.elastic_grid",), "augmentation.elastic_pixels", (0,)),
    _Switch(("schedule.final_fraction",), "schedule.warmup_fraction", (1,)),
    _Switch(("schedule.every_epochs",), "schedule.factor", (1,)),
    _Switch(
        ("model.activation", "model.batch_norm", "model.dropout", "model.max_norm"), "model.units", ([],)
    ),
    _Switch(("tuner.confirm.top",), "tuner.confirm.seeds", (0,)),
)


def refuse_unused_values(
    composed: DictConfig, config: Config, overrides: Sequence[str], model_option: str, composer: Composer
) -> None:
    """Makes sure that what a user gave counts for something.

    That is what was typed or planned, the numbers of a `sequential` model that the user wrote, and what
    files of the user's own set. Values that lost their layer, their model or what they depend on to another
    override are accepted.

    Args:
        composed: The configuration, interpolations kept.

    Raises:
        ConfigError: A value changes nothing; says why.
    """
    given = dict(map(override_value, overrides))
    looked_at = [path for path in given if path != "model"]
    has_other_layers = any(_is_within(path, "model.layers") for path in given)
    has_other_model = "experiment" in given and "model" in given
    if not has_other_layers and not has_other_model:
        filed = _shipped_keys(model_option)
        looked_at += [f"model.{key}" for key in composed.model if key not in filed]
    refuse_unused_numbers(composed, config, looked_at)
    searched = _searched_keys(config)
    refuse_switched_off(config, given, searched)
    _refuse_switched_off_in_files(composed, config, overrides, searched, composer)


def _searched_keys(config: Config) -> list[str]:
    """Lists the keys which others depend on and a search changes, by values or by options of their group."""
    paths = {path for path, _ in leaves(config.search_space or {})}
    found = []
    for _, key, *_ in _SWITCHES:
        group = key.partition(".")[0]
        if {group, f"{group}.values"} & paths or any(_is_within(path, key) for path in paths):
            found.append(key)
    return found


@functools.cache
def _shipped_keys(model_option: str) -> frozenset[str]:
    """Lists the keys of a model's file in `conf/`; none for a file of the user's own."""
    path = CONF_DIR / "model" / f"{model_option}.yaml"
    return frozenset(map(str, OmegaConf.load(path))) if path.is_file() else frozenset()


def refuse_unused_numbers(composed: DictConfig, config: Config, given: Iterable[str]) -> None:
    """Makes sure that a layer refers to each of a `sequential` model's own numbers, else raises ConfigError.

    `given` are the dotted paths to look at, with all that is below them.
    """
    if not isinstance(config.model, SequentialConfig):
        return
    model: Any = OmegaConf.to_container(composed.model, resolve=False)
    numbers = {key: node for key, node in model.items() if key not in _NOT_NUMBERS}
    layers, paths = json.dumps(model["layers"]), list(given)
    for place in _number_places(numbers, ("model",)):
        number = ".".join(map(str, place))
        if f"${{{number}}}" in layers:  # as all of conf/model/ has it, and read in no time
            continue
        is_given = any(_is_within(number, path) or _is_within(path, number) for path in paths)
        if is_given and not _reaches_layers(composed, place):
            raise ConfigError(
                f"{number}: no layer of {config.model.name} uses it.",
                f"Leave it out, or have model.layers refer to it: ${{{number}}}.",
            )


def refuse_switched_off(config: Config, given: Mapping[str, Any], may_change: Iterable[str] = ()) -> None:
    """Makes sure that nothing is set that is off.

    Zero, false and null are accepted: they ask for nothing.

    Args:
        may_change: Keys that others will have another value for: what depends on them may count yet.

    Raises:
        ConfigError: Something is; says what it depends on.
    """
    values = dict(leaves(given))
    for key, switch in _switched_off(config, may_change):
        if values.get(key):
            raise _is_off(config, key, switch, "Leave it out")


def _refuse_switched_off_in_files(
    composed: DictConfig,
    config: Config,
    overrides: Sequence[str],
    may_change: Iterable[str],
    composer: Composer,
) -> None:
    """Accepts what a recipe or the command line switched off later, and what shipped files have there."""
    typed = dict(leaves(dict(map(override_value, overrides))))
    for key, switch in _switched_off_unusually(composed, config, may_change):
        if key in typed or switch in typed:
            continue
        files = composer.files_that_set(key, overrides)
        decided = composer.files_that_set(switch, overrides)
        if not files or files[-1][1].is_relative_to(CONF_DIR) or (decided and decided[-1] > files[-1]):
            continue
        raise _is_off(config, key, switch, f"Leave it out of {shortened(str(files[-1][1]), 200)}")


def take_out_switched_off(composed: DictConfig, config: Config) -> None:
    """Takes out what would be refused in a file: values of a search that others have switched off."""
    for key, _ in list(_switched_off_unusually(composed, config, ())):
        node, _, name = key.rpartition(".")
        OmegaConf.select(composed, node).pop(name)


def _switched_off_unusually(
    composed: DictConfig, config: Config, may_change: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yields as `_switched_off` does, but only keys that ask for something and differ from shipped files."""
    for key, switch in _switched_off(config, may_change):
        value = OmegaConf.select(composed, key)
        is_request = value and value != _NO_ACTIVATION
        if is_request and not _is_usual(key, value, switch, OmegaConf.select(composed, switch)):
            yield key, switch


def _switched_off(config: Config, may_change: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields the keys that nothing uses, and the key that each depends on."""
    changing = set(may_change)
    for switch in _SWITCHES:
        if switch.switch in changing or not switch.applies(config):
            continue
        if _setting(config, switch.switch) in switch.off:
            yield from ((key, switch.switch) for key in switch.keys)


def _is_off(config: Config, key: str, switch: str, remedy: str) -> ConfigError:
    setting = _setting(config, switch)
    setting = "null" if setting is None else setting
    return ConfigError(f"{key}: nothing uses it while {switch} is {setting}.", f"{remedy}, or set {switch}.")


def _is_usual(key: str, value: Any, switch: str, setting: Any) -> bool:
    """Says whether a shipped file has this value, an optimizer's argument together with the switch's."""
    group, _, rest = key.partition(".")
    for tree in _shipped_options(group):
        is_same = value_at(tree, rest) == value
        if group == "optimizer":
            is_same = is_same and value_at(tree, switch.removeprefix("optimizer.")) == setting
        if is_same:
            return True
    return False


@functools.cache
def _shipped_options(group: str) -> list[dict[Any, Any]]:
    trees = [OmegaConf.to_container(OmegaConf.load(path)) for path in (CONF_DIR / group).glob("*.yaml")]
    return [tree for tree in trees if isinstance(tree, dict)]


def _setting(config: Config, key: str) -> Any:
    """Looks up a switch; `absent` where the chosen options have no such key."""
    node: Any = config
    for part in key.split("."):
        node = node.arguments.get(part, 0) if part == "momentum" else getattr(node, part, "absent")
    return node


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


def _number_places(node: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    else:
        yield place
        return
    for key, child in children:
        yield from _number_places(child, (*place, key))


def _reaches_layers(composed: DictConfig, place: tuple[Any, ...]) -> bool:
    """Says whether a number shows in what interpolations come to; yes where none can be resolved."""
    own = [str(key) for key in composed if key not in ("hydra", "search_space", "sweep_plan")]
    marked: Any = OmegaConf.to_container(OmegaConf.masked_copy(composed, own), resolve=False)
    node = marked
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = _MARK
    try:
        resolved: Any = OmegaConf.to_container(OmegaConf.create(marked), resolve=True)
    except OmegaConfBaseException:
        return True
    resolved["model"] = {key: resolved["model"].get(key) for key in _NOT_NUMBERS}
    return _MARK in json.dumps(resolved, default=str)
