"""`mode=note`: notes, tags and stars, in a file beside a run's record; TensorFlow is not loaded."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text as Line

from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError
from mnist_exp.report.html import renew_notes
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.members import find_named
from mnist_exp.runs.notes import TAG, Note, Notes, change_notes, changed_tags, read_notes
from mnist_exp.runs.run import refused
from mnist_exp.words import shortened, visible


class NoteRequest(Struct, frozen=True, kw_only=True):
    """What `mode=note` reads of a configuration; null leaves what is there.

    Attributes:
        run: Of any status: `latest`, `best`, a directory, a glob, or a list of these.
        note: A text; empty for none.
        tags: `[paper,v2]` sets them, `[+good,-old]` adds and removes.
        star: Whether they have one.
    """

    run: str | list[Text] | None
    runs_dir: Text
    note: Note | None
    tags: Any
    star: bool | None


def accept(tree: dict[str, Any], typed: Sequence[str]) -> NoteRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    refuse_unused(typed, "note", "writes beside a run's record", "run, note, tags, star, runs_dir")
    request = read_request(tree, NoteRequest)
    if not request.run:
        raise none_given("run", request.runs_dir, "mode=note", "run=latest", "tags=[paper]")
    if re.search("[\ud800-\udfff]", request.note or ""):
        raise ConfigError("note: it is no UTF-8.", "Have the terminal write UTF-8.")
    tags = request.tags if isinstance(request.tags, list) or request.tags is None else [request.tags]
    for tag in tags or ():
        if not isinstance(tag, str) or not re.search(TAG, re.sub("^[+-]", "", tag)):
            hint = "A tag is a letter, then letters, digits and _ . : / + -, 64 at most."
            raise ConfigError(f"tags: got {shortened(str(tag))}.", hint)
    return replace(request, tags=tags)


def run(request: NoteRequest, terminal: Terminal, _given: Path | None) -> None:
    """Notes what was requested, and says what each run has now; nothing requested, it says only that.

    Raises:
        ConfigError: There is no such run, or what it has cannot be read; nothing was written.
        RunError: A file could not be written.
    """

    def change(notes: Notes) -> Notes:
        return Notes(
            note=notes.note if request.note is None else request.note,
            tags=notes.tags if request.tags is None else changed_tags(notes.tags, request.tags),
            star=notes.star if request.star is None else request.star,
        )

    paths = dict.fromkeys(find_named(request.run or [], Path(request.runs_dir)))
    with refused("run: "):
        for path in paths:
            read_notes(path)
        for path in paths:
            notes = change_notes(path, change)
            renew_notes(path, notes)
            words = "  ".join(filter(None, [notes.marks, visible(notes.note)]))
            terminal.print(Line(str(path), "cyan"), Line(f"  {words or 'nothing noted'}"))
