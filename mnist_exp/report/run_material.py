"""Everything that a run's page is made from, read from its directory, which may be anybody's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import yaml
from markupsafe import Markup
from numpy.typing import NDArray

from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report.html import MOST_BYTES, png_uri
from mnist_exp.runs import predictions
from mnist_exp.runs.folder import RunFolder
from mnist_exp.runs.records import EpochMetrics, Manifest, TrialRecord
from mnist_exp.runs.run import DamagedRun, RunResult, read_run

_MAX_MANIFEST_BYTES = 1_000_000
_MAX_CONFIG_BYTES = 5_000_000
_MAX_METRICS_BYTES = 50_000_000
_MAX_TRIALS_BYTES = 50_000_000
_MAX_OVERRIDES_BYTES = 100_000
_MOST_PROBABILITIES = 20_000_000
_MOST = 10**15
_PICTURES = ("mistakes", "first_layer_weights", "hyperparameters")
_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a run's network said of the test images.

    Attributes:
        probabilities: float32 (N, C).
        labels: True classes, uint8 (N,).
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable classes (N,)."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class RunMaterial:
    """What is in a run's directory; of a run that did not complete, whatever is there.

    Attributes:
        run: Manifest, status and, of a completed run, summary.
        config: The whole configuration; empty where it cannot be read.
        overrides: What was typed; null where nothing tells.
        rows: Learning curves, a row an epoch.
        trials: Of a search.
        answers: On the test images; null where they are not known.
        images: The test images, uint8 (N, height, width); null where they are not at hand.
        pictures: Name to data: URI, of pictures that are shown as they are.
        problems: What could not be read, a sentence each.
    """

    run: RunResult
    config: dict[str, Any]
    overrides: list[str] | None = None
    rows: list[EpochMetrics] = field(default_factory=list)
    trials: list[TrialRecord] = field(default_factory=list)
    answers: Answers | None = None
    images: NDArray[np.uint8] | None = None
    pictures: dict[str, Markup] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_material(path: Path) -> RunMaterial:
    """Reads a run's directory, passing over what is damaged.

    Args:
        path: The directory.

    Raises:
        DamagedRun: The manifest cannot be read: there is nothing to say.
    """
    problems: list[str] = []
    run = _read_result(path, problems)

    def attempt(read: Callable[[], _Part], otherwise: _Part) -> _Part:
        try:
            return read()
        except DamagedRun as error:
            if error.reason not in problems:
                problems.append(error.reason)
            return otherwise

    with RunFolder(path) as folder:
        config = run.config or attempt(lambda: _read_config(folder), {})
        return RunMaterial(
            run=run,
            config=config,
            overrides=attempt(lambda: _read_overrides(folder), None),
            rows=attempt(lambda: _read_rows(folder), []),
            trials=attempt(lambda: _read_trials(folder), []),
            answers=attempt(lambda: _read_answers(run), None),
            images=load_test_images([run]) if run.summary is not None else None,
            pictures=_read_pictures(path),
            problems=problems,
        )


def _read_result(path: Path, problems: list[str]) -> RunResult:
    """Reads what a run came to; of a damaged run, its manifest alone."""
    try:
        return read_run(path)
    except DamagedRun as error:
        problems.append(error.reason)
    with RunFolder(path) as folder:
        manifest = folder.read_json("manifest.json", Manifest, _MAX_MANIFEST_BYTES)
    return RunResult(path, manifest, manifest.status, {}, None, None, False)


def _read_config(folder: RunFolder) -> dict[str, Any]:
    if not folder.has("config.yaml"):
        return {}
    return folder.read_yaml("config.yaml", _MAX_CONFIG_BYTES)


def _read_overrides(folder: RunFolder) -> list[str] | None:
    """Reads what was typed: a flat list of texts, and nothing else."""
    name = "overrides.yaml"
    if not folder.has(name):
        return None
    content = folder.read(name, _MAX_OVERRIDES_BYTES)
    try:
        # Looked at first, and no further than needed: the parser may not survive what is nested deeply.
        starts = (yaml.CollectionStartEvent, yaml.AliasEvent)
        found = (isinstance(event, starts) for event in yaml.parse(content, Loader=yaml.CSafeLoader))
        if sum(islice(filter(None, found), 2)) > 1:
            raise folder.damaged(name, "no flat list")
        return msgspec.yaml.decode(content, type=list[str])
    except (msgspec.DecodeError, yaml.YAMLError, ValueError, TypeError) as error:
        raise folder.damaged(name, f"not readable as YAML: {' '.join(str(error).split())}") from error


def _read_rows(folder: RunFolder) -> list[EpochMetrics]:
    name = "metrics.jsonl"
    rows = folder.read_lines(name, EpochMetrics, _MAX_METRICS_BYTES) if folder.has(name) else []
    if not all(0 <= row.epoch < _MOST for row in rows):
        raise folder.damaged(name, "an epoch that none can be")
    return rows


def _read_trials(folder: RunFolder) -> list[TrialRecord]:
    name = "trials.jsonl"
    trials = folder.read_lines(name, TrialRecord, _MAX_TRIALS_BYTES) if folder.has(name) else []
    if not all(0 <= trial.trial < _MOST for trial in trials):
        raise folder.damaged(name, "a number of a trial that none can be")
    return trials


def _read_answers(run: RunResult) -> Answers | None:
    """Reads probabilities, after the file has been found to hold what the summary says."""
    found = run.predictions if run.summary is not None else None
    if found is None or len(found.labels) * found.num_classes > _MOST_PROBABILITIES:
        return None
    with RunFolder(run.path) as folder, folder.open(predictions.NAME, predictions.MAX_BYTES) as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return Answers(arrays["probabilities"], arrays["labels"])
        except (OSError, ValueError, KeyError) as error:
            raise folder.damaged(predictions.NAME, str(error)) from error


def _read_pictures(path: Path) -> dict[str, Markup]:
    """Reads the pictures that are shown as they are; what is missing or damaged is left out."""
    plots_dir = path / "plots"
    if plots_dir.is_symlink() or not plots_dir.is_dir():
        return {}
    found = {}
    with RunFolder(plots_dir) as folder:
        for name in _PICTURES:
            try:
                uri = png_uri(folder.read(f"{name}.png", MOST_BYTES))
            except DamagedRun:
                continue
            if uri is not None:
                found[name] = uri
    return found
