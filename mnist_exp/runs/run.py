"""One run, read from its directory, of unknown origin: what was run, how it ended, its result."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs import folder
from mnist_exp.runs.archives import (
    READING_ERRORS,
    ArrayKind,
    FormatError,
    open_archive,
    read_arrays,
    read_member,
    read_npz,
)
from mnist_exp.runs.folder import BEST, LAST, DamagedRun, RunFolder
from mnist_exp.runs.notes import Notes, read_notes
from mnist_exp.runs.records import (
    DataRecord,
    EpochMetrics,
    Manifest,
    PublishedRecord,
    SearchSummary,
    Summary,
    TrialRecord,
)
from mnist_exp.statistics import ClassBalance, class_balance
from mnist_exp.words import one_line, shortened

RunStatus = Literal["completed", "failed", "interrupted", "running", "lost"]
Arrays = Mapping[str, NDArray[Any]]
_Record = TypeVar("_Record")
_MAX_SUMMARY_BYTES, _MAX_LINES_BYTES = 5_000_000, 50_000_000
_MAX_PREDICTIONS_BYTES, _MAX_CHECKPOINT_BYTES = 500_000_000, 2_000_000_000
_MOST = 10**15
_MOST_IMAGES, _MOST_CLASSES = 5_000_000, 256
_KINDS = {
    "probabilities": ArrayKind(np.float32, (_MOST_IMAGES, _MOST_CLASSES)),
    "labels": ArrayKind(np.uint8, (_MOST_IMAGES,)),
}
_INDICES = {"indices": ArrayKind(np.int64, (_MOST_IMAGES,))}
_WEIGHTS = "model.weights.h5"

__all__ = ["DamagedRun", "Run", "RunStatus", "read_run"]


@dataclass(frozen=True, eq=False)
class PredictedClasses:
    """True and predicted classes, uint8 (N,): two bytes an image, so that a thousand runs' can be kept."""

    labels: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    num_classes: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is right (N,)."""
        return self.labels == self.predicted


@dataclass(frozen=True, eq=False)
class Predictions(PredictedClasses):
    """Predicted classes and the probabilities, float32 (N, C), that they are the largest of.

    `indices`, int64 (N,), are positions among the training images where those took the place of test images.
    """

    probabilities: NDArray[np.float32]
    indices: NDArray[np.int64] | None = None


class Run:
    """One run's directory, of which nothing is read before it is asked for.

    What is large is read anew each time, by a method called `read_…`; all else is kept.

    Raises:
        DamagedRun: So does whatever reads: a file is missing, damaged, too large or a link, or two
            contradict each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def damaged(self, name: str, reason: str) -> DamagedRun:
        """Makes the error that says what is wrong with a file."""
        return DamagedRun(self.path, f"{name}: {reason}")

    @cached_property
    def manifest(self) -> Manifest:
        """What was run, on what, and how it ended."""
        return self._read_json(folder.MANIFEST, Manifest, folder.MAX_MANIFEST_BYTES)

    @cached_property
    def status(self) -> RunStatus:
        """The manifest's; `lost` where it says running and no process is at work."""
        if self.manifest.status != "running":
            return self.manifest.status
        with RunFolder(self.path) as files:
            if files.is_locked(folder.LOG):
                return "running"
        # It may have ended between the two looks.
        del self.manifest
        return "lost" if self.manifest.status == "running" else self.manifest.status

    @cached_property
    def config(self) -> dict[str, Any]:
        """The whole configuration, resolved."""
        with RunFolder(self.path) as files:
            return files.read_yaml(folder.CONFIG, folder.MAX_CONFIG_BYTES)

    @cached_property
    def summary(self) -> Summary | None:
        """The result; a `SearchSummary` with `mode=tune`; None unless a network was completed."""
        if self.status != "completed" or self.manifest.mode not in ("train", "tune", "verify"):
            return None
        data = self.manifest.data
        if data is None or data.test_sha256 is None or not 1 <= data.num_test <= _MOST_IMAGES:
            raise self.damaged(folder.MANIFEST, "completed, but it does not name its test images")
        if not (0 <= data.num_train < _MOST and 0 <= data.num_validation < _MOST):
            raise self.damaged(folder.MANIFEST, "its numbers of images are out of range")
        if data.fold is not None and not 0 <= data.fold.fold < data.fold.folds < _MOST:
            raise self.damaged(folder.MANIFEST, "its fold is none of its folds")
        kind = SearchSummary if self.manifest.mode == "tune" else Summary
        summary = self._read_json(folder.SUMMARY, kind, _MAX_SUMMARY_BYTES)
        if problem := _find_impossible(summary):
            raise self.damaged(folder.SUMMARY, problem)
        return summary

    @cached_property
    def notes(self) -> Notes:
        """What people noted about it."""
        return read_notes(self.path)

    @cached_property
    def best_checkpoint_bytes(self) -> int | None:
        """Size of `checkpoints/best.keras`; None without one."""
        with RunFolder(self.path) as files:
            return files.size_of(BEST)

    @cached_property
    def has_predictions(self) -> bool:
        """Whether there is a `predictions.npz`."""
        return self.has(folder.PREDICTIONS)

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
    def fold(self) -> int | None:
        """The fold that took the place of the test images, from 0; None without."""
        data = self.manifest.data
        return None if data is None or data.fold is None else data.fold.fold

    @property
    def result(self) -> Summary:
        """The result of a completed run."""
        assert self.summary is not None
        return self.summary

    @property
    def validates_on_test(self) -> bool:
        """Whether test images chose a completed run's best epoch: no others were set apart for that."""
        return self.result.val_accuracy is not None and self.data.split_sha256 is None

    @cached_property
    def predicted_classes(self) -> PredictedClasses | None:
        """Of the test images; see `read_predictions`."""
        found = self.read_predictions()
        return None if found is None else PredictedClasses(found.labels, found.predicted, found.num_classes)

    @cached_property
    def balance(self) -> ClassBalance | None:
        """Of a completed run's test images; of a training that did not record it, from its predictions."""
        found = self.predicted_classes if self.result.balance is None and self.is_training else None
        if found is None:
            return self.result.balance
        num_images = np.bincount(found.labels)
        num_right = np.bincount(found.labels[found.correct], minlength=len(num_images))
        return class_balance(num_images.tolist(), num_right.tolist())

    @cached_property
    def arrays(self) -> Mapping[str, Arrays]:
        """File to its arrays by their names: checkpoints, then `predictions.npz`; of those that are there."""
        with RunFolder(self.path) as files:
            names = [name for name in (BEST, LAST) if files.size_of(name) is not None]
        found: dict[str, Arrays] = {name: self.read_weights(name) for name in names}
        own = self.read_predictions()
        if own is not None:
            found[folder.PREDICTIONS] = {"probabilities": own.probabilities, "labels": own.labels}
        return found

    def check(self) -> None:
        """Reads, of a completed run, every file that a comparison needs."""
        if self.status == "completed":
            _ = self.config, self.best_checkpoint_bytes, self.has_predictions
            if self.is_training:
                self.read_metrics()

    def has(self, name: str) -> bool:
        """Says whether there is a file of that name."""
        with RunFolder(self.path) as files:
            return files.has(name)

    def read_predictions(self) -> Predictions | None:
        """Reads a completed run's test predictions, None without a file; damaged if the summary differs."""
        if self.summary is None or not self.has_predictions:
            return None
        with RunFolder(self.path) as files, files.open(folder.PREDICTIONS, _MAX_PREDICTIONS_BYTES) as file:
            try:
                arrays = read_npz(file, _KINDS, _MAX_PREDICTIONS_BYTES, optional=_INDICES)
            except FormatError as error:
                raise self.damaged(folder.PREDICTIONS, str(error)) from error
        probabilities = arrays["probabilities"]
        predicted = probabilities.argmax(axis=1).astype(np.uint8)
        labels, indices = arrays["labels"], arrays.get("indices")
        found = Predictions(labels, predicted, probabilities.shape[1], probabilities, indices)
        if problem := self._find_problem(found):
            raise self.damaged(folder.PREDICTIONS, problem)
        return found

    def _find_problem(self, found: Predictions) -> str:
        """Says why these are no predictions, or not those that manifest and summary tell of."""
        count, num_classes = found.probabilities.shape
        if count != len(found.labels):
            return f"probabilities of {count:,} images with {len(found.labels):,} labels"
        if found.indices is not None and not _is_ascending(found.indices, count):
            return "indices that are not the ascending positions of so many images"
        if not np.isfinite(found.probabilities).all():
            return "probabilities that are not finite"
        if found.labels.max() >= num_classes:
            return f"labels up to {found.labels.max()} with {num_classes} classes"
        if count != self.data.num_test:
            return f"{count:,} images, {self.data.num_test:,} in manifest.json"
        measured = float(found.correct.mean())
        if abs(measured - self.result.test_accuracy) > 0.5 / count:
            return f"an accuracy of {measured:.4%}, {self.result.test_accuracy:.4%} in summary.json"
        return ""

    def read_metrics(self) -> list[EpochMetrics]:
        """Reads the rows of `metrics.jsonl`, at least one."""
        rows = self._read_lines(folder.METRICS, EpochMetrics)
        if not rows:
            raise self.damaged(folder.METRICS, "holds no epoch")
        if not all(0 <= row.epoch < _MOST for row in rows):
            raise self.damaged(folder.METRICS, "an epoch is out of range")
        return rows

    def read_trials(self) -> list[TrialRecord]:
        """Reads a search's `trials.jsonl`; none without one."""
        if not self.has(folder.TRIALS):
            return []
        trials = self._read_lines(folder.TRIALS, TrialRecord)
        if not all(0 <= trial.trial < _MOST for trial in trials):
            raise self.damaged(folder.TRIALS, "a trial's number is out of range")
        return trials

    def read_published(self) -> list[PublishedRecord]:
        """Reads which trackers have a copy; none without a `published.json`."""
        if not self.has(folder.PUBLISHED):
            return []
        return self._read_json(folder.PUBLISHED, list[PublishedRecord], folder.MAX_MANIFEST_BYTES)

    def read_overrides(self) -> list[str] | None:
        """Reads what was typed, a flat list of texts; None without an `overrides.yaml`."""
        if not self.has(folder.OVERRIDES):
            return None
        with RunFolder(self.path) as files:
            content = files.read(folder.OVERRIDES, folder.MAX_CONFIG_BYTES)
        try:
            # Looked at first, and no further than needed: the parser may not survive what is nested deeply.
            starts = (yaml.CollectionStartEvent, yaml.AliasEvent)
            found = (isinstance(event, starts) for event in yaml.parse(content, Loader=yaml.CSafeLoader))
            if sum(islice(filter(None, found), 2)) > 1:
                raise self.damaged(folder.OVERRIDES, "not a flat list")
            return msgspec.yaml.decode(content, type=list[str])
        except (msgspec.DecodeError, yaml.YAMLError, ValueError, TypeError) as error:
            words = " ".join(str(error).split())
            raise self.damaged(folder.OVERRIDES, f"not readable as YAML: {words}") from error

    def read_checkpoint(self, name: str) -> bytes:
        """Reads a checkpoint, `BEST` or `LAST`: an archive that unpacks to no more than two gigabytes."""
        with RunFolder(self.path) as files:
            if files.size_of(name) is None:
                raise self.damaged(name, "missing, or a link, which is not followed")
            content = files.read(name, _MAX_CHECKPOINT_BYTES)
        try:
            open_archive(BytesIO(content), _MAX_CHECKPOINT_BYTES).close()
        except READING_ERRORS as error:
            raise self.damaged(name, shortened(str(error), 200)) from error
        return content

    def read_weights(self, name: str) -> Arrays:
        """Reads a checkpoint's arrays by path, such as `layers/dense/vars/0`, without loading Keras."""
        content = self.read_checkpoint(name)
        try:
            with open_archive(BytesIO(content)) as archive:
                return read_arrays(read_member(archive, _WEIGHTS), _MAX_CHECKPOINT_BYTES)
        except (*READING_ERRORS, TypeError) as error:
            raise self.damaged(name, shortened(" ".join(str(error).split()), 200)) from error

    def _read_json(self, name: str, kind: type[_Record], max_bytes: int) -> _Record:
        with RunFolder(self.path) as files:
            return files.read_json(name, kind, max_bytes)

    def _read_lines(self, name: str, kind: type[_Record]) -> list[_Record]:
        with RunFolder(self.path) as files:
            return files.read_lines(name, kind, _MAX_LINES_BYTES)


