"""Makes conf/README.md, the reference of all keys, from the types and docstrings of the configuration.

A development-time tool: `python -m tests.make_key_reference`.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from mnist_exp.config.json_schemas import ARGUMENTS, NUMBERS, POINTER, Schema, described, typed_groups
from mnist_exp.config.keys import MODE_KEYS, options_of
from mnist_exp.config.requests import SweepRequest
from mnist_exp.config.schema import Config
from mnist_exp.config.trees import leaves
from mnist_exp.modes import schema
from tests.digits import CONF_DIR

PATH = CONF_DIR / "README.md"
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
_INTRODUCTION = """# Every key

Made by `python -m tests.make_key_reference` from the types and docstrings of the configuration. The files
`schema.json`, by which editors complete and check YAML, are made from the same by
`mnist-exp mode=schema hydra.run.dir=conf`. Defaults are those of the options that are chosen by default. What
a search space may hold is said in [search_space/README.md](search_space/README.md).
"""


def ordered_groups() -> list[str]:
    """Lists the groups in the order of `config.yaml`."""
    entries = _plain("config.yaml")["defaults"]
    names = [name for entry in entries if isinstance(entry, dict) for name in entry]
    return sorted(typed_groups(), key=[*names, *typed_groups()].index)


def reference() -> str:
    """Describes every key in Markdown: its meaning, its type and range, its default."""
    requests = schema.requests()
    _, nodes = described([Config, SweepRequest, *requests.values()])
    properties = nodes["Config"]["properties"] | nodes["SweepRequest"]["properties"]
    values = _plain("config.yaml")
    groups = ordered_groups()
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
            name = "…" if key in (NUMBERS, ARGUMENTS) else key
            yield f"{prefix}{name}", _in_words(value, nodes), value["description"]


def _nodes_below(schema: Schema, nodes: Mapping[str, Schema]) -> list[Schema]:
    """Lists the nodes that a key's value, or an entry of its list, may be."""
    if "$ref" in schema:
        node = _node(schema, nodes)
        return [node] if "properties" in node else []
    members = [*schema.get("anyOf", ()), *([schema["items"]] if schema.get("items") else [])]
    return [node for member in members for node in _nodes_below(member, nodes)]


def _node(schema: Schema, nodes: Mapping[str, Schema]) -> Schema:
    return nodes[schema["$ref"].removeprefix(POINTER)]


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


if __name__ == "__main__":
    PATH.write_text(reference())
