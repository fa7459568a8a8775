"""What every key means, by the types and docstrings of the configuration: as JSON schemas, and in words."""

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config import keras_names
from mnist_exp.config.keys import MODE_KEYS, options_of
from mnist_exp.config.requests import SweepRequest
from mnist_exp.config.schema import Config
from mnist_exp.config.trees import leaves

Schema = dict[str, Any]
Requests = Mapping[str, type[Struct]]
"""Mode to what it reads, of the modes that read runs."""

_TYPES = get_type_hints(Config, include_extras=True) | get_type_hints(SweepRequest, include_extras=True)
_POINTER = "#/definitions/"
# Hydra replaces these before anything is checked.
_INTERPOLATION = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
_NUMBERS, _ARGUMENTS = "numbers", "arguments"
"""Keys that stand for a file's free ones."""

_BOUNDS = {
    "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
}  # fmt: skip
_KINDS = {
    "integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false",
    "null": "null", "array": "a list", "object": "a mapping",
}  # fmt: skip
_OWN = re.compile(r"^\$\{own_\w+:(.*)\}$")
"""What stands for a value unless data completes it."""

_WIDTH, _LONGEST_DEFAULT = 118, 60
TITLE = "# Every key"
_INTRODUCTION = f"""{TITLE}

Made by `mnist-exp mode=schema hydra.run.dir=conf` from the types and docstrings of the configuration, as are
the files `schema.json` here, by which editors complete and check YAML. Defaults are those of the options that
are chosen by default. What a search space may hold: `conf/search_space/README.md`.
"""


def typed_groups() -> list[str]:
    """Lists the groups whose files become a node of the configuration, in the order of `config.yaml`."""
    entries = OmegaConf.load(CONF_DIR / "config.yaml").defaults
    names = [str(next(iter(entry))) for entry in entries if not isinstance(entry, str)]
    return [name for name in [*names, "tuner"] if name in _TYPES and name != "mode"]


def group_schema(group: str) -> Schema:
    """Makes the JSON schema of a group's files, of which each may leave any key to others."""
    (top,), nodes = _described([_TYPES[group]])
    return file_schema(group, {"anyOf": top.get("anyOf", [top])}, nodes)


def root_schema(requests: Requests) -> Schema:
    """Makes the JSON schema of `config.yaml`, and of what is laid over it: experiments and modes."""
    _, nodes = _described([Config, SweepRequest, *requests.values()])
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