def read_run(path: Path) -> Run:
    """Reads a run's directory; of a completed run, every file that a comparison needs is checked.

    Raises:
        DamagedRun: A file is missing, damaged, too large or a link, or two contradict each other.
    """
    run = Run(path)
    run.check()
    return run


def _is_ascending(indices: NDArray[np.int64], count: int) -> bool:
    return len(indices) == count and indices[0] >= 0 and bool((np.diff(indices) > 0).all())


def _find_impossible(summary: Summary) -> str:
    """Says which number no run can have; empty where there is none."""
    names = ("test_accuracy", "val_accuracy", "balanced_accuracy", "majority_share", "minority_share")
    shares = [(name, getattr(summary, name)) for name in names]
    if isinstance(summary, SearchSummary):
        shares += [("winner_test_accuracies", share) for share in summary.winner_test_accuracies]
    for name, share in shares:
        if share is not None and not 0 <= share <= 1:
            return f"{name} is {share}; a number from 0 to 1 is needed"
    for name in ("test_loss", "train_s", "seconds_per_epoch", "ms_per_image", "num_params", "epochs"):
        # No words about how large: a number may have thousands of digits.
        if not 0 <= getattr(summary, name) < _MOST:
            return f"{name} is not a size or a duration"
    if not 1 <= summary.best_epoch <= max(summary.epochs, 1):
        return "best_epoch is not one of the epochs"
    return ""


