"""What trackers are given of a run, in values that all of them take, and what they have to do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

from mnist_exp.comparison.labels import recipe
from mnist_exp.runs.folder import METRICS, RunFolder
from mnist_exp.runs.records import EpochMetrics, Summary
from mnist_exp.runs.run import Run
from mnist_exp.trackers.events import Plain
from mnist_exp.words import shortened

_LONGEST_VALUE = 500
_GONE = "training.teacher."
"""What recipes tell for the sake of runs that are older than this version."""


@dataclass(frozen=True)
class RunCopy:
    """A run that has ended, however it did; times are in seconds since 1970.

    Attributes:
        group: What the runs are called that differ by their seed only; empty for none.
        files: Files to copy, by their path in the run's directory.
    """

    run: Run
    group: str
    files: Sequence[str]

    @property
    def identity(self) -> str:
        """No other run has it, wherever its directory is moved to."""
        return f"{self.run.manifest.run_id} {self.run.manifest.started_at}"

    @cached_property
    def times(self) -> tuple[float, float]:
        """When it began and ended."""
        manifest = self.run.manifest
        began, ended = manifest.started_at, manifest.finished_at or manifest.started_at
        return datetime.fromisoformat(began).timestamp(), datetime.fromisoformat(ended).timestamp()

    @property
    def parameters(self) -> dict[str, Plain]:
        """See `parameters`."""
        return parameters(self.run.config)

    @property
    def is_completed(self) -> bool:
        """Whether it has a result."""
        return self.run.summary is not None

    @property
    def results(self) -> dict[str, float]:
        """Its summary's numbers; none of a run that was not completed."""
        return {} if self.run.summary is None else numbers(self.run.summary)

    def curves(self) -> list[tuple[float, EpochMetrics]]:
        """Reads its epochs, each with the time of its end, pauses left out."""
        with RunFolder(self.run.path) as folder:
            has_epochs = bool(folder.size_of(METRICS))
        rows = self.run.read_metrics() if has_epochs else []
        ends = list(accumulate((row.duration_s for row in rows), initial=self.times[0]))
        return list(zip(ends[1:], rows, strict=True))

    def tags(self) -> dict[str, str]:
        """Gives where it belongs, and the fingerprints of its images."""
        manifest, data = self.run.manifest, self.run.manifest.data
        sweep = manifest.sweep.name if manifest.sweep else self.run.config.get("sweep")
        tags = {"mode": manifest.mode, "seed": str(manifest.seed), "group": self.group, "sweep": sweep}
        tags["status"] = self.run.status
        if data is not None:
            tags |= {"data": data.name, "data.train_sha256": data.train_sha256}
            tags |= {"data.test_sha256": data.test_sha256, "data.split_sha256": data.split_sha256}
        if manifest.error is not None:
            tags["error"] = shortened(manifest.error.message, _LONGEST_VALUE)
        return {name: str(value) for name, value in tags.items() if value}


class Tracker(Protocol):
    """Where runs are copied to; `where` is an address or a folder."""

    where: str

    def publish(self, copy: RunCopy) -> str:
        """Copies a run; gives what it is called there, which is always the same."""


def parameters(config: Mapping[str, Any]) -> dict[str, Plain]:
    """Gives what decides a run's result, but for its images, by dotted key."""
    settings = {key: value for key, value in recipe(config).items() if not key.startswith(_GONE)}
    return plain({"seed": config.get("seed", 0)} | settings)


def plain(settings: Mapping[str, Any]) -> dict[str, Plain]:
    """Leaves numbers and texts as they are, writes all else as JSON, and cuts what is long."""
    found: dict[str, Plain] = {}
    for key, value in settings.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        found[key] = value if isinstance(value, bool | int | float) else shortened(text, _LONGEST_VALUE)
    return found


def numbers(record: EpochMetrics | Summary) -> dict[str, float]:
    """Gives a record's numbers; a summary's validation accuracy by another name than the curve's."""
    found = {name: getattr(record, name) for name in record.__struct_fields__ if name != "epoch"}
    if isinstance(record, Summary):
        found["best_val_accuracy"] = found.pop("val_accuracy")
    return {name: value for name, value in found.items() if type(value) in (int, float)}
