"""LiteRT, formerly TensorFlow Lite, in the operations that every build of it has."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from mnist_exp.exports.formats import Subject
from mnist_exp.exports.saved_model import signature_of


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes a LiteRT file in float32, without the preprocessing: that needs float64, which LiteRT lacks."""
    return convert(subject.behind, path, [tf.lite.OpsSet.TFLITE_BUILTINS])


def convert(network: keras.Model, path: Path, operations: list[Any], **options: Any) -> dict[str, str | int]:
    """Converts a network, with options of TensorFlow's converter; gives its tensors' names."""
    network.export(
        path, format="litert", verbose=False, input_signature=signature_of(network),
        target_spec={"supported_ops": operations}, **options,
    )  # fmt: skip
    interpreter = Interpreter(str(path))
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    return {"input": takes["name"], "output": gives["name"]}
