"""A comparison's page: the verdict first, then what it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from mnist_exp.comparison.comparison import Examined
from mnist_exp.comparison.pairs import Pair
from mnist_exp.comparison.report import Comparison, RunRow, SearchRow, SetReport
from mnist_exp.config.commands import command, setting
from mnist_exp.report import comparison_views, explanations
from mnist_exp.report.comparison_views import PairRow, Table
from mnist_exp.report.html import write_page
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.words import percent, plural, visible

_MOST_LISTED = 100
_MOST_SETS = 20
_LONGEST_PATH = 400
_LONGEST_COMMAND = 6000


@dataclass(frozen=True)
class SetView:
    """A set of runs on the same images, as the page shows it."""

    title: str
    reason: str
    counts: str
    verdict: str
    evidence: str
    table: Table
    settings: Table | None
    settings_hint: str
    forest: list[Any]
    forest_hint: str
    curves_hint: str
    leader: str
    pairs: list[PairRow]
    notes: list[str]
    explanations: list[tuple[str, str]]


def write_comparison_page(examined: Examined, output_dir: Path, words: Sequence[str] = ()) -> None:
    """Writes a comparison's `report.html`; TensorFlow is not loaded.

    Args:
        examined: The comparison and its runs.
        output_dir: The folder that it is written to.
        words: Of a command that compares in this way, but for the mode and the runs.

    Raises:
        RunError: The file could not be written.
    """
    write_page(output_dir, "comparison.html", **page_values(examined, words))


def page_values(examined: Examined, words: Sequence[str] = ()) -> dict[str, Any]:
    """Gives a template everything that a comparison's page shows."""
    comparison = examined.comparison
    forests, figures = _figures(examined)
    sets = [
        _set_view(report, forest, comparison)
        for report, forest in zip(comparison.sets, forests, strict=False)
    ]
    return {
        "title": _title(comparison),
        "headline": _headline(comparison),
        "kicker": f"comparison · {plural(len(comparison.runs), 'run')}",
        "sets": sets,
        "num_sets": len(comparison.sets),
        "figures": figures,
        "searches": [_search_words(row) for row in comparison.searches[:_MOST_LISTED]],
        "left_out": [_left_out_words(row) for row in comparison.left_out[:_MOST_LISTED]],
        "num_left_out": len(comparison.left_out),
        "ledger": comparison.ledger[:_MOST_LISTED],
        "runs": comparison_views.run_table(comparison),
        "command": _command(comparison, words),
    }


def _figures(examined: Examined) -> tuple[list[list[Any]], Any]:
    """Draws the intervals of each set, and everything of the largest; None where nothing is compared."""
    if not examined.sets:
        return [], None
    # Imported here: it brings Matplotlib, which a table alone need not wait for.
    from mnist_exp.report.comparison_figures import draw_set, interval_figures

    shown = zip(examined.comparison.sets[:_MOST_SETS], examined.sets, strict=False)
    return [interval_figures(report, found) for report, found in shown], draw_set(examined.sets[0])


def _title(comparison: Comparison) -> str:
    """Names the page in a browser's tab."""
    labels = [visible(row.label, 40) for row in comparison.sets[0].groups[:2]] if comparison.sets else []
    return " against ".join(labels) if len(labels) == 2 else "A comparison of runs"


def _headline(comparison: Comparison) -> str:
    """Says what came of it in a sentence."""
    if not comparison.sets:
        return "No completed training is among these runs, so nothing is compared."
    report = comparison.sets[0]
    if report.verdict.startswith("cannot "):
        return f"C{report.verdict[1:]}."
    if report.verdict:
        return f"{report.verdict}."
    row = report.groups[0]
    spread = row.measures["test_accuracy"]
    low, high = row.test_interval
    score = percent(spread.mean) if spread is not None else "–"
    seeds = plural(len(row.seeds), "seed")
    return f"{row.label}: {score} test accuracy (95% {100 * low:.2f} to {100 * high:.2f}, {seeds})."


