"""Event files for TensorBoard: while a run trains, or afterwards."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mnist_exp.config.schema import TensorBoardTrackerConfig, TrackerConfig
from mnist_exp.errors import explain
from mnist_exp.runs import files
from mnist_exp.runs.folder import PLOTS, TENSORBOARD, RunFolder
from mnist_exp.runs.records import EpochMetrics, Summary
from mnist_exp.trackers import events
from mnist_exp.trackers.copies import RunCopy, numbers
from mnist_exp.trackers.events import Plain

_PREFIX = "events.out.tfevents."
"""What TensorBoard knows event files by."""

_MOST_PICTURE_BYTES = 20_000_000


class EventFile:
    """A training's only event file, in a folder of its own; what an earlier process left there goes."""

    def __init__(self, folder: Path, parameters: Mapping[str, Plain], began_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = list(folder.glob(f"{_PREFIX}*"))
        self._path, self._step = folder / f"{_PREFIX}{time.time_ns()}.mnist-exp", 0
        files.write_bytes(self._path, events.version(began_s) + events.session_start(began_s, parameters))
        for path in earlier:
            path.unlink()

    def epoch(self, ended_s: float, row: EpochMetrics) -> None:
        """Adds an epoch."""
        self._step = row.epoch
        self._append(events.scalars(ended_s, row.epoch, numbers(row)))

    def end(
        self, ended_s: float, results: Mapping[str, float], run_path: Path | None, is_completed: bool = True
    ) -> None:
        """Adds the results and the pictures of a training that has ended."""
        content = events.scalars(ended_s, self._step, {f"summary/{name}": results[name] for name in results})
        for name, png in ({} if run_path is None else _read_pictures(run_path)).items():
            content += events.picture(ended_s, self._step, name, png)
        self._append(content + events.session_end(ended_s, is_completed))

    def _append(self, content: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(content)


def _read_pictures(run_path: Path) -> dict[str, bytes]:
    with RunFolder(run_path) as folder:
        names = sorted(path.name for path in (run_path / PLOTS).glob("*.png"))
        return {Path(name).stem: folder.read(f"{PLOTS}/{name}", _MOST_PICTURE_BYTES) for name in names}


class LiveTracker:
    """Follows one training, where that is asked for; what goes wrong ends the following, not the training.

    Args:
        rows: The epochs that an earlier process finished.
        say: Told in a sentence that the following has ended.
    """

    def __init__(
        self,
        tracker: TrackerConfig,
        folder: Path,
        parameters: Callable[[], Mapping[str, Plain]],
        rows: Sequence[EpochMetrics],
        say: Callable[[str], None],
    ) -> None:
        self._file: EventFile | None = None
        self._say = say
        with self._tolerating():
            if isinstance(tracker, TensorBoardTrackerConfig):
                self._file = EventFile(folder, parameters(), time.time())
                for row in rows:
                    self._file.epoch(time.time(), row)

    def epoch(self, row: EpochMetrics) -> None:
        """Adds an epoch that has just ended."""
        with self._tolerating():
            if self._file is not None:
                self._file.epoch(time.time(), row)

    def end(self, summary: Summary | None = None, run_path: Path | None = None) -> None:
        """Adds the results and the pictures of a completed training, where it has any."""
        with self._tolerating():
            if self._file is not None:
                self._file.end(time.time(), {} if summary is None else numbers(summary), run_path)

    @contextmanager
    def _tolerating(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._file = None
            self._say(f"TensorBoard's files end here, the run goes on: {explain(error)}")


class TensorBoardTracker:
    """Writes event files of runs that have ended into their own directories."""

    where = TENSORBOARD

    def publish(self, copy: RunCopy) -> str:
        """Writes a run's event file, in the place of one that followed it."""
        began_s, ended_s = copy.times
        file = EventFile(copy.run.path / TENSORBOARD, copy.parameters, began_s)
        for epoch in copy.curves():
            file.epoch(*epoch)
        file.end(ended_s, copy.results, copy.run.path, copy.is_completed)
        return TENSORBOARD
