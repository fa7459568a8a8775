"""One run, read from its directory: what it was, how it ended, what it came to."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs import predictions
from mnist_exp.runs.folder import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, DamagedRun, RunFolder
from mnist_exp.runs.predictions import Predictions, PredictionsError, read_predictions
from mnist_exp.runs.records import DataRecord, EpochMetrics, Manifest, SearchSummary, Summary

RunStatus = Literal["completed", "failed", "interrupted", "running", "lost"]
_MAX_SUMMARY_BYTES = 5_000_000
_MAX_METRICS_BYTES = 50_000_000
_MOST = 10**15
_METRICS, _LOG = "metrics.jsonl", "train.log"
SEARCH_BUDGET = ("tuner.max_trials", "tuner.max_minutes", "tuner.patience_trials")
"""What ends a search."""

_MAY_CHANGE = {
    "train": ("training.epochs", "data.path", "training.teacher.run"),
    "tune": (*SEARCH_BUDGET, "tuner.workers", "data.path"),
}

__all__ = ["DamagedRun", "RunResult", "RunStatus", "read_run"]


@dataclass(frozen=True, eq=False)
class RunResult:
    """One run's directory.

    Attributes:
        path: As it was named.
        manifest: What was run, on what, and how it ended.
        status: The manifest's; `lost` where it says running and no process is at work.
        config: The whole configuration, resolved; empty unless completed.
        summary: What it came to; a `SearchSummary` with `mode=tune`; null unless completed.
        best_checkpoint_bytes: Size of `checkpoints/best.keras`; null without one.
        has_predictions: Whether there is a `predictions.npz`.
    """

    path: Path
    manifest: Manifest
    status: RunStatus
    config: dict[str, Any]
    summary: Summary | None
    best_checkpoint_bytes: int | None
    has_predictions: bool

    @property
    def is_training(self) -> bool:
        """Whether it is a completed training, which others can be compared with."""
        return self.manifest.mode == "train" and self.summary is not None

    @property
    def data(self) -> DataRecord:
        """The images that a completed run saw."""
        assert self.manifest.data is not None
        return self.manifest.data

    @property
    def result(self) -> Summary:
        """What a completed run came to."""
        assert self.summary is not None
        return self.summary

    @property
    def validates_on_test(self) -> bool:
        """Whether test images chose a completed run's best epoch: no others were set apart for that."""
        return self.result.val_accuracy is not None and self.data.split_sha256 is None

    @cached_property
    def predictions(self) -> Predictions | None:
        """What it said of the test images; None without a `predictions.npz`.

        Raises:
            DamagedRun: The file is damaged or contradicts the summary.
        """
        if not self.has_predictions:
            return None
        with RunFolder(self.path) as folder:
            with folder.open(predictions.NAME, predictions.MAX_BYTES) as file:
                try:
                    found = read_predictions(file)
                except PredictionsError as error:
                    raise folder.damaged(predictions.NAME, str(error)) from error
            self._check_predictions(folder, found)
        return found

    def _check_predictions(self, folder: RunFolder, found: Predictions) -> None:
        """Makes sure that predictions, manifest and summary tell of the same test."""
        count = len(found.labels)
        if count != self.data.num_test:
            reason = f"{count:,} images, {self.data.num_test:,} in manifest.json"
            raise folder.damaged(predictions.NAME, reason)
        measured = float(found.correct.mean())
        if abs(measured - self.result.test_accuracy) > 0.5 / count:
            reason = f"an accuracy of {measured:.4%}, {self.result.test_accuracy:.4%} in summary.json"
            raise folder.damaged(predictions.NAME, reason)

    def read_metrics(self) -> list[EpochMetrics]:
        """Reads the rows of `metrics.jsonl`.

        Raises:
            DamagedRun: The file is damaged, too large, or has no rows.
        """
        with RunFolder(self.path) as folder:
            return _read_metrics(folder)


def read_run(path: Path) -> RunResult:
    """Reads a run's directory; of a completed run, every file that a comparison needs is checked.

    Args:
        path: The directory.

    Raises:
        DamagedRun: A file is missing, damaged, too large or a link, or two contradict each other.
    """
    with RunFolder(path) as folder:
        manifest, status = _read_manifest(folder)
        is_completed = status == "completed"
        run = RunResult(
            path=path,
            manifest=manifest,
            status=status,
            config=folder.read_yaml("config.yaml", MAX_CONFIG_BYTES) if is_completed else {},
            summary=_read_summary(folder, manifest) if is_completed else None,
            best_checkpoint_bytes=folder.size_of("checkpoints", "best.keras"),
            has_predictions=folder.has(predictions.NAME),
        )
        if run.is_training:
            _read_metrics(folder)
    return run


