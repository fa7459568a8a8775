"""A comparison as one document: the verdict, the groups, which is better and how sure that is."""

from collections.abc import Sequence

from mnist_exp.comparison.columns import (
    GROUP,
    cell,
    group_columns,
    heading,
    is_words,
    noted_columns,
    run_value,
)
from mnist_exp.comparison.decisions import Decisions
from mnist_exp.comparison.measures import MEASURES
from mnist_exp.comparison.pairs import DIFFERENCE_TO_SEE, MOST_SEEDS_WORTH_SAYING, Pair, p_value_text, points
from mnist_exp.comparison.report import Comparison, GroupRow, RunRow, SearchRow, SetReport
from mnist_exp.comparison.sequential import Decision
from mnist_exp.report.document import (
    Cell,
    Column,
    Command,
    Commands,
    Document,
    Fact,
    Facts,
    Folded,
    Heading,
    Notice,
    Part,
    Row,
    Table,
    Tone,
    Words,
    row,
)
from mnist_exp.report.explanations import explanations
from mnist_exp.words import percent, plural, visible

_MOST_ROWS = 200
_MOST_KEYS = 12
MOST_SETS = 20
_MOST_LISTED = 100
_MOST_LEFT_OUT = 5
_MOST_PAIRS = 8
_SEVERAL = "± is the standard deviation over {}, the interval that of their mean ({})."
_ONE_SEED = "With one seed the interval is that of the one network (Wilson)."
_NUMBERS = ["seed", "val_accuracy", "test_accuracy", "train_s"]
_RUN_COLUMNS = ["run", "group", "status", *_NUMBERS]
RESULTS, COMPARISON = "results.csv", "comparison.json"


def comparison_document(
    comparison: Comparison,
    intervals: Sequence[Sequence[Part]] = (),
    figures: Sequence[Part] = (),
    *,
    written_to: str = "",
    again: str = "",
) -> Document:
    """Tells a comparison, with the drawn intervals of each set, and figure sections on the first set.

    `written_to`, as the user would type it, and `again`, the command, may be empty.
    """
    document = Document(
        title=_title(comparison),
        kicker=f"comparison · {plural(len(comparison.runs), 'run')}",
        heading=_headline(comparison),
        is_sentence=True,
    )
    parts = document.parts
    for number, report in enumerate(comparison.sets[:MOST_SETS]):
        drawn = intervals[number] if intervals else []
        parts += _set_parts(report, comparison, drawn, number == 0, bool(written_to))
        if number == 0:
            parts += figures
    if len(comparison.sets) > MOST_SETS:
        place = "comparison.json" if written_to else "compare.format=json"
        words = f"The first {MOST_SETS} of {len(comparison.sets):,} sets; {place} has them all."
        parts.append(Words(words, "quiet", on="both"))
    if not comparison.sets:
        parts.append(Words(document.heading, on="console"))
    parts += _searches(comparison.searches)
    parts += _left_out(comparison.left_out)
    parts.append(Heading("Where these numbers come from"))
    parts.append(Facts([Fact("test set", line) for line in comparison.ledger[:_MOST_LISTED]], on="both"))
    if written_to:
        parts.append(Facts([Fact("written", written_to, "path")], on="console"))
    runs = _run_table(comparison.runs)
    parts.append(Folded(f"Every run ({len(comparison.runs):,})", [runs]))
    if again:
        parts.append(Commands([Command("Compares these runs again", again)]))
    return document


def _title(comparison: Comparison) -> str:
    labels = [visible(each.label, 40) for each in comparison.sets[0].groups[:2]] if comparison.sets else []
    return " against ".join(labels) if len(labels) == 2 else "A comparison of runs"


