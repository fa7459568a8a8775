"""Hydra's launchers: how many jobs each runs at once on a machine, and how to set one up for a sweep."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_exp.processes.workplace import num_cores

JOB_CONFIG = "sweep_job"
"""The primary configuration of what a launcher runs: `conf/sweep_job.yaml`."""


def build_launcher(config: DictConfig, sweep_path: Path, task: Callable[[DictConfig], Any]) -> Launcher:
    """Sets up the launcher that the configuration names.

    Args:
        config: The sweep's, with Hydra's own node.
        sweep_path: The sweep's folder; launchers keep their own files below it.
        task: What to call for each job; has to be importable by name.
    """
    # Imported late: it imports every module of Hydra's.
    from hydra._internal.callbacks import Callbacks

    # Ray would start its workers through `uv run`, too, in an environment without this package.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    config = config.copy()
    with open_dict(config):
        config.hydra.sweep.dir = str(sweep_path)
        config.hydra.job.config_name = JOB_CONFIG
        # What was typed for Hydra has done its work, and YAML files may have changed since.
        config.hydra.overrides.hydra = []
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)


def count_at_once(config: DictConfig, num_jobs: int) -> int:
    """Says how many jobs a launcher runs at the same time on one machine.

    Args:
        config: The sweep's, with Hydra's own node.
        num_jobs: How many there are to run.
    """
    launcher = config.hydra.launcher
    name = str(launcher.get("_target_", "")).rpartition(".")[2]
    return max(min(_capacity(name, OmegaConf.to_container(launcher, resolve=False)), num_jobs), 1)


def _capacity(name: str, settings: Any) -> int:
    """Reads how many jobs a launcher may run at once on this machine; a cluster's are one a machine."""
    match name:
        case "JoblibLauncher":
            num_jobs = settings.get("n_jobs")
            return 1 if num_jobs is None else num_jobs if num_jobs > 0 else num_cores() + 1 + num_jobs
        case "RayLauncher":
            ray = settings.get("ray") or {}
            if (ray.get("init") or {}).get("address"):
                return 1
            total = (ray.get("init") or {}).get("num_cpus") or num_cores()
            return int(total / max((ray.get("remote") or {}).get("num_cpus") or 1, 0.01))
        case "LocalLauncher":
            return 2**31
        case _:
            return 1
