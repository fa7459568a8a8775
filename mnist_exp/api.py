"""Runs and comparisons for scripts and notebooks: what `import mnist_exp` offers.

`Run.model` alone loads TensorFlow, and a comparison that a notebook shows Matplotlib.
"""

import warnings
from collections import Counter, UserList
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.comparison.labels import differing_keys, recipe
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import page_document, to_json
from mnist_exp.report.html import render_frame, render_table
from mnist_exp.report.listing import RUN_FIELDS, listing_table, run_lines
from mnist_exp.runs import folder
from mnist_exp.runs.finding import find_runs
from mnist_exp.runs.folder import DamagedRun, RunFolder
from mnist_exp.runs.index import read_rows, select
from mnist_exp.runs.records import EpochMetrics, Summary
from mnist_exp.runs.run import Predictions
from mnist_exp.runs.run import Run as StoredRun
from mnist_exp.words import plural, visible

if TYPE_CHECKING:
    import keras
    import pandas

_FIRST = ["name", "status", "seed"]
_LAST = ["mode", "started_at", "bytes", "error", "star", "tags", "note"]
_MOST_ROWS, _MOST_NAMED = 200, 3
_PAGE_PX = 640

Paths = str | Path | Iterable[str | Path]


class Run(StoredRun):
    """A run's directory, of which a file is read, and checked, when something in it is asked for.

    It has `path`, `manifest`, `status`, `config` (a dictionary), `summary` (None unless a network was
    completed), `notes`, and what is below. A damaged file is an `errors.ExperimentError`.

    >>> run = mnist_exp.load_runs("runs/study")[0]
    >>> run.config["model"]["name"], run.manifest.seed, run.summary.test_accuracy
    ('ann', 0, 0.62)
    """

    @cached_property
    def metrics(self) -> dict[str, list[Any]]:
        """Each metric's values, one an epoch, like Keras' `History.history`; `pandas.DataFrame` takes it.

        >>> run.metrics["val_accuracy"]
        [0.554, 0.598]
        """
        rows = self.read_metrics() if self.has(folder.METRICS) else []
        return {name: [getattr(row, name) for row in rows] for name in EpochMetrics.__struct_fields__}

    @cached_property
    def predictions(self) -> Predictions | None:
        """Those of the test images: `probabilities`, `labels`, `predicted`, `correct`; None without a file.

        >>> run.predictions.probabilities.shape
        (1000, 10)
        """
        return self.read_predictions()

    @cached_property
    def plots(self) -> dict[str, Path]:
        """The pictures in `plots/`, by name.

        >>> run.plots["learning_curves"].name
        'learning_curves.png'
        """
        paths = sorted(self.path.glob(f"{folder.PLOTS}/*.png"))
        with RunFolder(self.path) as files:
            return {path.stem: path for path in paths if files.size_of(f"{folder.PLOTS}/{path.name}")}

    def model(self) -> "keras.Model":
        """Loads the network of the best epoch: images float32 (N, H, W) from 0 to 1 to probabilities (N, C).

        Keras' safe mode is on: a network that holds code is an `errors.ConfigError`.

        >>> run.model().predict(images / 255.0, verbose=0).shape
        (2, 10)
        """
        # Imported here: TensorFlow takes seconds, which reading need not wait for.
        from mnist_exp.training.loading import load_network

        return load_network(self)

    def __repr__(self) -> str:
        return f"<Run {visible(str(self.path))}: {self.status}>"

    def _repr_html_(self) -> str:
        return Runs([self])._repr_html_()


