"""`mode=schema`: JSON schemas, by which editors complete and check YAML."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.config.json_schemas import Schema, file_schema, group_schema, root_schema, typed_groups
from mnist_exp.config.keys import READING_MODES
from mnist_exp.config.parsing import read_request, refuse_unused
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.writer import claim_folder
from mnist_exp.tuning.dimensions import FIELDS
from mnist_exp.words import plural

_NAME = "schema.json"
_SEARCHED = "search_space"
_OURS = b'"title": "mnist-exp: '
_LINES = f"""\
YAML of a group begins with:      # yaml-language-server: $schema={_NAME}
in experiment/ and mode/ with:    # yaml-language-server: $schema=../{_NAME}
after a line # @package, which Hydra finds only above all others"""


class SchemaRequest(Struct, frozen=True, kw_only=True):
    """What `mode=schema` reads."""

    runs_dir: Text


def accept(tree: dict[str, Any], typed: Sequence[str]) -> SchemaRequest:
    """Checks a request; raises ConfigError for a key that is of no use here."""
    refuse_unused(typed, "schema", "describes all keys", "runs_dir, hydra.run.dir")
    return read_request(tree, SchemaRequest)


def run(request: SchemaRequest, terminal: Terminal, given: Path | None) -> None:
    """Writes the schemas.

    Args:
        given: A folder of YAML, such as that of `--config-dir`; those of its folders that are groups get
            the schemas of these. None makes a new folder with all of them.

    Raises:
        ConfigError: A schema of another program is there, or no folder can be made.
        RunError: A file could not be written.
    """
    folder = claim_folder(Path(request.runs_dir), "schema") if given is None else given
    schemas = _schemas()
    there = [name for name in schemas if given is None or (folder / name).is_dir()]
    for name in there:
        _refuse_other(folder / name / _NAME)
    for name in there:
        (folder / name).mkdir(exist_ok=True)
        files.write_json(folder / name / _NAME, schemas[name], indent=1)
    terminal.print(f"{plural(len(there), 'schema')} in {folder}", _LINES)


def _refuse_other(path: Path) -> None:
    if path.exists() and _OURS not in path.read_bytes():
        raise ConfigError(f"hydra.run.dir: {path} was not made by mnist-exp.", "Name another folder.")


def requests() -> dict[str, type[Struct]]:
    """Maps each mode that reads runs to its request."""
    found = {}
    for mode in READING_MODES:
        module = import_module(f"mnist_exp.modes.{mode}")
        found[mode] = getattr(module, f"{mode.title()}Request")
    return found


def _schemas() -> dict[str, Schema]:
    """Maps each group to the schema of its files; "." to that of whole configurations and parts of them."""
    entry = {
        "type": "object",
        "properties": {field: {} for field in sorted(FIELDS)},
        "additionalProperties": False,
    }
    space = {
        "type": "object",
        "properties": {"defaults": {}},
        "additionalProperties": {"anyOf": [entry, {"type": "array", "items": entry}]},
    }
    groups = {group: group_schema(group) for group in typed_groups()}
    return {".": root_schema(requests()), **groups, _SEARCHED: file_schema(_SEARCHED, space, {})}
