"""TensorFlow's SavedModel, with an endpoint `serve`."""

from pathlib import Path
from typing import Any

import keras

from mnist_exp.exports.formats import INPUT, Subject


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes the folder of a SavedModel."""
    signature = signature_of(subject.network)
    subject.network.export(path, format="tf_saved_model", verbose=False, input_signature=signature)
    return {"endpoint": "serve"}


def signature_of(network: keras.Model) -> list[Any]:
    """Names a network's input, and leaves the number of images open."""
    return [keras.InputSpec(shape=(None, *network.input_shape[1:]), dtype="float32", name=INPUT)]
