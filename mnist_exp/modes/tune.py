"""`mode=tune`: search, train the best again on fresh seeds, score the winner once.

Worker processes are started first, so that they import TensorFlow side by side with this one.
"""

import os
from typing import TYPE_CHECKING

from mnist_exp.errors import ConfigError
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.job import Job
from mnist_exp.runs.records import SearchSummary
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.places import LentPlaces, LocalPlaces, Places, count_workers
from mnist_exp.tuning.search_files import SearchFiles

if TYPE_CHECKING:
    from mnist_exp.tuning.search import PreparedSearch


def prepare(job: Job, terminal: Terminal, earlier: RunDirectory | None) -> "PreparedSearch":
    """Finds the data and makes sure that trials can be made, else raises ConfigError.

    `earlier` is the run to resume; None for a new one.
    """
    _refuse_other_ways()
    tree = job.search if earlier is None else SearchFiles(earlier.path).read_request()
    assert tree is not None
    search = Search.from_tree(tree, job.config)
    count = count_workers(job.config, job.launcher)
    places: Places = LocalPlaces(count) if job.launcher is None else LentPlaces(job.launcher, count)
    try:
        from mnist_exp.tuning import search as searching

        return searching.prepare(search, job.sentences, terminal, places, job.is_extended)
    except BaseException:
        places.close()
        raise


def _refuse_other_ways() -> None:
    """Refuses the variables by which Keras Tuner is told of several machines."""
    given = [name for name in sorted(os.environ) if name.startswith("KERASTUNER_")]
    if given:
        raise ConfigError(
            f"{given[0]}: a search on several machines is one command here, and needs no such variable.",
            "Unset it; then: mnist-exp mode=tune hydra/launcher=submitit_slurm tuner.workers=4",
        )


def run(
    prepared: "PreparedSearch", run: RunDirectory, terminal: Terminal, request: StopRequest
) -> SearchSummary:
    """Searches, confirms, scores and draws."""
    return prepared.run(run, terminal, request)
