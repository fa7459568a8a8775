"""An evaluation and a prediction, told on the console and in figures."""

import csv
from collections.abc import Sequence
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from mnist_exp.evaluation.pictures import Picture, Unread
from mnist_exp.evaluation.results import ClassScores, EnsembleEvaluation, Evaluation, Latency, Robustness
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.report.console import columns, render_facts, render_next
from mnist_exp.report.digits import DigitStrip
from mnist_exp.report.figures.calibration import plot_reliability, plot_robustness
from mnist_exp.report.figures.class_scores_plot import plot_class_scores
from mnist_exp.report.figures.curves import plot_confusion_matrix
from mnist_exp.report.figures.images import plot_mistakes
from mnist_exp.report.figures.style import Plot
from mnist_exp.report.tables import Choice, file_name
from mnist_exp.runs.files import csv_cell
from mnist_exp.words import confidence, loss_text, one_line, percent, plural

if TYPE_CHECKING:
    from mnist_exp.evaluation.evaluating import Evaluated

_MOST_MEMBERS = 20
_COLUMNS = (
    "run_id", "model", "seed", "num_params", "accuracy", "loss", "num_trained_on", "selected_on_test", "gain",
)  # fmt: skip
_MOST_CLASSES = 26
_LOOKED = "the test images were looked at once more; choose nothing by this number"
_TILE, _GAP = 14, 3
_MOST_DRAWN = 12
_MOST_LISTED, _MOST_UNREAD = 30, 10


def evaluation_plots(evaluated: "Evaluated", scored: ScoredSplit) -> dict[str, Plot]:
    """Names every picture of an evaluation.

    Args:
        evaluated: What was measured.
        scored: On which images.

    Returns:
        Name of the file without its ending to what draws the picture.
    """
    record, names, seen = evaluated.record, scored.source.class_names, scored.seen
    plots: dict[str, Plot] = {
        "reliability": partial(plot_reliability, record.calibration, record.num_images),
        "per_class": partial(plot_class_scores, record.classes),
        "confusion_matrix": partial(plot_confusion_matrix, evaluated.counts, names),
        "mistakes": partial(plot_mistakes, seen.images, seen.labels, evaluated.probabilities, names),
    }
    if record.robustness:
        plots["robustness"] = partial(plot_robustness, record.robustness, seen.images[0])
    return plots


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
    words = f"optimistic: test images had a part in choosing an epoch: {', '.join(chosen)}"
    return [Text(words, style="bold yellow")]


def member_table(found: EnsembleEvaluation) -> str:
    """Writes what `members.csv` holds, a member a line."""
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    ends = ("low", "high")
    writer.writerow(["run", *_COLUMNS, *(f"gain_{end}" for end in ends)])
    for each in found.members:
        values = [getattr(each, name) for name in _COLUMNS]
        texts = [csv_cell(value) if isinstance(value, str) else value for value in values]
        writer.writerow([csv_cell(each.run), *texts, *each.gain_interval])
    return table.getvalue()


def render_evaluation(found: Evaluation, path: str, next_commands: Sequence[str]) -> RenderableType:
    """Shows how good a network is, class by class and on harder images, and how sure that is.

    Args:
        path: Where it was written to, as the user would type it.
    """
    parts: list[RenderableType] = [_render_classes(found.classes)]
    if found.robustness:
        parts.append(_render_robustness(found.robustness))
    if isinstance(found, EnsembleEvaluation):
        parts.append(render_members(found))
    facts: list[tuple[str, str | Text]] = [
        (f"{found.split} accuracy", _word_accuracy(found)),
        ("", _word_sameness(found)),
    ]
    if found.looks_at_test:
        facts.append(("", Text(_LOOKED, style="yellow")))
    if found.num_trained_on:
        facts.append(("", Text(_word_known(found), style="bold yellow")))
    facts += [
        ("loss", f"{loss_text(found.loss)} (cross-entropy), Brier score {found.calibration.brier_score:.4f}"),
        ("calibration", _word_calibration(found)),
        ("latency", Text("\n".join(map(_word_latency, found.latency)))),
        ("images", f"{found.split} split of {found.data}: {found.source}, SHA-256 {found.sha256[:8]}…"),
        ("run", Text(one_line(found.run), style="cyan")),
        ("written", Text(path, style="cyan")),
    ]
    return Group(*parts, render_facts(*facts), *render_next(next_commands))


def _word_accuracy(found: Evaluation) -> Text:
    low, high = (100 * bound for bound in found.accuracy_interval)
    words = f" (95%: {low:.2f} to {high:.2f}), {plural(found.num_images, 'image')}"
    return Text.assemble((percent(found.accuracy), "bold green"), words)


