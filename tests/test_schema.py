"""What editors know of the YAML files: every shipped file is accepted, what is wrong is found."""

import json
import shutil
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from omegaconf import OmegaConf

from mnist_exp.errors import ConfigError
from mnist_exp.modes import schema
from mnist_exp.report.terminal import Terminal
from tests.digits import CONF_DIR
from tests.make_key_reference import PATH, reference

RENEW = "mnist-exp mode=schema hydra.run.dir=conf; python -m tests.make_key_reference"
LAID_OVER = ("experiment", "mode")
HYDRAS_OWN = ("hydra", "sweep_job.yaml")
FILES = [
    path for path in sorted(CONF_DIR.rglob("*.yaml")) if path.relative_to(CONF_DIR).parts[0] not in HYDRAS_OWN
]


def place_of(path: Path) -> str:
    return "../schema.json" if path.parent.name in LAID_OVER else "schema.json"


@cache
def schema_at(path: Path) -> jsonschema.protocols.Validator:
    found = json.loads(path.read_text())
    jsonschema.Draft7Validator.check_schema(found)
    return jsonschema.Draft7Validator(found)


def errors(path: Path, tree: Any) -> list[str]:
    """What the schema that a file in this place begins with says about its content."""
    validator = schema_at((path.parent / place_of(path)).resolve())
    return [error.message for error in validator.iter_errors(tree)]


def write_schemas(folder: Path) -> str:
    said = StringIO()
    schema.run(schema.SchemaRequest(runs_dir="unused"), Terminal(said, said), folder)
    return said.getvalue()


def test_every_shipped_file_names_its_schema_which_accepts_it() -> None:
    assert len(FILES) > 50
    for path in FILES:
        lines = path.read_text().splitlines()
        # Hydra finds a package only above all other comments.
        named = lines[1] if lines[0].startswith("# @package") else lines[0]
        assert named == f"# yaml-language-server: $schema={place_of(path)}", path
        assert errors(path, OmegaConf.to_container(OmegaConf.load(path))) == [], path


WRONG: dict[str, dict[str, Any]] = {
    "model/mine.yaml": {"family": "mlp", "unit": [3]},
    "model/rate.yaml": {"family": "mlp", "dropout": 1.0},
    "model/list.yaml": {"family": "mlp", "units": 128},
    "schedule/mine.yaml": {"name": "cosine", "every_epochs": 3},
    "augmentation/mine.yaml": {"name": "shift", "max_pixels": 9},
    "training/mine.yaml": {"engine": "jax"},
    "training/deep.yaml": {"early_stopping": {"patience": -1}},
    "training/kind.yaml": {"epochs": "many"},
    "data/mine.yaml": {"validation": "half"},
    "data/mirror.yaml": {"mirrors": [{"uri": "https://example.org/"}]},
    "optimizer/mine.yaml": {"name": "adam", "lr": 0.1},
    "tuner/mine.yaml": {"name": "grid", "beta": 1.0},
    "search_space/mine.yaml": {"model.dropout": {"type": "float", "min": 0.1}},
    "sweep_plan/mine.yaml": {"seed": 3},
    "until/mine.yaml": {"name": "decided", "level": 0.7},
    "tracker/mine.yaml": {"name": "aim"},
    "experiment/mine.yaml": {"training": {"epoch": 3}},
    "experiment/root.yaml": {"epochs": 3},
    "experiment/mode.yaml": {"mode": "learn"},
    "mode/mine.yaml": {"compare": {"format": "xml"}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_key_or_value_is_found(name: str) -> None:
    assert errors(CONF_DIR / name, WRONG[name]) != []


def test_interpolations_missing_values_and_defaults_lists_are_accepted_everywhere() -> None:
    written = {
        "model/mine.yaml": {"defaults": ["ann"], "units": "${oc.env:UNITS}", "dropout": "???"},
        "model/each.yaml": {"family": "mlp", "units": ["${seed}", 3]},
        "training/mine.yaml": {"engine": "${a}", "early_stopping": "${b}", "epochs": "???"},
        "data/mine.yaml": {"validation": "${n}", "mirrors": ["${m}"], "class_names": "${names}"},
        "experiment/mine.yaml": {
            "defaults": ["override /model: cnn"],
            "model": {"filters": [1]},
            "seed": "${s}",
        },
    }
    assert {name: errors(CONF_DIR / name, tree) for name, tree in written.items()} == dict.fromkeys(
        written, []
    )


def test_what_is_shipped_is_up_to_date(tmp_path: Path) -> None:
    copy = tmp_path / "conf"
    shutil.copytree(CONF_DIR, copy)
    write_schemas(copy)
    names = [path.relative_to(copy) for path in copy.rglob("schema.json")]
    stale = [str(name) for name in names if (copy / name).read_text() != (CONF_DIR / name).read_text()]
    stale += [PATH.name] if reference() != PATH.read_text() else []
    assert stale == [], f"renew them: {RENEW}"
    assert max(map(len, PATH.read_text().splitlines())) <= 140


def test_every_key_has_a_meaning() -> None:
    silent = []
    for path in CONF_DIR.rglob("schema.json"):
        found = json.loads(path.read_text())
        for name, node in {"": found, **found["definitions"]}.items():
            keys = node.get("properties", {})
            silent += [
                (path.parent.name, name, key)
                for key in keys.keys() - {"defaults", "hydra"}
                if not keys[key].get("description")
                if name != "OptimizerConfig" or key in ("name", "learning_rate")
                if path.parent.name != "search_space"
            ]
    assert silent == []
    assert (
        "- **`training.early_stopping.patience`** (a whole number, at least 0"
        in (CONF_DIR / "README.md").read_text()
    )


def test_the_schemas_lie_beside_ones_own_yaml(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "README.md").write_text("mine")
    said = write_schemas(tmp_path)
    assert f"2 schemas in {tmp_path}" in said and "# yaml-language-server: $schema=schema.json" in said
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == ["README.md", "model/schema.json", "schema.json"]
    assert (tmp_path / "README.md").read_text() == "mine"
    (tmp_path / "schema.json").write_text('{"title": "of another program"}')
    with pytest.raises(ConfigError, match="was not made by mnist-exp"):
        write_schemas(tmp_path)
