"""What a user writes without this project: the study's networks in a plain Keras script.

    uv run python tests/benchmarks/stock_keras.py ann --epochs 10

Adam, batches of 32, all training images, the test images as validation, no checkpoints, no plots.
Prints one line of JSON.
"""

import argparse
import json
import resource
import time

STARTED = time.perf_counter()

import keras  # noqa: E402  (importing it is part of what the process costs)
import mnist_file  # noqa: E402
from stopwatch import Stopwatch, median_after_first  # noqa: E402

HIDDEN_UNITS = {"ann": [128], "bn_dnn": [128, 128, 64, 64]}


def build_model(name: str) -> keras.Sequential:
    """Builds and compiles `ann` (101,770 parameters) or `bn_dnn` (131,594)."""
    model = keras.Sequential([keras.layers.Input((28, 28)), keras.layers.Flatten()])
    for units in HIDDEN_UNITS[name]:
        model.add(keras.layers.Dense(units, activation="relu"))
        if name == "bn_dnn":
            model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Trains as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=HIDDEN_UNITS)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    mnist_file.add_data_argument(parser)
    arguments = parser.parse_args()
    arrays = mnist_file.load_arrays(mnist_file.find_data(arguments.data))
    model, stopwatch = build_model(arguments.model), Stopwatch()
    train_images, test_images = arrays.train_images / 255.0, arrays.test_images / 255.0
    fit_started = time.perf_counter()
    history = model.fit(
        train_images,
        arrays.train_labels,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        validation_data=(test_images, arrays.test_labels),
        callbacks=[stopwatch],
        verbose=0,
    )
    ended = time.perf_counter()
    result = {
        "model": arguments.model,
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "train_s_per_epoch": median_after_first(stopwatch.training_s),
        "validation_s_per_epoch": median_after_first(stopwatch.validation_s),
        "fit_s": round(ended - fit_started, 3),
        "process_s": round(ended - STARTED, 3),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "val_accuracy": round(history.history["val_accuracy"][-1], 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
