"""`import mnist_exp`: runs read from Python, as docstrings and the notebook show it."""

import doctest
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnist_exp
from mnist_exp import api
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.report.png import png_bytes
from tests.comparison.run_makers import make_run, make_unfinished
from tests.conftest import Run as RunCommand
from tests.conftest import clean_environment
from tests.pages.page_reading import Page

OLD_RUNS = Path(__file__).with_name("old_runs")
NOTEBOOK = Path(__file__).with_name("notebooks") / "runs.ipynb"
ELSEWHERE = ("api.Run.model", "api.Runs.frame")
"""Their examples take TensorFlow, or pandas (`tests/trackers`)."""

# Runs a notebook's cells as a kernel does, and says what each shows and which libraries are loaded by then.
KERNEL = """
import ast, json, sys
shown, names = [], {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] != "code":
        continue
    *statements, last = ast.parse("".join(cell["source"])).body
    shows = isinstance(last, ast.Expr)
    statements += [] if shows else [last]
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if shows else None
    html = value._repr_html_() if hasattr(value, "_repr_html_") else ""
    shown.append([repr(value), html, [name for name in ("tensorflow", "matplotlib") if name in sys.modules]])
print(json.dumps(shown))
"""


def run_examples(name: str) -> int:
    """Runs the examples of one object of the public interface in the working folder; returns how many."""
    runs = mnist_exp.load_runs("runs/study")
    images = np.zeros((2, 28, 28), np.uint8)
    names = {"mnist_exp": mnist_exp, "runs": runs, "run": runs[0], "images": images}
    (test,) = [test for test in found_examples() if test.name == name]
    test.globs.update(names)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test).failed == 0
    return len(test.examples)


def found_examples() -> list[doctest.DocTest]:
    """Lists the docstrings of the public interface: its objects, and what does not begin with `_` in them."""
    found = doctest.DocTestFinder(exclude_empty=False).find(api, "api", globs={})
    return [test for test in found if test.name != "api" and "._" not in test.name]


