"""Which runs a request means."""

from pathlib import Path

import pytest

from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import find_runs


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/{alone, study/{a, b, notes}, grid/exp/{c, d}}; `grid` and `study` are sweeps."""
    for name in ("alone", "study/a", "study/b", "grid/exp/c", "grid/exp/d", "hand/e"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    for name in ("study", "grid"):
        (tmp_path / "runs" / name / "sweep.json").write_text("{}")
    (tmp_path / "runs" / "study" / "notes").mkdir()
    (tmp_path / "runs" / "study" / "results.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def names(*patterns: str | Path) -> list[str]:
    return [path.as_posix() for path in find_runs(patterns)]


def test_a_path_is_a_run_and_a_folder_is_all_runs_in_it(runs: Path) -> None:
    assert names("runs/alone") == ["runs/alone"]
    assert names("runs/study") == ["runs/study/a", "runs/study/b"]
    assert names(runs / "grid") == [f"{runs}/grid/exp/c", f"{runs}/grid/exp/d"]
    assert len(names("runs")) == 6
    (runs / "alone").rename(runs / "lr=[1]")
    assert names("runs/lr=[1]") == ["runs/lr=[1]"]


def test_a_glob_matches_runs_and_sweeps_and_leaves_out_the_rest(runs: Path) -> None:
    assert names("runs/study/*") == ["runs/study/a", "runs/study/b"]
    assert names("runs/*") == [
        "runs/alone", "runs/grid/exp/c", "runs/grid/exp/d", "runs/study/a", "runs/study/b",
    ]  # fmt: skip
    assert names("runs/s*dy") == ["runs/study/a", "runs/study/b"]


def test_two_stars_look_at_any_depth(runs: Path) -> None:
    assert len(names("runs/**")) == 6
    assert names("runs/**/[ce]") == ["runs/grid/exp/c", "runs/hand/e"]
    assert names("runs/**/exp/*") == ["runs/grid/exp/c", "runs/grid/exp/d"]
    assert names(f"{runs}/g*/**/d") == [f"{runs}/grid/exp/d"]


def test_a_run_is_listed_once_however_often_it_is_named(runs: Path) -> None:
    assert names("runs/study", "runs/study/a", "runs/*/a", runs / "study") == ["runs/study/a", "runs/study/b"]


def test_a_link_to_a_run_is_that_run_and_circles_end(runs: Path) -> None:
    (runs / "study" / "circle").symlink_to(runs, target_is_directory=True)
    (runs / "same").symlink_to(runs / "alone", target_is_directory=True)
    assert names("runs/same", "runs/alone") == ["runs/same"]
    assert len(names("runs/**")) == 6


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("runs/studdy", 'runs: runs/studdy does not exist. Did you mean "study"?'),
        ("rums/study/a", 'runs: rums/study/a does not exist. Did you mean "runs"?'),
        ("runs/study/notes", "runs: runs/study/notes holds no run."),
        ("runs/study/x*", "runs: runs/study/x* holds no run."),
        ("runs/study/results.csv", "runs: runs/study/results.csv is not a run's directory."),
        ("runs/alone/manifest.json", "Name the directory runs/alone."),
        (None, "got none"),
    ],
)
def test_what_is_no_run_is_refused_with_a_hint(runs: Path, pattern: str | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_runs([] if pattern is None else [pattern])
    assert words in str(caught.value)


def test_a_manifest_that_is_a_broken_link_still_marks_a_run(runs: Path) -> None:
    (runs / "study" / "a" / "manifest.json").unlink()
    (runs / "study" / "a" / "manifest.json").symlink_to("nowhere")
    assert names("runs/study/*") == ["runs/study/a", "runs/study/b"]
