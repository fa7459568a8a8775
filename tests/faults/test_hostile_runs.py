"""Run directories from strangers: read, or refused in one line, in bounded time and memory."""

import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import choose_run, read_finished
from mnist_exp.runs.job import resumed_tree
from mnist_exp.runs.run import read_config
from tests.comparison.run_makers import make_config, make_run
from tests.fuzzing import LAUGHS, bounded, cases, changed, changes

WHOLE = msgspec.yaml.encode(make_config({}))
BOMBS = {
    "laughs": LAUGHS,
    "laughs in a configuration": WHOLE + LAUGHS,
    "merged laughs": b"a: &a {b: 1}\n" + b"".join(b"c%d: {<<: *a}\n" % number for number in range(1000)),
    "deep list": WHOLE + b"x: " + b"[" * 10_000 + b"]" * 10_000,
    "deep mapping": WHOLE + b"x: " + b"{a: " * 10_000 + b"1" + b"}" * 10_000,
    "deep block": b"".join(b" " * depth + b"a:\n" for depth in range(2000)),
    "many values": WHOLE + b"x: [" + b"1," * 400_000 + b"1]",
    "vast number": WHOLE + b"x: 0x" + b"f" * 1_000_000,
    "long number": WHOLE + b"x: " + b"9" * 1_000_000,
    "long text": WHOLE + b"x: " + b"y" * 1_000_000,
    "no number": WHOLE.replace(b"seed: 0", b"seed: .nan"),
    "call": WHOLE + b"x: !!python/object/apply:os.mkdir [mark]\n",
    "module": WHOLE + b"x: !!python/module:os\n",
    "bytes": WHOLE + b"x: !!binary aGVsbG8=\n",
    "date": WHOLE + b"x: 2026-01-01\n",
    "control": WHOLE + b'x: "\\e[31m"\n',
    "no text": b"\xff\xfe\x00",
    "two": WHOLE + b"---\n" + WHOLE,
    "list": b"- 1\n",
    "nothing": b"",
}


def refusal(read: Callable[[], object]) -> str:
    """Gives the one line that something is refused with."""
    with bounded(megabytes=100), pytest.raises(ConfigError) as refused:
        read()
    line = str(refused.value)
    assert "\n" not in line and len(line) < 1500 and "object at 0x" not in line
    return line


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_configuration_in_a_run_is_refused_by_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path, "run")
    (run / "config.yaml").write_bytes(BOMBS[name])
    for line in (
        refusal(lambda: read_config(run)),
        refusal(lambda: resumed_tree(run, {}, [f"resume={run}"])),
        refusal(lambda: read_finished(run)),
    ):
        assert "config.yaml" in line
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("kind", ["gigabyte", "link", "absolute link", "pipe", "folder", "missing", "loop"])
def test_what_is_no_plain_file_of_the_run_is_refused(tmp_path: Path, kind: str) -> None:
    run, other = make_run(tmp_path, "run"), make_run(tmp_path, "other")
    path = run / "config.yaml"
    path.unlink()
    match kind:
        case "gigabyte":
            with path.open("wb") as file:
                file.truncate(2**30)
        case "link":
            path.symlink_to("../other/config.yaml")
        case "absolute link":
            path.symlink_to(other / "config.yaml")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
    for read in (read_config, read_finished):
        assert "config.yaml" in refusal(lambda read=read: read(run))


@cases(150)
@given(changes())
@example([(0, 0, b"\xef\xbb\xbf")])
def test_a_changed_configuration_is_read_or_refused(
    tmp_path: Path, made: list[tuple[int, int, bytes]]
) -> None:
    (tmp_path / "config.yaml").write_bytes(changed(WHOLE, made))
    with bounded(megabytes=50):
        try:
            assert isinstance(read_config(tmp_path), Config)
        except ConfigError as error:
            assert "config.yaml" in str(error) and len(str(error)) < 1500


@cases(150)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
@example("x" * 5000)
@example("x/" * 5000)
@example("~nobody-here/x")
@example("a\0b")
@example("\ud800")
@example("")
@example(".")
def test_a_name_that_no_run_can_have_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    if name.startswith(("/", "~/")) or ".." in name:
        name = name.lstrip("/~.") or "x"  # what lies elsewhere on this machine is not looked at
    with chdir(tmp_path):  # "." means a run where it is, and this checkout may hold one
        line = refusal(lambda: choose_run(name, tmp_path / "nothing"))
    assert line.startswith("run: ")


def test_a_link_to_a_folder_with_runs_does_not_make_its_runs_ours(tmp_path: Path) -> None:
    make_run(tmp_path / "strangers", "good", val_accuracy=1.0, seed=9)
    own = make_run(tmp_path / "runs", "own", seed=1)
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "strangers")
    assert choose_run("latest", tmp_path / "runs") == choose_run("best", tmp_path / "runs") == own
