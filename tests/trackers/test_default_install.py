"""What a default install brings: no pandas and no scikit-learn, which Keras would import at each start."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

SLOW = {"pandas", "scikit-learn", "mlflow", "wandb"}
BRINGING = {"mlflow", "wandb", "bayesian"}
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required_by(texts: Iterable[str], extras: Iterable[str] = ()) -> Iterator[tuple[str, frozenset[str]]]:
    """Yields what requirements mean here, each with the extras that it asks for."""
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonical(requirement.name), frozenset(requirement.extras)


def brought_by(*extras: str) -> set[str]:
    """Names everything that comes with the package and these of its extras."""
    optional = [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    waiting = list(required_by([*PROJECT["dependencies"], *optional]))
    found = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        try:
            further = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        new = set(required_by(further, wanted)) - found
        found |= new
        waiting += new
    return {name for name, _ in found}


def test_a_default_install_has_neither_pandas_nor_scikit_learn() -> None:
    found = brought_by()
    assert {"tensorflow", "keras", "numpy", "protobuf"} <= found
    assert found & SLOW == set()


def test_only_three_extras_bring_what_is_slow() -> None:
    assert {extra for extra in PROJECT["optional-dependencies"] if brought_by(extra) & SLOW} == BRINGING


def test_the_trackers_are_in_no_environment_but_their_own() -> None:
    """`uv run --all-extras` leaves them out, so that pandas costs no test 0.9 s."""
    has_trackers = any(find_spec(name) for name in ("mlflow", "wandb"))
    assert has_trackers or find_spec("pandas") is None
