"""Which formats a network is exported to, a row each, and what an export leaves behind as data.

A format is a module of this package with `write(subject, path)`, which gives the card's `details`; a row
of `FORMATS`; and, where Python can run it, the template of a script that loads it.
"""

from dataclasses import dataclass
from importlib import util
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mnist_exp.errors import ConfigError, nearest
from mnist_exp.evaluation.results import Interval, Latency
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.run import Run

if TYPE_CHECKING:
    import keras

ALL, KERAS = "all", "keras"
CARD, EXAMPLE = "card.json", "example.npy"
INPUT, OUTPUT = "images", "probabilities"
"""Names of tensors, where a format lets us choose."""


class Format(NamedTuple):
    """One way to take a network along.

    Attributes:
        name: What `export.format` calls it, and its module in this package.
        file: What is written, a file or a folder.
        extra: The extra of this package that it needs, which brings `packages`, by the names that Python
            imports; empty for none.
        runtime: The distributions that alone are needed to run it.
        template: The script that loads it, in `templates/`; empty where Python does not run it, and
            nothing is measured.
        is_exact: Whether it computes in float32, so that all answers have to be Keras' own.
        has_front: Whether preprocessing is part of what is written; else the script has it.
    """

    name: str
    title: str
    file: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    runtime: str = ""
    template: str = ""
    is_exact: bool = True
    has_front: bool = True


_LITERT = ("ai_edge_litert",)
FORMATS = (
    Format(KERAS, "Keras", "best.keras", runtime="keras, tensorflow", template="keras"),
    Format(
        "onnx", "ONNX", "model.onnx",
        extra="onnx", packages=("tf2onnx", "onnx", "onnxruntime"), runtime="onnxruntime", template="onnx",
    ),
    Format(
        "litert", "LiteRT", "model.tflite",
        extra="litert", packages=_LITERT, runtime="ai-edge-litert", template="litert", has_front=False,
    ),
    Format(
        "litert_int8", "LiteRT int8", "model_int8.tflite",
        extra="litert", packages=_LITERT, runtime="ai-edge-litert", template="litert", has_front=False,
        is_exact=False,
    ),
    Format("saved_model", "SavedModel", "saved_model", runtime="tensorflow", template="saved_model"),
    Format("page", "web page", "draw.html"),
)  # fmt: skip
"""The first is the run's own, exported and measured with each of the others."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is exported.

    Attributes:
        run: It was trained there; `run.result` says how good it is.
        network: From float32 (B, H, W) in [0, 1] to probabilities float32 (B, C).
        behind: The same without the preprocessing in front; `network` itself where there is none.
        preprocessing: What is in front, as in `data.preprocessing`.
        calibration: No test images, uint8 (N, H, W), as `behind` takes them.
        calibrated_on: Which images those are, in words.
        example: One of them as it is in the data set, uint8 (H, W).
    """

    run: Run
    network: "keras.Model"
    behind: "keras.Model"
    preprocessing: str
    class_names: list[str]
    calibration: NDArray[np.uint8]
    calibrated_on: str
    example: NDArray[np.uint8]


class Proof(Struct, frozen=True, kw_only=True):
    """A format in its own runtime, in a process of its own, on all test images at each batch size.

    Attributes:
        num_equal: Images with Keras' answer at every batch size.
        agreement_interval: Wilson interval of their share.
        largest_difference: Of any probability from Keras', at any batch size.
        accuracy: At the first batch size.
        latency: On one thread, by batch size.
        versions: Of Python and the runtime.
    """

    num_images: int
    num_equal: int
    agreement_interval: Interval
    largest_difference: float
    accuracy: float
    accuracy_interval: Interval
    latency: list[Latency]
    versions: dict[str, str]


class Exported(Struct, frozen=True, kw_only=True):
    """One format of an export.

    Attributes:
        sha256: Of each file, by its path in the export's folder.
        has_front: Whether the run's preprocessing is part of the file; if not, the script does it.
        input: The tensor's name.
        details: What else a program may need: opset, quantisation.
        proof: Null where Python cannot run the format.
    """

    format: str
    file: str
    script: str | None
    bytes: int
    sha256: dict[str, str]
    has_front: bool
    input: str
    output: str
    details: dict[str, str | int]
    proof: Proof | None


class Card(Struct, frozen=True, kw_only=True):
    """`card.json`: what was exported, from where, and how it was proved; Keras' own format is the first.

    Attributes:
        run: The run's directory, as it was found.
        exported_at: UTC.
        data: Fingerprints of the images that the run saw.
        input_shape: Of every format; null for any number.
        calibration: Which images quantisation is calibrated on, in words.
        proved: How equality was measured, in words.
    """

    run: str
    run_id: str
    model: str
    exported_at: str
    num_params: int
    preprocessing: str
    data: DataRecord
    class_names: list[str]
    input_shape: list[int | None]
    input_range: tuple[float, float] = (0.0, 1.0)
    output_shape: list[int | None]
    dtype: str
    calibration: str
    proved: str
    formats: list[Exported]
    versions: dict[str, str]


def choose_formats(name: str) -> list[Format]:
    """Finds the formats that are meant, Keras' own before them; what they need is installed.

    Raises:
        ConfigError: There is no such format, or an extra is missing.
    """
    names = [row.name for row in FORMATS[1:]]
    if name not in (*names, ALL):
        raise ConfigError(f"export.format: got {name}.", nearest(name, [*names, ALL]))
    chosen = [row for row in FORMATS if name in (row.name, ALL) or row.name == KERAS]
    for row in chosen:
        missing = [package for package in row.packages if util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"export.format: {row.name} needs {', '.join(missing)}, not installed here.",
                f"Install it: pip install 'mnist-exp[{row.extra}]'",
            )
    return chosen
