"""A comparison on the console and as files: tables of groups, verdicts, and what was left out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.comparison.columns import USUAL_COLUMNS, cell, heading, is_words
from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.comparison.pairs import DIFFERENCE_TO_SEE, MOST_SEEDS_WORTH_SAYING, Pair, p_value_text, points
from mnist_exp.comparison.report import Comparison, GroupRow, SetReport
from mnist_exp.config.commands import with_runs_dir
from mnist_exp.config.schema import CompareOptions
from mnist_exp.errors import RunError
from mnist_exp.report.comparison_page import write_comparison_page
from mnist_exp.report.console import columns as make_columns
from mnist_exp.report.console import render_facts, render_next
from mnist_exp.report.tables import markdown_table, results_csv, to_json
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.words import percent, plural

_MOST_GROUPS = 20
_MOST_PAIRS = 8
_LONGEST_CELL = 66
# Labels need the room.
_NARROW = (0, 1, 0, 0)
_MOST_LEFT_OUT = 5
_SEVERAL_SEEDS = "± is the standard deviation over seeds, the interval that of their mean (t)."
_ONE_SEED = "With one seed the interval is that of the one network (Wilson)."
_RESULTS, _COMPARISON, _PLOTS = "results.csv", "comparison.json", "plots"


def render_comparison(
    comparison: Comparison, csv_path: str | None = None, next_commands: Sequence[str] = ()
) -> RenderableType:
    """Shows the groups of every set, which is better and how sure that is, and what was left out.

    Args:
        comparison: As read.
        csv_path: Where `results.csv` is or will be, as the user would type it; None for nowhere.
    """
    columns = comparison.columns or USUAL_COLUMNS
    parts: list[RenderableType] = []
    for number, found in enumerate(comparison.sets, 1):
        parts += _render_set(found, number, columns, comparison, csv_path)
    if not comparison.sets:
        parts += [Text("No completed training is among these runs."), Text()]
    parts.append(render_facts(*_search_facts(comparison), *_closing_facts(comparison, csv_path)))
    return Group(*parts, *render_next(next_commands))


def _render_set(
    found: SetReport, number: int, columns: Sequence[str], comparison: Comparison, csv_path: str | None
) -> list[RenderableType]:
    """Shows one set: which images, its groups, its verdict."""
    num_runs = sum(len(row.seeds) for row in found.groups)
    counts = f"{plural(num_runs, 'run')} in {plural(len(found.groups), 'group')}"
    title = Text.assemble((counts, "bold"), f" on {found.title}")
    if found.reason:
        title.append(f"\nnot to be ranked with the first: {found.reason}", style="yellow")
    parts: list[RenderableType] = [title, _table(found, columns)]
    parts.append(Text(_explain(found, columns, csv_path), style="bright_black"))
    parts += _render_pairs(found, csv_path) if len(found.pairs) > 1 else [Text()]
    facts = [("verdict", Text(found.verdict, style="bold"))] if found.verdict else []
    if len(found.pairs) == 1 and (evidence := _evidence(found.pairs[0])):
        facts.append(("tested by", Text(evidence)))
    facts += [("" if place else "note", Text(line)) for place, line in enumerate(found.notes)]
    return [*parts, render_facts(*facts), Text()] if facts else parts


def _table(found: SetReport, columns: Sequence[str]) -> RenderableType:
    """Shows the best groups, one a line."""
    words = sorted(columns, key=lambda column: not is_words(column))
    num_left = sum(map(is_words, words))
    table = make_columns(*map(heading, words), num_left=num_left)
    table.padding = _NARROW
    for column in table.columns[num_left:]:
        column.no_wrap = True
    for row in found.groups[:_MOST_GROUPS]:
        cells = (Text(_shorten(cell(row, column))) for column in words)
        table.add_row(*cells, style=_style(row, found))
    return table


def _shorten(text: str) -> str:
    """Cuts what would take more than about three lines of a table; `results.csv` has it all."""
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _style(row: GroupRow, found: SetReport) -> str:
    if row.is_optimistic:
        return "yellow"
    return "bold green" if row.label == found.leader else ""


def _explain(found: SetReport, columns: Sequence[str], csv_path: str | None) -> str:
    """Says how the table is sorted and to be read, and where the rest of it is."""
    sentences = [f"Sorted by {heading(found.sort)}{' accuracy' if found.sort == 'val_accuracy' else ''}."]
    if len(found.groups) < 2:
        sentences = []
    hidden = len(found.groups) - _MOST_GROUPS
    if hidden > 0:
        place = csv_path or "compare.format=csv"
        sentences.append(f"{plural(hidden, 'more group')} in {place}.")
    if {"test_accuracy", "test_interval"} & set(columns):
        counts = [len(row.seeds) for row in found.groups[:_MOST_GROUPS]]
        sentences += [_SEVERAL_SEEDS] if max(counts) > 1 else []
        sentences += [_ONE_SEED] if min(counts) == 1 else []
    return " ".join(sentences)


def _render_pairs(found: SetReport, csv_path: str | None) -> list[RenderableType]:
    """Shows the leader against each other group, those nearest on validation first."""
    table = make_columns(
        f"{_shorten(found.leader or '')} minus",
        "points",
        "95% interval",
        "Holm p",
        "",
        "more seeds",
        num_left=1,
    )
    for column in table.columns[1:]:
        column.no_wrap = True
    for pair in found.pairs[:_MOST_PAIRS]:
        table.add_row(*map(Text, _pair_cells(pair)), style="" if pair.is_decided else "bright_black")
    hidden = len(found.pairs) - _MOST_PAIRS
    place = "comparison.json" if csv_path else "compare.format=json"
    rest = f"{plural(hidden, 'more pair')} in {place}. " if hidden > 0 else ""
    looks = ", and for a leader chosen by the same images" if found.is_chosen_on_test else ""
    hint = (
        f"{rest}Differences of test accuracy. p is corrected for {len(found.pairs)} tests{looks}; intervals "
        "are each for themselves. More seeds: so many would be needed to see "
        f"{100 * DIFFERENCE_TO_SEE:g} points."
    )
    return [table, Text(hint, style="bright_black"), Text()]


def _pair_cells(pair: Pair) -> list[str]:
    """Words a pair's line."""
    decision = "cannot tell"
    if pair.is_decided:
        decision = "better" if pair.difference > 0 else "worse"
    missing = "–"
    if pair.more_seeds is not None:
        most = MOST_SEEDS_WORTH_SAYING
        missing = f"> {most:,}" if pair.more_seeds > most else f"{pair.more_seeds:,}"
    if pair.interval is None or pair.corrected_p_value is None:
        return [_shorten(pair.second), points(pair.difference), "–", "–", "not tested", missing]
    interval = " to ".join(map(points, pair.interval))
    p_value = p_value_text(pair.corrected_p_value, "").removeprefix(" = ").strip()
    return [_shorten(pair.second), points(pair.difference), interval, p_value, decision, missing]


