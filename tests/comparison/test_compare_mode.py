"""`mode=compare` as a whole: what it prints and writes, and on real runs."""

import json
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mnist_exp.config.commands import command
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import compare_runs
from mnist_exp.report.terminal import Terminal
from tests.comparison.test_comparison import make_study
from tests.conftest import COMMAND, clean_environment
from tests.pages.page_reading import read_page

REAL_SWEEP = Path(__file__).parents[1] / "old_runs" / "sweep"


def run(folder: Path, output_dir: Path | None = None, **options: Any) -> str:
    stdout = StringIO()
    compare_runs([folder], CompareOptions(**options), Terminal(stdout), output_dir)
    return stdout.getvalue()


def test_tables_and_pictures_are_written_where_asked_for(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", seeds=2)
    text = run(study, study)
    assert "verdict" in text and "atlas: not drawn" in text
    files = {path.name for path in study.iterdir() if path.is_file()}
    assert files == {"results.csv", "comparison.json", "report.html"}
    assert {path.name for path in (study / "plots").iterdir()} == {
        "learning_curves.png", "forest.png", "cost.png", "per_class.png",
    }  # fmt: skip
    assert len((study / "results.csv").read_text().splitlines()) == 5
    assert json.loads((study / "comparison.json").read_text())["sort"] == "val_accuracy"
    assert run(study, study) == text


def test_without_a_place_nothing_is_written(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", seeds=1)
    before = sorted(study.rglob("*"))
    run(study)
    assert sorted(study.rglob("*")) == before


def test_forms_for_programs_are_printed_whole(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", seeds=1)
    lines = run(study, format="csv").splitlines()
    assert len(lines) == 3 and len(lines[0]) > 200 and lines[0].startswith("run,status,set,group,")
    assert run(study, format="csv", columns=["seed", "test_accuracy"]).splitlines()[0] == "seed,test_accuracy"
    tree = json.loads(run(study, format="json"))
    assert len(tree["runs"]) == 2 and tree["sets"][0]["leader"] == "bn_dnn"
    assert tree["sets"][0]["pairs"][0]["method"] == "McNemar"
    assert run(study, format="markdown").count("\n| ") == 4


@pytest.mark.parametrize(("form", "status"), [("csv", 1), ("table", 0)])
def test_a_comparison_that_is_lost_is_a_failure_unless_it_is_kept(
    tmp_path: Path, form: str, status: int
) -> None:
    make_study(tmp_path / "study", seeds=1)
    options = f"compare.sort=test_accuracy compare.format={form}"
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} mode=compare 'runs=study/*' 'runs_dir=my runs' {options} >/dev/full"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "mnist-exp: standard output: No space left on device.\n"
    assert done.returncode == status
    words = [f"runs={tmp_path}/study/*", f"runs_dir={tmp_path}/my runs", *options.split(" ")]
    shown = [command("mode=compare", *words) in read_page(page).text for page in tmp_path.glob("my runs/*")]
    assert shown == ([True] if form == "table" else [])


def test_real_runs_are_compared_and_their_digits_shown(tmp_path: Path) -> None:
    text = run(REAL_SWEEP, tmp_path)
    assert "4 runs in 2 groups on sample: 3,500 to train on, 500 to validate, 1,000 to test" in text
    assert (tmp_path / "plots" / "atlas.png").is_file()
