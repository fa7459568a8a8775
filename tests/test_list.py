"""`mode=list` and the index: what a person with many runs asks, and what is never believed."""

import csv
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mnist_exp.config.trees import leaves
from mnist_exp.errors import ConfigError
from mnist_exp.report.document import Table
from mnist_exp.report.listing import RUN_FIELDS, ListingTable, listing_page, run_lines
from mnist_exp.runs import finding, index
from mnist_exp.runs.cleaning import choose, reasons_to_stay
from mnist_exp.runs.finding import choose_run, find_runs, runs_in
from mnist_exp.runs.folder import PAGE
from mnist_exp.runs.index import INDEX, RunRow, read_rows, select
from mnist_exp.runs.run import Run as SavedRun
from tests.conftest import Run

OLD_RUNS = Path(__file__).parent / "old_runs"
ANN, BN_DNN = "sweep/seed-0_ann_178902", "sweep/seed-1_bn_dnn_df351d"
Say = Callable[..., str]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of real runs: a sweep of four, a training, a search, one failed, two that were stopped."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(OLD_RUNS, tmp_path / "runs"))


@pytest.fixture
def say(runs: Path, run_command: Run) -> Say:
    """Says what the command prints, which exits with 0, complains of nothing and leaves nothing behind."""

    def run(*words: str) -> str:
        before = set(runs.rglob("*"))
        done = run_command(*words, cwd=runs.parent, kind="light")
        assert (done.returncode, done.stderr) == (0, "")
        assert set(runs.rglob("*")) - before <= {runs / INDEX}
        return done.stdout

    return run


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def column(name: str, table: str) -> list[str]:
    return [row[name] for row in csv.DictReader(StringIO(table))]


def settled(runs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, RunRow]:
    """Reads all runs as if they had been as they are for long, and so that the index keeps them."""
    monkeypatch.setattr(index, "_SETTLED_NS", -(10**9))
    return {row.path.relative_to(runs).as_posix(): row for row in read_rows(runs_in(runs), runs)}


def test_my_five_best_without_augmentation(runs: Path, say: Say) -> None:
    edit(
        runs / BN_DNN / "config.yaml",
        "augmentation:\n  name: none",
        "augmentation:\n  name: shift\n  pixels: 1",
    )
    table = say("mode=list", "where=augmentation=none", "sort=-val_accuracy", "limit=5", "format=csv")
    assert column("run", table) == [
        "search",
        "run",
        "sweep/seed-0_bn_dnn_581021",
        ANN,
        "sweep/seed-1_ann_f1091b",
    ]
    assert column("val_accuracy", table) == ["0.742", "0.656", "0.606", "0.598", "0.516"]


def test_what_did_i_run_on_tuesday(runs: Path, say: Say) -> None:
    edit(runs / "run" / "manifest.json", "2026-11-28T21", "2026-11-24T12")
    lines = say("mode=list", "where=weekday=Tuesday").splitlines()
    assert [line.split()[2] for line in lines if line.startswith(" 2026")] == ["run"]
    assert lines[-1] == "1 run, 0.2 MB"


def test_which_failed_and_why(runs: Path, say: Say) -> None:
    (runs / "search" / "summary.json").write_text("{")
    text = say("mode=list", "where=status in [failed, damaged]")
    assert re.search(r"^failed +loss became nan in epoch 2\.$", text, re.MULTILINE)
    assert re.search(r"^search +summary\.json: Input data was truncated$", text, re.MULTILINE)
    assert text.splitlines()[-1] == "2 runs, 0.6 MB, 1 failed, 1 damaged"


def test_what_is_not_there_is_said_and_what_is_damaged_does_not_hinder(runs: Path, say: Say) -> None:
    assert say("mode=list", "where=seed>7") == "none of 9 runs in runs\n"
    assert say("mode=list", "runs_dir=nowhere") == "none of 0 runs in nowhere\n"
    (runs / "run" / "manifest.json").write_text("{}")
    text = say("mode=list", "runs=runs/run", "sort=-test_accuracy")
    assert "manifest.json: Object missing required field" in text
    assert text.splitlines()[-1] == "1 run, 0.2 MB, 1 damaged"