@contextmanager
def refused(prefix: str = "") -> Iterator[None]:
    """Makes a damaged run a ConfigError of the request; `prefix` is the key, such as `run: `."""
    try:
        yield
    except DamagedRun as error:
        raise ConfigError(f"{prefix}{error}.") from error


def class_names(config: Mapping[str, Any], num_classes: int) -> list[str]:
    """Names the classes that a network predicts as its configuration does, or by their numbers."""
    data = config.get("data")
    names = data.get("class_names") if isinstance(data, dict) else None
    if isinstance(names, list) and len(names) >= num_classes:
        return [one_line(str(name)) for name in names[:num_classes]]
    return [str(label) for label in range(num_classes)]


def read_tree(run_path: Path) -> dict[str, Any]:
    """Reads a run's `config.yaml` as it stands; raises ConfigError where it is missing or damaged."""
    with refused():
        return Run(run_path).config


def read_config(run_path: Path) -> Config:
    """Reads a run's configuration; raises ConfigError where it is missing, damaged, or refused by now."""
    return parse_config(Run(run_path))


def parse_config(run: Run, prefix: str = "", *, is_trained: bool = False) -> Config:
    """Gives a run's configuration; see `read_config`, `refused` and `without_teacher`."""
    with refused(prefix):
        tree = run.config
    try:
        return parse_tree(tree, is_trained=is_trained)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{run.path / folder.CONFIG}: {error.message}", error.hint) from error
