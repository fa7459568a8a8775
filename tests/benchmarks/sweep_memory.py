"""Memory over a long sweep: 100 short jobs, with one network and with another for each, on both launchers."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from comparison import Bar, Pair, Row, markdown
from sweep_command import LAUNCHERS, command, read_jobs
from sweep_processes import JobProcess, Look, look

_INTERVAL_S = 0.05
_MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
_LIMIT, _REFERENCE = 1.3, 5
_FIRST_UNITS = 16
KINDS = {"seeds": "seeds only", "networks": "as many networks"}


class Ended(NamedTuple):
    """The memory when a job had ended.

    Attributes:
        job: Name of its run directory.
        elapsed_s: Seconds since the command was started.
        lane: Id of the process that gave it to a job process.
        process: Id of the job process.
        job_bytes: The job process's resident set; the last that was seen of one that is gone.
        command_bytes: The command's own.
        launcher_bytes: The largest of all others.
        total_bytes: All of them together.
    """

    job: str
    elapsed_s: float
    lane: int
    process: int
    job_bytes: int
    command_bytes: int
    launcher_bytes: int
    total_bytes: int


class Sweep(NamedTuple):
    """A sweep that was watched.

    Attributes:
        kind: A key of `KINDS`.
        launcher: A key of `LAUNCHERS`.
        ended: Its jobs, in the order in which they ended.
        last_command_bytes: The most that the command held after the last job, while it summed up.
    """

    kind: str
    launcher: str
    ended: list[Ended]
    last_command_bytes: int

    @property
    def lanes(self) -> list[list[Ended]]:
        """The jobs of each launcher process, in the order in which they ended."""
        return [list(lane) for _, lane in groupby(sorted(self.ended, key=_lane), _lane)]

    @property
    def num_replaced(self) -> int:
        """How often a job process made way for a fresh one."""
        return len({job.process for job in self.ended}) - len(self.lanes)

    @property
    def worst(self) -> tuple[int, int]:
        """The memory after the last job and after the fifth, in the lane where it grew most."""
        pairs = [(lane[-1].job_bytes, lane[:_REFERENCE][-1].job_bytes) for lane in self.lanes]
        return max(pairs, key=lambda pair: pair[0] / pair[1])

    def as_json(self) -> dict[str, Any]:
        """Returns every figure."""
        after_last, after_fifth = self.worst
        return {
            "kind": self.kind,
            "launcher": self.launcher,
            "growth": round(after_last / after_fifth, 4),
            "num_lanes": len(self.lanes),
            "num_replaced": self.num_replaced,
            "last_command_bytes": self.last_command_bytes,
            "ended": [job._asdict() for job in self.ended],
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    parser.add_argument("--jobs", type=int, default=100, help="of each sweep")
    parser.add_argument("--epochs", type=int, default=1, help="of each job")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--launchers", nargs="+", choices=LAUNCHERS, default=list(LAUNCHERS))


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Sweeps and samples; returns the tables and every figure."""
    sweeps = []
    for kind in arguments.kinds:
        for launcher in arguments.launchers:
            sweeps.append(watch(arguments, kind, launcher, runs_dir / f"{kind}_{launcher}"))
            ended = sweeps[-1].ended
            words = f"{len(ended)} jobs in {ended[-1].elapsed_s:.0f} s"
            print(f"{kind}, {launcher}: {words}", file=sys.stderr, flush=True)
    pairs = [_pair(arguments, sweep, runs_dir) for sweep in sweeps]
    rows = [row.as_json() | {"against": pair.against} for pair in pairs for row in pair.rows]
    settings = {"jobs": arguments.jobs, "epochs": arguments.epochs}
    text = "\n\n".join(filter(None, [markdown(pairs), _table(sweeps), *_remarks(arguments, sweeps)]))
    return text, settings | {"rows": rows, "sweeps": [sweep.as_json() for sweep in sweeps]}


def product_changes(arguments: argparse.Namespace, kind: str) -> list[str]:
    """Lists the overrides of a sweep: one network, whose compiled model is used again, or a new one a job."""
    changes = ["data=sample", "model=ann", f"training.epochs={arguments.epochs}"]
    if kind == "seeds":
        return [*changes, f"seed={','.join(str(number) for number in range(arguments.jobs))}"]
    units = ",".join(f"[{_FIRST_UNITS + number}]" for number in range(arguments.jobs))
    return [*changes, "training.engine=compiled", f"model.units={units}"]