def test_what_is_removed_while_it_is_looked_for_is_passed_over(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = finding._runs_below

    def remove_meanwhile(folder: Path, depth: int | None) -> list[Path]:
        paths = list(found(folder, depth))
        shutil.rmtree(runs / "run")
        return paths

    before = runs_in(runs)
    monkeypatch.setattr(finding, "_runs_below", remove_meanwhile)
    assert find_runs([runs]) == [path for path in before if path.name != "run"]
    rows = read_rows(before)
    reasons_to_stay(runs, rows, "runs", 0, force=False)
    assert runs / "run" not in [piece.run for piece in choose(rows, "last_checkpoints", {})[0]]


def test_a_name_that_is_no_text_is_not_indexed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "run").rename(runs / "x\udcff")
    assert settled(runs, monkeypatch)["x\udcff"].status == "completed"
    assert (runs / INDEX).exists() and b"x\xff" not in (runs / INDEX).read_bytes()
    (runs / "x\udcff" / PAGE).touch()
    rows = read_rows([runs / "x\udcff"])
    table = listing_page(run_lines(rows, runs), rows, runs).parts[0]
    assert isinstance(table, Table) and table.rows[0].cells[1].link == f"x%FF/{PAGE}"


def test_a_line_a_sweep_and_a_line_a_group(say: Say) -> None:
    sweeps = say("mode=list", "by=sweep", "format=csv", "where=sweep!=null")
    (line,) = csv.DictReader(StringIO(sweeps))
    assert (line["name"], line["runs"], line["status"]) == ("sweep", "4", "4 completed")
    assert float(line["val_accuracy"]) == pytest.approx((0.61 + 0.516 + 0.606 + 0.598) / 4)
    assert (float(line["best"]), float(line["seconds"])) == (0.61, pytest.approx(50.5, abs=0.1))
    assert int(line["bytes"]) == sum(file.stat().st_size for file in OLD_RUNS.glob("sweep/*_*_*/**/*.*"))
    groups = say("mode=list", "by=group", "format=csv", "where=sweep=sweep", "sort=-test_accuracy")
    assert list(zip(column("name", groups), column("runs", groups), strict=True)) == [
        ("bn_dnn", "2"),
        ("ann", "2"),
    ]


def test_json_has_what_where_knows_and_markdown_a_table(say: Say) -> None:
    (run,) = json.loads(say("mode=list", "runs=runs/run", "format=json"))
    assert (run["test_accuracy"], run["model.units"], run["data.name"], run["status"]) == (
        0.68, [8], "sample", "completed",
    )  # fmt: skip
    table = say("mode=list", "format=markdown", "limit=2").splitlines()
    assert table[0].startswith("**9 runs, 1.8 MB") and len(table) == 6


def test_a_page_leads_to_the_runs(runs: Path, run_command: Run) -> None:
    (runs / ANN / "report.html").write_text("page")
    done = run_command("mode=list", "format=html", cwd=runs.parent, kind="light")
    page = runs.parent / done.stdout.strip()
    assert page.parent.parent == runs
    assert f'href="../{ANN}/report.html"' in page.read_text()
    assert page.read_text().count("<a href") == 1


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_line_is_a_line_on_any_screen(runs: Path, width: int) -> None:
    screen = Console(file=StringIO(), width=width)
    lines = run_lines(read_rows(runs_in(runs)), runs)
    screen.print(ListingTable(RUN_FIELDS, lines))
    shown = list(map(str.rstrip, screen.file.getvalue().splitlines()))  # type: ignore[attr-defined]
    assert max(map(len, shown)) <= width
    table = shown[: shown.index("", 3)]
    assert len(table) == 3 + len(lines)
    if width >= 80:
        assert all(any(line.name in row for row in table) for line in lines)


def test_other_modes_take_a_condition(runs: Path, say: Say, run_command: Run) -> None:
    table = say("mode=compare", "runs=where: sweep=sweep and seed<1", "compare.format=csv")
    assert column("run", table) == [f"runs/{ANN}", "runs/sweep/seed-0_bn_dnn_581021"]
    noted = run_command(
        "mode=note",
        "run=where: sweep=sweep",
        "note=free text: a=b, {c} 'd' ${e}",
        cwd=runs.parent,
        kind="light",
    )
    assert (noted.returncode, noted.stderr) == (0, "")
    found = column("note", say("mode=list", "where=note ~ 'a=b, {c}' and seed=0", "format=csv"))
    assert found == ["free text: a=b, {c} 'd' ${e}"] * 2
    refused = run_command("mode=evaluate", "run=where: modle=ann", cwd=runs.parent, kind="light")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == 'mnist-exp: run: no run has "modle". Did you mean "mode"?\n'