def _set_view(report: SetReport, forest: list[Any], comparison: Comparison) -> SetView:
    num_runs = sum(len(row.seeds) for row in report.groups)
    return SetView(
        title=visible(report.title, 300),
        reason=visible(report.reason, 600),
        counts=f"{plural(num_runs, 'run')} in {plural(len(report.groups), 'group')}",
        verdict=visible(report.verdict, 1500),
        evidence=_evidence(report),
        table=comparison_views.group_table(report, comparison),
        settings=comparison_views.settings_table(report),
        settings_hint=_word_settings(report),
        forest=forest,
        forest_hint=_word_forest(report),
        curves_hint=_word_curves(report),
        leader=visible(report.leader or "", 120),
        pairs=comparison_views.pair_rows(report),
        notes=[visible(note, 1000) for note in report.notes],
        explanations=explanations.explanations(report),
    )


def _has_seeds(report: SetReport) -> bool:
    """Says whether any group is of more than one seed."""
    return any(len(row.seeds) > 1 for row in report.groups)


def _word_settings(report: SetReport) -> str:
    """Says what is the same everywhere, and what a page has no room for."""
    more = len(report.keys) - comparison_views.MOST_KEYS
    hidden = f" Of those that differ, {more:,} more are in results.csv." if more > 0 else ""
    return f"Every other setting is the same, but for the seed.{hidden}"


def _word_forest(report: SetReport) -> str:
    """Says what the marks beside the intervals mean."""
    marks = "Dot: the network’s accuracy, with its interval."
    if _has_seeds(report):
        marks = "Large dot: mean over seeds, with its interval. Small dots: single seeds."
    leading = next((row for row in report.groups if row.label == report.leader), None)
    if leading is None:
        return marks
    images = "test" if report.is_chosen_on_test else "validation"
    return f"{marks} Broken line: {visible(leading.label, 120)}, the best on {images} images."


def _word_curves(report: SetReport) -> str:
    """Says what lines and bands are."""
    return "Means over seeds; bands are one standard deviation to either side." if _has_seeds(report) else ""


def _evidence(report: SetReport) -> str:
    """Says what a single pair was tested by."""
    if len(report.pairs) != 1:
        return ""
    (pair,) = report.pairs
    if pair.discordance is not None:
        counts = pair.discordance
        return (
            f"Of {counts.count:,} test images, only {pair.first} gets {counts.only_first:,} right, only "
            f"{pair.second} {counts.only_second:,}, both {counts.both:,}, neither {counts.neither:,} "
            "(exact McNemar test)."
        )
    if pair.interval is None:
        return ""
    over_images = ""
    if pair.image_interval is not None and not _tells_of_images(pair):
        low, high = (f"{100 * bound:.2f}".replace("-", "−") for bound in pair.image_interval)
        sides = f"{pair.first} minus {pair.second}"
        over_images = f" Over seeds and test images together, {sides} is {low} to {high} points."
    return (
        f"What is compared is test accuracy, in percentage points, by a {pair.method} test over "
        f"seeds.{over_images}"
    )


def _tells_of_images(pair: Pair) -> bool:
    """Says whether the verdict itself has the interval over seeds and images."""
    low, high = pair.image_interval or (0.0, 0.0)
    return pair.is_decided and low <= 0 <= high


def _search_words(row: SearchRow) -> tuple[str, str]:
    """Words a search: its directory, and what it found."""
    mean = percent(sum(row.test_accuracies) / len(row.test_accuracies))
    words = (
        f"{row.winner} of {plural(row.num_trials, 'trial')}, test accuracy {mean} "
        f"({plural(len(row.test_accuracies), 'seed')}). {row.verdict}"
    )
    return visible(row.run, _LONGEST_PATH), visible(words, 1000)


def _left_out_words(row: RunRow) -> tuple[str, str, str]:
    """Words a run that is not compared: its directory, its status and why."""
    status = "other mode" if row.status == "completed" else row.status
    return visible(row.run, _LONGEST_PATH), status, visible(row.error, 400)


def _command(comparison: Comparison, words: Sequence[str]) -> str:
    """Writes the command that compares the same runs again; empty where it would be too long to be right."""
    paths = [str(Path(row.run).absolute()) for row in comparison.runs]
    if not paths or sum(map(len, paths)) > _LONGEST_COMMAND:
        return ""
    parent = Path(paths[0]).parent
    is_whole = {str(path.parent) for path in parent.glob(f"*/{MANIFEST}")} == set(paths)
    runs = str(Path(escape(str(parent)), "*")) if is_whole and len(paths) > 1 else paths
    again = command("mode=compare", setting("runs", runs), *words)
    return again if len(again) <= _LONGEST_COMMAND and visible(again, len(again)) == again else ""
