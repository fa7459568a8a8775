"""Hydra's launchers: set one up, count what it runs at once, and outlive what is meant for it."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mnist_exp.config.overrides import to_override
from mnist_exp.processes.signals import STOPPING
from mnist_exp.runs.provenance import num_cores

_JOB_CONFIG = "sweep_job"
"""The primary configuration of what a launcher runs: `conf/sweep_job.yaml`."""

_POLL_S = 0.5
_parent = os.getppid()


def build_launcher(config: DictConfig, folder: Path, task: Callable[[DictConfig], Any]) -> Launcher:
    """Sets up the launcher that a configuration with Hydra's node names; `task` is importable by name.

    Launchers keep their own files below `folder`.
    """
    # Imported late: it imports every module of Hydra's.
    from hydra._internal.callbacks import Callbacks

    # Ray would start its workers through `uv run`, too, in an environment without this package.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    config = config.copy()
    with read_write(config.hydra), open_dict(config):
        config.hydra.sweep.dir = str(folder)
        config.hydra.job.config_name = _JOB_CONFIG
        # What was typed for Hydra has done its work, and YAML files may have changed since.
        config.hydra.overrides.hydra = []
    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)


def launch(launcher: Launcher, notes: Path, jobs: Sequence[int], first: int = 0) -> str:
    """Runs jobs through a launcher, told of the folder `notes`, and waits for them.

    `first` is how many it has run before. Returns what went wrong around a job; "" for nothing.
    """
    where = to_override("launch", str(notes.resolve()), "hydra")
    overrides = [[where, f"job={number}"] for number in jobs]
    try:
        returns = launcher.launch(overrides, initial_job_idx=first)
    # Launchers have no errors in common, and pass on the interrupts of the processes they lend.
    except (Exception, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    return next(filter(None, map(_problem_of, returns)), "")


def release_launcher() -> None:
    """Ends what a launcher keeps between launches, before the thread that launched ends.

    Ray's main process is killed together with that thread, and its agents would stay for good.
    """
    if (ray := sys.modules.get("ray")) is not None:
        ray.shutdown()


def _problem_of(returned: JobReturn) -> str:
    if returned.status != JobStatus.FAILED:
        return ""
    return f"{type(returned._return_value).__name__}: {returned._return_value}"


def is_local(config: DictConfig) -> bool:
    """Says whether Hydra's own launcher is chosen, which runs one job after another in this process."""
    return _name(config) == "BasicLauncher"


def count_at_once(config: DictConfig, num_jobs: int) -> int:
    """Says how many jobs a launcher runs at once on one machine; `config` has Hydra's own node."""
    settings = OmegaConf.to_container(config.hydra.launcher, resolve=False)
    return max(min(_capacity(_name(config), settings), num_jobs), 1)


def _name(config: DictConfig) -> str:
    return str(config.hydra.launcher.get("_target_", "")).rpartition(".")[2]


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


@functools.cache
def outlive_signals() -> None:
    """Lets a lent process outlive signals meant for the launcher's whole group, but not the launcher.

    The one that launches says by its files when to stop; what is started from here does not inherit these.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threading.current_thread() is not threading.main_thread():
        return
    for number in STOPPING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, lambda *_: None)


def _end_with_parent() -> None:
    """Ends this process, and with it its worker, once whoever started it is gone."""
    while os.getppid() == _parent:
        time.sleep(_POLL_S)
    os._exit(1)
