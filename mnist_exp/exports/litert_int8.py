"""LiteRT with weights and activations of 8 bits, for the smallest processors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.exports.formats import Subject
from mnist_exp.exports.litert import convert


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes a LiteRT file; input, output and what has no form in 8 bits stay in float32."""

    def examples() -> Iterator[list[NDArray[np.float32]]]:
        for image in subject.calibration:
            yield [image[None] * np.float32(1 / 255)]

    operations = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    names = convert(
        subject.behind, path, operations,
        optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=examples,
    )  # fmt: skip
    return {**names, "quantisation": "int8", "calibration_images": len(subject.calibration)}
