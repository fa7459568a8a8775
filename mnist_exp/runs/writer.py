"""A run's directory: the only owner of its file names, its status and its records."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.yaml

from mnist_exp.errors import ConfigError, RunError, explain
from mnist_exp.runs import files
from mnist_exp.runs.folder import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    LAST,
    LOG,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    METRICS,
    OVERRIDES,
    PLOTS,
    PREDICTIONS,
    PUBLISHED,
    SUMMARY,
    DamagedRun,
    RunFolder,
)
from mnist_exp.runs.provenance import Moment, utc_now
from mnist_exp.runs.records import EpochMetrics, ErrorRecord, Manifest, PublishedRecord, Status, Summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RunDirectory:
    """A run's directory, which exists and belongs to this run alone; see `runs/README.md` for what is in it.

    Raises:
        ConfigError: Another process is at work in it.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        try:
            self._lock = files.take(path / LOG)
        except files.Taken:
            raise ConfigError(
                f"resume: {path} is still running: another process is using it.",
                "Wait for it, or stop it first.",
            ) from None
        self.checkpoints_dir = path / CHECKPOINTS
        self.plots_dir = path / PLOTS
        self.log_path = path / LOG
        self.best_checkpoint_path = path / BEST
        self.last_checkpoint_path = last_checkpoint(path)
        self.rows: list[EpochMetrics] = []

    def close(self) -> None:
        """Lets other processes have the directory."""
        os.close(self._lock)

    def remove(self) -> None:
        """Removes the directory of a run that never began."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def update_manifest(self, **changes: Any) -> None:
        """Writes `manifest.json` with some fields changed."""
        self.manifest = msgspec.structs.replace(self.manifest, **changes)
        files.write_json(self.path / MANIFEST, self.manifest)

    def abandon(self, reason: BaseException) -> None:
        """Marks the run interrupted and removes drafts, when its process is about to end at once."""
        error = ErrorRecord(type=type(reason).__name__, message=str(reason), hint="")
        self.update_manifest(status="interrupted", error=error, finished_at=utc_now())
        files.remove_drafts(self.path)

    def write_request(self, config: dict[str, Any], overrides: Sequence[str]) -> None:
        """Writes `config.yaml` (complete, resolved) and `overrides.yaml` (what was typed)."""
        self.write_config(config)
        files.write_bytes(self.path / OVERRIDES, msgspec.yaml.encode(list(overrides)))

    def write_config(self, config: dict[str, Any]) -> None:
        """Writes `config.yaml`, complete and resolved."""
        files.write_bytes(self.path / CONFIG, msgspec.yaml.encode(config))

    def append_metrics(self, row: EpochMetrics) -> None:
        """Adds an epoch to `metrics.jsonl` and `metrics.csv`."""
        self.write_metrics([*self.rows, row])

    def write_metrics(self, rows: Sequence[EpochMetrics]) -> None:
        """Writes `metrics.jsonl` and `metrics.csv`, a row an epoch."""
        self.rows = list(rows)
        files.write_bytes(self.path / METRICS, msgspec.json.Encoder().encode_lines(self.rows))
        table = [",".join(EpochMetrics.__struct_fields__)]
        for row in self.rows:
            values = msgspec.structs.astuple(row)
            table.append(",".join("" if value is None else str(value) for value in values))
        files.write_bytes(self.path / "metrics.csv", "\n".join([*table, ""]).encode())

    def write_summary(self, summary: Summary) -> None:
        """Writes `summary.json`."""
        files.write_json(self.path / SUMMARY, summary)

    def write_predictions(
        self,
        probabilities: "NDArray[np.float32]",
        labels: "NDArray[np.uint8]",
        indices: "NDArray[np.int64] | None" = None,
    ) -> None:
        """Writes `predictions.npz`: probabilities float32 (N, C), labels uint8 (N,).

        `indices`, int64 (N,), are positions among the training images that took the place of test images.
        """
        import numpy as np

        arrays: dict[str, Any] = {
            "probabilities": probabilities.astype(np.float32),
            "labels": labels.astype(np.uint8),
        }
        if indices is not None:
            arrays["indices"] = indices.astype(np.int64)

        def save(draft: Path) -> None:
            np.savez(draft, **arrays)

        files.write_with(self.path / PREDICTIONS, save)

    def keep_best_checkpoint(self, path: Path) -> None:
        """Makes a copy of a model `best.keras`."""
        files.write_bytes(self.best_checkpoint_path, path.read_bytes())


def write_published(run_path: Path, records: Sequence[PublishedRecord]) -> None:
    """Writes `published.json`: which trackers have a copy of a run."""
    files.write_json(run_path / PUBLISHED, records)


def last_checkpoint(run_path: Path) -> Path:
    """Names the file that a run's training can be resumed from."""
    return run_path / LAST


