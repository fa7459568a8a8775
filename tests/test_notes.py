"""Notes, tags and stars: kept beside a run's record, never part of it."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from mnist_exp.report.run import write_run_page
from mnist_exp.runs.folder import NOTES, PAGE, DamagedRun
from mnist_exp.runs.notes import Notes, change_notes, changed_tags, read_notes, write_notes
from mnist_exp.runs.run import Run as RunRead
from tests.comparison.run_makers import make_run, make_unfinished
from tests.conftest import Run


def test_notes_are_read_as_written(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()
    written = Notes(note="zwei\nLinien", tags=["paper", "v2/a"], star=True)
    write_notes(tmp_path, written)
    assert RunRead(tmp_path).notes == written


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"tags": ["a b"]}', "$.tags[0]"),
        ('{"tags": ["-a"]}', "$.tags[0]"),
        ('{"tags": ["a\\n"]}', "$.tags[0]"),
        ('{"star": 1}', "$.star"),
        ('{"note": "' + "x" * 10_001 + '"}', "$.note"),
        (" " * 1_000_001, "1,000,000 at most"),
    ],
)
def test_damaged_notes_are_said_to_be(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / NOTES).write_text(content)
    with pytest.raises(DamagedRun) as raised:
        read_notes(tmp_path)
    assert raised.value.reason.startswith(f"{NOTES}: ")
    assert reason in raised.value.reason


def test_links_are_not_followed(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other.json"
    run.mkdir()
    other.write_text('{"star": true}')
    (run / NOTES).symlink_to(other)
    with pytest.raises(DamagedRun, match="a link"):
        read_notes(run)
    write_notes(run, Notes(note="mine"))
    assert other.read_text() == '{"star": true}'
    assert read_notes(run) == Notes(note="mine")


@pytest.mark.parametrize(
    ("before", "words", "after"),
    [
        ("a b", "c d", "c d"),
        ("a b", "+c", "a b c"),
        ("a b", "-a", "b"),
        ("a b", "", ""),
        ("a b", "+a +a -z", "a b"),
        ("old x", "paper +good -old", "paper good"),
        ("a", "+b -b", "a"),
        ("a", "-b +b", "a b"),
        ("a", "-b b", ""),
    ],
)
def test_plain_tags_replace_all_and_signs_change_them(before: str, words: str, after: str) -> None:
    assert changed_tags(before.split(), words.split()) == after.split()


def test_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    def add(number: int) -> None:
        change_notes(tmp_path, lambda notes: replace(notes, tags=[*notes.tags, f"t{number}"]))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(add, range(200)))
    assert sorted(read_notes(tmp_path).tags) == sorted(f"t{number}" for number in range(200))
    assert [path.name for path in tmp_path.iterdir()] == [NOTES]


def test_runs_are_noted_and_shown_in_pages_and_comparisons(tmp_path: Path, run_command: Run) -> None:
    first, second = (make_run(tmp_path / "runs", name, seed=seed) for seed, name in enumerate("ab"))
    failed = make_unfinished(tmp_path / "runs", "c", "failed")
    for path in (first, second):
        write_run_page(path)
    pages = [(path / PAGE).read_bytes() for path in (first, second)]

    def note(*words: str) -> str:
        done = run_command("mode=note", *words, cwd=tmp_path, kind="light")
        assert done.returncode == 0, done.stderr
        return done.stdout

    marked = "<b>&, \u202e"
    note("run=[runs/a,c]", "tags=[paper,+good,-old]", f"note='{marked}'", "star=true")
    assert read_notes(first) == read_notes(failed) == Notes(note=marked, tags=["paper", "good"], star=True)
    assert read_notes(second) == Notes()
    page = (first / PAGE).read_text()
    assert "★ paper, good" in page and "&lt;b&gt;&amp;, \\u202e" in page and marked not in page
    write_run_page(first)
    assert (first / PAGE).read_text() == page, "written anew, a page says the same"
    assert not (failed / PAGE).exists(), "a page is written when the run ends"

    rows = list(csv.DictReader(compared(tmp_path, run_command).splitlines()))
    assert [(row["tags"], row["note"]) for row in rows] == [("★ paper, good", "<b>&, \u202e"), ("", "")] + [
        ("★ paper, good", "<b>&, \u202e")
    ]
    assert "nothing noted" in note("run=runs/*", "tags=[]", "note=''", "star=false")
    assert [(path / PAGE).read_bytes() for path in (first, second)] == pages
    assert "tags" not in compared(tmp_path, run_command).splitlines()[0]


def compared(folder: Path, run_command: Run) -> str:
    done = run_command("mode=compare", "runs=runs/*", "compare.format=csv", cwd=folder, kind="light")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_page_of_a_run_from_before_there_were_notes_shows_them_once(
    tmp_path: Path, run_command: Run
) -> None:
    run = make_run(tmp_path / "runs", "a")
    (run / PAGE).write_text("<h1>ann</h1>\n<p>98%</p>")
    for word in ("one", "two"):
        assert run_command("mode=note", "run=a", f"note={word}", cwd=tmp_path, kind="light").returncode == 0
    page = (run / PAGE).read_text()
    assert page.startswith("<h1>ann</h1><!--") and page.endswith("<p>98%</p>")
    assert "two" in page and "one" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "run: got none"),
        (("run=a", "tags=[2026]"), "tags: got 2026. A tag is a letter"),
        (("run=a", "tags=[a b]"), "tags: got a b."),
        (("run=a", "tags=+"), "tags: got +."),
        (("run=[a,z]", "star=true"), "run: z does not exist."),
        (("run=[a,b]", "star=true"), "run: runs/b: notes.json: "),
        (("run=a", "note=caf\udce9"), "note: it is no UTF-8."),
        (("run=a", "seed=3"), "seed: mode=note writes beside a run's record"),
    ],
)
def test_a_refusal_notes_nothing(tmp_path: Path, run_command: Run, words: tuple[str, ...], said: str) -> None:
    run = make_run(tmp_path / "runs", "a")
    (make_run(tmp_path / "runs", "b") / NOTES).write_text("{")
    done = run_command("mode=note", *words, cwd=tmp_path, kind="light")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"mnist-exp: {said}")
    assert not (run / NOTES).exists()
