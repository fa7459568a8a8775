"""`mode=compare`: runs side by side, from their files alone; TensorFlow is not loaded."""

from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Group
from rich.text import Text

from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.comparison.report import Comparison
from mnist_exp.config.commands import setting
from mnist_exp.config.comparison_options import CompareOptions
from mnist_exp.config.questions import none_given, read_question, refuse_unused
from mnist_exp.config.refusals import MODE_KEYS
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.report.comparison import render_comparison
from mnist_exp.report.comparison_page import write_comparison_page
from mnist_exp.report.tables import markdown_table, results_csv, to_json
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.writer import claim_folder

_USED = ("mode", "runs_dir", *MODE_KEYS["compare"])
_RESULTS, _COMPARISON, _PLOTS = "results.csv", "comparison.json", "plots"


class CompareRequest(Struct, frozen=True, kw_only=True):
    """What `mode=compare` reads of a configuration.

    Attributes:
        runs: Which runs: folders, globs, sweeps; null when nothing was said.
        runs_dir: The folder that the comparison's own folder is made in.
        compare: How.
    """

    runs: str | list[str] | None
    runs_dir: str
    compare: CompareOptions


def accept(tree: dict[str, Any], typed: Sequence[str]) -> CompareRequest:
    """Checks a request.

    Args:
        tree: The resolved configuration.
        typed: The overrides that it came from.

    Raises:
        ConfigError: A key is not accepted, is of no use here, or is missing.
    """
    refuse_unused(typed, _USED, _refusal)
    request = read_question(tree, CompareRequest)
    if not request.runs:
        everything = setting("runs", str(Path(escape(request.runs_dir), "*")))
        raise none_given("runs", request.runs_dir, "mode=compare", everything)
    return request


def _refusal(key: str) -> ConfigError:
    return ConfigError(
        f"{key}: mode=compare reads finished runs, and has no use for it.",
        "Accepted: runs, runs_dir, compare.sort, compare.columns, compare.format.",
    )


def answer(request: CompareRequest, terminal: Terminal, given: Path | None) -> None:
    """Compares; the table for people is kept, with pictures, in a folder of its own.

    Args:
        request: From `accept`.
        terminal: Where the table is shown.
        given: The folder to use; None for a new one.

    Raises:
        ConfigError: A path is not there, there is no such column, or no folder can be made.
        RunError: A file could not be written.
    """
    patterns = [request.runs] if isinstance(request.runs, str) else request.runs or []
    examined = examine(patterns, request.compare)
    output_dir = None
    if request.compare.format == "table":
        output_dir = claim_folder(Path(request.runs_dir), "compare", given)
    _present(examined, request.compare, terminal, output_dir)


def compare_runs(
    patterns: Sequence[str | Path], options: CompareOptions, terminal: Terminal, output_dir: Path | None
) -> Comparison:
    """Compares runs, shows what came of it and, where asked to, writes it down.

    Args:
        patterns: Run directories, sweeps' folders, globs.
        options: How.
        terminal: Where the table is shown.
        output_dir: Where `results.csv`, `comparison.json` and `plots/` go; made where it is missing.
            None writes nothing.

    Raises:
        ConfigError: A path is not there, or there is no such column.
        RunError: A file could not be written.
    """
    examined = examine(patterns, options)
    _present(examined, options, terminal, output_dir)
    return examined.comparison


def _present(
    examined: Examined, options: CompareOptions, terminal: Terminal, output_dir: Path | None
) -> None:
    """Shows a comparison and, given a folder, writes it down."""
    _show(examined.comparison, options, terminal, output_dir)
    notes, not_drawn = _write(examined, output_dir) if output_dir is not None else ([], [])
    if options.format == "table":
        terminal.print(*(Text(note, style="bright_black") for note in [*notes, *not_drawn]))
        return
    for sentence in not_drawn:  # apart from lines that programs read
        terminal.error(sentence)


def _show(
    comparison: Comparison, options: CompareOptions, terminal: Terminal, output_dir: Path | None
) -> None:
    """Prints a comparison in the form that was asked for."""
    match options.format:
        case "csv":
            _print_plain(results_csv(comparison, options.columns), terminal)
        case "json":
            _print_plain(to_json(comparison), terminal)
        case "markdown":
            _print_plain(markdown_table(comparison), terminal)
        case "table":
            path = None if output_dir is None else str(output_dir / _RESULTS)
            terminal.print(render_comparison(comparison, path))


def _print_plain(text: str, terminal: Terminal) -> None:
    """Prints lines that programs read: whole, however narrow the screen."""
    # In a group: printed alone, a Text would lose its no_wrap.
    terminal.print(Group(Text(text.rstrip("\n"), no_wrap=True, overflow="ignore")))


def _write(examined: Examined, output_dir: Path) -> tuple[list[str], list[str]]:
    """Writes tables and pictures.

    Returns:
        A sentence for each picture that has nothing to show, and for each that could not be drawn.
    """
    plots_dir = output_dir / _PLOTS
    try:
        plots_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{plots_dir}: cannot be made: {error.strerror or error}.") from error
    files.write_bytes(output_dir / _RESULTS, results_csv(examined.comparison).encode())
    files.write_bytes(output_dir / _COMPARISON, to_json(examined.comparison).encode())
    write_comparison_page(examined, output_dir)
    if not examined.sets:
        return [], []
    # Imported here: matplotlib takes half a second, which a table alone need not wait for.
    from mnist_exp.report.comparison_plots import comparison_plots
    from mnist_exp.report.figures.style import draw_plots

    plots, notes = comparison_plots(examined)
    return notes, draw_plots(plots, plots_dir)
