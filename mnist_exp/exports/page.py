"""A web page on which anyone draws, with the network in it: one file that needs nothing else."""

import hashlib
import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from mnist_exp.data.backgrounds import choose_background
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.framing import frame_for
from mnist_exp.exports.formats import Subject
from mnist_exp.runs import files
from mnist_exp.words import accuracy_interval_text, percent, visible

Shape = tuple[int, ...]
_TEMPLATES = Path(__file__).with_name("templates")
_COMPUTED = (
    "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "Rescaling", "Activation",
    "ReLU", "Softmax", "MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D",
)  # fmt: skip
_IDLE = (
    "Reshape", "Flatten", "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    "ActivityRegularization",
)  # fmt: skip
"""What leaves numbers, row by row, as they are."""
_ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softmax")
_ASSUMED = {
    "data_format": "channels_last", "dilation_rate": (1, 1), "groups": 1, "axis": -1, "max_value": None,
    "negative_slope": 0.0, "threshold": 0.0,
}  # fmt: skip
"""Arguments that the page's script does not know, and what it takes them for."""


class Step(Struct):
    """A function of `templates/network.js`, and what it is given; pairs are down, across.

    Attributes:
        image: The shape of what goes in: height, width, channels.
        padding: Rows and columns of nothing above and to the left of it.
        weights: Arrays of little-endian float32; in JSON, base 64.
    """

    kind: str
    image: Shape
    result: Shape
    weights: list[bytes] = []
    window: Shape = (1, 1)
    strides: Shape = (1, 1)
    padding: Shape = (0, 0)


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes the page.

    Raises:
        ConfigError: Its script has no code for a layer, or the images are not square.
        RunError: The file could not be written.
    """
    height, width = subject.network.input_shape[1:]
    if height != width:
        raise ConfigError(f"export.format: page needs square images; the network's are {height} × {width}.")
    place = frame_for(subject.run.data.name)
    network = {
        "side": height,
        "box": place.box,
        "by_mass": place.by_mass,
        "is_light": choose_background([subject.run])[0] == "light",
        "deskews": subject.preprocessing == "deskew",
        "steps": list(translate(subject.behind)),
    }
    files.write_bytes(path, _render(subject, network).encode())
    return {}


def translate(network: keras.Model) -> Iterator[Step]:
    """Gives what a network, from images (B, H, W), does in turn.

    Raises:
        ConfigError: The page's script has no code for a layer.
    """
    shape = network.input_shape
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        _check(layer)
        output = layer.compute_output_shape(shape)
        yield from _steps(layer, _as_image(shape[1:]), _as_image(output[1:]))
        shape = output


def _check(layer: keras.Layer) -> None:
    kind, arguments = type(layer).__name__, layer.get_config()
    problem = ""
    if _activation(layer) not in _ACTIVATIONS:
        problem = f"{kind} with activation={_activation(layer)}"
    for key, assumed in _ASSUMED.items():
        if arguments.get(key, assumed) != assumed:
            problem = f"{kind} with {key}={arguments[key]}"
    if kind not in _COMPUTED + _IDLE:
        problem = kind
    if problem:
        raise ConfigError(
            f"export.format: page has no code for the network's layer {layer.name}: {problem}.",
            f"It knows {', '.join(_COMPUTED)}; {', '.join(_ACTIVATIONS)}. Other formats know more.",
        )


def _activation(layer: keras.Layer) -> Any:
    kind = type(layer).__name__
    return {"ReLU": "relu", "Softmax": "softmax"}.get(kind) or layer.get_config().get("activation", "linear")


def _as_image(shape: Shape) -> Shape:
    """Gives height and width to a shape without them; most layers look at channels only."""
    return (math.prod(shape[:-2]), *shape[-2:]) if len(shape) > 1 else (1, 1, *shape)


def _steps(layer: keras.Layer, image: Shape, result: Shape) -> Iterator[Step]:
    kind = type(layer).__name__
    match kind:
        case "Dense":
            yield _step("convolution", image, result, [layer.kernel, layer.bias])
        case "Conv2D":
            yield _step("convolution", image, result, [layer.kernel, layer.bias], layer)
        case "DepthwiseConv2D":
            yield _step("depthwise", image, result, [layer.kernel, layer.bias], layer)
        case "SeparableConv2D":
            between = (*result[:2], image[2] * layer.depth_multiplier)
            yield _step("depthwise", image, between, [layer.depthwise_kernel, None], layer)
            yield _step("convolution", between, result, [layer.pointwise_kernel, layer.bias])
        case "BatchNormalization":
            factor = keras.ops.rsqrt(layer.moving_variance + layer.epsilon)
            factor = factor if layer.gamma is None else factor * layer.gamma
            offset = -layer.moving_mean * factor
            yield _step(
                "scale", image, result, [factor, offset if layer.beta is None else offset + layer.beta]
            )
        case "Rescaling":
            yield _step("scale", image, result, [layer.scale, layer.offset])
        case "MaxPooling2D" | "AveragePooling2D":
            yield _step(kind, image, result, layer=layer)
        case "GlobalMaxPooling2D" | "GlobalAveragePooling2D":
            yield Step(kind.removeprefix("Global"), image, (1, 1, image[2]), window=image[:2])
    if (activation := _activation(layer)) != "linear":
        yield Step(activation, result, result)


def _step(
    kind: str, image: Shape, result: Shape, arrays: Sequence[Any] = (), layer: keras.Layer | None = None
) -> Step:
    """Makes a step; one value, or None for zero, is that of all channels.

    Args:
        layer: Whose window slides over the image, from where TensorFlow has it begin.
    """
    step = Step(kind, image, result)
    for array in arrays:
        values = np.asarray(0 if array is None else keras.ops.convert_to_numpy(array), "<f4")
        step.weights.append((np.full(result[2], values, "<f4") if values.ndim == 0 else values).tobytes())
    if layer is not None:
        step.window = tuple(getattr(layer, "pool_size", None) or layer.kernel_size)
        step.strides = tuple(layer.strides)
    if layer is not None and layer.padding == "same":
        reach = [(result[axis] - 1) * step.strides[axis] + step.window[axis] for axis in (0, 1)]
        step.padding = tuple(max(reach[axis] - image[axis], 0) // 2 for axis in (0, 1))
    return step


def _render(subject: Subject, network: dict[str, Any]) -> str:
    names = ("page.css", "network.js", "drawing.js")
    texts = [(_TEMPLATES / name).read_text(encoding="utf-8").strip() for name in names]
    environment = Environment(
        loader=PackageLoader("mnist_exp.exports"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["visible"] = visible
    return environment.get_template("page.html").render(
        subject=subject,
        accuracy=percent(subject.run.result.test_accuracy),
        interval=accuracy_interval_text(subject.run.result.test_accuracy_interval),
        is_digits=all(name.isdigit() for name in subject.class_names),
        texts=list(map(Markup, texts)),
        hashes=[b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts],
        network=network,
        # Numbers, names of functions and base 64: nothing to escape.
        network_json=Markup(msgspec.json.encode(network).decode()),
    )