def blocks(page: str) -> list[str]:
    """Lists the blocks of a page that use the public interface."""
    text = (OLD_RUNS.parents[1] / page).read_text()
    return [
        block
        for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if "mnist_exp" in block
    ]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sweep of `tests/old_runs` as `runs/study` of the working folder."""
    folder = tmp_path / "runs/study"
    shutil.copytree(OLD_RUNS / "sweep", folder)
    for manifest in folder.rglob("manifest.json"):
        (manifest.parent / "plots").mkdir()
        plot = manifest.parent / "plots/learning_curves.png"
        plot.write_bytes(png_bytes(np.zeros((4, 4), np.uint8), level=1))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("name", [each.name for each in found_examples() if each.name not in ELSEWHERE])
def test_every_docstring_has_an_example_that_is_true(name: str, study: Path) -> None:
    exempt = {"api.ComparedRuns.to_json", "api.ComparedRuns.to_dict"}
    assert run_examples(name) or name in exempt


@pytest.mark.slow
def test_the_network_predicts_what_the_run_has_recorded(study: Path) -> None:
    assert run_examples("api.Run.model") == 1
    (run,) = mnist_exp.load_runs("runs/study/*", where="model.name = ann and seed = 0")
    from mnist_exp.data.fingerprints import load_test_images

    images = load_test_images([run])
    assert images is not None
    probabilities = run.model().predict(images / np.float32(255), verbose=0)
    assert probabilities == pytest.approx(run.predictions.probabilities, abs=1e-4)
    shutil.copy(study / "sweep.json", run.path / "checkpoints/best.keras")
    with pytest.raises(ConfigError, match=r"best\.keras"):
        mnist_exp.load_runs(run.path)[0].model()


@pytest.mark.parametrize(
    "block", [block for page in ("README.md", "runs/README.md") for block in blocks(page)]
)
def test_what_the_pages_show_runs(block: str, study: Path) -> None:
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["runs"] and all(run.predictions is not None for run in names["runs"])
    assert mnist_exp.compare(names["runs"]).verdicts


def test_importing_loads_no_library(study: Path) -> None:
    code = (
        "import sys, mnist_exp; heavy = {'tensorflow', 'keras', 'matplotlib', 'scipy', 'numpy', 'hydra'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
        "runs = mnist_exp.load_runs('runs/study', where='seed < 1')\n"
        "runs._repr_html_(), runs[0].predictions\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_environment()
    )
    assert done.stdout.split("\n") == ["[]", "[]", ""]


def test_a_comparison_is_that_of_the_command(study: Path, run_command: RunCommand) -> None:
    make_unfinished(study, "failed", "failed", "A loss that is nan")
    options = ("mode=compare", "runs=runs/study/*", "compare.format=json", "compare.sort=train_s")
    done = run_command(*options, cwd=study.parents[1], kind="light")
    compared = mnist_exp.compare(mnist_exp.load_runs("runs/study/*"), sort="train_s")
    assert compared.to_json() == done.stdout
    assert compared.to_dict() == json.loads(done.stdout)
    assert [pair.first for pair in compared.pairs] == ["bn_dnn"]
    assert repr(compared) == f"<Comparison of 5 runs: {compared.verdicts[0]}>"
    assert repr(mnist_exp.compare(mnist_exp.load_runs(study)[0])) == "<Comparison of 1 run: >"


def test_a_list_of_runs(study: Path) -> None:
    make_unfinished(study, "stopped", "interrupted")
    make_run(study, "plain", config={"model.dropout": 0.5})
    runs = mnist_exp.load_runs(["runs/study/*", study])
    assert repr(runs) == "<6 runs, 5 completed, 1 interrupted>" and repr(runs[-1:0]) == "<0 runs>"
    assert repr(runs.where("model.dropout = 0.5")[0]) == "<Run runs/study/plain: completed>"
    *_, stopped = runs
    assert stopped.metrics["loss"] == [] and stopped.predictions is None and stopped.summary is None
    rows = {row["name"]: row for row in runs.rows()}
    assert rows["stopped"]["test_accuracy"] is None and rows["stopped"]["status"] == "interrupted"
    assert (rows["plain"]["model.dropout"], rows["plain"]["num_params"]) == (0.5, 101_770)
    assert runs[0].predictions.correct.mean() == runs[0].summary.test_accuracy


def test_a_damaged_run_is_refused_by_name_and_left_out_of_many(study: Path) -> None:
    (damaged, *_) = sorted(study.glob("seed*"))
    (damaged / "summary.json").write_text("{")
    with pytest.warns(
        UserWarning, match=f"^1 damaged run left out: {damaged.relative_to(study.parents[1])}: summary"
    ):
        assert len(mnist_exp.load_runs("runs/study/*")) == 3
    with pytest.raises(ExperimentError, match="summary.json") as caught:
        mnist_exp.load_runs(["runs/study/*", str(damaged)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"paths": "runs/studdy"}, 'runs/studdy does not exist. Did you mean "study"?'),
        ({"paths": []}, "got none"),
        ({"paths": "runs/study", "where": "test_acuracy > 0.5"}, "test_accuracy"),
    ],
)
def test_what_cannot_be_found_is_said_in_a_line(asked: dict[str, Any], words: str, study: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        mnist_exp.load_runs(**asked)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_frame_without_pandas_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas\. rows\(\) gives the same"):
        mnist_exp.load_runs("runs/study").frame()


def test_what_a_notebook_shows_is_escaped(study: Path) -> None:
    make_run(study, "<i>run<", config={"model.name": "<script>alert(1)</script>"})
    runs = mnist_exp.load_runs("runs/study")
    for shown in (runs, runs[0]):
        page = Page(shown._repr_html_())
        allowed = {"div", "table", "thead", "tbody", "tr", "th", "td", "bdi", "p"}
        assert {element.name for element in page.elements} <= allowed
        assert "runs/study/<i>run<" in [element.text for element in page.elements]


@pytest.mark.slow
def test_the_notebook_runs(study: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, str(NOTEBOOK)], capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    listed, best, _, compared, missed, network = json.loads(done.stdout.splitlines()[-1])
    assert listed[0] == "<4 runs, 4 completed>" and listed[1].count("<tr") == 5 and listed[2] == []
    assert "bn_dnn" in best[1]
    (frame,) = Page(compared[1]).named("iframe")
    page = Page(frame.attributes["srcdoc"])
    assert page.named("h1")[0].text.startswith("Cannot tell bn_dnn from ann") and page.named("svg")
    assert "tensorflow" not in missed[2] and "tensorflow" in network[2]