def _described(shapes: Sequence[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """Gives types as msgspec does, and the nodes that they refer to, each key with its meaning."""
    tops, nodes = msgspec.json.schema_components(shapes, ref_template=f"{_POINTER}{{name}}")
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
        if properties.pop(_NUMBERS, None):
            loose["additionalProperties"] = True
        if properties.pop(_ARGUMENTS, None):
            names = (keras_names.optimizer_arguments(name) or set() for name in keras_names.optimizers())
            properties = {name: {} for name in sorted(set().union(*names))} | properties
        loose["properties"] = properties | {"defaults": {"type": "array"}}
    return loose


def _opened(schema: Schema) -> Schema:
    value = _loosened(schema)
    words = {key: value.pop(key) for key in ["description"] if key in value}
    members = [*value.get("anyOf", [value]), {"$ref": f"{_POINTER}interpolation"}]
    return words | ({"anyOf": members} if value else {})


def reference(requests: Requests) -> str:
    """Describes every key in Markdown: its meaning, its type and range, its default."""
    _, nodes = _described([Config, SweepRequest, *requests.values()])
    properties = nodes["Config"]["properties"] | nodes["SweepRequest"]["properties"]
    values = _plain("config.yaml")
    groups = typed_groups()
    own = {key: properties[key] for key in values if key in properties and key not in groups}
    sections = [_INTRODUCTION + "\n".join(["", *_entries("", [{"properties": own}], nodes, values)])]
    for group in groups:
        options = ", ".join(f"`{group}={option}`" for option in options_of(group))
        found = _entries(f"{group}.", _nodes_below(properties[group], nodes), nodes, _values_of(group))
        sections.append("\n".join([f"## {group}\n", _filled(options, ""), "", *found]).rstrip())
    for mode, request in requests.items():
        own = {key: nodes[request.__name__]["properties"][key] for key in MODE_KEYS[mode]}
        values = dict(leaves(_plain(f"mode/{mode}.yaml")))
        found = _entries("", [{"properties": own}], nodes, values)
        sections += ["\n".join([f"## mode={mode}\n", *found])] if own else []
    return "\n\n".join(sections) + "\n"


def _entries(
    prefix: str, alternatives: Sequence[Schema], nodes: Mapping[str, Schema], values: Mapping[str, Any]
) -> Iterator[str]:
    """Describes each key of alternative nodes, once where it is the same in several."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for node in alternatives:
        for found in _keys(prefix, node, nodes):
            told.setdefault(found, []).append(_tag(node))
    for (name, kind, meaning), tags in told.items():
        having = f" With {', '.join(tags)}." if len(tags) < len(alternatives) else ""
        yield _filled(f"- **`{name}`** ({kind}{_default(values, name)}): {meaning}{having}", "  ")


def _keys(prefix: str, node: Schema, nodes: Mapping[str, Schema]) -> Iterator[tuple[str, str, str]]:
    """Yields each dotted key below a node, what it takes and what it means; without the node's own name."""
    for key, value in node["properties"].items():
        below = _nodes_below(value, nodes)
        for inner in below:
            yield from _keys(f"{prefix}{key}.", inner, nodes)
        if not below and len(value.get("enum", ())) != 1:
            name = "…" if key in (_NUMBERS, _ARGUMENTS) else key
            yield f"{prefix}{name}", _in_words(value, nodes), value["description"]


def _nodes_below(schema: Schema, nodes: Mapping[str, Schema]) -> list[Schema]:
    """Lists the nodes that a key's value, or an entry of its list, may be."""
    if "$ref" in schema:
        node = _node(schema, nodes)
        return [node] if "properties" in node else []
    members = [*schema.get("anyOf", ()), *([schema["items"]] if schema.get("items") else [])]
    return [node for member in members for node in _nodes_below(member, nodes)]


def _node(schema: Schema, nodes: Mapping[str, Schema]) -> Schema:
    return nodes[schema["$ref"].removeprefix(_POINTER)]


def _tag(node: Schema) -> str:
    named = [(key, value["enum"]) for key, value in node["properties"].items() if "enum" in value]
    return next((f"`{key}={names[0]}`" for key, names in named if len(names) == 1), "")


def _in_words(schema: Schema, nodes: Mapping[str, Schema]) -> str:
    """Says what a key takes, such as `a number from 0 to 1`."""
    if "$ref" in schema:
        return _in_words(_node(schema, nodes), nodes)
    if "anyOf" in schema:
        return " or ".join(_in_words(member, nodes) for member in schema["anyOf"])
    if "enum" in schema:
        return ", ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    words = _KINDS[schema["type"]] if "type" in schema else "anything"
    if schema.get("items"):
        words += f", each entry {_in_words(schema['items'], nodes)}"
    return ", ".join([words, *(f"{word} {schema[key]:,}" for key, word in _BOUNDS.items() if key in schema)])


def _values_of(group: str) -> dict[str, Any]:
    """Maps a group's dotted keys to their values: of the file that is chosen by default, else of another."""
    chosen = [f"{group}/{entry[group]}.yaml" for entry in _plain("config.yaml")["defaults"] if group in entry]
    found: dict[str, Any] = dict(leaves(_plain("config.yaml") | _plain("mode/tune.yaml")))
    for name in [*chosen, *(f"{group}/{option}.yaml" for option in options_of(group))]:
        found = dict(leaves({group: _plain(name)})) | found
    return found


def _plain(name: str) -> dict[str, Any]:
    """Reads a shipped file as it stands."""
    tree = OmegaConf.to_container(OmegaConf.load(CONF_DIR / name))
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _default(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    text = value if isinstance(value, str) else json.dumps(value)
    text = _OWN.sub(r"\1", text)
    return f"; default `{text}`" if name in values and 0 < len(text) <= _LONGEST_DEFAULT else ""


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
