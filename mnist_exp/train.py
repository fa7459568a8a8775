"""The entrypoint: compose, parse, open the run, call the mode, say how it ended."""

import gc
import importlib
import os
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mnist_exp import CONF_DIR, provenance, runs
from mnist_exp.config import Composition, parse, parse_tree, read_config, resolve, resumed_tree
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.native_output import diverted_stderr
from mnist_exp.records import Manifest
from mnist_exp.refusals import explain_hydra
from mnist_exp.schema import Config
from mnist_exp.signals import Interrupted, stop_request
from mnist_exp.terminal import Terminal
from mnist_exp.workplace import find_workplace

_MODES = {"train": "mnist_exp.modes.train", "tune": "mnist_exp.modes.tune"}
_FULL_ERROR = "HYDRA_FULL_ERROR"
_SHOW_TRACEBACK = os.environ.get(_FULL_ERROR) == "1"

OmegaConf.register_new_resolver(
    "first_given", lambda *values: next(value for value in values if value is not None), replace=True
)


class RefuseEarly(Callback):
    """Refuses a bad configuration before Hydra makes a directory for it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Checks the configuration of a single run."""
        self._check(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Checks what all jobs of a sweep have in common."""
        self._check(config)

    def _check(self, config: DictConfig) -> None:
        try:
            parse(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
        except ConfigError as error:
            if _SHOW_TRACEBACK:
                traceback.print_exc()
            Terminal().error(f"mnist-exp: {error}")
            raise SystemExit(error.exit_status) from error


def main() -> None:
    """Runs the command line; exits with 0 (done), 1 (failed), 2 (refused) or 130 (interrupted)."""
    # Hydra prints its own errors and exits with 1 unless it is told to raise them.
    os.environ[_FULL_ERROR] = "1"
    statuses: list[int] = []

    def job(composed: DictConfig) -> int:
        statuses.append(_run_job(composed))
        return statuses[-1]

    application = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)
    try:
        application()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as error:
        sys.exit(getattr(error, "exit_status", 130))
    except (
        Exception
    ) as error:  # Jobs answer for themselves; what comes here is a request that Hydra cannot compose.
        if _SHOW_TRACEBACK:
            raise
        Terminal().error(f"mnist-exp: {explain_hydra(error, sys.argv[1:])}")
        sys.exit(2)
    if len(statuses) > 1:
        sys.exit(int(any(statuses)))
    sys.exit(max(statuses, default=0))


def _run_job(composed: DictConfig) -> int:
    """Runs one job and says with which status."""
    with closing(Terminal()) as terminal:
        return _answer(composed, terminal)


def _answer(composed: DictConfig, terminal: Terminal) -> int:
    """Runs one job; errors become one line and a status."""
    try:
        _execute(composed, terminal)
    except KeyboardInterrupt as error:
        terminal.error(f"mnist-exp: {str(error) or 'stopped'}")
        raise
    except Exception as error:
        if _SHOW_TRACEBACK:
            raise
        known = error if isinstance(error, ExperimentError) else runs.explain(error)
        terminal.error(f"mnist-exp: {known}")
        return known.exit_status
    return 0


def _execute(composed: DictConfig, terminal: Terminal) -> None:
    """Does what the configuration asks for, in a directory of its own or in the one to go on with."""
    config = parse(composed)
    typed = list(HydraConfig.get().overrides.task)
    earlier = None if config.resume is None else runs.open_run(Path(config.resume))
    tree = None
    if earlier is not None:
        tree = _go_on_with(earlier, resolve(composed), typed)
        if tree is None:
            terminal.print(f"{earlier.path} is completed; there is nothing to go on with.")
            return
        config = parse_tree(tree)
    with diverted_stderr() as native_output, stop_request() as request:
        if config.mode == "tune" and (workplace := find_workplace()).is_worker:
            _import_module("mnist_exp.modes.tune_worker").join(config, workplace, terminal)
            return
        mode = _import_module(_MODES[config.mode])
        prepared = mode.prepare(config, terminal, _composition(composed, typed), earlier)
        run = earlier or _open_run(config, composed)
        with runs.recorded(run):
            if earlier is not None and tree is not None:
                run.update_manifest(status="running", error=None, finished_at=None)
                run.write_config(tree)
            native_output.follow(run.log_path)
            terminal.attach_log(run.log_path)

            def abandon(interrupted: Interrupted) -> None:
                run.abandon(interrupted)
                native_output.restore()
                terminal.error(f"mnist-exp: {interrupted}")

            go_on = f"; go on with: mnist-exp resume={run.path}" if config.tuner is not None else ""
            request.place, request.abandon = f"{run.path}{go_on}", abandon
            mode.run(prepared, run, terminal, request)


def _go_on_with(
    earlier: runs.RunDirectory, requested: dict[str, Any], typed: list[str]
) -> dict[str, Any] | None:
    """Gives the configuration to go on with a run; None where there is nothing left to do."""
    try:
        tree = resumed_tree(earlier.path, requested, typed)
        if earlier.manifest.status != "completed":
            return tree
        if parse_tree(tree) != read_config(earlier.path):
            raise ConfigError(
                f"resume: {earlier.path} is completed, and its winner was scored on the test images.",
                "A longer search is a new run.",
            )
    except BaseException:
        earlier.close()
        raise
    earlier.close()
    return None


def _composition(composed: DictConfig, typed: list[str]) -> Composition:
    """Keeps what Hydra knows for a mode that composes more configurations."""
    choices = HydraConfig.get().runtime.choices

    def compose(overrides: list[str]) -> DictConfig:
        return hydra.compose(config_name="config", overrides=overrides)

    return Composition(
        composed, typed, {str(group): str(choice) for group, choice in choices.items()}, compose
    )


def _import_module(name: str) -> Any:
    """Imports a mode and with it TensorFlow, a million objects that no collection need look at again."""
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return importlib.import_module(name)
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
