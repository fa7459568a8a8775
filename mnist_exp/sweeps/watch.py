"""Follows a sweep from its files while launchers run it: what ended, what runs, how long it may take."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence

from mnist_exp.runs.records import Manifest
from mnist_exp.runs.sweep_records import SweepJob
from mnist_exp.sweeps.directory import SweepDirectory
from mnist_exp.sweeps.status import RunningJob, SweepStatus

_POLL_S = 0.5
_FINAL = ("completed", "failed", "interrupted")


class Watch:
    """What is known of the jobs of one launch.

    Args:
        sweep: Whose.
        jobs: Those that are to run.
        jobs_at_once: How many run at the same time.
        report: Called with each job that ended, its manifest, and how many have ended.
    """

    def __init__(
        self,
        sweep: SweepDirectory,
        jobs: Sequence[SweepJob],
        jobs_at_once: int,
        report: Callable[[SweepJob, Manifest, int], None],
    ) -> None:
        self._sweep, self._jobs_at_once, self._report = sweep, jobs_at_once, report
        self._waiting = list(jobs)
        self._before = {job.name: _end_of(sweep.state(job).manifest) for job in jobs}
        self._num_jobs = len(jobs)
        self._ended: list[Manifest] = []
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.status = SweepStatus(self._num_jobs, 0, 0, 0, 0.0, None, [])

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._is_over.wait(_POLL_S):
            self._look()
        self._look()

    def _look(self) -> None:
        """Reports what has ended since the last look, and notes what is running."""
        running = []
        for job in list(self._waiting):
            state = self._sweep.state(job)
            if state.manifest is None or _end_of(state.manifest) == self._before[job.name] is not None:
                continue
            if state.status == "running":
                running.append(self._running(job))
            elif state.manifest.status in _FINAL:
                self._waiting.remove(job)
                self._ended.append(state.manifest)
                self._report(job, state.manifest, len(self._ended))
        self._note(running)

    def _running(self, job: SweepJob) -> RunningJob:
        row = self._sweep.last_epoch(job)
        return RunningJob(
            number=job.number,
            varied=job.varied,
            epoch=row.epoch if row else 0,
            epochs=job.config["training"]["epochs"],
            val_accuracy=row.val_accuracy if row else None,
        )

    def _note(self, running: list[RunningJob]) -> None:
        durations = [manifest.duration_s for manifest in self._ended if manifest.duration_s]
        left_s = None
        if durations:
            each = statistics.median(durations)
            left_s = each * len(self._waiting) / min(self._jobs_at_once, max(len(self._waiting), 1))
        statuses = [manifest.status for manifest in self._ended]
        self.status = SweepStatus(
            num_jobs=self._num_jobs,
            num_completed=statuses.count("completed"),
            num_failed=statuses.count("failed"),
            num_interrupted=statuses.count("interrupted"),
            elapsed_s=time.monotonic() - self._began,
            left_s=left_s,
            running=running,
        )


def _end_of(manifest: Manifest | None) -> str | None:
    return manifest.finished_at if manifest else None