def _read_manifest(folder: RunFolder) -> tuple[Manifest, RunStatus]:
    """Reads the manifest, and finds out whether a run that calls itself running is."""
    manifest = folder.read_json("manifest.json", Manifest, MAX_MANIFEST_BYTES)
    if manifest.status != "running" or folder.is_locked(_LOG):
        return manifest, manifest.status
    # It may have ended between the two looks.
    manifest = folder.read_json("manifest.json", Manifest, MAX_MANIFEST_BYTES)
    return manifest, "lost" if manifest.status == "running" else manifest.status


def _read_summary(folder: RunFolder, manifest: Manifest) -> Summary | None:
    """Reads the summary of a training, a search or a repetition; None for other modes."""
    if manifest.mode not in ("train", "tune", "verify"):
        return None
    data = manifest.data
    if data is None or data.test_sha256 is None or not 1 <= data.num_test <= predictions.MOST_IMAGES:
        raise folder.damaged("manifest.json", "completed, and it does not say on which test images")
    if not (0 <= data.num_train < _MOST and 0 <= data.num_validation < _MOST):
        raise folder.damaged("manifest.json", "its numbers of images are none")
    kind = SearchSummary if manifest.mode == "tune" else Summary
    summary = folder.read_json("summary.json", kind, _MAX_SUMMARY_BYTES)
    _check_summary(folder, summary)
    return summary


def _check_summary(folder: RunFolder, summary: Summary) -> None:
    """Refuses numbers that no run can come to."""
    shares = [("test_accuracy", summary.test_accuracy), ("val_accuracy", summary.val_accuracy)]
    if isinstance(summary, SearchSummary):
        shares += [("winner_test_accuracies", share) for share in summary.winner_test_accuracies]
    for name, share in shares:
        if share is not None and not 0 <= share <= 1:
            raise folder.damaged("summary.json", f"{name} is {share}; a share is needed")
    for name in ("test_loss", "train_s", "seconds_per_epoch", "ms_per_image", "num_params", "epochs"):
        number = getattr(summary, name)
        # No words about how large: a number may have thousands of digits.
        if not 0 <= number < _MOST:
            raise folder.damaged("summary.json", f"{name} is no size or duration")
    if not 1 <= summary.best_epoch <= max(summary.epochs, 1):
        raise folder.damaged("summary.json", "best_epoch is none of the epochs")


def _read_metrics(folder: RunFolder) -> list[EpochMetrics]:
    rows = folder.read_lines(_METRICS, EpochMetrics, _MAX_METRICS_BYTES)
    if not rows:
        raise folder.damaged(_METRICS, "holds no epoch")
    return rows


def read_config(run_path: Path) -> Config:
    """Reads the configuration that a run was started with.

    Args:
        run_path: The run's directory.

    Raises:
        ConfigError: Its `config.yaml` is missing, damaged, or not accepted any more.
    """
    tree = read_tree(run_path / "config.yaml")
    try:
        return parse_tree(tree)
    except ConfigError as error:
        raise ConfigError(f"{run_path / 'config.yaml'}: {error.message}", error.hint) from error


def resumed_tree(run_path: Path, requested: dict[str, Any], typed: list[str]) -> dict[str, Any]:
    """Reads a run's configuration to go on with it, other budgets included.

    Args:
        run_path: The run's directory.
        requested: What was composed this time.
        typed: The overrides that this came from.

    Raises:
        ConfigError: The run cannot be gone on with, or not with these overrides.
    """
    planned, tree = read_config(run_path), read_tree(run_path / "config.yaml")
    accepted = _MAY_CHANGE[planned.mode]
    for override in typed:
        key = override.partition("=")[0].lstrip("+~")
        if key in accepted:
            _copy(key.split("."), requested, tree)
        elif key != "resume" and override != f"mode={planned.mode}":
            raise ConfigError(
                f"{key}: {run_path} goes on with its own configuration; this cannot be changed.",
                f"Accepted beside mode={planned.mode} resume=…: {', '.join(accepted)}.",
            )
    if tree["training"]["epochs"] < planned.training.epochs:
        raise ConfigError(
            f"training.epochs: got {tree['training']['epochs']}; {run_path} has {planned.training.epochs}.",
            "They can be raised.",
        )
    return tree


def _copy(parts: list[str], source: dict[str, Any], target: dict[str, Any]) -> None:
    """Gives the key of these parts the value that it has in another tree."""
    *groups, name = parts
    for group in groups:
        source, target = source[group], target[group]
    target[name] = source[name]


def read_tree(path: Path) -> dict[str, Any]:
    """Reads a run's `config.yaml` as it stands.

    Raises:
        ConfigError: It is missing or damaged.
    """
    try:
        with RunFolder(path.parent) as folder:
            return folder.read_yaml(path.name, MAX_CONFIG_BYTES)
    except DamagedRun as error:
        raise ConfigError(f"{error}.") from error
