"""The processes of a running sweep, seen from outside: which job each is at work on, and what it holds."""

import os
from pathlib import Path
from typing import NamedTuple

from resident_memory import descendants

_PROCESSES = Path("/proc")
_MODULE = b"mnist_exp.worker"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# A process that ends while it is looked at has no files, or files that cannot be read.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


class JobProcess(NamedTuple):
    """A process that runs jobs.

    Attributes:
        lane: Id of the process that gives it work; one that makes way for a fresh one leaves it the lane.
        job: Name of the run directory that it is at work in; None between jobs.
        resident_bytes: Its resident set.
    """

    lane: int
    job: str | None
    resident_bytes: int


class Look(NamedTuple):
    """A sweep's processes at one moment.

    Attributes:
        job_processes: By id.
        command_bytes: Resident set of the command's own process.
        launcher_bytes: The largest of all others, such as a launcher's.
        total_bytes: Resident sets of all of them together; pages that several share count in each.
    """

    job_processes: dict[int, JobProcess]
    command_bytes: int
    launcher_bytes: int
    total_bytes: int


def look(pid: int, sweep_path: Path) -> Look:
    """Looks at a sweep.

    Args:
        pid: Of the command's process.
        sweep_path: The sweep's folder, without symbolic links.
    """
    job_processes, launcher_bytes = {}, [0]
    for each in descendants(pid):
        try:
            if _MODULE in (_PROCESSES / str(each) / "cmdline").read_bytes():
                job_processes[each] = _job_process(each, sweep_path)
            else:
                launcher_bytes.append(_resident_bytes(each))
        except _GONE:
            continue
    try:
        command_bytes = _resident_bytes(pid)
    except _GONE:
        command_bytes = 0
    total_bytes = command_bytes + sum(launcher_bytes)
    total_bytes += sum(process.resident_bytes for process in job_processes.values())
    return Look(job_processes, command_bytes, max(launcher_bytes), total_bytes)


def _job_process(pid: int, sweep_path: Path) -> JobProcess:
    stat = (_PROCESSES / str(pid) / "stat").read_text()
    lane = int(stat.rpartition(")")[2].split()[1])
    return JobProcess(lane, _job_of(pid, sweep_path), _resident_bytes(pid))


def _job_of(pid: int, sweep_path: Path) -> str | None:
    """Says whose log a process has open: a run's, from its first moment to its last."""
    for path in (_PROCESSES / str(pid) / "fd").iterdir():
        try:
            target = path.readlink()
        except _GONE:
            continue
        if target.name == "train.log" and target.parent.parent == sweep_path:
            return target.parent.name
    return None


def _resident_bytes(pid: int) -> int:
    return int((_PROCESSES / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
