"""A cross-validation by the command: every image once, its files, and labels that were changed on purpose."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Run
from tests.pages.page_reading import Page
from tests.sweeps.sweeping import QUICK

pytestmark = pytest.mark.slow

NUM_CHANGED = 20


def change_labels(target: Path) -> set[int]:
    """Writes the bundled digits with other labels of some training images; returns their places."""
    generator = np.random.default_rng(0)
    with np.load(SAMPLE_PATH) as arrays:
        kept = dict(arrays)
    changed = generator.choice(len(kept["y_train"]), NUM_CHANGED, replace=False)
    kept["y_train"][changed] = (kept["y_train"][changed] + generator.integers(1, 10, NUM_CHANGED)) % 10
    np.savez(target, **kept)
    return set(changed.tolist())


def test_a_cross_validation_finds_labels_that_were_changed(tmp_path: Path, run_command: Run) -> None:
    changed = change_labels(tmp_path / "digits.npz")
    folds = ("data.path=digits.npz", "data.folds=3", "data.fold=range(3)", "data.validation=0.1")
    words = ("-m", *QUICK, *folds, "model=ann", "training.epochs=2", "sweep=folds")
    done = run_command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "runs" / "folds"
    told = " ".join(done.stdout.split())
    assert "cross-validation, 3 folds of 4,000 training images" in told
    assert "of 4,000 labels look wrong, according to ann" in told
    indices = []
    for path in sweep.glob("*/predictions.npz"):
        with np.load(path) as arrays:
            indices += arrays["indices"].tolist()
        manifest = json.loads((path.parent / "manifest.json").read_text())
        assert manifest["data"]["test_part"] == "fold"
    assert sorted(indices) == list(range(4000))
    with np.load(sweep / "out_of_fold.npz") as arrays, np.load(tmp_path / "digits.npz") as digits:
        assert (arrays["labels"] == digits["y_train"]).all()
        assert arrays["probabilities"].shape == (4000, 10)
    with (sweep / "label_errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(changed & {int(row["index"]) for row in rows[:40]}) >= 15
    page = Page((sweep / "label_errors.html").read_text())
    assert len(page.named("img")) >= min(len(rows), 40)
    compared = run_command("mode=compare", "runs=runs/folds", "runs_dir=compared", cwd=tmp_path, kind="light")
    assert compared.returncode == 0, compared.stderr
    (again,) = (tmp_path / "compared").iterdir()
    assert (again / "label_errors.csv").read_bytes() == (sweep / "label_errors.csv").read_bytes()
    with np.load(again / "out_of_fold.npz") as one, np.load(sweep / "out_of_fold.npz") as other:
        assert all((one[key] == other[key]).all() for key in ("probabilities", "labels", "indices"))
