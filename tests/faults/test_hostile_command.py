"""Requests that mean harm, to the real command: one line, exit 2, nothing left behind, and no secret kept."""

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from tests.comparison.run_makers import make_run, make_unfinished
from tests.conftest import Run, Start
from tests.fuzzing import LAUGHS, REFUSAL_S

pytestmark = pytest.mark.slow

LONG = "x" * 300
REQUESTS: list[tuple[str | bytes, ...]] = [
    ("sweep=../../x",),
    ("-m", "sweep=../../x", "seed=0,1"),
    ("data.name=..",),
    (b"model.name=\xff\xfe",),
    ("experiment=" + LONG,),
    ("model=/etc/passwd",),
    ("experiment=../experiment/study_ann",),
    ("experiment=a/../none", "data=sample"),
    ("~mode=train",),
    ("mode=compare", "runs='~nobody-here/x'"),
    ("resume=pipe",),
    ("resume=linked_log",),
    ("resume=linked_manifest",),
    ("resume=vast",),
    ("seed=" + "9" * 5000,),
    ("+model.x=" + "{a:" * 200 + "1" + "}" * 200,),
    ("x" * 100_000 + "=1",),
    ("seed=${seed}",),
    ("model.name=${data.name}", "data.name=${model.name}"),
    ("seed=${oc.env:NO_SUCH_VARIABLE}",),
    ("+search_space={1: 2}",),
    ("runs_dir='a\tb'",),
    ("--config-dir", "mine", "model=callable"),
    ("--config-dir", "mine", "model=lambda"),
    ("--config-dir", "mine", "model=tagged"),
    ("--config-dir", "mine", "model=control"),
    ("--config-dir", "mine", "optimizer=callable"),
    ("resume=stranger",),
    ("mode=evaluate", "run=stranger"),
    ("mode=evaluate", "run=~nobody-here/x"),
    ("mode=predict", "run=stranger", "images=x.png"),
]
# Only a mode can refuse these, once it has imported TensorFlow.
REQUESTS_TO_A_MODE: list[tuple[str | bytes, ...]] = [
    ("data.path=pickled.npz", "runs_dir=" + LONG),
    ("runs_dir=" + LONG, "data=sample"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds what the requests name, and nothing that one of them may add to."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, text in {
        "model/callable": "_target_: os.getcwd\n",
        "model/nested_callable": "family: mlp\nname: x\nunits: [{_target_: os.getcwd}]\n",
        "model/lambda": "family: sequential\nname: x\nlayers: [{Lambda: {function: x}}]\n",
        "model/reader": "family: sequential\nname: x\nlayers: [{StringLookup: {vocabulary: /etc/passwd}}]\n",
        "model/tagged": "family: mlp\nname: !!python/object/apply:os.mkdir [mark]\n",
        "model/control": 'family: mlp\nname: "\\e[31m"\n',
        "optimizer/callable": "_target_: os.getcwd\nname: adam\nlearning_rate: 0.1\n",
    }.items():
        path = folder / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    np.savez(
        folder / "pickled.npz", **dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), np.array([{}]))
    )
    stranger = make_run(folder, "stranger")
    (stranger / "config.yaml").write_bytes(LAUGHS)
    (stranger / "train.log").touch()
    (folder / "victim").write_text("keep")
    (make_unfinished(folder, "linked_log", "interrupted") / "train.log").symlink_to("../victim")
    linked, pipe, vast = (
        make_unfinished(folder, name, "interrupted") / "manifest.json"
        for name in ("linked_manifest", "pipe", "vast")
    )
    linked.rename(folder / "elsewhere.json")
    linked.symlink_to("../elsewhere.json")
    pipe.unlink()
    os.mkfifo(pipe)
    with vast.open("wb") as file:
        file.truncate(2**30)
    return folder


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def expect_refusal(run_command: Run, folder: Path, words: tuple[str | bytes, ...]) -> float:
    """Gives the seconds of a processor that a refusal took."""
    before, used = contents(folder), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_command(*map(os.fsdecode, words), cwd=folder)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr[-500:]
    assert done.stderr.startswith("mnist-exp: ") and done.stderr.count("\n") == 1
    assert len(done.stderr.encode()) < 1500
    assert contents(folder) == before, "something was left behind"
    return spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime


@pytest.mark.parametrize("words", REQUESTS, ids=lambda words: ascii(words)[:40])
def test_it_is_refused_in_a_line_and_leaves_nothing(
    run_command: Run, folder: Path, words: tuple[str | bytes, ...]
) -> None:
    assert expect_refusal(run_command, folder, words) < REFUSAL_S


@pytest.mark.parametrize("words", REQUESTS_TO_A_MODE, ids=lambda words: ascii(words)[:40])
def test_what_only_a_mode_can_refuse_is_refused_in_a_line_too(
    run_command: Run, folder: Path, words: tuple[str | bytes, ...]
) -> None:
    expect_refusal(run_command, folder, words)


SECRET, HOME = "hunter2-do-not-tell", "nobodys-home-xyzzy"


def texts(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a secret in its environment, in a home folder of its own."""
    home = tmp_path_factory.mktemp(HOME)
    folder = home / "work"
    folder.mkdir()
    process = start(
        "data=sample", "training.epochs=1", "seed=7", cwd=folder, HOME=str(home),
        API_TOKEN=SECRET, AWS_SECRET_ACCESS_KEY=SECRET, MNIST_EXP_TOKEN=SECRET, USER=SECRET, LOGNAME=SECRET,
        PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    (run,) = (folder / "runs").iterdir()
    return run


def test_neither_environment_nor_home_folder_is_in_a_run(trained: Path) -> None:
    found = texts(trained)
    assert {"config.yaml", "manifest.json", "train.log", "report.html"} <= found.keys()
    for word in (SECRET, HOME, os.uname().nodename if len(os.uname().nodename) > 6 else SECRET):
        assert [name for name, content in found.items() if word.encode() in content] == [], word


def test_what_was_typed_is_in_a_run(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["argv"][:2] == ["data=sample", "training.epochs=1"]
