"""An epoch of this project: its own model and engine, Keras' `fit`, the accuracy metric.

    uv run python tests/benchmarks/product_epoch.py model=ann model.dropout=0.2 --epochs 15

Takes the command line's overrides on top of what the stock script does. Prints one line of JSON.
"""

import argparse
import io
import json
from pathlib import Path

import mnist_file
from hydra import compose, initialize_config_dir
from protocol import CONFIGURATION_DIR, overrides
from stopwatch import Stopwatch, median_after_first

from mnist_exp.config.parsing import parse
from mnist_exp.data import completing
from mnist_exp.modes.train import Experiment, prepare
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.job import Job


def prepare_experiment(changes: list[str]) -> Experiment:
    """Composes a configuration and prepares it as the command does."""
    completing.register()
    with initialize_config_dir(str(CONFIGURATION_DIR), version_base="1.3"):
        composed = compose("config", changes)
        job = Job(config=parse(composed), tree={}, overrides=changes, argv=changes, folder=Path())
        return prepare(job, Terminal(io.StringIO()), None)


def train(experiment: Experiment) -> tuple[Stopwatch, float]:
    """Trains; returns its times, and the seconds that compiling took."""
    config, seen, stopwatch = experiment.config, experiment.images.seen, Stopwatch()
    feed = experiment.model.prepare(seen.training, config.training.batch_size)
    experiment.model.fit(
        feed.elements,
        steps_per_epoch=feed.steps_per_epoch,
        epochs=config.training.epochs,
        validation_data=seen.validation and (seen.validation.images, seen.validation.labels),
        validation_batch_size=1000,
        callbacks=[stopwatch],
        verbose=0,
    )
    return stopwatch, feed.compile_s


def main() -> None:
    """Trains as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="as for mnist-exp")
    parser.add_argument("--epochs", type=int, default=15)
    mnist_file.add_data_argument(parser)
    arguments = parser.parse_intermixed_args()
    fixed = overrides(mnist_file.find_data(arguments.data), arguments.epochs)
    experiment = prepare_experiment([*fixed, *arguments.overrides])
    stopwatch, compile_s = train(experiment)
    result = {
        "overrides": arguments.overrides,
        "engine": experiment.engine.name,
        "epochs": arguments.epochs,
        "train_s_per_epoch": median_after_first(stopwatch.training_s),
        "validation_s_per_epoch": median_after_first(stopwatch.validation_s),
        "first_epoch_s": round(stopwatch.training_s[0], 3),
        "compile_s": round(compile_s, 3),
        "val_accuracy": round(experiment.model.history.history["val_accuracy"][-1], 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
