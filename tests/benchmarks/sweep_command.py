"""A sweep of this project as a user starts it: one command, and what it leaves in its folder."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from children import Child, run_child

from mnist_exp.runs.records import EpochMetrics, Manifest, Summary
from mnist_exp.sweeps.directory import SweepDirectory, read_sweep

LAUNCHERS = {"joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), "basic": ()}


class FinishedJob(NamedTuple):
    """A job that completed.

    Attributes:
        path: Its run directory.
        manifest: What was run.
        summary: What it came to.
        last_epoch: Its last epoch.
    """

    path: Path
    manifest: Manifest
    summary: Summary
    last_epoch: EpochMetrics


class FinishedSweep(NamedTuple):
    """A sweep that ran to its end.

    Attributes:
        child: The command's process.
        started_at: When it was started.
        jobs: In the order in which they were planned.
    """

    child: Child
    started_at: datetime
    jobs: list[FinishedJob]

    @property
    def first_job_s(self) -> float:
        """Seconds from the command's start to the first job's."""
        begun = min(job.manifest.started_at for job in self.jobs)
        return (datetime.fromisoformat(begun) - self.started_at).total_seconds()

    @property
    def last_job_s(self) -> float:
        """Seconds from the command's start to the last job's end."""
        ended = max(job.manifest.finished_at or "" for job in self.jobs)
        return (datetime.fromisoformat(ended) - self.started_at).total_seconds()


def command(launcher: str, changes: Sequence[str], path: Path) -> tuple[str, ...]:
    """Makes the command of a sweep.

    Args:
        launcher: A key of `LAUNCHERS`.
        changes: Overrides, with what is swept over.
        path: The sweep's folder.
    """
    where = (f"runs_dir='{path.parent}'", f"sweep={path.name}")
    return (sys.executable, "-m", "mnist_exp", "-m", *LAUNCHERS[launcher], *changes, *where)


def run_sweep(launcher: str, changes: Sequence[str], path: Path) -> FinishedSweep:
    """Runs a sweep in a fresh process; exits with its errors when a job does not complete."""
    started_at = datetime.now(UTC)
    child = run_child(command(launcher, changes, path))
    return FinishedSweep(child, started_at, read_jobs(path))


def read_jobs(path: Path) -> list[FinishedJob]:
    """Reads what the jobs of a sweep came to; exits when one did not complete."""
    record = read_sweep(path)
    assert record is not None
    sweep, jobs = SweepDirectory(path, record), []
    for job in record.jobs:
        manifest, summary, last = sweep.state(job).manifest, sweep.summary(job), sweep.last_epoch(job)
        if manifest is None or manifest.status != "completed" or summary is None or last is None:
            sys.exit(f"{sweep.run_path(job)}: the job did not complete")
        jobs.append(FinishedJob(sweep.run_path(job), manifest, summary, last))
    return jobs
