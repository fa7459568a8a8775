"""The members of an ensemble as a rich renderable, and as a table for spreadsheets.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

import csv
from io import StringIO

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.evaluation.records import EnsembleEvaluation
from mnist_exp.report.console import columns, plural
from mnist_exp.runs.spreadsheet import cell
from mnist_exp.trial_words import one_line
from mnist_exp.words import percent

_MOST_MEMBERS = 20
_COLUMNS = (
    "run_id", "model", "seed", "num_params", "accuracy", "loss", "num_trained_on", "selected_on_test", "gain",
)  # fmt: skip


def render_members(found: EnsembleEvaluation) -> RenderableType:
    """Shows how good each member is alone, and by how much their mean is better."""
    table = columns("member", "parameters", "accuracy", "the mean gains", "95% interval", num_left=1)
    for each in found.members[:_MOST_MEMBERS]:
        low, high = (f"{100 * bound:+.2f}" for bound in each.gain_interval)
        cells = [one_line(each.run_id), f"{each.num_params:,}", percent(each.accuracy)]
        table.add_row(*map(Text, [*cells, f"{100 * each.gain:+.2f} points", f"{low} to {high}"]))
    hidden = len(found.members) - _MOST_MEMBERS
    mean = Text.assemble(
        f"mean of {plural(len(found.members), 'member')} alone {percent(found.mean_member_accuracy)}, "
        f"of their probabilities ",
        (percent(found.accuracy), "bold green"),
        f": {100 * found.gain:+.2f} points; {found.num_params:,} parameters in total",
    )
    more = [Text(f"{hidden:,} more in members.csv", style="bright_black")] if hidden > 0 else []
    return Group(table, *more, mean, *_warnings(found), Text())


def _warnings(found: EnsembleEvaluation) -> list[Text]:
    """Says which members make the result look better than it is."""
    if not found.looks_at_test:
        return []
    chosen = [one_line(each.run_id) for each in found.members if each.selected_on_test]
    if not chosen:
        return []
    words = f"optimistic: test images had a part in choosing an epoch or a teacher: {', '.join(chosen)}"
    return [Text(words, style="bold yellow")]


def member_table(found: EnsembleEvaluation) -> str:
    """Writes what `members.csv` holds, a member a line."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    ends = ("low", "high")
    writer.writerow(["run", *_COLUMNS, *(f"gain_{end}" for end in ends)])
    for each in found.members:
        values = [getattr(each, name) for name in _COLUMNS]
        texts = [cell(value) if isinstance(value, str) else value for value in values]
        writer.writerow([cell(each.run), *texts, *each.gain_interval])
    return table.getvalue()
