"""Memory over a long search: 200 short trials, most of which compile anew, on two workers."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from product_search import command
from resident_memory import descendants, resident

from mnist_exp.tuning.search_files import SearchFiles

_INTERVAL_S = 1.0
_MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)


class Sample(NamedTuple):
    """The memory at one moment.

    Attributes:
        elapsed_s: Seconds since the command was started.
        trials: Number of trials that had ended.
        total_bytes: What the search and its workers hold together, shared pages counted once.
        search_bytes: The searching process's resident set.
        worker_bytes: The largest worker's resident set.
        workers: Number of them.
    """

    elapsed_s: float
    trials: int
    total_bytes: int
    search_bytes: int
    worker_bytes: int
    workers: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=1, help="of each trial")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Searches and samples; returns the table and every sample."""
    samples = list(watch(arguments, runs_dir / "memory"))
    growth = {
        "growth": _growth(samples, arguments.trials, "total_bytes"),
        "worker_growth": _growth(samples, arguments.trials, "worker_bytes"),
        "search_growth": _growth(samples, arguments.trials, "search_bytes"),
    }
    settings = {"trials": arguments.trials, "epochs": arguments.epochs}
    report = settings | growth | {"samples": [sample._asdict() for sample in samples]}
    return f"{_table(samples, arguments.trials)}\n\n{_describe(growth)}", report


def watch(arguments: argparse.Namespace, run_path: Path) -> Iterator[Sample]:
    """Runs the search and looks at it every second, until its last trial ends."""
    changes = [
        "data=sample",
        "search_space=mlp",
        "tuner=random",
        f"tuner.max_trials={arguments.trials}",
        f"tuner.epochs={arguments.epochs}",
        "tuner.workers=2",
        "tuner.confirm.seeds=0",
    ]
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command(changes, run_path), stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while process.poll() is None:
                sample = _look(process.pid, SearchFiles(run_path), time.perf_counter() - started)
                # With the last trial the workers go, and the search draws pictures: no part of the search.
                if sample.trials >= arguments.trials:
                    break
                yield sample
                time.sleep(_INTERVAL_S)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if status:
            errors.seek(0)
            sys.exit(f"exit status {status}\n{errors.read()[-3000:]}")


def _look(pid: int, files: SearchFiles, elapsed_s: float) -> Sample:
    """Takes one sample."""
    workers = [resident(worker) for worker in descendants(pid)]
    searching = resident(pid)
    return Sample(
        elapsed_s=round(elapsed_s, 2),
        trials=len(files.read_trials()),
        total_bytes=sum(each.share_bytes for each in [searching, *workers]),
        search_bytes=searching.all_bytes,
        worker_bytes=max((worker.all_bytes for worker in workers), default=0),
        workers=len(workers),
    )


def _growth(samples: list[Sample], trials: int, name: str) -> float:
    """Divides the maximum over the last quarter of the trials by that over the first."""
    first = [sample for sample in samples if sample.trials <= trials / 4]
    last = [sample for sample in samples if sample.trials >= 3 * trials / 4] or samples[-1:]
    before, after = (max(getattr(sample, name) for sample in part) for part in (first, last))
    return round(after / before, 4)


def _table(samples: list[Sample], trials: int) -> str:
    """Sets out what was held at the marks, and at most since the mark before."""
    lines = [
        "| trials | seconds | all processes | at most since the row above | largest worker | search |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    since = 0
    for mark in sorted({max(round(share * trials), 1) for share in _MARKS}):
        reached = (place for place, sample in enumerate(samples) if sample.trials >= mark)
        place = next(reached, len(samples) - 1)
        lines.append(_line(mark, samples[place], samples[since : place + 1]))
        since = place + 1
    return "\n".join(lines)


def _line(mark: int, sample: Sample, stretch: list[Sample]) -> str:
    stretch = stretch or [sample]
    most, largest, searching = (
        max(getattr(other, name) for other in stretch) / 1e6
        for name in ("total_bytes", "worker_bytes", "search_bytes")
    )
    now = f"{sample.total_bytes / 1e6:,.0f} MB"
    figures = f"{now} | {most:,.0f} MB | {largest:,.0f} MB | {searching:,.0f} MB"
    return f"| {mark} | {sample.elapsed_s:.0f} | {figures} |"


def _describe(growth: dict[str, float]) -> str:
    figures = f"{growth['growth']:.2f}, largest worker {growth['worker_growth']:.2f}"
    return (
        "Most in the last quarter of the trials, divided by most in the first: all processes "
        f"{figures}, searching process {growth['search_growth']:.2f}."
    )
