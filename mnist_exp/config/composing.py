"""Hundreds of configurations, composed as Hydra composes one, which takes it a tenth of a second each.

Which files are merged depends on the groups' options alone: each combination of options is composed once,
and other overrides are set as values in a copy of it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_exp.config.commands import value_at
from mnist_exp.config.overrides import parse_override
from mnist_exp.config.trees import leaves


@dataclass(frozen=True)
class Composed:
    """What Hydra makes of one job's overrides.

    Attributes:
        config: Interpolations kept, Hydra's own node left out.
        hydra: The values of Hydra's own node, by dotted path, interpolations kept as text.
    """

    config: DictConfig
    choices: dict[str, str]
    hydra: dict[str, Any]


class Composer:
    """Composes configurations that have most of their files in common; Hydra must have been initialised.

    Args:
        hydra_overrides: Overrides of Hydra's own node, for all configurations alike.
    """

    def __init__(self, config_name: str = "config", hydra_overrides: Sequence[str] = ()) -> None:
        loader = GlobalHydra.instance().config_loader()
        assert isinstance(loader, ConfigLoaderImpl)
        self._config_name, self._hydra_overrides = config_name, list(hydra_overrides)
        # With the folders that `hydra.searchpath` adds.
        _, self._repository = loader._parse_overrides_and_create_caching_repo(
            config_name, self._hydra_overrides
        )
        self._chosen: dict[tuple[str, ...], Composed | Exception] = {}

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Composes one configuration from overrides as typed, without Hydra's own ones.

        Raises:
            Exception: Whatever `hydra.compose` raises: its errors have no class in common.
        """
        parsed = [parse_override(override) for override in overrides]
        options = tuple(str(override.input_line) for override in parsed if self._is_option(override))
        values = [override for override in parsed if not self._is_option(override)]
        base = self._base(options)
        config = copy.deepcopy(base.config)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return Composed(config, dict(base.choices), base.hydra)

    def is_group(self, key: str) -> bool:
        """Says whether a key names a group of files."""
        return self._repository.group_exists(key)

    def files_that_set(self, key: str, overrides: Sequence[str]) -> list[tuple[int, Path]]:
        """Lists the files that set a dotted key, in the order of merging: place among all files, and path.

        `overrides` are as typed, without Hydra's own ones.
        """
        loader = GlobalHydra.instance().config_loader()
        assert isinstance(loader, ConfigLoaderImpl)
        both = [*self._hydra_overrides, *overrides]
        defaults = loader.compute_defaults_list(self._config_name, both, RunMode.RUN).defaults
        found = []
        for place, default in enumerate(defaults):
            if default.config_path is None or default.config_path.startswith("hydra/"):
                continue
            result = loader._load_single_config(default, self._repository)
            tree: Any = OmegaConf.to_container(result.config, resolve=False)
            if value_at(tree, key) is not None:
                folder = str(result.path).removeprefix("file://")
                found.append((place, Path(folder, f"{default.config_path}.yaml")))
        return found

    def _is_option(self, override: Override) -> bool:
        """Says whether an override chooses a file, as Hydra's `defaults_list.Overrides` decides."""
        return self.is_group(override.key_or_group) and not isinstance(override.value(), dict)

    def _base(self, options: tuple[str, ...]) -> Composed:
        """Composes a combination of options once; refuses it each time."""
        if options not in self._chosen:
            try:
                self._chosen[options] = self._compose_options(list(options))
            except Exception as error:
                self._chosen[options] = error
        base = self._chosen[options]
        if isinstance(base, Exception):
            raise base
        return base

    def _compose_options(self, options: list[str]) -> Composed:
        composed = hydra.compose(
            self._config_name, [*self._hydra_overrides, *options], return_hydra_config=True
        )
        choices: dict[Any, Any] = dict(composed.hydra.runtime.choices)
        own = hydra_settings(composed)
        with open_dict(composed):
            del composed["hydra"]
        return Composed(composed, {str(group): str(option) for group, option in choices.items()}, own)


def hydra_settings(composed: DictConfig) -> dict[str, Any]:
    """Lists what Hydra's own node is set to, by dotted path, but for what tells of the command itself."""
    node = OmegaConf.to_container(composed.hydra, resolve=False)
    assert isinstance(node, dict)
    for told in ("overrides", "runtime", "mode"):
        node.pop(told, None)
    node["job"].pop("override_dirname", None)
    return dict(leaves(node, "hydra"))