def test_a_condition_means_one_run(runs: Path) -> None:
    place = Path("runs")
    assert choose_run("where: model=bn_dnn and seed=1", place) == place / BN_DNN
    assert choose_run("best where: sweep=sweep and model=ann", place) == place / ANN
    assert choose_run("latest where: sweep=sweep", place) == place / BN_DNN
    assert len(find_runs(["where: sweep=sweep", place / "run"], place)) == 5
    with pytest.raises(
        ConfigError, match="run: 2 runs are meant: runs/sweep/seed-0_bn.*, runs/sweep/seed-1_bn"
    ):
        choose_run("where: model=bn_dnn", place)
    with pytest.raises(ConfigError, match="run: no run in runs is one where seed>7"):
        choose_run("where: seed>7", place)
    with pytest.raises(
        ConfigError, match='no run has "learning_rate". Did you mean "optimizer.learning_rate"'
    ):
        select(runs_in(place), "learning_rate>1")


def test_a_configuration_read_in_parts_is_the_whole(runs: Path) -> None:
    for row in read_rows(runs_in(runs)):
        for name, value in leaves(SavedRun(row.path).config):
            # What the manifest says of sweep and data counts for more.
            assert row.get(name) == value or name.startswith(("sweep", "data.")), name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", "config.yaml: has aliases"),
        ("a: " + "[" * 60 + "]" * 60, "config.yaml: larger or nested deeper"),
        ("a: [1\nb: 2\n", "config.yaml: not readable as YAML"),
        ("- 1\n- 2\n", "config.yaml: not readable as YAML"),
        ("a: !!python/object:os.system x\n", "config.yaml: not readable as YAML"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_damage(runs: Path, text: str, words: str) -> None:
    (runs / "run" / "config.yaml").write_text(text)
    (row,) = read_rows([runs / "run"])
    assert row.status == "damaged" and words in row.get("error")


def test_a_configuration_written_by_hand_is_read(runs: Path) -> None:
    text = "---\n# mine\n'model': {name: ann,\n  units: [8]}\nseed:\n  3\n"
    (runs / "run" / "config.yaml").write_text(text)
    (row,) = read_rows([runs / "run"])
    assert (row.get("model"), row.get("model.units"), row.get("name")) == ("ann", [8], "run")


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (lambda run: edit(run / "summary.json", "0.656", "0.657"), "val_accuracy", 0.657),
        (lambda run: edit(run / "config.yaml", "name: ann", "name: abc"), "model.name", "abc"),
        (lambda run: (run / "notes.json").write_text('{"star": true}'), "star", True),
        (lambda run: (run / "checkpoints" / "last.keras").unlink(), "bytes", None),
        (lambda run: (run / "manifest.json").write_text("{}"), "status", "damaged"),
        (lambda run: edit(run / "manifest.json", '"completed"', '"running"'), "status", "lost"),
    ],
)  # fmt: skip
def test_the_index_is_never_believed_over_a_run(
    runs: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Any], name: str, value: Any
) -> None:
    before, kept = settled(runs, monkeypatch), (runs / "run" / "summary.json").stat()
    change(runs / "run")
    os.utime(runs / "run" / "summary.json", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    after = settled(runs, monkeypatch)["run"].get(name)
    assert after != before["run"].get(name)
    assert after == value or value is None


def test_the_index_is_used_renewed_and_dispensable(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(runs, monkeypatch)
    with monkeypatch.context() as reading:
        reading.setattr(index, "_read_row", None)
        assert {name: row.values for name, row in settled(runs, monkeypatch).items()}.keys() == found.keys()
        assert settled(runs, monkeypatch)["search"].values["winner"] == found["search"].values["winner"]
    whole = (runs / INDEX).read_bytes()
    for content in (b"", b"{}", whole[:-100], whole.replace(b"model.name", b"model.nome")[::-1]):
        (runs / INDEX).write_bytes(content)
        assert settled(runs, monkeypatch)["run"].get("model") == "ann"
        assert (runs / INDEX).read_bytes() == whole
    shutil.rmtree(runs / "sweep")
    (runs / INDEX).unlink()
    (runs / INDEX).mkdir()
    assert settled(runs, monkeypatch).keys() == {
        "run",
        "search",
        "failed",
        "interrupted",
        "interrupted_search",
    }


def test_a_run_at_work_is_read_anew(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(runs / "run" / "manifest.json", '"completed"', '"running"')
    assert settled(runs, monkeypatch)["run"].status == "lost"
    with (runs / "run" / "train.log").open("rb") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert settled(runs, monkeypatch)["run"].status == "running"
