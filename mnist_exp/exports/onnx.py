"""ONNX, by tf2onnx."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tf2onnx.handler import tf_op

from mnist_exp.exports.formats import OUTPUT, Subject
from mnist_exp.exports.saved_model import signature_of


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes an ONNX file that takes any number of images, and whose output has a name."""
    network = subject.network
    network.export(path, format="onnx", verbose=False, input_signature=signature_of(network))
    model = onnx.load(path)
    (takes,), (gives,) = model.graph.input, model.graph.output
    model.graph.node.append(onnx.helper.make_node("Identity", [gives.name], [OUTPUT]))
    gives.name = OUTPUT
    for value in (takes, gives):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    (opset,) = (each.version for each in model.opset_import if each.domain == "")
    return {"input": takes.name, "opset": opset}


@tf_op("Erfc")
class _Erfc:
    """TensorFlow's exact gelu needs erfc(x), which tf2onnx 1.17 lacks: 1 - erf(x)."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
        shapes, dtypes = node.output_shapes, node.output_dtypes
        one = ctx.make_const(f"{node.name}_one", np.array(1, np.float32))
        erf = ctx.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes)
        ctx.remove_node(node.name)
        ctx.make_node(
            "Sub", [one.output[0], erf.output[0]], outputs=node.output, shapes=shapes, dtypes=dtypes
        )
