"""Which keys there are: every dotted key of the schema, and the root keys that only some modes have."""

import functools
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config import keras_names
from mnist_exp.config.requests import SweepRequest
from mnist_exp.config.schema import Config

MODE_KEYS = {
    "tune": ("tuner", "search_space"),
    "evaluate": ("run", "split", "evaluate"),
    "predict": ("run", "images", "predict"),
    "verify": ("run",),
    "export": ("run", "export"),
    "compare": ("runs", "compare"),
    "publish": ("runs", "publish"),
    "list": ("runs", "where", "sort", "by", "format", "limit"),
    "note": ("run", "note", "tags", "star"),
    "clean": ("runs", "where", "clean", "keep", "older_than", "force", "plan", "restore", "empty"),
    "watch": ("run",),
    "schema": (),
}

READING_MODES = [mode for mode in MODE_KEYS if mode != "tune"]
"""Modes that read runs; each is a module of `modes/` that has `accept` and `run`."""

FREE_NODES = (".arguments", ".numbers")


def known_keys() -> set[str]:
    """Lists every dotted key that some configuration may have."""
    arguments = (keras_names.optimizer_arguments(name) or set() for name in keras_names.optimizers())
    own = {f"optimizer.{argument}" for argument in set().union(*arguments)}
    return {key for shape in (Config, SweepRequest) for key, _ in fields_of(shape)} | own


@functools.cache
def shipped_keys() -> frozenset[str]:
    """Lists dotted keys that stand in shipped files alone: a model's own numbers, a reading mode's node."""
    found = set()
    for path in (CONF_DIR / "model").glob("*.yaml"):
        found |= {f"model.{key!s}" for key in OmegaConf.load(path)}
    for mode, roots in MODE_KEYS.items():
        path = CONF_DIR / "mode" / f"{mode}.yaml"
        nodes = OmegaConf.load(path) if path.exists() else OmegaConf.create()
        for root in set(roots) & {"clean", "compare", "evaluate", "export", "keep", "predict", "publish"}:
            found |= {f"{root}.{key}" for key in OmegaConf.select(nodes, root) or ()}
    return frozenset(found)


def options_of(group: str) -> list[str]:
    """Lists the shipped options of a group; none for what is no group."""
    is_group = re.fullmatch(r"[a-z_]+", group) is not None
    return [path.stem for path in sorted((CONF_DIR / group).glob("*.yaml"))] if is_group else []


def fields_of(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every dotted key below a schema node, with its type; a key of several options, once for each."""
    for struct in structs_of(node):
        info = struct.__struct_config__
        if info.tag_field:
            yield f"{prefix}{info.tag_field}", Literal.__getitem__(info.tag)
        for name, annotation in typing.get_type_hints(struct, include_extras=True).items():
            if f".{name}" in FREE_NODES:
                continue
            yield f"{prefix}{name}", annotation
            yield from fields_of(annotation, f"{prefix}{name}.")


def structs_of(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    """Yields the schema nodes that a type stands for."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        for member in typing.get_args(annotation):
            yield from structs_of(member)
