"""What several test files share: the command in a process of its own, and one finished run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("mnist-exp")
FOREIGN = (
    "MNIST_EXP_",
    "KERAS_",
    "HYDRA_",
    "XDG_",
    "MPL",
    "MATPLOTLIBRC",
    "FORCE_COLOR",
    "COLUMNS",
    "PYTHONPATH",
)

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would change a run, with some variables set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {"PYTHONIOENCODING": "utf-8"} | changes


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended by itself, and what it said."""

    path: Path
    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Starts the command with both outputs piped; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_command(
        *arguments: str, cwd: Path, before: tuple[str, ...] = (), **variables: str
    ) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*before, str(COMMAND), *arguments],
            cwd=cwd,
            env=clean_environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start_command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def run_command(start: Start) -> Run:
    """Runs the command to its end."""

    def run(*arguments: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        process = start(*arguments, cwd=cwd, **variables)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def finished_process(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> "tuple[Path, subprocess.Popen[str]]":
    """The process of `finished_run`, started and not waited for, and its folder."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, start("data=sample", "training.epochs=3", "seed=0", cwd=folder)


@pytest.fixture(scope="session")
def finished_run(finished_process: "tuple[Path, subprocess.Popen[str]]") -> FinishedRun:
    """`mnist-exp data=sample training.epochs=3 seed=0`, run once for all tests; read it only."""
    folder, process = finished_process
    stdout, stderr = process.communicate(timeout=300)
    (path,) = (folder / "runs").iterdir()
    return FinishedRun(path, process.returncode, stdout, stderr)
