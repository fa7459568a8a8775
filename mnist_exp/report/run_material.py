"""Everything that a run's page is made from, read from its directory, which may be of unknown origin."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.report.html import MOST_BYTES, png_uri
from mnist_exp.runs.folder import CONFIG, METRICS, PLOTS, RunFolder
from mnist_exp.runs.notes import Notes
from mnist_exp.runs.records import EpochMetrics, SearchSummary, Summary, TrialRecord
from mnist_exp.runs.run import DamagedRun, Predictions, Run, RunStatus, class_names
from mnist_exp.words import visible

_LONGEST_CLASS = 40
_MOST_PROBABILITIES = 20_000_000
_PICTURES = ("mistakes", "first_layer_weights", "hyperparameters")
_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class RunMaterial:
    """What is in a run's directory, its manifest readable; of a run that did not complete, what is there.

    Attributes:
        summary: Null unless completed.
        config: Empty where it cannot be read.
        overrides: Null where nothing tells.
        predictions: On the test images; null where they are not known.
        images: The test images, uint8 (N, height, width); null where they are not at hand.
        pictures: Name to data: URI, of pictures that are shown as they are.
        problems: What could not be read, a sentence each.
    """

    run: Run
    notes: Notes
    status: RunStatus
    summary: Summary | None
    config: dict[str, Any]
    overrides: list[str] | None
    rows: list[EpochMetrics]
    trials: list[TrialRecord]
    predictions: Predictions | None
    images: NDArray[np.uint8] | None
    pictures: dict[str, Markup]
    problems: list[str]

    @property
    def best_epoch(self) -> int | None:
        """Number of the epoch whose weights were kept; None before the end."""
        return self.summary.best_epoch if self.summary is not None else None

    @property
    def objective(self) -> str:
        """The metric that a search goes by."""
        if isinstance(self.summary, SearchSummary):
            return self.summary.objective
        tuner = self.config.get("tuner")
        objective = tuner.get("objective") if isinstance(tuner, dict) else None
        return objective if isinstance(objective, str) else "val_accuracy"

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that are predicted, as configured, or their numbers."""
        num_classes = 0 if self.predictions is None else self.predictions.num_classes
        return [visible(name, _LONGEST_CLASS) for name in class_names(self.config, num_classes)]


def read_material(path: Path) -> RunMaterial:
    """Reads a run's directory, passing over what is damaged; raises DamagedRun without a manifest."""
    run, problems = Run(path), list[str]()
    is_whole = run.manifest.status == "completed"

    def attempt(read: Callable[[], _Part], otherwise: _Part) -> _Part:
        try:
            return read()
        except DamagedRun as error:
            if error.reason not in problems:
                problems.append(error.reason)
            return otherwise

    summary = attempt(lambda: run.summary, None)
    return RunMaterial(
        run=run,
        notes=attempt(lambda: run.notes, Notes()),
        status=attempt(lambda: run.status, run.manifest.status),
        summary=summary,
        config=attempt(lambda: run.config, {}) if is_whole or run.has(CONFIG) else {},
        overrides=attempt(run.read_overrides, None),
        rows=attempt(run.read_metrics, []) if is_whole or run.has(METRICS) else [],
        trials=attempt(run.read_trials, []),
        predictions=attempt(lambda: _read_predictions(run), None),
        images=attempt(lambda: load_test_images([run]), None) if summary is not None else None,
        pictures=_read_pictures(path),
        problems=problems,
    )


def _read_predictions(run: Run) -> Predictions | None:
    """Reads what the network said, unless that is more than a page has use for."""
    found = run.read_predictions()
    return None if found is None or found.probabilities.size > _MOST_PROBABILITIES else found


def _read_pictures(path: Path) -> dict[str, Markup]:
    """Reads the pictures that are shown as they are; what is missing or damaged is left out."""
    found = {}
    with RunFolder(path) as folder:
        for name in _PICTURES:
            try:
                uri = png_uri(folder.read(f"{PLOTS}/{name}.png", MOST_BYTES))
            except DamagedRun:
                continue
            if uri is not None:
                found[name] = uri
    return found