def _word_sameness(found: Evaluation) -> Text:
    style = {True: "green", False: "bold yellow", None: "yellow"}[found.same_as_run.is_identical]
    return Text(one_line(found.same_as_run.sentence), style=style)


def _word_known(found: Evaluation) -> str:
    """Says how many images the network has been trained on."""
    known = "all" if found.num_trained_on == found.num_images else f"{found.num_trained_on:,}"
    return f"{known} of these images were trained on: on others expect less"


def _word_calibration(found: Evaluation) -> str:
    """Says how far confidence and accuracy are apart, and in which direction."""
    measured = found.calibration
    error = f"ECE {percent(measured.expected_calibration_error)}"
    gap = measured.mean_confidence - found.accuracy
    tendency = "overconfident" if gap > 0 else "underconfident"
    confidence = f"mean confidence {percent(measured.mean_confidence)}"
    return f"{error}; {confidence}: {tendency} by {100 * abs(gap):.2f} points"


def _word_latency(each: Latency) -> str:
    low, middle, high = (
        f"{value:.3g}" for value in (each.ms_per_image_low, each.ms_per_image, each.ms_per_image_high)
    )
    batch = f"batches of {each.batch_size:,}" if each.batch_size > 1 else "one at a time"
    return f"{middle} ms an image, {batch} (quartiles {low} to {high}, {each.repeats:,} calls)"


def _render_classes(classes: Sequence[ClassScores]) -> RenderableType:
    """Shows precision, recall and F1, a class a line; the lowest F1 stands out."""
    table = columns("class", "images", "right", "precision", "recall", "95% interval", "F1", num_left=1)
    known = [each.f1 for each in classes if each.f1 is not None]
    differ = len(set(known)) > 1
    for each in classes[:_MOST_CLASSES]:
        is_worst = differ and each.f1 == min(known)
        interval = "–"
        if each.recall_interval:
            interval = " to ".join(f"{100 * bound:.1f}" for bound in each.recall_interval)
        cells = [one_line(each.name), f"{each.num_images:,}", f"{each.num_right:,}"]
        cells += [_share(each.precision), _share(each.recall), interval, _share(each.f1)]
        table.add_row(*map(Text, cells), style="yellow" if is_worst else "")
    hidden = len(classes) - _MOST_CLASSES
    return Group(table, Text(f"{hidden:,} more in per_class.csv")) if hidden > 0 else table


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value, 1)


def _render_robustness(found: Sequence[Robustness]) -> RenderableType:
    """Shows accuracy on harder images, a distortion a line, severity above it."""
    table = columns("harder images", *[""] * max(len(each.levels) for each in found), num_left=1)
    for each in found:
        severities = (Text(f"{level.severity:g}", style="bright_black") for level in each.levels)
        table.add_row(Text(f"{each.distortion} ({each.unit})"), *severities)
        table.add_row(Text("  accuracy"), *(Text(percent(level.accuracy, 1)) for level in each.levels))
    hint = f"Accuracy on {plural(found[0].num_images, 'image')} made harder, the same ones at every severity."
    return Group(table, Text(hint, style="bright_black"), Text())


