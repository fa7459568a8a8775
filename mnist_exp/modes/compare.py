"""`mode=compare`: runs side by side, from their files alone; TensorFlow is not loaded."""

import sys
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.comparison.comparison import examine
from mnist_exp.config.commands import kept, portable, setting, with_runs_dir
from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.requests import CompareOptions
from mnist_exp.config.schema import Text
from mnist_exp.report.comparison import present_comparison
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.finding import find_runs
from mnist_exp.runs.writer import claim_folder

_ACCEPTED = "runs, runs_dir, compare.sort, compare.columns, compare.format"


class CompareRequest(Struct, frozen=True, kw_only=True):
    """What `mode=compare` reads.

    Attributes:
        runs: Folders, globs or sweeps; null when not given.
    """

    runs: str | list[Text] | None
    runs_dir: Text
    compare: CompareOptions


def accept(tree: dict[str, Any], typed: Sequence[str]) -> CompareRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    refuse_unused(typed, "compare", "reads finished runs", _ACCEPTED)
    request = read_request(tree, CompareRequest)
    if not request.runs:
        everything = setting("runs", str(Path(escape(request.runs_dir), "*")))
        raise none_given("runs", request.runs_dir, "mode=compare", everything)
    return request


def run(request: CompareRequest, terminal: Terminal, given: Path | None) -> int:
    """Compares; the table for people is kept, with pictures, in the folder `given`; None makes one.

    Returns:
        0, or 1 where a comparison that is kept nowhere could not be printed.

    Raises:
        ConfigError: A path is not there, there is no such column, or no folder can be made.
        RunError: A file could not be written.
    """
    examined = examine(find_runs(request.runs or [], Path(request.runs_dir)), request.compare)
    output_dir = None
    if request.compare.format == "table":
        output_dir = claim_folder(Path(request.runs_dir), "compare", given)
    here = Path.cwd()
    words = with_runs_dir(
        portable(kept(sys.argv[1:], ["runs_dir", "compare"]), here), {"runs_dir": request.runs_dir}, here
    )
    present_comparison(examined, request.compare, terminal, output_dir, words)
    return int(output_dir is None and terminal.has_lost_output)