def _headline(comparison: Comparison) -> str:
    if not comparison.sets:
        return "No completed training is among these runs, so nothing is compared."
    report = comparison.sets[0]
    if report.verdict:
        return _sentence(report.verdict)
    group = report.groups[0]
    spread = group.measures["test_accuracy"]
    low, high = group.test_interval
    score = percent(spread.mean) if spread is not None else "–"
    seeds = plural(len(group.folds), "fold") if group.folds else plural(len(group.seeds), "seed")
    return f"{group.label}: {score} {report.accuracy} (95% {100 * low:.2f} to {100 * high:.2f}, {seeds})."


def _sentence(verdict: str) -> str:
    """Ends a verdict, and begins it with a capital unless a group's label begins it."""
    return f"C{verdict[1:]}." if verdict.startswith("cannot ") else f"{verdict}."


def _set_parts(
    report: SetReport, comparison: Comparison, drawn: Sequence[Part], is_first: bool, is_written: bool
) -> list[Part]:
    num_runs = sum(each.num_runs for each in report.groups)
    counts = f"{plural(num_runs, 'run')} in {plural(len(report.groups), 'group')}"
    evidence = _evidence(report)
    parts: list[Part] = []
    if is_first and evidence:
        parts.append(Words(evidence, "lead"))
    parts.append(Heading(f"{counts} on {report.title}", on="both"))
    if report.reason:
        parts.append(Notice("Not to be ranked with the first", report.reason, on="both"))
    if not is_first and report.verdict:
        parts.append(Words(f"{_sentence(report.verdict)} {evidence}", "lead"))
    columns = group_columns(report, comparison.columns)
    if comparison.columns:
        columns.sort(key=lambda column: not is_words(column))
    source = RESULTS if is_written else "compare.format=csv"
    parts.append(group_table(report.groups[:_MOST_ROWS], report, columns, source))
    if hint := _explain(report, columns):
        parts.append(Words(hint, "quiet", on="both"))
    parts += drawn
    if report.keys:
        parts += _settings(report)
    if report.decisions:
        parts += _decisions(report.decisions)
    if len(report.pairs) > 1:
        parts += _pairs(report, COMPARISON if is_written else "compare.format=json")
    if report.verdict:
        parts.append(Facts([Fact("verdict", report.verdict, "strong")], on="console"))
    if evidence:
        parts.append(Facts([Fact("evidence", evidence)], on="console"))
    if report.notes:
        parts.append(Facts([Fact("note", note) for note in report.notes], on="both"))
    if words := explanations(report):
        meanings = Facts([Fact(*each) for each in words])
        parts.append(Folded("What the intervals and tests mean", [meanings], is_open=is_first))
    return parts


def group_table(
    groups: Sequence[GroupRow], report: SetReport, columns: Sequence[str], source: str = ""
) -> Table:
    """Lists groups, one a line."""
    rows = []
    for group in groups:
        tone: Tone = "good" if group.label == report.leader else ""
        if group.is_optimistic:
            tone = "careful"
        rows.append(Row([_group_cell(group, column) for column in columns], tone))
    return Table(
        "Groups",
        [Column(_heading(column, report), "words" if is_words(column) else "number") for column in columns],
        rows,
        num_rows=len(report.groups),
        source=source,
        on="both",
    )


def _heading(column: str, report: SetReport) -> str:
    return report.accuracy if column == "test_accuracy" else heading(column)


def _group_cell(group: GroupRow, column: str) -> Cell:
    spread = group.measures.get(column) if column in MEASURES else None
    return Cell(cell(group, column), None if spread is None else repr(spread.mean))


def _explain(report: SetReport, columns: Sequence[str]) -> str:
    """Says how the table is sorted and to be read."""
    sentences = []
    if len(report.groups) > 1:
        is_short = report.sort in ("val_accuracy", "balanced_accuracy")
        what = _heading(report.sort, report) + (" accuracy" if is_short else "")
        sentences.append(f"Sorted by {what}.")
    if {"test_accuracy", "test_interval"} & set(columns):
        counts = [len(group.folds or group.seeds) for group in report.groups]
        if max(counts) > 1:
            test = "t" if report.data.fold is None else "corrected t"
            sentences.append(_SEVERAL.format(report.samples, test))
        if any(group.num_runs == 1 for group in report.groups):
            sentences.append(_ONE_SEED)
    return " ".join(sentences)


