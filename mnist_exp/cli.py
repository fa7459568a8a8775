"""The entrypoint: compose, parse, open the run, call the mode, say how it ended."""

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.arguments import accepted_arguments
from mnist_exp.config.composing import Composer
from mnist_exp.config.keys import MODE_KEYS, READING_MODES
from mnist_exp.config.parsing import (
    own_keys,
    parse,
    refuse_launcher,
    refuse_no_folder,
    refuse_outside_options,
    refuse_sweep_keys,
    resolve,
)
from mnist_exp.config.refusals import explain_hydra
from mnist_exp.config.unused import refuse_unused_values
from mnist_exp.data import completing
from mnist_exp.errors import ConfigError, ExperimentError, explain
from mnist_exp.processes.start import check_working_folder, prepare
from mnist_exp.report.terminal import Terminal, tolerating_lost_output
from mnist_exp.runs import files

_READING_DATA = ("evaluate", "export", "verify")
_HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")
"""What Hydra writes to `hydra.output_subdir` before a job begins."""
_FULL_ERROR = "HYDRA_FULL_ERROR"
_SHOW_TRACEBACK = os.environ.get(_FULL_ERROR) == "1"


class PlanBeforeHydra(Callback):
    """Runs before Hydra makes directories: refuses a bad run, and runs a sweep itself.

    Hydra's own sweeper would compose each job when its turn comes, from files that may have changed.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuses a bad configuration of a single run."""
        folder = Path(config.hydra.run.dir or "", config.hydra.output_subdir or "")
        files.note_new_folders(folder)
        for name in _HYDRA_FILES if config.hydra.output_subdir else ():
            files.note_new_file(folder / name)
        with closing(Terminal()) as terminal:
            status = _status_of(terminal, lambda: _check(config))
        if status:
            raise SystemExit(status)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Plans and runs a sweep, through the launcher that Hydra's configuration names."""
        from mnist_exp.sweeps.sweep import run_sweep

        with closing(Terminal()) as terminal:
            if str(OmegaConf.select(config, "mode")) in READING_MODES:
                terminal.error(
                    f"mnist-exp: mode: {config.mode} reads runs, and cannot be swept. Leave -m out."
                )
                raise SystemExit(2)

            def run() -> int | None:
                refuse_no_folder(config, "hydra.sweep.dir")
                return run_sweep(config, terminal)

            status = _status_of(terminal, run)
            if config.plan and terminal.has_lost_output:
                status = max(status, ExperimentError.exit_status)
            raise SystemExit(status)


def _check(config: DictConfig) -> None:
    refuse_no_folder(config, "hydra.run.dir")
    refuse_outside_options(config)
    refuse_sweep_keys(config)
    refuse_launcher(config)
    own = OmegaConf.masked_copy(config, own_keys(config))
    if (mode := _reading_mode(config)) is not None:
        mode.accept(_resolve_request(own), list(config.hydra.overrides.task))
    else:
        chosen = str(config.hydra.runtime.choices.get("model"))
        composer = Composer(config.hydra.job.config_name, list(config.hydra.overrides.hydra))
        refuse_unused_values(own, parse(own), list(config.hydra.overrides.task), chosen, composer)


def _resolve_request(config: DictConfig) -> dict[str, Any]:
    """Resolves what a mode that reads runs takes; what completes a training may read a whole data set."""
    name, keys = str(config.mode), own_keys(config)
    if name not in _READING_DATA:
        keys = [key for key in keys if key in ("mode", "runs_dir", *MODE_KEYS[name])]
    return resolve(OmegaConf.masked_copy(config, keys))


def _reading_mode(config: DictConfig) -> Any:
    """Imports a mode that reads finished runs; None for those that make one."""
    # A request may have taken the key away, which `parse` says in its own words.
    name = str(OmegaConf.select(config, "mode"))
    return importlib.import_module(f"mnist_exp.modes.{name}") if name in READING_MODES else None


def main() -> None:
    """Runs the command line; exits with 0 (done), 1 (failed), 2 (refused) or 130 (interrupted)."""
    prepare()
    try:
        _run_command_line()
    except SystemExit as ended:
        if ended.code == ConfigError.exit_status:
            files.remove_new()
        raise


def _run_command_line() -> None:
    # Hydra prints its own errors and exits with 1 unless it is told to raise them.
    os.environ[_FULL_ERROR] = "1"
    completing.register()
    statuses: list[int] = []

    def job(composed: DictConfig) -> int:
        with closing(Terminal()) as terminal:
            statuses.append(_status_of(terminal, lambda: _execute(composed, terminal)))
        return statuses[-1]

    application = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)
    try:
        with tolerating_lost_output():
            sys.argv[1:] = accepted_arguments(sys.argv[1:])
            check_working_folder()
            application()
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        sys.exit(getattr(error, "exit_status", 130))
    except Exception as error:
        # A job reports its own errors; what comes here is a request that Hydra cannot compose.
        if _SHOW_TRACEBACK:
            raise
        known = error if isinstance(error, ExperimentError) else explain_hydra(error, sys.argv[1:])
        Terminal().error(f"mnist-exp: {known}")
        sys.exit(known.exit_status)
    sys.exit(max(statuses, default=0))


def _status_of(terminal: Terminal, action: Callable[[], int | None]) -> int:
    try:
        return action() or 0
    except KeyboardInterrupt as error:
        terminal.error(f"mnist-exp: {str(error) or 'stopped'}")
        raise
    except Exception as error:
        if _SHOW_TRACEBACK:
            raise
        known = explain(error)
        terminal.error(f"mnist-exp: {known}")
        return known.exit_status


def _execute(composed: DictConfig, terminal: Terminal) -> int | None:
    """Does what the configuration says; gives the status of a mode whose result is yes or no, else None."""
    typed = list(HydraConfig.get().overrides.task)
    if (mode := _reading_mode(composed)) is not None:
        status: int | None = mode.run(mode.accept(_resolve_request(composed), typed), terminal, _given_dir())
        return status
    # Imported here: it needs much that --help and a refusal need not wait for.
    from mnist_exp.modes import jobs

    jobs.run(composed, typed, terminal, _given_dir())
    return None


def _given_dir() -> Path | None:
    """Gives the directory that the user named for the run's files; None for a new one in `runs_dir`."""
    given = HydraConfig.get().run.dir
    return None if given == "." else Path(given)
