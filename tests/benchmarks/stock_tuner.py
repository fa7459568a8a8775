"""What a user writes without this project: the study's search as a plain Keras Tuner script.

    uv run python tests/benchmarks/stock_tuner.py --trials 8 --epochs 5
    uv run python tests/benchmarks/stock_tuner.py --values values.json --epochs 5

Random search over layers, units, activations, dropout rates and optimizer; batches of 32, the last
images set apart for validation. With `--values`, a JSON list of the values of each trial, these are
trained in place of random ones, in all else the same way. Prints one line of JSON.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import keras  # noqa: E402  (importing it is part of what the process costs)
import keras_tuner  # noqa: E402
import mnist_file  # noqa: E402

Values = dict[str, Any]


def build_model(hyperparameters: keras_tuner.HyperParameters) -> keras.Sequential:
    """Builds and compiles one network of the study's space."""
    model = keras.Sequential([keras.layers.Input((28, 28)), keras.layers.Flatten()])
    for number in range(hyperparameters.Int("num_layers", 1, 4)):
        units = hyperparameters.Int(f"units_{number}", 32, 512, step=32)
        activation = hyperparameters.Choice(f"activation_{number}", ["relu", "tanh", "sigmoid"])
        model.add(keras.layers.Dense(units, activation=activation))
        model.add(keras.layers.Dropout(hyperparameters.Float(f"dropout_{number}", 0.0, 0.5, step=0.1)))
    model.add(keras.layers.Dense(10, activation="softmax"))
    optimizer = hyperparameters.Choice("optimizer", ["adam", "rmsprop", "sgd"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class GivenValues(keras_tuner.oracles.RandomSearchOracle):
    """Hands out given values one after another where a random search would draw them."""

    def __init__(self, given: list[Values], **options: Any) -> None:
        super().__init__(max_trials=len(given), **options)
        self.given = given

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the trial with this number."""
        return {"status": "RUNNING", "values": self.given[int(trial_id)]}


def make_tuner(arguments: argparse.Namespace, directory: str) -> keras_tuner.Tuner:
    """Makes the tuner: RandomSearch, or its like with given values."""
    places = {"directory": directory, "project_name": "stock"}
    if arguments.values is None:
        return keras_tuner.RandomSearch(
            build_model, "val_accuracy", max_trials=arguments.trials, seed=arguments.seed, **places
        )
    given = json.loads(arguments.values.read_text())
    oracle = GivenValues(given, objective="val_accuracy", seed=arguments.seed)
    return keras_tuner.Tuner(oracle, build_model, **places)


def search(arguments: argparse.Namespace, arrays: mnist_file.Arrays, directory: str) -> dict[str, Any]:
    """Searches, and scores the best network on the test images."""
    images, labels, num_validation = arrays.train_images / 255.0, arrays.train_labels, arguments.validation
    tuner = make_tuner(arguments, directory)
    search_started = time.perf_counter()
    tuner.search(
        images[:-num_validation],
        labels[:-num_validation],
        epochs=arguments.epochs,
        validation_data=(images[-num_validation:], labels[-num_validation:]),
        verbose=0,
    )
    search_s = time.perf_counter() - search_started
    best = tuner.get_best_models(1)[0]
    _, test_accuracy = best.evaluate(arrays.test_images / 255.0, arrays.test_labels, verbose=0)
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: int(trial.trial_id))
    return {
        "search_s": round(search_s, 3),
        "values": [trial.hyperparameters.values for trial in trials],
        "scores": [trial.score for trial in trials],
        "test_accuracy": round(test_accuracy, 4),
    }


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5, help="of each trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", type=int, default=10_000, help="number of images set apart")
    parser.add_argument("--values", type=Path, help="what to train in place of random values")
    mnist_file.add_data_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Searches as the command line says."""
    arguments = parse_arguments()
    arrays = mnist_file.load_arrays(mnist_file.find_data(arguments.data))
    with tempfile.TemporaryDirectory() as directory:
        result = search(arguments, arrays, directory)
    facts = {"epochs": arguments.epochs, "process_s": round(time.perf_counter() - STARTED, 3)}
    print(json.dumps(facts | result))


if __name__ == "__main__":
    main()
