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

ALL = "all"
CARD = "card.json"


class Format(NamedTuple):
    """One way to take a network along.

    Attributes:
        name: What `export.format` calls it, and its module in this package.
        title: What people call it.
        file: What is written, a file or a folder.
        extra: The extra of this package that converting and running it needs; empty for none.
        packages: What that extra brings, by the names that Python imports.
        runtime: The distribution that alone is needed to run it.
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

    @property
    def script(self) -> str:
        """The script's name beside the file."""
        return f"use_{self.name}.py"


_LITERT = ("ai_edge_litert",)
KERAS = Format("keras", "Keras", "best.keras", runtime="keras, tensorflow", template="keras")
"""What the others are compared with."""

FORMATS = (
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
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Subject:
    """What is exported.

    Attributes:
        run: It was trained there; `run.result` says how good it is.
        network: From float32 (B, H, W) in [0, 1] to probabilities float32 (B, C).
        behind: The same without the preprocessing in front; `network` itself where there is none.
        calibration: Images that no test looks at, uint8 (N, H, W), as they are in the files.
    """

    run: Run
    network: "keras.Model"
    behind: "keras.Model"
    class_names: list[str]
    calibration: NDArray[np.uint8]


class Tensor(Struct, frozen=True, kw_only=True):
    """What goes in or comes out; null for any number."""

    name: str
    shape: list[int | None]
    dtype: str
    range: tuple[float, float] = (0.0, 1.0)


class Proof(Struct, frozen=True, kw_only=True):
    """A format in its own runtime, in a process of its own, on all test images.

    Attributes:
        batch_sizes: Each of them was run on all images.
        num_equal: Images with Keras' answer at every batch size.
        agreement_interval: Wilson interval of their share.
        largest_difference: Of any probability from Keras', at any batch size.
        accuracy_interval: Wilson interval of the accuracy at the first batch size.
        latency: On one thread.
        versions: Of Python and the runtime.
    """

    batch_sizes: list[int]
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
        file: In the export's folder, as `script` is. A folder's bytes are those of all files in it, its
            SHA-256 that of their names and contents in order.
        has_front: Whether the run's preprocessing is part of the file; if not, the script does it.
        details: What else a program may need: opset, quantisation.
        proof: Null where Python cannot run the format.
    """

    format: str
    file: str
    script: str | None
    bytes: int
    sha256: str
    has_front: bool
    input: Tensor
    output: Tensor
    details: dict[str, str | int]
    proof: Proof | None


class Card(Struct, frozen=True, kw_only=True):
    """`card.json`: what was exported, from where, and how it was proved.

    Attributes:
        run: The run's directory, as it was found.
        exported_at: UTC.
        data: Fingerprints of the images that the run saw.
        calibration: The split that quantisation was calibrated on, and how many images of it.
        proved: How equality was measured, in words.
        keras: The run's own network, measured the same way.
    """

    run: str
    run_id: str
    model: str
    exported_at: str
    class_names: list[str]
    num_params: int
    preprocessing: str
    data: DataRecord
    calibration: str
    proved: str
    keras: Exported
    formats: list[Exported]
    versions: dict[str, str]


def choose_formats(name: str) -> list[Format]:
    """Finds the formats that are meant, and makes sure that what they need is installed.

    Raises:
        ConfigError: There is no such format, or an extra is missing.
    """
    names = [row.name for row in FORMATS]
    if name not in (*names, ALL):
        raise ConfigError(f'export.format: got "{name}".', nearest(name, [*names, ALL]))
    chosen = [row for row in FORMATS if name in (row.name, ALL)]
    for row in chosen:
        missing = [package for package in row.packages if util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"export.format: {row.name} needs {', '.join(missing)}, not installed here.",
                f"Install it: pip install 'mnist-exp[{row.extra}]'",
            )
    return chosen
