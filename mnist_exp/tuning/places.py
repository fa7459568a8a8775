"""Where a search's trials are trained: worker processes of its own, or places that a launcher lends."""

import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from mnist_exp.config.schema import Config
from mnist_exp.errors import RunError
from mnist_exp.processes.child import wait_for_any
from mnist_exp.processes.last_words import append
from mnist_exp.processes.launchers import (
    build_launcher,
    count_at_once,
    launch,
    outlive_signals,
    release_launcher,
)
from mnist_exp.processes.messages import PrepareTrials
from mnist_exp.processes.places import LentPlace, LocalPlace, Place, lend_place
from mnist_exp.runs.provenance import num_cores
from mnist_exp.tuning.search_files import SearchFiles

_BYTES_PER_WORKER = 2_000_000_000
_MOST_IDLE_LAUNCHES = 2
_GOODBYE_S = 20.0

Preparation = Callable[[str], PrepareTrials]
"""From the name of a place to what is said to it first."""


class LocalPlaces:
    """Worker processes of this process, which import TensorFlow as soon as these are made.

    `at_once` of them share a machine.
    """

    def __init__(self, count: int) -> None:
        self.count = self.at_once = count
        self._log_path: Path | None = None
        self._places = [LocalPlace(f"local{number}", self._log) for number in range(1, count + 1)]

    def begin(self, files: SearchFiles, prepare: Preparation) -> None:
        """Makes the places ready for a search."""
        self._log_path = files.log_path
        for place in self._places:
            place.send(prepare(place.name))

    def present(self) -> list[Place]:
        """Lists them all."""
        return list(self._places)

    def wait(self, timeout_s: float) -> None:
        """Waits for news, so long at most."""
        wait_for_any([place.child for place in self._places], timeout_s)

    def close(self) -> None:
        """Ends the processes at once."""
        for place in self._places:
            place.close()

    def _log(self, words: str) -> None:
        if self._log_path is not None:
            append(self._log_path, words)


class LentPlaces:
    """Places that one of Hydra's launchers lends, wherever it likes; `config` has Hydra's own node."""

    def __init__(self, config: DictConfig, count: int) -> None:
        self._config, self.count = config, count
        self.at_once = count_at_once(config, count)
        self._places: dict[str, LentPlace] = {}
        self._is_over = threading.Event()
        self._launching: threading.Thread | None = None
        self._problem: str | None = None

    def begin(self, files: SearchFiles, prepare: Preparation) -> None:
        """Asks the launcher for places, on a thread that ends when they are all given back."""
        self._prepare, self._folder = prepare, files.places_path
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        launcher = build_launcher(self._config, files.path, lend)
        self._launching = threading.Thread(target=self._launch, args=(launcher,), daemon=True)
        self._launching.start()

    def present(self) -> list[Place]:
        """Lists the places that have come and are not lost; raises RunError where the launcher lends none."""
        if self._problem is not None:
            raise RunError(f"hydra/launcher: it runs no trials: {self._problem}", "workers.log may say more.")
        known = self._places.copy()
        for path in sorted(self._folder.iterdir()):
            if path.name not in known:
                place = self._places[path.name] = LentPlace(path)
                place.send(self._prepare(place.name))
        return [place for place in self._places.values() if not place.is_lost]

    def wait(self, timeout_s: float) -> None:
        """Waits so long."""
        time.sleep(timeout_s)

    def close(self) -> None:
        """Lets the places end what they are doing, and waits until the launcher has them back."""
        self._is_over.set()
        if self._launching is None:
            return
        for place in self._places.values():
            place.close()
        self._launching.join(_GOODBYE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self, launcher: Launcher) -> None:
        """Launches, and again while the search goes on and places have done something."""
        num_idle, num_replies = 0, 0
        while not self._is_over.is_set() and num_idle < _MOST_IDLE_LAUNCHES:
            problem = launch(launcher, self._folder, range(self.count))
            places = list(self._places.values())
            now = sum(place.num_ended for place in places)
            num_idle, num_replies = (num_idle + 1 if now == num_replies else 0), now
            for place in places:
                place.was_given_back = True
        if not self._is_over.is_set():
            self._problem = problem or "workers end before they have run anything"
        release_launcher()


Places = LocalPlaces | LentPlaces


def lend(composed: DictConfig) -> None:
    """Lends the process that a launcher has started to the search; what `LentPlaces` launches."""
    outlive_signals()
    folder = Path(composed.launch)
    files = SearchFiles(folder.parent)
    name = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(2)}"
    lend_place(folder, name, lambda words: append(files.log_path, words))


def count_workers(config: Config, launcher: DictConfig | None) -> int:
    """Says how many trials run at once: by default one a core, as far as memory goes.

    The launcher is as composed, with Hydra's own node; None for processes on this machine.
    """
    assert config.tuner is not None
    if config.tuner.workers:
        return config.tuner.workers
    most = config.tuner.max_trials or num_cores()
    if launcher is not None:
        return count_at_once(launcher, min(most, num_cores()))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(min(num_cores(), memory // _BYTES_PER_WORKER, most), 1)


def count_threads(config: Config, at_once: int) -> int:
    """Says how many threads each worker gets: its share of the cores unless `training.threads` says."""
    return config.training.threads or max(num_cores() // at_once, 1)
