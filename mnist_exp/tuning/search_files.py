"""What a search adds to its run directory: the only owner of these file names.

A worker submits a trial as a whole file; the searching process adds it to `trials.jsonl` and removes it.
So a trial is on disk before anyone is told that it ended, whichever process is killed.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.yaml

from mnist_exp.errors import ConfigError
from mnist_exp.runs import files
from mnist_exp.runs.folder import CHECKPOINTS, TRIALS
from mnist_exp.runs.records import ConfirmationRecord, TrialRecord

CONFIRMED = "confirmed.jsonl"
_Record = TypeVar("_Record")
_COLUMNS = ("trial", "status", "score", "epochs", "best_epoch", "num_params", "duration_s")


class SearchFiles:
    """A search's own files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.experiment_path = path / "experiment" / "best_experiment.yaml"
        self.log_path = path / "workers.log"
        self.places_path = path / "places"
        self._submitted_dir = path / "trials"

    def write_request(self, request: dict[str, Any]) -> None:
        """Writes `search.yaml`: everything that trials are made from, frozen."""
        files.write_bytes(self.path / "search.yaml", msgspec.yaml.encode(request))
        self._submitted_dir.mkdir(exist_ok=True)

    def read_request(self) -> dict[str, Any]:
        """Reads it back; raises ConfigError where the search was stopped before it had written this."""
        path = self.path / "search.yaml"
        if not path.exists():
            raise ConfigError(f"resume: {self.path} was stopped before its search began.", "Start a new one.")
        return msgspec.yaml.decode(path.read_bytes(), type=dict[str, Any])

    def weights_path(self, name: str) -> Path:
        """Says where the weights of a trial or confirmation are kept, as a plain Keras model."""
        return self.path / CHECKPOINTS / f"{name}.keras"

    def submit(self, name: str, record: TrialRecord | ConfirmationRecord) -> None:
        """Hands over what a worker finished."""
        files.write_bytes(self._submitted_dir / f"{name}.json", msgspec.json.encode(record))

    def read_submitted(self, name: str, kind: type[_Record]) -> _Record | None:
        """Reads what was handed over under a name; None when there is nothing."""
        path = self._submitted_dir / f"{name}.json"
        return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None

    def remove_submitted(self, name: str) -> None:
        """Removes it, once it is part of `trials.jsonl` or `confirmed.jsonl`."""
        (self._submitted_dir / f"{name}.json").unlink(missing_ok=True)

    def write_trials(self, trials: Sequence[TrialRecord]) -> None:
        """Writes `trials.jsonl`, and the same as a table, `trials.csv`."""
        self._write_lines(TRIALS, trials)
        names = list(dict.fromkeys(name for trial in trials for name in trial.values))
        table = StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow([*_COLUMNS, *names])
        writer.writerows([*_cells(trial), *map(trial.values.get, names)] for trial in trials)
        files.write_bytes(self.path / "trials.csv", table.getvalue().encode())

    def read_trials(self) -> list[TrialRecord]:
        """Reads `trials.jsonl`; none before the first."""
        return list(self._read_lines(TRIALS, TrialRecord))

    def write_confirmations(self, confirmations: Sequence[ConfirmationRecord]) -> None:
        """Writes `confirmed.jsonl`."""
        self._write_lines(CONFIRMED, confirmations)

    def read_confirmations(self) -> list[ConfirmationRecord]:
        """Reads `confirmed.jsonl`; none before the first."""
        return list(self._read_lines(CONFIRMED, ConfirmationRecord))

    def write_state(self, state: dict[str, Any]) -> None:
        """Writes `oracle.json`: what the next proposals depend on."""
        # The Bayesian oracle proposes numpy's numbers.
        content = msgspec.json.encode(state, enc_hook=lambda number: number.item())
        files.write_bytes(self.path / "oracle.json", content)

    def read_state(self) -> dict[str, Any] | None:
        """Reads it back; None before the first trial."""
        path = self.path / "oracle.json"
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else None

    def write_experiment(self, text: str) -> None:
        """Writes the winner as an experiment, in a folder that `--config-dir` takes."""
        self.experiment_path.parent.mkdir(exist_ok=True)
        files.write_bytes(self.experiment_path, text.encode())

    def _write_lines(self, name: str, records: Sequence[msgspec.Struct]) -> None:
        lines = [msgspec.json.encode(record) for record in records]
        files.write_bytes(self.path / name, b"\n".join([*lines, b""]))

    def _read_lines(self, name: str, kind: type[_Record]) -> Iterator[_Record]:
        path = self.path / name
        if path.exists():
            yield from (msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines())


def trial_name(trial: int) -> str:
    """Names a trial in file names and messages."""
    return f"trial_{trial}"


def confirmation_name(candidate: str, seed: int) -> str:
    """Names a candidate's training on one seed."""
    return f"{candidate}_seed_{seed}"


def _cells(trial: TrialRecord) -> list[Any]:
    best_epoch = trial.executions[0].best_epoch if trial.executions else None
    return [
        trial.trial,
        trial.status,
        trial.score,
        trial.epochs,
        best_epoch,
        trial.num_params,
        trial.duration_s,
    ]