def _evidence(pair: Pair) -> str:
    """Says what a single pair was tested by, beyond its sentence."""
    if pair.discordance is not None:
        counts = pair.discordance
        return (
            f"exact McNemar test: of {counts.count:,} images, {counts.only_first:,} only {pair.first} gets "
            f"right, {counts.only_second:,} only {pair.second}; interval by Newcombe's method 10"
        )
    if pair.image_interval is None:
        return f"{pair.method} test over seeds" if pair.interval else ""
    low, high = map(points, pair.image_interval)
    return (
        f"{pair.method} test over seeds; over seeds and test images together (bootstrap), {pair.first} minus "
        f"{pair.second} is {low} to {high} points"
    )


def _search_facts(comparison: Comparison) -> list[tuple[str, Text]]:
    """Lists searches, whose winners are the best of many trials."""
    facts = []
    for place, row in enumerate(comparison.searches[:_MOST_LEFT_OUT]):
        mean = percent(sum(row.test_accuracies) / len(row.test_accuracies))
        words = Text.assemble(
            (row.run, "cyan"),
            f": {row.winner} of {plural(row.num_trials, 'trial')}, test accuracy {mean} "
            f"({plural(len(row.test_accuracies), 'seed')})",
        )
        facts.append(("" if place else "searches", words))
    hidden = len(comparison.searches) - _MOST_LEFT_OUT
    if hidden > 0:
        facts.append(("", Text(f"and {hidden:,} more")))
    return facts


def _closing_facts(comparison: Comparison, csv_path: str | None) -> list[tuple[str, Text]]:
    """Lists what was left out, how often test images were looked at, and where everything is."""
    facts = _left_out(comparison)
    facts += [("" if place else "test set", Text(line)) for place, line in enumerate(comparison.ledger)]
    if csv_path:
        facts.append(("written", Text(str(Path(csv_path).parent), style="cyan")))
    return facts


def _left_out(comparison: Comparison) -> list[tuple[str, Text]]:
    """Names the runs that are not compared by status, the first of each with the reason."""
    facts: list[tuple[str, Text]] = []
    for status, count in Counter(row.status for row in comparison.left_out).items():
        rows = [row for row in comparison.left_out if row.status == status]
        name = "other modes" if status == "completed" else status
        facts += [
            (
                name if not place else "",
                Text.assemble((row.run, "cyan"), f": {row.error}" if row.error else ""),
            )
            for place, row in enumerate(rows[:_MOST_LEFT_OUT])
        ]
        if count > _MOST_LEFT_OUT:
            facts.append(("", Text(f"and {count - _MOST_LEFT_OUT:,} more", style="bright_black")))
    return facts


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


def _write(examined: Examined, output_dir: Path, words: Sequence[str]) -> tuple[list[str], list[str]]:
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
    write_comparison_page(examined, output_dir, words)
    if not examined.sets:
        return [], []
    # Imported here: matplotlib takes half a second, which a table alone need not wait for.
    from mnist_exp.report.comparison_plots import comparison_plots
    from mnist_exp.report.figures.style import draw_plots

    plots, notes = comparison_plots(examined)
    return notes, draw_plots(plots, plots_dir)
