"""Requests that mean harm, to the real command: one line, exit 2, nothing left behind, and no secret kept."""

import os
import resource
from pathlib import Path

import pytest

from tests.comparison.run_makers import make_run, make_unfinished
from tests.conftest import Run
from tests.fuzzing import LAUGHS, REFUSAL_S
from tests.sweeps.sweeping import run_in

pytestmark = pytest.mark.slow

LONG = "x" * 300
# Others that need no files are in test_refusals.py and, made at random, in test_hostile_configuration.py.
REQUESTS: list[tuple[str | bytes, ...]] = [
    (b"model.name=\xff\xfe",),
    ("experiment=" + LONG,),
    ("model=/etc/passwd",),
    ("experiment=a/../none", "data=sample"),
    ("mode=compare", "runs='~nobody-here/x'"),
    ("mode=evaluate", "run=~nobody-here/x"),
    ("seed=" + "9" * 5000,),
    ("x" * 100_000 + "=1",),
    ("resume=pipe",),
    ("resume=linked_log",),
    ("resume=stranger",),
    ("--config-dir", "mine", "model=callable"),
    ("--config-dir", "mine", "model=lambda"),
    ("--config-dir", "mine", "model=tagged"),
    ("--config-dir", "mine", "model=control"),
    ("runs_dir=" + LONG, "data=sample"),
]
IN_A_MODE = REQUESTS[-1]
"""What only a mode can refuse, once it has imported TensorFlow."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds what the requests name, and nothing that one of them may add to."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, text in {
        "model/callable": "_target_: os.getcwd\n",
        "model/lambda": "family: sequential\nname: x\nlayers: [{Lambda: {function: x}}]\n",
        "model/tagged": "family: mlp\nname: !!python/object/apply:os.mkdir [mark]\n",
        "model/control": 'family: mlp\nname: "\\e[31m"\n',
    }.items():
        path = folder / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    stranger = make_run(folder, "stranger")
    (stranger / "config.yaml").write_bytes(LAUGHS)
    (stranger / "train.log").touch()
    (folder / "victim").write_text("keep")
    (make_unfinished(folder, "linked_log", "interrupted") / "train.log").symlink_to("../victim")
    pipe = make_unfinished(folder, "pipe", "interrupted") / "manifest.json"
    pipe.unlink()
    os.mkfifo(pipe)
    return folder


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("words", REQUESTS, ids=lambda words: ascii(words)[:40])
def test_it_is_refused_in_a_line_and_leaves_nothing(
    run_command: Run, folder: Path, words: tuple[str | bytes, ...]
) -> None:
    before, used = contents(folder), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_command(*map(os.fsdecode, words), cwd=folder)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr[-500:]
    assert done.stderr.startswith("mnist-exp: ") and done.stderr.count("\n") == 1
    assert len(done.stderr.encode()) < 1500
    assert contents(folder) == before, "something was left behind"
    taken_s = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
    assert taken_s < REFUSAL_S or words == IN_A_MODE


SECRET, HOME = "hunter2-do-not-tell", "nobodys-home-xyzzy"


def test_neither_environment_nor_home_folder_is_in_a_run(
    run_command: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp(HOME)
    folder = home / "work"
    folder.mkdir()
    names = ("API_TOKEN", "AWS_SECRET_ACCESS_KEY", "MNIST_EXP_TOKEN", "USER", "LOGNAME")
    variables = dict.fromkeys(names, SECRET) | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_command("data=sample", "training.epochs=1", cwd=folder, **variables)
    assert done.returncode == 0, done.stderr
    run = run_in(folder)
    found = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert {"config.yaml", "manifest.json", "train.log", "report.html"} <= found.keys()
    for word in (SECRET, HOME, os.uname().nodename if len(os.uname().nodename) > 6 else SECRET):
        assert [name for name, content in found.items() if word.encode() in content] == [], word
