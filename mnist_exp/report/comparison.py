"""A comparison shown, and written down as a page, tables and figures."""

from collections.abc import Sequence
from glob import escape
from pathlib import Path

import msgspec
from rich.console import RenderableType
from rich.text import Text

from mnist_exp.comparison.columns import group_columns, noted_columns, run_columns, run_value
from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.comparison.report import Comparison
from mnist_exp.config.commands import command, setting, with_runs_dir
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison_document import (
    COMPARISON,
    MOST_SETS,
    RESULTS,
    comparison_document,
    group_table,
)
from mnist_exp.report.console import render_parts, whole
from mnist_exp.report.document import Document, Part
from mnist_exp.report.html import write_page
from mnist_exp.report.label_errors import write_label_errors
from mnist_exp.report.tables import to_csv, to_markdown
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.words import visible

_LONGEST_COMMAND = 6000
_PLOTS = "plots"


def to_json(comparison: Comparison) -> str:
    """Writes all of a comparison as JSON."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode() + "\n"


def results_csv(comparison: Comparison, columns: Sequence[str] | None = None) -> str:
    """Writes a table with a line a run; all columns where `columns` is None."""
    keys = sorted({key for found in comparison.sets for key in found.keys})
    names = columns or run_columns(keys, noted_columns(comparison.runs))
    return to_csv(names, ([run_value(run, name) for name in names] for run in comparison.runs))


def markdown_table(comparison: Comparison) -> str:
    """Writes each set's groups as a Markdown table, its verdict and its notes."""
    texts = []
    for report in comparison.sets:
        apart = f" (apart: {report.reason})" if report.reason else ""
        table = group_table(report.groups, report, group_columns(report, comparison.columns))
        texts.append(to_markdown(report.title + apart, table, [report.verdict, *report.notes]))
    return "\n".join(texts)


def render_comparison(comparison: Comparison, written_to: str = "") -> RenderableType:
    """Shows a comparison on the console; `written_to` as in `comparison_document`."""
    return render_parts(comparison_document(comparison, written_to=written_to).parts)


def write_comparison_page(examined: Examined, output_dir: Path, words: Sequence[str] = ()) -> None:
    """Writes a comparison's `report.html`; raises RunError where that fails. TensorFlow is not loaded.

    `words` are of a command that compares in this way, but for the mode and the runs.
    """
    write_page(output_dir, page_document(examined, str(output_dir), words))


def page_document(examined: Examined, written_to: str = "", words: Sequence[str] = ()) -> Document:
    """Tells a comparison with its figures; see `comparison_document` and `write_comparison_page`."""
    intervals: list[list[Part]] = []
    figures: list[Part] = []
    if examined.sets:
        # Imported here: Matplotlib takes half a second, which a table alone need not wait for.
        from mnist_exp.report.comparison_figures import figure_parts, interval_parts

        sets = zip(examined.comparison.sets[:MOST_SETS], examined.sets[:MOST_SETS], strict=True)
        intervals = [interval_parts(*each) for each in sets]
        figures = figure_parts(examined)
    again = _command(examined.comparison, words)
    return comparison_document(examined.comparison, intervals, figures, written_to=written_to, again=again)


def _command(comparison: Comparison, words: Sequence[str]) -> str:
    """Writes the command that compares the same runs again; empty where it would be too long to be right."""
    paths = [str(Path(run.run).absolute()) for run in comparison.runs]
    if not paths or sum(map(len, paths)) > _LONGEST_COMMAND:
        return ""
    parent = Path(paths[0]).parent
    is_whole = {str(path.parent) for path in parent.glob(f"*/{MANIFEST}")} == set(paths)
    runs = str(Path(escape(str(parent)), "*")) if is_whole and len(paths) > 1 else paths
    again = command("mode=compare", setting("runs", runs), *words)
    return again if len(again) <= _LONGEST_COMMAND and visible(again, len(again)) == again else ""


def compare_runs(
    patterns: Sequence[str | Path], options: CompareOptions, terminal: Terminal, output_dir: Path | None
) -> Comparison:
    """Compares runs, shows the result and, where requested, writes it down.

    Args:
        patterns: Run directories, sweeps' folders, globs.
        output_dir: Where `results.csv`, `comparison.json` and `plots/` go; made where it is missing.
            None writes nothing.

    Raises:
        ConfigError: A path is not there, or there is no such column.
        RunError: A file could not be written.
    """
    examined = examine(patterns, options)
    words = [] if output_dir is None else with_runs_dir([], {"runs_dir": str(output_dir.parent)}, Path.cwd())
    present_comparison(examined, options, terminal, output_dir, words)
    return examined.comparison


def present_comparison(
    examined: Examined,
    options: CompareOptions,
    terminal: Terminal,
    output_dir: Path | None,
    words: Sequence[str],
) -> None:
    """Shows a comparison and, given a folder, writes it down; `words` are as in `write_comparison_page`."""
    _show(examined.comparison, options, terminal, output_dir)
    notes, not_drawn = _write(examined, output_dir, words) if output_dir is not None else ([], [])
    if options.format == "table":
        terminal.print(*(Text(note, style="bright_black") for note in [*notes, *not_drawn]))
        return
    for sentence in not_drawn:  # apart from lines that programs read
        terminal.error(sentence)


def _show(
    comparison: Comparison, options: CompareOptions, terminal: Terminal, output_dir: Path | None
) -> None:
    match options.format:
        case "csv":
            terminal.print(whole(results_csv(comparison, options.columns).rstrip("\n")))
        case "json":
            terminal.print(whole(to_json(comparison).rstrip("\n")))
        case "markdown":
            terminal.print(whole(markdown_table(comparison).rstrip("\n")))
        case "table":
            terminal.print(render_comparison(comparison, str(output_dir or "")))


def _write(examined: Examined, output_dir: Path, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Writes tables and pictures; returns sentences: what there is to say, and pictures that failed."""
    plots_dir = output_dir / _PLOTS
    files.make_folder(plots_dir)
    files.write_bytes(output_dir / RESULTS, results_csv(examined.comparison).encode())
    files.write_bytes(output_dir / COMPARISON, to_json(examined.comparison).encode())
    write_comparison_page(examined, output_dir, words)
    if not examined.sets:
        return [], []
    # Imported here: matplotlib takes half a second, which a table alone need not wait for.
    from mnist_exp.report.comparison_plots import comparison_plots
    from mnist_exp.report.figures.style import draw_plots

    found = write_label_errors(examined.sets, output_dir)
    plots, notes = comparison_plots(examined)
    return found + notes, draw_plots(plots, plots_dir)
