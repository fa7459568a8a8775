"""A job from its acceptance to its end; knows neither Hydra nor who asked."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnist_exp.config.commands import resume_command
from mnist_exp.errors import explain
from mnist_exp.processes.native_output import diverted_stderr
from mnist_exp.processes.signals import Interrupted, stop_request
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import job as jobs
from mnist_exp.runs import writer
from mnist_exp.runs.job import Job

_MODES = {"train": "mnist_exp.modes.train", "tune": "mnist_exp.modes.tune"}


def execute(
    job: Job, terminal: Terminal, earlier: writer.RunDirectory | None = None, *, is_worker: bool = False
) -> Path:
    """Does what a job asks for, in a directory of its own, or resumes the run `earlier`.

    Raises:
        ConfigError: The request cannot work; nothing was started.
        RunError: The run failed; its manifest says why.
        Interrupted: Someone asked the run to stop; what was finished is kept.
    """
    with diverted_stderr(is_worker) as native_output, stop_request() as request:
        mode = _import_module(_MODES[job.config.mode])
        prepared = _prepared(mode, job, terminal, earlier)
        with request.put_off():
            run = earlier or jobs.open_run(job)
        with _described(run, terminal), writer.recorded(run):
            request.check()
            if earlier is not None:
                run.update_manifest(status="running", error=None, finished_at=None)
                run.write_config(job.tree)
            native_output.follow(run.log_path)
            terminal.attach_log(run.log_path)

            def abandon(interrupted: Interrupted) -> None:
                run.abandon(interrupted)
                native_output.restore()
                terminal.error(f"mnist-exp: {interrupted}")

            how = f"; resume with: {resume_command(run.path, job.tree, Path.cwd(), job.argv)}"
            request.place, request.abandon = f"{run.path}{how if job.can_be_resumed else ''}", abandon
            mode.run(prepared, run, terminal, request)
        return run.path


def _prepared(mode: Any, job: Job, terminal: Terminal, earlier: writer.RunDirectory | None) -> Any:
    """Lets a mode prepare; a request that it refuses leaves an earlier run to others."""
    try:
        return mode.prepare(job, terminal, earlier)
    except BaseException:
        if earlier is not None:
            earlier.close()
        raise


@contextmanager
def _described(run: writer.RunDirectory, terminal: Terminal) -> Iterator[None]:
    """Writes the run's page when the block ends, however it ends; a page that fails costs nothing else."""
    try:
        yield
    finally:
        describe(run.path, terminal)


def describe(run_path: Path, terminal: Terminal) -> None:
    """Writes a run's page; says so where that fails."""
    from mnist_exp.report.run import write_run_page

    try:
        write_run_page(run_path)
    except Exception as error:
        terminal.print(f"report.html was not written: {explain(error)}")


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