class _Row(DigitStrip):
    """Images side by side with their files' names and the likeliest classes of each."""

    def __init__(self, pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> None:
        count = len(pictures)
        super().__init__(
            np.stack([picture.image for picture in pictures]),
            np.zeros(count, np.uint8),
            np.ones((count, 1), np.float32),
            [""],
        )
        self._captions = [_caption(*each) for each in zip(pictures, choices, strict=True)]


class PredictedStrips:
    """What a network saw, as many side by side as fit, in as many rows as that takes.

    Args:
        pictures: One or more.
        choices: The likeliest classes of each.
    """

    def __init__(self, pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> None:
        self._pictures, self._choices = pictures, choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields rows, a blank line between two of them."""
        count = max(1, (options.max_width + _GAP) // (_TILE + _GAP))
        for start in range(0, len(self._pictures), count):
            if start:
                yield Text()
            part = slice(start, start + count)
            yield _Row(self._pictures[part], self._choices[part])


def render_predictions(
    pictures: Sequence[Picture],
    choices: Sequence[Sequence[Choice]],
    unread: Sequence[Unread],
    runs: Sequence[str],
    path: str,
    notes: Sequence[str] = (),
) -> RenderableType:
    """Shows what the network saw and what it took it for.

    Args:
        pictures: Those that could be read.
        choices: The likeliest classes of each, the likeliest first.
        unread: Those that could not.
        runs: Whose network predicted; of several, the mean of their probabilities.
        path: Where everything was written to, as the user would type it.
        notes: Lines on what pictures were made into, and on files passed over.
    """
    parts: list[RenderableType] = []
    if pictures:
        parts.append(PredictedStrips(pictures[:_MOST_DRAWN], choices[:_MOST_DRAWN]))
    if len(pictures) > _MOST_DRAWN:
        parts.append(_render_list(pictures, choices))
    if several := [picture for picture in pictures if shows_several(picture.image)]:
        parts += [Text(), _word_several(several)]
    if surrounded := [picture for picture in pictures if picture.has_surroundings]:
        parts += [Text(), _word_surrounded(surrounded)]
    if unread:
        parts += [Text(), Text(f"{plural(len(unread), 'image')} skipped", style="bold yellow")]
        parts.append(render_facts(*_skipped(unread)))
    counts = f"{plural(len(pictures), 'image')} predicted"
    word = "run" if len(runs) == 1 else "the mean of"
    named = Text("\n".join(map(one_line, runs)), style="cyan")
    facts = render_facts(("images", counts), (word, named), ("written", Text(path, style="cyan")))
    return Group(*parts, Text(), *(Text(one_line(note)) for note in notes), facts)


def _word_several(several: Sequence[Picture]) -> Text:
    """Warns of pictures that a single prediction cannot be right about."""
    verb = (
        "seems to show several things, and is"
        if len(several) == 1
        else "seem to show several things, and are"
    )
    return _named(f"{plural(len(several), 'image')} {verb} read as one: ", several, "shows_several")


def _word_surrounded(surrounded: Sequence[Picture]) -> Text:
    """Names the pictures whose digit had to be told from something else."""
    verb = "shows" if len(surrounded) == 1 else "show"
    words = f"{plural(len(surrounded), 'image')} {verb} a shadow or something else, which was left out: "
    return _named(words, surrounded, "shows_something_else")


def _named(words: str, pictures: Sequence[Picture], column: str) -> Text:
    """Says something of pictures, the first of them by name."""
    names = ", ".join(one_line(file_name(each.path)) for each in pictures[:_MOST_UNREAD])
    hidden = len(pictures) - _MOST_UNREAD
    more = f" and {hidden:,} more ({column} in predictions.csv)" if hidden > 0 else ""
    return Text.assemble((words, "bold yellow"), (f"{names}{more}", "cyan"))


def _caption(picture: Picture, choices: Sequence[Choice]) -> tuple[str, ...]:
    """Words the lines beneath an image."""
    return (_fit(one_line(file_name(picture.path).rpartition("/")[2]), _TILE), *map(_word, choices))


def _word(choice: Choice) -> str:
    """Words a class, its name cut so that its probability fits."""
    share = confidence(choice.probability)
    room = _TILE - len(share) - 1
    return f"{_fit(one_line(choice.name), room):<{min(room, 4)}} {share:>6}"[:_TILE]


def _fit(text: str, room: int) -> str:
    """Cuts a text in its middle, so that a file's number stays."""
    if len(text) <= room:
        return text
    end = (room - 1) // 2
    return f"{text[: room - 1 - end]}…{text[len(text) - end :]}"


def _render_list(pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> RenderableType:
    """Lists the pictures that were not drawn, one a line."""
    table = columns("file", "prediction", "second", "third")
    rows = list(zip(pictures, choices, strict=True))[_MOST_DRAWN : _MOST_DRAWN + _MOST_LISTED]
    for picture, found in rows:
        cells = [f"{one_line(choice.name)} {confidence(choice.probability)}" for choice in found]
        name = _fit(one_line(file_name(picture.path)), 50)
        table.add_row(*map(Text, [name, *cells, "", ""][:4]))
    hidden = len(pictures) - _MOST_DRAWN - len(rows)
    if hidden <= 0:
        return table
    return Group(table, Text(f"{hidden:,} more in predictions.csv", style="bright_black"))


def _skipped(unread: Sequence[Unread]) -> list[tuple[str, Text]]:
    """Names the files that were skipped, and why."""
    rows = [
        ("", Text.assemble((one_line(file_name(each.path)), "cyan"), f": {one_line(each.reason)}"))
        for each in unread[:_MOST_UNREAD]
    ]
    hidden = len(unread) - _MOST_UNREAD
    if hidden > 0:
        rows.append(("", Text(f"and {hidden:,} more in predictions.csv")))
    return rows