def create_run(
    folder: Path, manifest: Callable[[str], Manifest], label: str, given: Path | None
) -> RunDirectory:
    """Makes a directory that no other run has, whatever starts at the same time, or leaves nothing.

    Args:
        manifest: From the run's id to what is known at its start.
        label: `<mode>_<model>`, part of the id.
        given: The directory to use instead (`hydra.run.dir`): missing or empty.

    Raises:
        ConfigError: The folder cannot be written, or the given directory is in use.
    """
    path = claim_folder(folder, label, given)
    try:
        run = RunDirectory(path, manifest(path.name))
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise _unwritable(path, error) from error
    try:
        for part in (run.checkpoints_dir, run.plots_dir):
            part.mkdir()
        run.update_manifest()
    except OSError as error:
        run.remove()
        raise _unwritable(path, error) from error
    except RunError as error:
        run.remove()
        raise ConfigError(f"runs_dir: {error.message}", error.hint) from error
    return run


def claim_folder(folder: Path, label: str, given: Path | None = None) -> Path:
    """Makes a directory that nothing else has, or takes the given one (`hydra.run.dir`), which must be empty.

    Raises:
        ConfigError: The folder cannot be written, or the given directory is in use.
    """
    files.note_new_folders(given or folder)
    try:
        return _claim(folder, label) if given is None else _adopt(given)
    except OSError as error:
        raise _unwritable(given or folder, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigError:
    hint = "Set runs_dir (or MNIST_EXP_RUNS) to a folder that you can write to."
    return ConfigError(f"runs_dir: cannot write to {path}: {error.strerror or error}.", hint)


def _claim(folder: Path, label: str) -> Path:
    """Makes a new directory in the folder; a clash of names draws another one."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}_{label}_{secrets.token_hex(3)}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        files.note_made_folder(path)
        return path


def _adopt(given: Path) -> Path:
    """Takes the directory that the user named, if nothing is in it."""
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise ConfigError(f"hydra.run.dir: {given} already holds files.", "Name a new directory.")
    return given


def open_run(path: Path) -> RunDirectory:
    """Opens a run's directory to resume it; raises ConfigError where it is none, or a process uses it."""
    try:
        with RunFolder(path) as folder:
            manifest = folder.read_json(MANIFEST, Manifest, MAX_MANIFEST_BYTES)
            # What is written next would go where they lead.
            folder.refuse_links()
    except DamagedRun as error:
        hint = "Name a run's directory; the last lines of its output say which."
        raise ConfigError(f"resume: {path} is not a run's directory: {error.reason}.", hint) from error
    try:
        return RunDirectory(path, manifest)
    except OSError as error:
        raise ConfigError(f"resume: {path / LOG}: {error.strerror}.") from error


def is_at_work(path: Path) -> bool:
    """Says whether some process is at work in a run's directory; where that cannot be known, yes."""
    return files.is_taken(path / LOG)


@contextmanager
def recorded(run: RunDirectory) -> Iterator[None]:
    """Keeps the manifest truthful: however the block ends, its status says so.

    Where even that cannot be written, what ended the block is what is reported; a manifest that
    says running, while no process is at work, tells the rest.

    Raises:
        ExperimentError: The block's own, or a `RunError` that explains any other exception.
        KeyboardInterrupt: The block's own.
    """
    began, before_s = Moment(), run.manifest.duration_s or 0.0

    def finish(status: Status, error: ErrorRecord | None = None) -> None:
        duration_s = round(before_s + began.seconds_ago(), 3)
        run.update_manifest(status=status, error=error, finished_at=utc_now(), duration_s=duration_s)

    try:
        yield
        finish("completed")
    except Exception as error:
        known = explain(error)
        with suppress(RunError):
            finish("failed", ErrorRecord(type=type(error).__name__, message=known.message, hint=known.hint))
        raise known from error
    except BaseException as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(RunError):
            finish(status, ErrorRecord(type=type(error).__name__, message=str(error), hint=""))
        raise
    finally:
        run.close()


def record_loss(run: RunDirectory, error: ErrorRecord, began: Moment) -> None:
    """Marks a run failed whose process is gone, unless it says itself how it ended; closes it."""
    try:
        if run.manifest.status == "running":
            duration_s = round((run.manifest.duration_s or 0.0) + began.seconds_ago(), 3)
            run.update_manifest(status="failed", error=error, finished_at=utc_now(), duration_s=duration_s)
            files.remove_drafts(run.path)
    finally:
        run.close()