def watch(arguments: argparse.Namespace, kind: str, launcher: str, path: Path) -> Sweep:
    """Runs a sweep and looks at it many times a second; exits with its errors when a job fails."""
    words = command(launcher, product_changes(arguments, kind), path)
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors)
        ended, last_command_bytes = [], 0
        try:
            for look_s, before, now in _looks(process, path):
                newly = list(_newly_ended(look_s, before, now))
                ended += newly
                last_command_bytes = max(0 if newly else last_command_bytes, now.command_bytes)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{kind}, {launcher}: exit status {process.returncode}\n{errors.read()[-3000:]}")
    read_jobs(path)
    return Sweep(kind, launcher, ended, last_command_bytes)


def _looks(process: subprocess.Popen[bytes], path: Path) -> Iterator[tuple[float, Look, Look]]:
    """Yields seconds since the start, what was seen before, and what is seen now, until the end."""
    started = time.perf_counter()
    before = Look({}, 0, 0, 0)
    while process.poll() is None:
        now = look(process.pid, path)
        yield time.perf_counter() - started, before, now
        before = now
        time.sleep(_INTERVAL_S)


def _newly_ended(elapsed_s: float, before: Look, now: Look) -> Iterator[Ended]:
    """Yields the jobs that were being run and are not any more."""
    for pid, earlier in before.job_processes.items():
        later = now.job_processes.get(pid, JobProcess(earlier.lane, None, 0))
        if earlier.job and later.job != earlier.job:
            yield Ended(
                job=earlier.job,
                elapsed_s=round(elapsed_s, 2),
                lane=earlier.lane,
                process=pid,
                job_bytes=later.resident_bytes or earlier.resident_bytes,
                command_bytes=now.command_bytes,
                launcher_bytes=now.launcher_bytes,
                total_bytes=now.total_bytes,
            )


def _lane(job: Ended) -> int:
    return job.lane


def _pair(arguments: argparse.Namespace, sweep: Sweep, runs_dir: Path) -> Pair:
    """Sets the memory after the last job beside that after the fifth."""
    title = f"a job process after the last of {arguments.jobs} jobs, {KINDS[sweep.kind]}, {sweep.launcher}"
    row = Row(
        f"memory-{sweep.kind}-{sweep.launcher}",
        title,
        lambda child: child.peak_memory_bytes / 1e6,
        Bar("cost", _LIMIT),
        unit="MB",
    )
    after_last, after_fifth = sweep.worst
    row.ours, row.theirs = [after_last / 1e6], [after_fifth / 1e6]
    words = command(sweep.launcher, product_changes(arguments, sweep.kind), runs_dir / sweep.kind)
    return Pair(words, f"after its lane's job {_REFERENCE}", (), [row])


def _table(sweeps: list[Sweep]) -> str:
    """Sets out what was held at the marks: the most since the mark before."""
    lines = [
        "| sweep | jobs ended | seconds | largest job process | largest launcher process | command | "
        "all processes | made way |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for sweep in sweeps:
        since = 0
        for mark in sorted({max(round(share * len(sweep.ended)), 1) for share in _MARKS}):
            lines.append(_line(sweep, since, mark))
            since = mark
        summing = f"{sweep.last_command_bytes / 1e6:,.0f} MB"
        lines.append(f"| {sweep.kind}, {sweep.launcher} | summing up | | | | {summing} | | |")
    return "\n".join(lines)


def _line(sweep: Sweep, since: int, mark: int) -> str:
    stretch = sweep.ended[since:mark]
    figures = " | ".join(
        f"{max(getattr(job, name) for job in stretch) / 1e6:,.0f} MB"
        for name in ("job_bytes", "launcher_bytes", "command_bytes", "total_bytes")
    )
    replaced = sweep._replace(ended=sweep.ended[:mark]).num_replaced
    return (
        f"| {sweep.kind}, {sweep.launcher} | {mark} | {stretch[-1].elapsed_s:.0f} | {figures} | {replaced} |"
    )


def _remarks(arguments: argparse.Namespace, sweeps: list[Sweep]) -> Iterator[str]:
    """Says what a reader must know before holding the figures against the bar."""
    for sweep in sweeps:
        name = f"{sweep.kind}, {sweep.launcher}"
        if len(sweep.ended) != arguments.jobs:
            yield f"REMARK: {name}: {len(sweep.ended)} of {arguments.jobs} jobs were seen."
        if min(len(lane) for lane in sweep.lanes) <= _REFERENCE:
            yield f"REMARK: {name}: a launcher process had no more than {_REFERENCE} jobs: no growth to see."
    if arguments.jobs != 100:
        yield f"REMARK: {arguments.jobs} jobs: the bar is for 100."
