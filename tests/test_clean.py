"""`mode=clean`: what would go, what stays and why; moved whole or not at all, and put back."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mnist_exp.errors import ConfigError
from mnist_exp.runs.files import take
from mnist_exp.runs.finding import choose_run, find_runs
from mnist_exp.runs.folder import LAST, LOG, SWEEP, SWEEP_LOG
from mnist_exp.runs.notes import Notes, write_notes
from mnist_exp.runs.records import SweepPlace
from mnist_exp.runs.run import Run as RunRead
from mnist_exp.runs.trash import LATEST, TRASH, Piece, empty, put_away, put_back
from tests.comparison.run_makers import make_run, make_unfinished, write_json
from tests.conftest import Run

LAST_BYTES = 100_000

Clean = Callable[..., str]


def make_sweep(runs: Path, name: str, seeds: int) -> list[Path]:
    (runs / name).mkdir(parents=True)
    (runs / name / SWEEP).write_text("{}")
    made = []
    for seed in range(seeds):
        place = SweepPlace(name=name, job=seed, jobs_at_once=1)
        manifest = {"sweep": place, "started_at": f"2026-11-{seed % 20 + 1:02d}T10:00:00.000Z"}
        known = {"val_accuracy": 0.9 + seed / 1000, "manifest": manifest, "num_test": 50}
        path = make_run(runs / name, f"seed-{seed}", seed=seed, **known)
        (path / LAST).write_bytes(bytes(LAST_BYTES))
        (path / LOG).touch()
        made.append(path)
    return made


@pytest.fixture
def clean(tmp_path: Path, run_command: Run) -> Clean:
    """Runs `mode=clean` where TensorFlow cannot be imported; gives what it says, line breaks taken out."""

    def clean(*words: str, status: int = 0) -> str:
        done = run_command("mode=clean", *words, cwd=tmp_path, kind="light")
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stderr.count("\n") == (status != 0)
        return " ".join((done.stdout + done.stderr).split())

    return clean


def tree_of(runs: Path) -> dict[str, int]:
    """Every file outside of the trash by its path, with its inode: the same one is the same file."""
    files = {str(path.relative_to(runs)): path for path in runs.rglob("*") if path.is_file()}
    return {name: path.stat().st_ino for name, path in files.items() if not name.startswith(".")}


def names_in_trash(runs: Path) -> list[str]:
    return sorted(path.name for path in (runs / TRASH).iterdir())


def test_last_checkpoints_of_sweeps_in_one_command(tmp_path: Path, clean: Clean) -> None:
    runs = tmp_path / "runs"
    study, other = make_sweep(runs, "study", 30), make_sweep(runs, "other", 3)
    single = make_run(runs, "single")
    (single / LAST).write_bytes(bytes(7))
    write_notes(study[3], Notes(star=True))
    write_notes(study[4], Notes(tags=["a", "keep"]))
    before = tree_of(runs)

    which = ("where='sweep in [study, other]'", "older_than=1h", "keep.best=2")
    said = clean("clean.what=last_checkpoints", *which)
    assert tree_of(runs) == before
    assert "27 last checkpoints, 3 MB: would go" in said
    assert "runs/study 26 3 MB" in said and "runs/other 1 100 kB" in said
    assert "1 run with a star: seed-3" in said and '1 run with the tag "keep": seed-4' in said
    assert "4 runs among the best" in said
    assert said.endswith("older_than=1h keep.best=2 plan=false")

    said = clean("clean.what=last_checkpoints", "where=sweep=study", "force=true", "keep.best=1")
    assert "29 last checkpoints" in said and "stays 1 run among the best: seed-29 next" in said
    said = clean("clean.what=last_checkpoints", "where=sweep=study", "plan=false", "force=true")
    assert "30 last checkpoints, 3 MB: moved to runs/.trash/" in said
    assert not any((run / LAST).exists() for run in study) and (other[0] / LAST).exists()
    assert all(RunRead(run).summary is not None for run in study)
    assert "nothing to clear away" in clean("clean.what=last_checkpoints", "where=sweep=study")
    assert "30 pieces put back in runs" in clean("restore=latest")
    assert tree_of(runs) == before and names_in_trash(runs) == ["lock"]


def test_what_others_rest_on_stays_and_what_is_at_work_stays_whatever_is_asked(
    tmp_path: Path, clean: Clean
) -> None:
    runs = tmp_path / "runs"
    free, compared, evaluated, member, exported, locked = (
        make_run(runs, name)
        for name in ("free", "compared", "evaluated", "member", "exported", "locked")
    )  # fmt: skip
    make_run(runs / "experiment", "compared")  # of the same name, and in no comparison
    (runs / "damaged").mkdir()
    (runs / "damaged/manifest.json").write_text("{")
    make_unfinished(runs, "failed", "failed")
    for name, tree in {
        "1_compare/comparison.json": {"runs": [{"run": "elsewhere/runs/compared"}]},
        "1_evaluate/evaluation.json": {"run": str(evaluated)},
        "2_evaluate/evaluation.json": {"run": "ensemble", "members": [{"run": "../runs/member"}]},
        "1_export/card.json": {"run": "runs/exported"},
        "2_export/card.json": {"run": 3},
    }.items():
        (runs / name).parent.mkdir()
        write_json(runs / name, tree)
    begun, working = make_sweep(runs, "begun", 2), make_sweep(runs, "working", 2)
    make_unfinished(runs / "begun", "seed-9", "interrupted")
    locks = [take(locked / LOG), take(runs / "working" / SWEEP_LOG)]
    try:
        said = clean("clean.what=runs")
        for reason in (
            "3 runs running: locked, seed-0, seed-1", "1 run damaged: damaged",
            "3 runs in a sweep that is not finished: seed-0, seed-1, seed-9",
            "4 runs in a comparison, an evaluation or an export: compared, evaluated, exported and 1 more",
        ):  # fmt: skip
            assert reason in said
        assert "3 runs, " in said and re.search("runs/free 1 .* runs/failed 1 ", said)
        assert "runs/experiment/compared 1 " in said
        assert "1 failed run, " in clean("clean.what=failed")
        clean("clean.what=runs", "force=true", "plan=false")
    finally:
        for lock in locks:
            os.close(lock)
    left = {path.parent for path in runs.glob("**/manifest.json") if TRASH not in path.parts}
    assert left == {locked, *working, runs / "damaged"}
    assert (runs / "begun" / SWEEP).exists() and not begun[0].exists()
    assert {free, member}.isdisjoint(find_runs([runs])) and choose_run(LATEST, runs) in left
    clean("restore=latest")
    assert free.is_dir() and member.is_dir()


def test_what_changed_since_it_was_chosen_stays(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    working, other, gone, free = make_sweep(runs, "study", 4)
    pieces = [Piece(path, path, "completed", 1) for path in (working, other, gone, free)]
    pieces[1] = pieces[1]._replace(status="failed")
    shutil.rmtree(gone)
    lock = take(working / LOG)
    nowhere, _ = put_away(runs, pieces[:3], "runs")
    folder, moved = put_away(runs, pieces, "runs")
    os.close(lock)
    assert not nowhere.exists()
    assert [piece.path for piece in moved] == [free]
    assert working.is_dir() and other.is_dir() and not gone.exists()
    assert put_back(runs, folder.name) == 1 and free.is_dir()


def killed_at(moment: int, action: Callable[[], object]) -> bool:
    """Does something in a child that is killed at its n-th change to a folder; False where it had fewer.

    Even moments are before a change, odd ones after it.
    """
    pid = os.fork()
    if pid == 0:
        count = 0

        def killing(change: Callable[..., None]) -> Callable[..., None]:
            def changing(*places: object, **options: object) -> None:
                nonlocal count
                for is_after in (False, True):
                    if count == moment:
                        os.kill(os.getpid(), signal.SIGKILL)
                    count += 1
                    if not is_after:
                        change(*places, **options)

            return changing

        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            setattr(os, name, killing(getattr(os, name)))
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_killed_at_any_moment_everything_is_whole_and_comes_back(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    made = make_sweep(runs, "study", 3)
    pieces = [Piece(path, path, "completed", 1) for path in made]
    pieces[0] = pieces[0]._replace(path=made[0] / LAST)
    before = tree_of(runs)
    moments = 0
    while killed_at(moments, partial(put_away, runs, pieces, "runs")):
        for piece in pieces:
            places = [piece.path, *runs.glob(f"{TRASH}/*/{pieces.index(piece)}")]
            assert [place.exists() for place in places].count(True) == 1, "there, or in the trash"
        back = 0
        while list(runs.glob(f"{TRASH}/*/trash.json")) and killed_at(back, partial(put_back, runs, LATEST)):
            back += 1
        assert tree_of(runs) == before
        moments += 1
    assert moments > 10
    put_back(runs, LATEST)
    assert tree_of(runs) == before


def test_what_is_half_deleted_cannot_be_put_back(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    outcomes: list[str] = []
    while True:
        (path,) = make_sweep(runs, "study", 1)
        folder, _ = put_away(runs, [Piece(path, path, "completed", 1)], "runs")
        if not killed_at(len(outcomes), partial(empty, runs, folder.name)):
            break
        outcomes.append("whole" if folder.exists() else "doomed")
        if folder.exists():
            assert put_back(runs, folder.name) == 1 and RunRead(path).summary is not None
        else:
            with pytest.raises(ConfigError, match="there is no"):
                put_back(runs, LATEST)
            for doomed in runs.glob(f"{TRASH}/*.emptied"):
                empty(runs, doomed.name)
        shutil.rmtree(runs / "study")
    assert outcomes == sorted(outcomes, reverse=True) and outcomes.count("doomed") > 10
    assert names_in_trash(runs) == ["lock"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "clean.what: got none. Say which, such as: mnist-exp mode=clean clean.what=last_checkpoints"),
        (("clean.what=all",), 'clean.what: got "all". Accepted: failed, last_checkpoints, runs.'),
        (("clean.what=runs", "older_than=30"), "older_than: got 30. A number of hours, days or weeks"),
        (("clean.what=runs", "where=nme=x"), 'where: no run has "nme". Did you mean "name"?'),
        (("clean.what=runs", "where=seed <"), "where: "),
        (("clean.what=runs", "runs=other"), "runs: other/a is not in runs."),
        (("clean.what=runs", "keep.bset=3"), 'keep.bset: there is no such key. Did you mean "keep.best"?'),
        (("clean.what=runs", "runs_dir=ruins"), "runs_dir: ruins is no folder of runs."),
        (("clean.what=runs", "runs_dir=runs/a"), "runs_dir: runs/a is no folder of runs."),
        (("clean.what=runs", "runs=[]"), "runs: got none."),
        (("clean.what=runs", "runs="), "runs: got none."),
        (("clean.what=runs", "seed=3"), "seed: mode=clean has no use for it here."),
        (("clean.what=runs", "rerun=all"), "rerun: it belongs to a sweep."),
        (("restore=latest", "plan=false"), "plan: mode=clean has no use for it here."),
        (("restore=latest", "empty=x"), "empty: mode=clean has no use for it here."),
        (("restore=2026-",), 'restore: there is no 2026- in runs/.trash. Did you mean "2026-'),
        (("empty=latest",), "empty: there is no latest in runs/.trash. "),
        (("restore=latest",), "restore: runs/a is there already. Move it away first."),
    ],
)
def test_a_refusal_moves_nothing(tmp_path: Path, clean: Clean, words: tuple[str, ...], said: str) -> None:
    for folder in ("runs", "other"):
        make_run(tmp_path / folder, "a", num_test=50)
    run = tmp_path / "runs/a"
    put_away(tmp_path / "runs", [Piece(run, run, "completed", 1)], "runs")
    make_run(tmp_path / "runs", "a", num_test=50)
    before = sorted(tmp_path.rglob("*"))
    assert clean(*words, status=2).startswith(f"mnist-exp: {said}")
    assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "runs/.index.msgpack"}


def test_what_cannot_be_read_or_named_stays(tmp_path: Path, clean: Clean) -> None:
    runs = tmp_path / "runs"
    for name in ("a", "b"):
        make_unfinished(runs, name, "failed")
    (runs / "a/notes.json").write_text("{")
    (runs / "b").rename(runs / "b\n\udcff")
    said = clean("clean.what=failed", "plan=false", "force=true")
    assert "nothing to clear away" in said and "1 run damaged: a" in said
    assert "1 run with a name that cannot be printed: b ?" in said and not (runs / TRASH).exists()


@pytest.mark.parametrize("place", ["/evil", "../evil", "", "x\0", "link/evil", "x/../../evil"])
def test_nothing_is_put_back_elsewhere(tmp_path: Path, place: str) -> None:
    runs = tmp_path / "runs"
    (runs / TRASH / "a/0").mkdir(parents=True)
    (runs / "link").symlink_to(tmp_path)
    write_json(runs / TRASH / "a/trash.json", [place])
    with pytest.raises(ConfigError, match="restore: .* is not below "):
        put_back(runs, "a")
    assert names_in_trash(runs) == ["a", "lock"]


def test_what_is_put_beside_trash_hinders_nothing(tmp_path: Path) -> None:
    run = make_unfinished(tmp_path, "a", "failed")
    folder, _ = put_away(tmp_path, [Piece(run, run, "failed", 1)], "failed")
    (folder / "mine.txt").touch()
    assert put_back(tmp_path, LATEST) == 1 and run.exists() and (folder / "mine.txt").exists()


def test_one_at_a_time(tmp_path: Path, clean: Clean) -> None:
    make_unfinished(tmp_path / "runs", "a", "failed")
    (tmp_path / "runs" / TRASH).mkdir()
    lock = take(tmp_path / "runs" / TRASH / "lock")
    assert "another one is at work" in clean("clean.what=failed", "plan=false", status=2)
    os.close(lock)
    assert "1 failed run" in clean("clean.what=failed", "plan=false")
    (name,) = (path.parent.name for path in (tmp_path / "runs" / TRASH).glob("*/trash.json"))
    assert "kB deleted" in clean(f"empty={name}")
    assert names_in_trash(tmp_path / "runs") == ["lock"]
