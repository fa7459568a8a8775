"""A search of this project as a user starts it: one command, and what it leaves in its run directory."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from children import Child, run_child

from mnist_exp.runs.records import SearchSummary, TrialRecord
from mnist_exp.tuning.search_files import SearchFiles


class FinishedSearch(NamedTuple):
    """A search that ran to its end.

    Attributes:
        child: The command's process; its workers' memory is not in it.
        summary: What it came to.
        trials: In the order in which they ended.
    """

    child: Child
    summary: SearchSummary
    trials: list[TrialRecord]

    @property
    def best_score(self) -> float:
        """The best completed trial's validation accuracy."""
        return max(trial.score for trial in self.trials if trial.score is not None)


def command(changes: Sequence[str], run_path: Path) -> tuple[str, ...]:
    """Makes the command of a search.

    Args:
        changes: Overrides beside `mode=tune`.
        run_path: The run directory that it is to make.
    """
    return (sys.executable, "-m", "mnist_exp", "mode=tune", *changes, f"hydra.run.dir='{run_path}'")


def run_search(changes: Sequence[str], run_path: Path) -> FinishedSearch:
    """Searches in a fresh process; exits with its errors when it fails."""
    child = run_child(command(changes, run_path))
    return FinishedSearch(child, read_summary(run_path), SearchFiles(run_path).read_trials())


def read_summary(run_path: Path) -> SearchSummary:
    """Reads what a search came to."""
    return msgspec.json.decode((run_path / "summary.json").read_bytes(), type=SearchSummary)
