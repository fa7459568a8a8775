"""A sweep's folder: the frozen plan, the state of each job, and who is at work."""

import contextlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from omegaconf import DictConfig, OmegaConf

from mnist_exp.config.parsing import resolve
from mnist_exp.config.refusals import explain_rejection
from mnist_exp.config.schema import Name
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.runs import files, writer
from mnist_exp.runs.folder import METRICS, SWEEP, SWEEP_LOG, RunFolder
from mnist_exp.runs.records import EpochMetrics, Manifest, Summary, SweepJob, SweepRecord
from mnist_exp.runs.run import DamagedRun, Run
from mnist_exp.words import plural

JobStatus = Literal["pending", "running", "completed", "failed", "interrupted"]
_EARLIER = "earlier"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands, `interrupted` also if its process is gone; `manifest` is None before the run."""

    status: JobStatus
    manifest: Manifest | None


class SweepDirectory:
    """One sweep's folder, which exists."""

    def __init__(self, path: Path, record: SweepRecord) -> None:
        self.path = path
        self.record = record
        self.log_path = path / SWEEP_LOG

    def create(self) -> None:
        """Makes the folder where it is missing; raises ConfigError where it cannot be made."""
        files.note_new_folders(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "Set runs_dir (or MNIST_EXP_RUNS) to a folder that you can write to."
            raise ConfigError(
                f"runs_dir: cannot make a sweep in {self.path}: {error.strerror or error}.", hint
            ) from error

    def freeze(self) -> None:
        """Writes the plan to `sweep.json`."""
        files.write_bytes(self.path / SWEEP, msgspec.json.format(msgspec.json.encode(self.record), indent=1))

    def is_at_work(self) -> bool:
        """Says whether some process runs it, as far as its lock or its files tell."""
        with RunFolder(self.path) as folder:
            return folder.is_locked(SWEEP_LOG)

    def names(self) -> set[str]:
        """Names what is in the folder: jobs that have begun, beside the sweep's own files."""
        return {path.name for path in self.path.iterdir()}

    def run_path(self, job: SweepJob) -> Path:
        """Says where a job's run is, or will be."""
        return self.path / job.name

    def state(self, job: SweepJob) -> JobState:
        """Reads where a job stands."""
        run = Run(self.run_path(job))
        try:
            status = run.status
        except DamagedRun:
            return JobState("pending", None)
        return JobState("interrupted" if status == "lost" else status, run.manifest)

    def last_epoch(self, job: SweepJob) -> EpochMetrics | None:
        """Reads the newest row of a job's metrics; None before the first epoch has ended."""
        try:
            lines = (self.run_path(job) / METRICS).read_bytes().splitlines()
            return msgspec.json.decode(lines[-1], type=EpochMetrics)
        except (OSError, IndexError, msgspec.DecodeError):
            return None

    def summary(self, job: SweepJob) -> Summary | None:
        """Reads a job's result; None unless it completed."""
        try:
            return Run(self.run_path(job)).summary
        except DamagedRun:
            return None

    def put_aside(self, job: SweepJob) -> None:
        """Moves an earlier attempt at a job to `earlier/`; raises ConfigError if a process is at work."""
        path = self.run_path(job)
        if not path.exists():
            return
        if writer.is_at_work(path):
            raise ConfigError(f"sweep: {path} is still running.", "Wait for it, or stop it first.")
        kept = self.path / _EARLIER
        kept.mkdir(exist_ok=True)
        path.rename(_free_place(kept, job.name))

    def reopen(self, job: SweepJob) -> None:
        """Marks a job to be resumed, also a failed one, as interrupted; raises ConfigError if it runs."""
        manifest = self.state(job).manifest
        if manifest is not None and manifest.status != "interrupted":
            with contextlib.closing(writer.open_run(self.run_path(job))) as run:
                run.update_manifest(status="interrupted")


def read_sweep(path: Path) -> SweepRecord | None:
    """Reads a sweep's frozen plan, None where there is none; raises ConfigError where it is damaged."""
    try:
        return msgspec.json.decode((path / SWEEP).read_bytes(), type=SweepRecord)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"sweep: {path / SWEEP}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"sweep: {path / SWEEP} is damaged: {error}.", "Choose another name for the sweep."
        ) from error


def _free_place(folder: Path, name: str) -> Path:
    number = 1
    while (folder / f"{name}_{number}").exists():
        number += 1
    return folder / f"{name}_{number}"


def new_sweep_name() -> str:
    """Makes a name that no other sweep has, whatever starts at the same time."""
    return f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}_sweep_{secrets.token_hex(3)}"


def find_unfinished(sweep: SweepDirectory, rerun: str) -> list[SweepJob]:
    """Lists the jobs to run: the `unfinished` or `failed` ones, or `all`.

    Raises:
        ConfigError: Jobs are running that this process has not begun.
    """
    wanted: dict[str, Sequence[JobStatus]] = {
        "unfinished": ("pending", "failed", "interrupted"),
        "failed": ("failed",),
        "all": ("pending", "failed", "interrupted", "completed"),
    }
    states = [(job, sweep.state(job).status) for job in sweep.record.jobs]
    if running := [job.number for job, status in states if status == "running"]:
        raise ConfigError(
            f"sweep: {plural(len(running), 'job')} of {sweep.path} still run, begun by an earlier command "
            f"(the first is job {running[0]}).",
            "Wait for them, or stop them first.",
        )
    return [job for job, status in states if status in wanted[rerun]]


class _Place(Struct, frozen=True):
    """What all jobs of a sweep have in common."""

    runs_dir: Annotated[str, Meta(min_length=1)]
    sweep: Name | None


@dataclass(frozen=True)
class Target:
    """Where a sweep is, or will be; `name` is what its jobs call it, `is_named` if the user said which."""

    path: Path
    name: str
    is_named: bool

    def missing(self) -> ConfigError:
        """Says that there is no such sweep, and which comes nearest."""
        siblings = [path.parent.name for path in self.path.parent.glob(f"*/{SWEEP}")]
        hint = nearest(self.path.name, siblings) if siblings else ""
        return ConfigError(
            f"sweep: there is no sweep in {self.path} to resume.",
            f"{hint} To begin one, say what its jobs are, such as seed=0,1,2.".strip(),
        )


def find_target(config: DictConfig) -> Target:
    """Reads where a sweep goes from a configuration with Hydra's node; one without a name gets a new one.

    Raises:
        ConfigError: The name or the folder is not accepted.
    """
    tree = resolve(OmegaConf.masked_copy(config, ["runs_dir", "sweep"]))
    try:
        place = msgspec.convert(tree, _Place)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), tree) from error
    given = str(config.hydra.sweep.dir)
    if given != ".":
        safe = _UNSAFE.sub("_", Path(given).name).strip("_.-")[:_LONGEST_NAME]
        return Target(Path(given), place.sweep or safe or "sweep", is_named=True)
    name = place.sweep or new_sweep_name()
    return Target(Path(place.runs_dir, name), name, is_named=place.sweep is not None)
