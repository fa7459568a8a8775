"""Which runs a request means: all that it names, or the one that `latest`, `best` or a path is."""

from pathlib import Path

import pytest

from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import choose_run, find_runs, read_finished
from tests.comparison.run_makers import data_record, make_run, make_unfinished


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
def test_what_names_no_runs_is_refused_with_a_hint(runs: Path, pattern: str | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_runs([] if pattern is None else [pattern])
    assert words in str(caught.value)


def test_a_manifest_that_is_a_broken_link_still_marks_a_run(runs: Path) -> None:
    (runs / "study" / "a" / "manifest.json").unlink()
    (runs / "study" / "a" / "manifest.json").symlink_to("nowhere")
    assert names("runs/study/*") == ["runs/study/a", "runs/study/b"]


def test_latest_is_the_completed_training_started_last_wherever_it_lies(tmp_path: Path) -> None:
    make_run(tmp_path, "first", seed=1)
    newest = make_run(tmp_path / "sweep" / "experiment", "job", seed=3)
    make_run(tmp_path, "zz_second", seed=2)
    make_unfinished(tmp_path, "failed", "failed", seed=9)
    assert choose_run("latest", tmp_path) == newest


def test_best_goes_by_validation_and_never_by_test(tmp_path: Path) -> None:
    best = make_run(tmp_path, "a", seed=1, val_accuracy=0.985, summary={"test_accuracy": 0.95})
    make_run(tmp_path, "b", seed=2, val_accuracy=0.97, summary={"test_accuracy": 0.999})
    make_run(tmp_path, "c", seed=3, val_accuracy=0.999, summary={"selected_on_test": True})
    make_run(tmp_path, "d", seed=4, val_accuracy=None, summary={"test_accuracy": 0.999})
    assert choose_run("best", tmp_path) == best


def test_best_is_chosen_among_runs_on_the_images_of_the_latest(tmp_path: Path) -> None:
    make_run(tmp_path, "easier", seed=1, val_accuracy=0.999, manifest={"data": data_record(train="other")})
    best = make_run(tmp_path, "own", seed=2, val_accuracy=0.9)
    assert choose_run("best", tmp_path) == best


def test_a_run_is_named_by_its_path_by_its_name_in_runs_dir_or_by_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs", "a")
    assert choose_run(str(tmp_path / "runs"), tmp_path) == run
    make_run(tmp_path / "runs", "b")
    assert choose_run(str(run), tmp_path) == run
    assert choose_run("a", tmp_path / "runs") == run
    monkeypatch.chdir(run)
    with pytest.raises(ConfigError, match="got an empty name"):
        choose_run("", tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lates", 'Did you mean "latest"'),
        ("bn_dn", 'bn_dnn"?'),
        ("quite-different", "Accepted: latest, best"),
        ("study", "holds 2 runs"),
        ("empty", "is not a run's directory"),
        ("frist", 'Did you mean "{folder}/study/first"'),
        ("bn_dnn/manifest.json", "Name the directory {folder}/bn_dnn"),
        ("study/*", "may be several runs, and one is needed"),
    ],
)
def test_what_is_no_run_is_refused_with_the_nearest(tmp_path: Path, text: str, words: str) -> None:
    make_run(tmp_path, "bn_dnn")
    make_run(tmp_path / "study", "first")
    make_run(tmp_path / "study", "second")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as refused:
        choose_run(text, tmp_path)
    assert words.format(folder=tmp_path) in str(refused.value)


@pytest.mark.parametrize("text", ["latest", "best"])
def test_without_a_completed_training_there_is_nothing_to_choose(tmp_path: Path, text: str) -> None:
    make_unfinished(tmp_path, "failed", "failed")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="holds no completed training"):
            choose_run(text, folder)


def test_damaged_and_unfinished_runs_are_passed_over_and_refused_by_name(tmp_path: Path) -> None:
    good, bad = make_run(tmp_path, "good", seed=1), make_run(tmp_path, "bad", seed=2)
    (bad / "summary.json").write_text("{}")
    assert choose_run("latest", tmp_path) == good
    for run, words in (
        (bad, r"summary\.json"),
        (make_unfinished(tmp_path, "a", "interrupted"), "is interrupted"),
        (make_run(tmp_path, "b", config={"training.epochs": 0}), r"config\.yaml: training\.epochs"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_finished(run)