def _settings(report: SetReport) -> list[Part]:
    columns = [GROUP, *report.keys[:_MOST_KEYS]]
    rows = [row(*(cell(group, column) for column in columns)) for group in report.groups[:_MOST_ROWS]]
    more = len(report.keys) - _MOST_KEYS
    hidden = f" Of those that differ, {more:,} more are in {RESULTS}." if more > 0 else ""
    return [
        Heading("What differs between the groups", 3),
        Table("Settings", [Column(key, "words") for key in columns], rows, len(report.groups), RESULTS),
        Words(f"All other settings are the same, except the seed.{hidden}", "quiet"),
    ]


def _pairs(report: SetReport, source: str) -> list[Part]:
    """Sets the leader against each other group, those nearest on validation first."""
    columns = [
        Column("the other group", "words"),
        Column("points ahead"),
        Column("95% interval"),
        Column("Holm p"),
        Column("leader is", "words"),
        Column("more seeds"),
    ]
    looks = ", and for a leader chosen by the same images" if report.is_chosen_on_test else ""
    hint = (
        f"Differences of {report.accuracy} in points; the leader is {report.leader}. p is corrected for "
        f"{len(report.pairs)} tests{looks}; intervals are not. More seeds: about how many more it "
        f"would take to detect {100 * DIFFERENCE_TO_SEE:g} points."
    )
    rows = [_pair_row(pair) for pair in report.pairs[:_MOST_ROWS]]
    return [
        Heading(f"{report.leader} against each other group", 3, on="both"),
        Table("Pairs", columns, rows, len(report.pairs), source, most=_MOST_PAIRS, on="both"),
        Words(hint, "quiet", on="both"),
    ]


def _decisions(decisions: Decisions) -> list[Part]:
    until = decisions.until
    columns = [
        Column("pair", "words"),
        Column("decision", "words"),
        Column("points"),
        Column("repeated interval"),
        Column("seeds"),
        Column("fixed number"),
    ]
    what = "validation" if until.by == "val_accuracy" else "test"
    hint = (
        f"Differences of {what} accuracy in points, paired by seed. However often one looks, the chance of "
        f"any wrong decision is at most {100 * until.level:g}%. Equally good: they differ by less than "
        f"{until.precision:g} points. Dropped: one of them is worse than a third, or has no result. Open: "
        f"all {until.most_seeds} seeds are spent. Fixed number: about how many seeds, chosen beforehand, "
        "show this with a chance of 90%: a difference as large as measured or, where none was found, that "
        "there is none."
    )
    rows = [_decision_row(pair) for pair in decisions.pairs[:_MOST_ROWS]]
    return [
        Heading("Decided seed by seed", 3, on="both"),
        Table("Decisions", columns, rows, len(decisions.pairs), COMPARISON, most=_MOST_PAIRS, on="both"),
        Words(hint, "quiet", on="both"),
    ]


def _decision_row(pair: Decision) -> Row:
    labels = " against ".join(pair.labels)
    words = {"better": f"{pair.labels[0]} is better", "as good": "equally good"}
    decision = words.get(pair.outcome, pair.outcome)
    if not pair.looks:
        return row(labels, decision, "–", "–", "–", "–")
    look = pair.looks[-1]
    difference, low, high = pair.ahead(look)
    interval = f"{points(low)} to {points(high)}"
    cells = [labels, decision, points(difference), interval, f"{look.num_seeds}"]
    return row(*cells, f"{pair.fixed_seeds:,}" if pair.fixed_seeds else "–")


