"""JSON schemas of YAML files, from the types and docstrings of the configuration, for editors."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from mnist_exp.config import keras_names
from mnist_exp.config.keys import MODE_KEYS, options_of
from mnist_exp.config.requests import SweepRequest
from mnist_exp.config.schema import Config

Schema = dict[str, Any]
Requests = Mapping[str, type[Struct]]
"""Mode to what it reads, of the modes that read runs."""

_TYPES = get_type_hints(Config, include_extras=True) | get_type_hints(SweepRequest, include_extras=True)
POINTER = "#/definitions/"
# Hydra replaces these before anything is checked.
_INTERPOLATION = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
NUMBERS, ARGUMENTS = "numbers", "arguments"
"""Keys that stand for a file's free ones."""


def typed_groups() -> list[str]:
    """Lists the groups whose files become a node of the configuration that has a type."""
    return [name for name in _TYPES if options_of(name) and name not in ("mode", "search_space")]


def group_schema(group: str) -> Schema:
    """Makes the JSON schema of a group's files, of which each may leave any key to others."""
    (top,), nodes = described([_TYPES[group]])
    return file_schema(group, {"anyOf": top.get("anyOf", [top])}, nodes)


def root_schema(requests: Requests) -> Schema:
    """Makes the JSON schema of `config.yaml`, and of what is laid over it: experiments and modes."""
    _, nodes = described([Config, SweepRequest, *requests.values()])
    properties = nodes.pop("Config")["properties"] | nodes.pop("SweepRequest")["properties"]
    for name, request in requests.items():
        own = nodes.pop(request.__name__)["properties"]
        properties = {key: own[key] for key in MODE_KEYS[name]} | properties
    mode = {"description": properties["mode"]["description"], "enum": options_of("mode")}
    properties |= {"mode": mode, "hydra": {}}
    top = {"type": "object", "properties": properties, "additionalProperties": False}
    return file_schema("configuration", top, nodes)


def file_schema(name: str, top: Schema, nodes: Mapping[str, Schema]) -> Schema:
    """Puts a JSON schema together; `nodes` are what `top` refers to."""
    definitions = {key: _loosened(node) for key, node in nodes.items()} | {"interpolation": _INTERPOLATION}
    draft = "http://json-schema.org/draft-07/schema#"
    return {"$schema": draft, "title": f"mnist-exp: {name}", **_loosened(top), "definitions": definitions}


def described(shapes: Sequence[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """Gives types as msgspec does, and the nodes that they refer to, each key with its meaning."""
    tops, nodes = msgspec.json.schema_components(shapes, ref_template=f"{POINTER}{{name}}")
    for struct in {struct for shape in shapes for struct in _structs_in(shape)}:
        node, meanings = nodes[struct.__name__], _meanings(struct)
        node["description"] = node["description"].partition("\n")[0]
        for key, value in node["properties"].items():
            is_tag = len(value.get("enum", ())) == 1
            value["description"] = node["description"] if is_tag else meanings.get(key, "")
    return list(tops), nodes


def _structs_in(shape: Any) -> Iterator[type[Struct]]:
    if isinstance(shape, type) and issubclass(shape, Struct):
        yield shape
        for below in get_type_hints(shape).values():
            yield from _structs_in(below)
    for argument in get_args(shape):
        yield from _structs_in(argument)


def _meanings(struct: type[Struct]) -> dict[str, str]:
    """Reads what the docstrings of a node say about its keys; a node that is a key's value says it itself."""
    found: dict[str, str] = {}
    for key, shape in get_type_hints(struct).items():
        words = [inspect.cleandoc(below.__doc__ or "").partition("\n")[0] for below in _structs_in(shape)]
        found |= {key: words[0]} if words else {}
    for base in reversed(struct.__mro__):
        section = inspect.cleandoc(vars(base).get("__doc__") or "").partition("Attributes:\n")[2]
        for key, text in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE):
            found[key] = " ".join(text.split())
    return found


def _loosened(schema: Schema) -> Schema:
    """Lets each key be left to another file, and each value be an interpolation."""
    dropped = ("required", "default", "discriminator")
    loose = {key: value for key, value in schema.items() if key not in dropped}
    if "anyOf" in loose:
        loose["anyOf"] = [_loosened(each) for each in loose["anyOf"]]
    for key in ("items", "additionalProperties"):
        if isinstance(loose.get(key), dict):
            loose[key] = _opened(loose[key])
    if "properties" in loose:
        properties = {key: _opened(value) for key, value in loose["properties"].items()}
        if properties.pop(NUMBERS, None):
            loose["additionalProperties"] = True
        if properties.pop(ARGUMENTS, None):
            names = (keras_names.optimizer_arguments(name) or set() for name in keras_names.optimizers())
            properties = {name: {} for name in sorted(set().union(*names))} | properties
        loose["properties"] = properties | {"defaults": {"type": "array"}}
    return loose


def _opened(schema: Schema) -> Schema:
    value = _loosened(schema)
    words = {key: value.pop(key) for key in ["description"] if key in value}
    members = [*value.get("anyOf", [value]), {"$ref": f"{POINTER}interpolation"}]
    return words | ({"anyOf": members} if value else {})
