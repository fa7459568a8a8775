"""What Keras offers by name, read from its source files: importing TensorFlow would take seconds.

Keras' public modules are generated lists of imports, which makes them its registry on disk.
"""

import ast
import functools
import importlib.util
from pathlib import Path

# Vocabularies of theirs may be files anywhere, which would end up in the checkpoint.
_READ_FILES = {"IntegerLookup", "StringLookup", "TextVectorization"}
_NOT_STACKABLE = _READ_FILES | {"Input", "InputLayer", "InputSpec", "Layer", "Wrapper"}
RUN_FOREIGN_CODE = {"Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"}
_NOT_ALONE = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
_SET_ELSEWHERE = {"name", "kwargs", "use_ema", "ema_momentum", "ema_overwrite_frequency"}
_ARGUMENTS_OF_EVERY_LAYER = {"name", "trainable", "dtype", "activity_regularizer"}


def layers() -> set[str]:
    """Names the layers that a YAML file may stack."""
    return {name for name in _exports("layers") if name[0].isupper()} - _NOT_STACKABLE - RUN_FOREIGN_CODE


def optimizers() -> set[str]:
    """Names the optimizers, in Keras' spelling (`AdamW`)."""
    return {name for name in _exports("optimizers") if name[0].isupper()} - _NOT_ALONE


def activations() -> set[str]:
    """Names the activation functions."""
    return set(_exports("activations")) - {"deserialize", "get", "serialize"}


def layer_arguments(name: str) -> set[str] | None:
    """Names the arguments of a layer; None where its source does not tell."""
    own = _arguments("layers", name)
    return None if own is None else own | _ARGUMENTS_OF_EVERY_LAYER


def optimizer_arguments(name: str) -> set[str] | None:
    """Names the arguments of an optimizer; None where its source does not tell."""
    own = _arguments("optimizers", name)
    return None if own is None else own - _SET_ELSEWHERE


def _keras_dir() -> Path:
    spec = importlib.util.find_spec("keras")
    assert spec is not None and spec.origin is not None, "keras is a dependency of this package"
    return Path(spec.origin).parent


@functools.cache
def _exports(group: str) -> dict[str, str]:
    """Maps each public name of `keras.<group>` to the module that defines it."""
    tree = ast.parse((_keras_dir() / group / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {
        alias.asname or alias.name: f"{node.module}"
        for node in imports
        for alias in node.names
        if f"{node.module}".startswith("keras.src")
    }


@functools.cache
def _arguments(group: str, name: str) -> set[str] | None:
    path = _keras_dir().joinpath(*_exports(group)[name].split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        return None
    classes = (
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)
    )
    for definition in classes:
        for node in definition.body if definition.name == name else []:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return {argument.arg for argument in node.args.args + node.args.kwonlyargs} - {"self"}
    return None