def _pair_row(pair: Pair) -> Row:
    decision, interval, p_value, p_order = "not tested", "–", "–", ""
    if pair.corrected_p_value is not None and pair.interval is not None:
        decision = "cannot tell"
        interval = " to ".join(map(points, pair.interval))
        p_value = p_value_text(pair.corrected_p_value, "").removeprefix(" = ").strip()
        p_order = repr(pair.corrected_p_value)
    if pair.is_decided:
        decision = "better" if pair.difference > 0 else "worse"
    seeds = "–" if pair.more_seeds is None else f"{pair.more_seeds:,}"
    if pair.more_seeds is not None and pair.more_seeds > MOST_SEEDS_WORTH_SAYING:
        seeds = f"> {MOST_SEEDS_WORTH_SAYING:,}"
    cells = [
        Cell(pair.second),
        Cell(points(pair.difference), repr(pair.difference)),
        Cell(interval),
        Cell(p_value, p_order),
        Cell(decision),
        Cell(seeds, "" if pair.more_seeds is None else str(pair.more_seeds)),
    ]
    return Row(cells, "" if pair.is_decided else "quiet")


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
    words = f"What is compared is {report.accuracy}, in percentage points, by a {pair.method} test over "
    words += f"{report.samples}."
    if pair.image_interval is None or _tells_of_images(pair):
        return words
    low, high = map(points, pair.image_interval)
    sides = f"{pair.first} minus {pair.second}"
    return f"{words} Over seeds and test images together, {sides} is {low} to {high} points."


def _tells_of_images(pair: Pair) -> bool:
    """Says whether the verdict itself has the interval over seeds and images."""
    low, high = pair.image_interval or (0.0, 0.0)
    return pair.is_decided and low <= 0 <= high


def _searches(searches: Sequence[SearchRow]) -> list[Part]:
    if not searches:
        return []
    facts = [Fact("search", _word_search(each)) for each in searches[:_MOST_LISTED]]
    return [
        Heading("Searches, listed apart"),
        Words("A search’s winner is the best of many, which a single training is not.", "quiet"),
        Facts(facts, most=_MOST_LEFT_OUT, num_facts=len(searches), on="both"),
    ]


def _word_search(search: SearchRow) -> str:
    mean = percent(sum(search.test_accuracies) / len(search.test_accuracies))
    return (
        f"{search.run}: {search.winner} of {plural(search.num_trials, 'trial')}, test accuracy {mean} "
        f"({plural(len(search.test_accuracies), 'seed')}). {search.verdict}"
    )


def _left_out(runs: Sequence[RunRow]) -> list[Part]:
    by_status: dict[str, list[Fact]] = {}
    for run in runs:
        status = "other mode" if run.status == "completed" else run.status
        words = f"{run.run}: {run.error}" if run.error else run.run
        by_status.setdefault(status, []).append(Fact(status, words))
    parts: list[Part] = [Heading("Not compared")] if runs else []
    for facts in by_status.values():
        listed = facts[:_MOST_LISTED]
        parts.append(Facts(listed, most=_MOST_LEFT_OUT, num_facts=len(facts), on="both"))
        if len(facts) > _MOST_LISTED:
            words = f"The first {_MOST_LISTED} of {len(facts):,}; {RESULTS} has them all."
            parts.append(Words(words, "quiet"))
    return parts


def _run_table(runs: Sequence[RunRow]) -> Table:
    names = [*_RUN_COLUMNS, *noted_columns(runs)]
    columns = [Column(heading(name), "number" if name in _NUMBERS else "words") for name in names]
    rows = [Row([_run_cell(run, name) for name in names]) for run in runs[:_MOST_ROWS]]
    return Table("Runs", columns, rows, len(runs), RESULTS)


def _run_cell(run: RunRow, column: str) -> Cell:
    value = run_value(run, column)
    if value is None or value == "":
        return Cell("–", "")
    return Cell(MEASURES[column].text(value), repr(value)) if column in MEASURES else Cell(str(value))
