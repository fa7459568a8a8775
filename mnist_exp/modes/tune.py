"""`mode=tune`: search, train the best again on fresh seeds, score the winner once.

Importing this module is cheap: worker processes are started first, so that they import TensorFlow
side by side with this one.
"""

from typing import TYPE_CHECKING

from mnist_exp.config import Composition
from mnist_exp.local_workers import LocalWorkers
from mnist_exp.runs import RunDirectory
from mnist_exp.schema import Config
from mnist_exp.search import Search, plan_search
from mnist_exp.search_files import SearchFiles
from mnist_exp.signals import StopRequest
from mnist_exp.terminal import Terminal
from mnist_exp.trial_records import SearchSummary
from mnist_exp.workplace import count_workers, find_workplace

if TYPE_CHECKING:
    from mnist_exp.searching import PreparedSearch


def prepare(
    config: Config, terminal: Terminal, composition: Composition, earlier: RunDirectory | None
) -> "PreparedSearch":
    """Finds the data, reads the search space and makes sure that trials can be made from it.

    Args:
        config: The run's.
        terminal: Told about a download.
        composition: What the configuration was composed from.
        earlier: The run to go on with; None for a new one.

    Raises:
        ConfigError: The request cannot work; nothing was started.
    """
    if earlier is None:
        search, fixed = plan_search(config, composition)
    else:
        search, fixed = Search.from_tree(SearchFiles(earlier.path).read_request(), config), []
    workers = LocalWorkers(count_workers(config, find_workplace()))
    try:
        from mnist_exp import searching

        is_extended = any(override.startswith("tuner.") for override in composition.overrides)
        return searching.prepare(search, fixed, terminal, workers, is_extended)
    except BaseException:
        workers.close()
        raise


def run(
    prepared: "PreparedSearch", run: RunDirectory, terminal: Terminal, request: StopRequest
) -> SearchSummary:
    """Searches, confirms, scores and draws.

    Args:
        prepared: From `prepare`.
        run: Where everything goes.
        terminal: Where progress is shown.
        request: Whether someone asked the run to stop.

    Returns:
        What `summary.json` holds.

    Raises:
        RunError: No trial was completed, or something other than a trial failed.
        Interrupted: Someone asked the search to stop; what was finished is kept.
    """
    from mnist_exp import searching

    return searching.search(prepared, run, terminal, request)
