"""Many runs started at the same instant in one folder: each has a directory of its own, complete and true."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resident_memory import resident
from sweep_command import run_sweep
from sweep_run_check import find_problems

_CHANGES = ("data=sample", "training.epochs=1", "training.engine=graph")
_POLL_S, _LOOK_S = 0.1, 2.0

Process = subprocess.Popen[bytes]


class Ended(NamedTuple):
    """Processes that were let go together, and have ended.

    Attributes:
        elapsed_s: Seconds from then until the last of them ended.
        failures: The last words of those that failed.
        most_bytes: The most that all of them held together, shared pages counted once.
    """

    elapsed_s: float
    failures: list[str]
    most_bytes: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    parser.add_argument("--processes", type=int, default=32, help="each holds about 0.7 GB")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Starts runs at once, makes the same ones one after another, and compares; returns text and figures."""
    num_runs, folder = arguments.processes, runs_dir / "at_once"
    ended = start_at_once(num_runs, folder)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    print(
        f"{num_runs} processes: {ended.elapsed_s:.1f} s, {len(paths)} directories",
        file=sys.stderr,
        flush=True,
    )
    seeds = ",".join(str(seed) for seed in range(num_runs))
    alone = run_sweep("basic", [*_CHANGES, f"seed={seeds}"], runs_dir / "alone")
    problems = list(find_problems(paths, {job.manifest.seed: job.path for job in alone.jobs}))
    seconds = Counter(path.name[: len("2026-01-01_00-00-00")] for path in paths)
    figures = ended._asdict() | {
        "processes": num_runs,
        "directories": len(paths),
        "most_in_one_second": max(seconds.values(), default=0),
        "problems": problems,
        "met": not (problems or ended.failures) and len(paths) == num_runs,
    }
    return _describe(figures), figures


def start_at_once(num_runs: int, folder: Path) -> Ended:
    """Lets one run a seed go at the same instant, and waits until all have ended."""
    with tempfile.TemporaryDirectory() as logs_dir:
        logs = [Path(logs_dir, f"{seed}.log") for seed in range(num_runs)]
        processes = [_wait_at_start(seed, folder, log) for seed, log in enumerate(logs)]
        elapsed_s, most_bytes = _let_go(processes)
        failures = [
            f"seed {seed}: exit status {process.returncode}: {log.read_text()[-500:]}"
            for seed, (process, log) in enumerate(zip(processes, logs, strict=True))
            if process.returncode
        ]
    return Ended(elapsed_s, failures, most_bytes)


def _wait_at_start(seed: int, folder: Path, log: Path) -> Process:
    """Starts a process that becomes the command as soon as its standard input is closed."""
    words = [sys.executable, "-m", "mnist_exp", *_CHANGES, f"seed={seed}", f"runs_dir='{folder}'"]
    with log.open("wb") as errors:
        return subprocess.Popen(
            ["sh", "-c", 'read -r _; exec "$@"', "sh", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def _let_go(processes: Sequence[Process]) -> tuple[float, int]:
    """Gives the sign; returns the seconds until the last process ended, and the most memory seen."""
    started, most_bytes, next_look = time.perf_counter(), 0, 0.0
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        while running := [process.pid for process in processes if process.poll() is None]:
            if time.perf_counter() >= next_look:
                most_bytes = max(most_bytes, sum(resident(pid).share_bytes for pid in running))
                next_look = time.perf_counter() + _LOOK_S
            time.sleep(_POLL_S)
        return round(time.perf_counter() - started, 2), most_bytes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _describe(figures: dict[str, Any]) -> str:
    """Sets out the figures, and each problem in a line."""
    lines = [
        "| processes | distinct directories | in the same second | until the last ended | memory at most | "
        "complete, with the numbers of their own seed |",
        "|--:|--:|--:|--:|--:|---|",
        f"| {figures['processes']} | {figures['directories']} | {figures['most_in_one_second']} | "
        f"{figures['elapsed_s']:.1f} s | {figures['most_bytes'] / 1e6:,.0f} MB | "
        f"{'yes' if figures['met'] else '**no**'} |",
    ]
    return "\n".join([*lines, *(f"- {words}" for words in figures["failures"] + figures["problems"])])
