"""Recipes come to what the README says of them, on all of MNIST."""

import json
from pathlib import Path

import pytest

from .conftest import Run
from .test_data import FULL_MNIST, needs_full_mnist

AT_LEAST = {"best_ann": 0.986, "best_bn_dnn": 0.988}
SEED = 100


@pytest.mark.slow
@needs_full_mnist
@pytest.mark.parametrize("experiment", AT_LEAST)
def test_a_recipe_is_as_good_as_its_row_says(experiment: str, run_command: Run, tmp_path: Path) -> None:
    asked = [f"experiment={experiment}", f"seed={SEED}", f"data.path={FULL_MNIST}"]
    done = run_command(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("runs/**/summary.json")
    summary = json.loads(path.read_text())
    assert summary["test_accuracy"] >= AT_LEAST[experiment]
    assert not summary["selected_on_test"] and summary["val_accuracy"] is None
