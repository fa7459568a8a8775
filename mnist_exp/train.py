"""The entrypoint: compose, parse, open the run, call the mode, say how it ended."""

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp import provenance, runs
from mnist_exp.config import parse, resolve
from mnist_exp.errors import ExperimentError
from mnist_exp.native_output import diverted_stderr
from mnist_exp.records import Manifest
from mnist_exp.refusals import explain_hydra
from mnist_exp.schema import Config
from mnist_exp.signals import stop_request
from mnist_exp.terminal import Terminal

_MODES = {"train": "mnist_exp.modes.train"}
_SHOW_TRACEBACK = "HYDRA_FULL_ERROR"
_INSTALLED_CONF = Path(__file__).parent / "conf"
_CONF = _INSTALLED_CONF if _INSTALLED_CONF.is_dir() else _INSTALLED_CONF.parent.parent / "conf"

OmegaConf.register_new_resolver(
    "first_given", lambda *values: next(value for value in values if value is not None), replace=True
)


def main() -> None:
    """Runs the command line; exits with 0 (done), 1 (failed), 2 (refused) or 130 (interrupted)."""
    show_traceback = bool(os.environ.get(_SHOW_TRACEBACK))
    # Hydra prints its own errors and exits with 1 unless it is told to raise them.
    os.environ[_SHOW_TRACEBACK] = "1"
    statuses: list[int] = []

    def job(composed: DictConfig) -> int:
        statuses.append(_run_job(composed, show_traceback))
        return statuses[-1]

    application = hydra.main(version_base="1.3", config_path=str(_CONF), config_name="config")(job)
    try:
        application()
    except (HydraException, OmegaConfBaseException) as error:
        if show_traceback:
            raise
        Terminal().error(f"mnist-exp: {explain_hydra(error)}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(max(statuses, default=0))


def _run_job(composed: DictConfig, show_traceback: bool) -> int:
    """Runs one job and says with which status; errors become one line."""
    terminal = Terminal()
    try:
        _execute(composed, terminal)
    except ExperimentError as error:
        if show_traceback:
            raise
        terminal.error(f"mnist-exp: {error}")
        return error.exit_status
    except KeyboardInterrupt as error:
        terminal.error(f"mnist-exp: {str(error) or 'stopped'}")
        return getattr(error, "exit_status", 130)
    return 0


def _execute(composed: DictConfig, terminal: Terminal) -> None:
    """Does what the configuration asks for, in a directory of its own."""
    config = parse(composed)
    with diverted_stderr() as native_output, stop_request() as request:
        mode = _import_mode(config.mode)
        prepared = mode.prepare(config, terminal)
        run = _open_run(config, composed)
        request.place = str(run.path)
        native_output.follow(run.log_path)
        terminal.attach_log(run.log_path)
        with runs.recorded(run):
            mode.run(prepared, run, terminal, request)


def _import_mode(name: str) -> Any:
    """Imports a mode and with it TensorFlow, a million objects that no collection need look at again."""
    gc.disable()
    try:
        return importlib.import_module(_MODES[name])
    finally:
        gc.freeze()
        gc.enable()


def _open_run(config: Config, composed: DictConfig) -> runs.RunDirectory:
    """Makes the run's directory and writes down what was asked for."""
    hydra_config = HydraConfig.get()
    folder = Path(config.runs_dir, config.sweep or "")
    if hydra_config.mode is RunMode.MULTIRUN:
        folder = Path(hydra_config.sweep.dir)
    experiment = hydra_config.runtime.choices.get("experiment", "none")
    if experiment != "none":
        folder /= experiment
    given = None if hydra_config.run.dir == "." else Path(hydra_config.run.dir)

    def manifest(run_id: str) -> Manifest:
        return Manifest(
            run_id=run_id,
            mode=config.mode,
            status="running",
            error=None,
            started_at=runs.utc_now(),
            finished_at=None,
            duration_s=None,
            argv=sys.argv[1:],
            seed=config.seed,
            engine=None,
            device=None,
            threads=None,
            versions=provenance.versions(),
            git=provenance.git_record(),
            data=None,
        )

    label = f"{config.mode}_{config.model.name}"
    run = runs.create_run(folder, manifest, label, given)
    run.write_request(resolve(composed), list(hydra_config.overrides.task))
    return run
