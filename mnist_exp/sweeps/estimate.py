"""How long jobs may take and how much they may keep, from earlier runs of the same networks."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.runs.run import DamagedRun, Run, parse_config
from mnist_exp.sweeps.planning import PlannedSweep

_MOST_READ = 200
_PROCESS_S = 5.0


@dataclass(frozen=True)
class JobEstimate:
    """What a job may take: seconds of its run, bytes of its directory."""

    seconds: float
    num_bytes: int


@dataclass(frozen=True)
class _Earlier:
    """What an earlier run took: seconds of an epoch and of all else, bytes of its directory."""

    kind: bytes
    epoch_s: float
    rest_s: float
    num_bytes: int


def estimate_jobs(planned: PlannedSweep) -> list[JobEstimate | None]:
    """Estimates every job; None for a search, and where no earlier run had its network and its images."""
    configs = [parse_tree(job.config) for job in planned.record.jobs]
    earlier = [run for path in _newest(Path(configs[0].runs_dir)) if (run := _read(path)) is not None]
    estimates = []
    for config, checked in zip(configs, planned.checked, strict=True):
        kind = _kind(config, checked.data.num_train)
        estimates.append(_estimate(config, [run for run in earlier if run.kind == kind]))
    return estimates


def total_seconds(estimates: Sequence[JobEstimate], jobs_at_once: int) -> float:
    """Says how long jobs take, so many at once."""
    seconds = [estimate.seconds for estimate in estimates]
    return _PROCESS_S + max(sum(seconds) / jobs_at_once, *seconds)


def _estimate(config: Config, earlier: Sequence[_Earlier]) -> JobEstimate | None:
    if not earlier or config.tuner is not None:
        return None
    epoch_s = statistics.median(run.epoch_s for run in earlier)
    rest_s = statistics.median(run.rest_s for run in earlier)
    num_bytes = round(statistics.median(run.num_bytes for run in earlier))
    return JobEstimate(epoch_s * config.training.epochs + rest_s, num_bytes)


def _kind(config: Config, num_train: int) -> bytes:
    """Puts runs together that take equally long an epoch."""
    same = (config.model, config.training.batch_size, config.augmentation, num_train)
    return msgspec.json.encode(same, order="deterministic")


def _read(path: Path) -> _Earlier | None:
    """Reads what a training took; None for what is none, not completed or damaged."""
    run = Run(path)
    try:
        if not run.is_training or run.manifest.duration_s is None or run.result.epochs == 0:
            return None
        return _Earlier(
            kind=_kind(parse_config(run), run.data.num_train),
            epoch_s=run.result.train_s / run.result.epochs,
            rest_s=max(0.0, run.manifest.duration_s - run.result.train_s),
            num_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        )
    except (DamagedRun, ConfigError, OSError):
        return None


def _newest(runs_dir: Path) -> list[Path]:
    dated = []
    for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}"):
        for path in runs_dir.glob(pattern):
            try:
                dated.append((path.stat().st_mtime, path.parent))
            except OSError:
                continue
    return [path for _, path in sorted(dated, reverse=True)[:_MOST_READ]]
