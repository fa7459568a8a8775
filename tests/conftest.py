"""What several test files share: the command in a process of its own, and one finished run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mnist_exp.data import completing
from tests.support.warm import WarmCommand, WarmProcess

if TYPE_CHECKING:
    from tests.sweeps.sweeping import Outcomes

completing.register()

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
READ_LATE = {"MNIST_EXP_DATA", "MNIST_EXP_RUNS", "KERASTUNER_TUNER_ID"}
"""Variables that no import has a look at."""

LONGEST_SCENARIO_S = 1500

LEADER = ("setsid",)
"""What makes a command lead a group of processes."""

LONGEST = (
    "test_search_faults.py", "test_clock_faults.py", "test_hostile_environment.py", "test_sweep_faults.py",
    "test_resume.py", "test_readme.py", "test_faults.py", "test_disk_faults.py", "test_until.py",
    "test_predict_mode.py", "test_drawing.py", "test_launchers.py", "test_compare_benchmark.py",
    "test_signal_faults.py", "test_live.py", "test_export_mode.py", "test_recipes.py",
)  # fmt: skip
"""Test files that take more than a minute, the longest first: what begins last should not."""

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would change a run, with some variables set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {"PYTHONIOENCODING": "utf-8"} | changes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the longest files begin first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended by itself, and what it said."""

    path: Path
    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def warm_command() -> Iterator[Callable[[str], WarmCommand]]:
    """Gives what commands are forked from, by kind; made when it is first asked for."""
    made: list[WarmCommand] = []

    @cache
    def make(kind: str) -> WarmCommand:
        made.append(WarmCommand(kind, clean_environment()))
        return made[-1]

    yield make
    for command in made:
        command.close()


@pytest.fixture(scope="session")
def start(warm_command: Callable[[str], WarmCommand]) -> Iterator[Start]:
    """Starts the command with both outputs piped; whatever still runs at the end is killed.

    It is forked from a process that has imported TensorFlow, unless `cold` asks for one of its own, or
    words before the command or variables do. One of the kind `light` cannot import TensorFlow.
    """
    started: list[subprocess.Popen[str]] = []

    def start_command(
        *arguments: str,
        cwd: Path,
        before: tuple[str, ...] = (),
        cold: bool = False,
        kind: str = "heavy",
        **variables: str,
    ) -> "subprocess.Popen[str]":
        options = {
            "cwd": cwd,
            "env": clean_environment(**variables),
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "encoding": "utf-8",
        }
        process: subprocess.Popen[str]
        if cold or before not in ((), LEADER) or not READ_LATE.issuperset(variables):
            process = subprocess.Popen([*before, str(COMMAND), *arguments], **options)
        else:
            command = warm_command(kind)
            process = WarmProcess(command, list(arguments), is_leader=before == LEADER, **options)
        started.append(process)
        return process

    yield start_command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def run_command(start: Start) -> Run:
    """Runs the command to its end."""

    def run(*arguments: str, cwd: Path, **options: str) -> "subprocess.CompletedProcess[str]":
        process = start(*arguments, cwd=cwd, **options)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Outcomes]":
    """Plays a module's `SCENARIOS` two at a time, each in a folder of its own; says what one came to."""
    with ThreadPoolExecutor(2) as pool:
        futures = {}
        for scenario in request.module.SCENARIOS:
            folder = tmp_path_factory.mktemp(scenario.__name__)
            futures[scenario] = pool.submit(scenario, start, folder)
        yield lambda scenario: futures[scenario].result(LONGEST_SCENARIO_S)
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def finished_process(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> "tuple[Path, subprocess.Popen[str]]":
    """The process of `finished_run`, started and not waited for, and its folder."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, start("data=sample", "training.epochs=3", "seed=0", cwd=folder, cold=True)


@pytest.fixture(scope="session")
def finished_run(finished_process: "tuple[Path, subprocess.Popen[str]]") -> FinishedRun:
    """`mnist-exp data=sample training.epochs=3 seed=0`, run once for all tests; read it only."""
    folder, process = finished_process
    stdout, stderr = process.communicate(timeout=300)
    (path,) = (folder / "runs").iterdir()
    return FinishedRun(path, process.returncode, stdout, stderr)
