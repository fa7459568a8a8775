"""A worker process: `python -m mnist_exp.worker`, started by a search and fed by its standard input.

It imports TensorFlow first and learns what to do from one line of JSON afterwards, so that a
search's processes start side by side. When its standard input ends, so does the worker: a search
that is killed leaves nobody behind.
"""

import faulthandler
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from mnist_exp.config.schema import DataConfig
from mnist_exp.data.dataset import TrainingData, find_source, load_training_data
from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.errors import ConfigError
from mnist_exp.processes.local_workers import MAKES_WAY, Assignment
from mnist_exp.processes.signals import STOPPING
from mnist_exp.runs.run import Run, read_config
from mnist_exp.training.device import start_fresh
from mnist_exp.training.preprocessing import prepare_training
from mnist_exp.tuning.definition import Search
from mnist_exp.tuning.search_files import SearchFiles
from mnist_exp.tuning.trial_runner import TrialRunner

_MOST_COMPILED = 30


def main() -> None:
    """Reads the assignment, works, and exits with `MAKES_WAY` or because its input ended."""
    # Whoever started this process had them blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    faulthandler.enable()
    # TensorFlow is a million objects that no collection need look at again.
    gc.collect()
    gc.freeze()
    line = sys.stdin.readline()
    if not line:
        return
    assignment = msgspec.json.decode(line, type=Assignment)
    threading.Thread(target=_end_with_input, daemon=True).start()
    runner = employ(assignment, None)
    runner.work(_MOST_COMPILED)
    sys.exit(MAKES_WAY)


def employ(assignment: Assignment, data: DataConfig | None) -> TrialRunner:
    """Makes a process ready to work for a search.

    Args:
        assignment: For whom, and how.
        data: Where this machine has the images; None for where the search has them.

    Raises:
        ConfigError: This machine's images are others than the search's.
    """
    path = Path(assignment.run_path)
    os.environ["KERASTUNER_TUNER_ID"] = assignment.name
    os.environ["KERASTUNER_ORACLE_IP"] = assignment.address
    os.environ["KERASTUNER_ORACLE_PORT"] = str(assignment.port)
    files = SearchFiles(path)
    config = read_config(path)
    source = find_source(data or config.data)
    images = load_training_data(source)
    _check_same_images(path, images)
    start_fresh(config.seed, assignment.threads)
    return TrialRunner(
        Search.from_tree(files.read_request(), config),
        files,
        prepare_training(config.data.preprocessing, images),
        len(source.class_names),
        assignment.threads,
        assignment.name,
    )


def _check_same_images(path: Path, images: TrainingData) -> None:
    manifest = Run(path).manifest
    assert manifest.data is not None
    found: dict[Part, str | None] = {"train": images.train_sha256, "split": images.split_sha256}
    if (other := find_other_images(manifest.data, found)) is not None:
        raise ConfigError(
            f"data: the {other} ({path}).",
            "Give every machine the same images (data.path), set apart in the same way.",
        )


def _end_with_input() -> None:
    """Ends the process at once when whoever started it is gone."""
    while sys.stdin.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
