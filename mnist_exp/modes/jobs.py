"""Makes a run or a search of what Hydra composed, or resumes an earlier one."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mnist_exp.config.parsing import Composition, parse, parse_tree, resolve
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.modes.execution import describe, execute
from mnist_exp.processes.launchers import is_local
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import writer
from mnist_exp.runs.finding import choose_stopped
from mnist_exp.runs.folder import PAGE
from mnist_exp.runs.job import Job, resumed_tree
from mnist_exp.runs.run import read_config
from mnist_exp.tuning.definition import plan_search


def run(composed: DictConfig, typed: list[str], terminal: Terminal, given: Path | None) -> None:
    """Does what Hydra composed, without its own node, in a new directory or in the one to resume.

    `given` is the directory that the user named; None for a new one in `runs_dir`.
    """
    tree, config = resolve(composed), parse(composed)
    if config.resume is not None:
        _resume(choose_stopped(config.resume, Path(config.runs_dir)), tree, typed, terminal, given)
        return
    job = _job(config, tree, typed, given)
    if config.tuner is not None:
        search, sentences = plan_search(config, _composition(composed, typed))
        job = replace(job, search=search.to_tree(), sentences=sentences)
    execute(job, terminal)


def _resume(
    path: Path, requested: dict[str, Any], typed: list[str], terminal: Terminal, given: Path | None
) -> None:
    earlier = writer.open_run(path)
    tree = _tree_to_resume(earlier, requested, typed)
    if tree is None:
        if not (path / PAGE).exists():  # the disk was full when it was written
            describe(path, terminal)
        terminal.print(f"{path} is completed; there is nothing to resume.")
        return
    execute(_job(parse_tree(tree), tree, typed, given), terminal, earlier)


def _tree_to_resume(
    earlier: writer.RunDirectory, requested: dict[str, Any], typed: list[str]
) -> dict[str, Any] | None:
    """Gives the configuration to resume a run with; None where there is nothing left to do."""
    try:
        if earlier.manifest.mode == "verify":
            raise ConfigError(f"resume: {earlier.path} was made by mode=verify.", "Run mode=verify again.")
        tree = resumed_tree(earlier.path, requested, typed)
        if earlier.manifest.status != "completed":
            return tree
        if parse_tree(tree) != read_config(earlier.path):
            raise ConfigError(
                f"resume: {earlier.path} is completed, and was scored on the test images.",
                "To train further, begin a new run.",
            )
    except BaseException:
        earlier.close()
        raise
    earlier.close()
    return None


def _composition(composed: DictConfig, typed: list[str]) -> Composition:
    """Keeps what Hydra knows for a mode that composes more configurations."""
    hydra_config = HydraConfig.get()
    choices, own = hydra_config.runtime.choices, list(hydra_config.overrides.hydra)

    def compose(overrides: list[str]) -> DictConfig:
        # With the folders that `hydra.searchpath` adds.
        return hydra.compose(config_name="config", overrides=[*own, *overrides])

    return Composition(
        composed, typed, {str(group): str(choice) for group, choice in choices.items()}, compose
    )


def _job(config: Config, tree: dict[str, Any], typed: list[str], given: Path | None) -> Job:
    hydra_config = HydraConfig.get()
    folder = Path(config.runs_dir, config.sweep or "")
    experiment = hydra_config.runtime.choices.get("experiment", "none")
    if experiment != "none":
        folder /= experiment
    return Job(
        config=config,
        tree=tree,
        overrides=typed,
        argv=sys.argv[1:],
        folder=folder,
        given=given,
        launcher=_lender(config),
    )


def _lender(config: Config) -> DictConfig | None:
    """Gives Hydra's configuration where its launcher lends a search the places of its trials."""
    composed = cast(DictConfig, HydraConfig.instance().cfg)
    return None if config.tuner is None or is_local(composed) else composed