class Runs(UserList[Run]):
    """A list of runs, in the order of their paths; a slice is one, too.

    >>> runs = mnist_exp.load_runs("runs/study")
    >>> runs[1:]
    <3 runs, 3 completed>
    """

    def where(self, expression: str) -> "Runs":
        """Chooses the runs that an expression of `mode=list` is true of.

        >>> [run.manifest.seed for run in runs.where("model.name = ann and test_accuracy > 50%")]
        [0, 1]
        """
        chosen = set(select([run.path for run in self], expression))
        return Runs(run for run in self if run.path in chosen)

    def rows(self) -> list[dict[str, Any]]:
        """Makes a dictionary of each run: status, each key that differs, the summary, notes; None for none.

        >>> [row["test_accuracy"] for row in runs.rows() if row["seed"] == 0]
        [0.62, 0.621]
        """
        keys = differing_keys([recipe(run.config) for run in self])
        names = [*_FIRST, *keys, *Summary.__struct_fields__, *_LAST]
        return [{name: row.get(name) for name in names} for row in read_rows([run.path for run in self])]

    def frame(self) -> "pandas.DataFrame":
        """Makes a table of `rows()`; ImportError where pandas is not installed.

        >>> runs.frame().groupby("model.name").test_accuracy.max().to_dict()
        {'ann': 0.62, 'bn_dnn': 0.621}
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            words = "frame() needs pandas: pip install pandas. rows() gives the same as dictionaries."
            raise ImportError(words) from error
        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        statuses = Counter(run.status for run in self).most_common()
        counts = [f"{count:,} {status}" for status, count in statuses]
        return f"<{', '.join([plural(len(self), 'run'), *counts])}>"

    def _repr_html_(self) -> str:
        lines = run_lines(read_rows([run.path for run in self[:_MOST_ROWS]]), Path())
        fields = [field for field in RUN_FIELDS if any(field.value(line) not in (None, "") for line in lines)]
        table = listing_table(fields, lines)
        return render_table(replace(table, num_rows=len(self), source="runs.rows()"))


class ComparedRuns:
    """What `mode=compare` says of runs; a notebook shows the page that it writes.

    Attributes:
        record: All of it, set by set of runs on the same images; the lists are of all sets.
        verdicts: Sentences.
        groups: Runs that differ by their seed alone.
        pairs: Each set's leader against its other groups.

    >>> compared = mnist_exp.compare(runs)
    >>> compared.verdicts
    ['cannot tell bn_dnn from ann: difference 3.45 points (95% −39.12 to 46.02, p = 0.5, 2 seeds); ...']
    >>> [group.label for group in compared.groups]
    ['bn_dnn', 'ann']
    """

    def __init__(self, examined: Examined) -> None:
        self._examined, self.record = examined, examined.comparison
        self.verdicts = [found.verdict for found in self.record.sets if found.verdict]
        self.groups = [group for found in self.record.sets for group in found.groups]
        self.pairs = [pair for found in self.record.sets for pair in found.pairs]

    def to_json(self) -> str:
        """Writes `comparison.json`."""
        return to_json(self.record)

    def to_dict(self) -> dict[str, Any]:
        """Gives what is in `comparison.json`."""
        return msgspec.json.decode(self.to_json())

    def __repr__(self) -> str:
        return f"<Comparison of {plural(len(self.record.runs), 'run')}: {'. '.join(self.verdicts)}>"

    def _repr_html_(self) -> str:
        return render_frame(page_document(self._examined), _PAGE_PX)


def compare(runs: Paths | Run | Iterable[Run], sort: str = "val_accuracy") -> ComparedRuns:
    """Compares runs, or what paths and globs mean, as `mode=compare` does; `sort` is its `compare.sort`.

    Raises:
        ConfigError: A path is not there, or there is no such column.

    >>> mnist_exp.compare("runs/study", sort="train_s").groups[0].label
    'ann'
    """
    named = [runs] if isinstance(runs, str | Path | Run) else runs
    paths = [each.path if isinstance(each, Run) else each for each in named]
    return ComparedRuns(examine(paths, CompareOptions(sort=sort)))


def load_runs(paths: Paths, where: str = "") -> Runs:
    """Finds runs, and checks what a comparison would read of each; the rest is read when it is asked for.

    Args:
        paths: Run directories, folders of runs, globs, as in `mode=compare`.
        where: An expression of `mode=list` that must be true of them; empty for all.

    Raises:
        ConfigError: A path is not there, or `where` cannot be understood.
        DamagedRun: A run that is named itself is damaged; one that a glob or a folder holds is left out with
            a warning.

    >>> mnist_exp.load_runs("runs/study/*", where="seed < 1")
    <2 runs, 2 completed>
    """
    patterns = [paths] if isinstance(paths, str | Path) else list(paths)
    found = find_runs(patterns)
    named = {Path(pattern).expanduser().resolve() for pattern in patterns}
    runs, damaged = Runs(), []
    for path in found:
        run = Run(path)
        try:
            run.check()
            _ = run.config  # how runs of any status differ
            runs.append(run)
        except DamagedRun as error:
            if path.resolve() in named:
                raise
            damaged.append(str(error))
    if damaged:
        words = f"{plural(len(damaged), 'damaged run')} left out: {'; '.join(damaged[:_MOST_NAMED])}"
        warnings.warn(words, stacklevel=2)
    return runs.where(where) if where else runs
