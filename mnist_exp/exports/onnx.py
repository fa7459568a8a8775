"""ONNX, by tf2onnx."""

from pathlib import Path

import onnx

from mnist_exp.exports.formats import OUTPUT, Subject
from mnist_exp.exports.saved_model import signature_of


def write(subject: Subject, path: Path) -> dict[str, str | int]:
    """Writes an ONNX file that takes any number of images, and whose output has a name."""
    network = subject.network
    network.export(path, format="onnx", verbose=False, input_signature=signature_of(network))
    model = onnx.load(path)
    (takes,), (gives,) = model.graph.input, model.graph.output
    last = onnx.helper.make_node("Identity", [gives.name], [OUTPUT])
    model.graph.node.append(last)
    gives.name = OUTPUT
    for value in (takes, gives):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    (opset,) = (each.version for each in model.opset_import if each.domain == "")
    return {"input": takes.name, "opset": opset}
