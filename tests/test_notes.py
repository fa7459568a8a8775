"""Notes, tags and stars: kept beside a run's record, never part of it."""

from pathlib import Path

import pytest

from mnist_exp.runs.folder import NOTES, DamagedRun
from mnist_exp.runs.notes import Notes, read_notes, write_notes
from mnist_exp.runs.run import Run


def test_notes_are_read_as_written(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()
    written = Notes(note="zwei\nLinien", tags=["paper", "v2/a"], star=True)
    write_notes(tmp_path, written)
    assert Run(tmp_path).notes == written


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
