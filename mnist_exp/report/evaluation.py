"""An evaluation and a prediction as documents, and an evaluation's figures."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mnist_exp.evaluation.pictures import Picture, Unread
from mnist_exp.evaluation.results import EnsembleEvaluation, Evaluation, Latency, Robustness
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.report.digits import WIDTH
from mnist_exp.report.document import (
    Column,
    Digit,
    Digits,
    Fact,
    Facts,
    Part,
    Row,
    Score,
    Table,
    Tone,
    Words,
    next_commands,
    row,
)
from mnist_exp.report.figures.calibration import plot_reliability, plot_robustness
from mnist_exp.report.figures.classes import plot_class_scores
from mnist_exp.report.figures.confusion import plot_confusion_matrix
from mnist_exp.report.figures.images import plot_mistakes
from mnist_exp.report.figures.style import Plot
from mnist_exp.report.result import balance_facts, class_table, majority_notice
from mnist_exp.report.tables import Choice, file_name, to_csv
from mnist_exp.words import confidence, loss_text, one_line, percent, plural

if TYPE_CHECKING:
    from mnist_exp.evaluation.evaluating import Evaluated

_MEMBER_COLUMNS = (
    "run", "run_id", "model", "seed", "num_params", "accuracy", "loss", "num_trained_on", "selected_on_test",
    "gain",
)  # fmt: skip
LOOKED = "this is one more look at the test images; do not use this number to choose anything"
_MOST_DRAWN = 12
_MOST_LISTED, _MOST_UNREAD = 30, 10
_LONGEST_NAME = 50


def evaluation_plots(evaluated: "Evaluated", scored: ScoredSplit) -> dict[str, Plot]:
    """Names every picture of an evaluation: file name without ending to what draws it."""
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


def member_table(found: EnsembleEvaluation) -> str:
    """Writes what `members.csv` holds, a member a line."""
    headings = [*_MEMBER_COLUMNS, "gain_low", "gain_high"]
    rows = []
    for each in found.members:
        values = [getattr(each, name) for name in _MEMBER_COLUMNS]
        values = [str(value) if isinstance(value, bool) else value for value in values]
        rows.append([*values, *each.gain_interval])
    return to_csv(headings, rows)


def evaluation_parts(found: Evaluation, path: str, commands: Sequence[str]) -> list[Part]:
    """Tells how good a network is, class by class and on harder images, and how sure that is."""
    parts: list[Part] = [class_table(found.classes)]
    if found.robustness:
        parts += _robustness(found.robustness)
    if isinstance(found, EnsembleEvaluation):
        parts += _members(found)
    accuracy = Score(f"{found.split} accuracy", found.accuracy, found.accuracy_interval, on="both")
    parts += [accuracy, *majority_notice(found.accuracy, found.balance)]
    return [*parts, Facts(_facts(found, path), on="both"), next_commands(commands)]


def _facts(found: Evaluation, path: str) -> list[Fact]:
    tones: dict[bool | None, Tone] = {True: "good", False: "careful", None: "careful"}
    same, calibration = found.same_as_run, found.calibration
    facts = [Fact("", one_line(same.sentence), tones[same.is_identical])]
    if found.looks_at_test:
        facts.append(Fact("", LOOKED, "careful"))
    if found.num_trained_on:
        known = "all" if found.num_trained_on == found.num_images else f"{found.num_trained_on:,}"
        facts.append(Fact("", f"{known} of these images were trained on: on others expect less", "careful"))
    images = f"{found.num_images:,} of the {found.split} split of {found.data}: {found.source}"
    loss = f"{loss_text(found.loss)} (cross-entropy), Brier score {calibration.brier_score:.4f}"
    facts += balance_facts(found.balance)
    facts += [Fact("loss", loss), Fact("calibration", _word_calibration(found))]
    facts += [Fact("latency", _word_latency(each)) for each in found.latency]
    facts += [
        Fact("images", f"{images}, SHA-256 {found.sha256[:8]}…"),
        Fact("run", one_line(found.run), "path"),
        Fact("written", path, "path"),
    ]
    return facts


def _word_calibration(found: Evaluation) -> str:
    measured = found.calibration
    error = f"ECE {percent(measured.expected_calibration_error)}"
    gap = measured.mean_confidence - found.accuracy
    tendency = "overconfident" if gap > 0 else "underconfident"
    mean = f"mean confidence {percent(measured.mean_confidence)}"
    return f"{error}; {mean}: {tendency} by {100 * abs(gap):.2f} points"


def _word_latency(each: Latency) -> str:
    low, middle, high = (
        f"{value:.3g}" for value in (each.ms_per_image_low, each.ms_per_image, each.ms_per_image_high)
    )
    batch = f"batches of {each.batch_size:,}" if each.batch_size > 1 else "one at a time"
    return f"{middle} ms an image, {batch} (quartiles {low} to {high}, {each.repeats:,} calls)"


def _robustness(found: Sequence[Robustness]) -> list[Part]:
    most = max(len(each.levels) for each in found)
    rows: list[Row] = []
    for each in found:
        blanks = [""] * (most - len(each.levels))
        severities = [f"{level.severity:g}" for level in each.levels]
        accuracies = [percent(level.accuracy, 1) for level in each.levels]
        rows.append(row(f"{each.distortion} ({each.unit})", *severities, *blanks, tone="quiet"))
        rows.append(row("  accuracy", *accuracies, *blanks))
    columns = [Column("distorted images", "words"), *[Column("")] * most]
    hint = f"Accuracy on {plural(found[0].num_images, 'image')} distorted, the same ones at every severity."
    return [Table("Distorted images", columns, rows, on="both"), Words(hint, "quiet", on="both")]


def _members(found: EnsembleEvaluation) -> list[Part]:
    rows = []
    for each in found.members:
        low, high = (f"{100 * bound:+.2f}" for bound in each.gain_interval)
        gain = f"{100 * each.gain:+.2f} points"
        run_id = one_line(each.run_id)
        rows.append(row(run_id, f"{each.num_params:,}", percent(each.accuracy), gain, f"{low} to {high}"))
    headings = ("parameters", "accuracy", "gain of the mean", "95% interval")
    columns = [Column("member", "words"), *map(Column, headings)]
    mean = (
        f"mean of {plural(len(found.members), 'member')} alone {percent(found.mean_member_accuracy)}, of "
        f"their probabilities {percent(found.accuracy)}: {100 * found.gain:+.2f} points; "
        f"{found.num_params:,} parameters in total"
    )
    parts: list[Part] = [
        Table("Members", columns, rows, source="members.csv", on="both"),
        Words(mean, on="both"),
    ]
    chosen = [one_line(each.run_id) for each in found.members if each.selected_on_test]
    if found.looks_at_test and chosen:
        words = f"optimistic: test images were used to choose an epoch: {', '.join(chosen)}"
        parts.append(Words(words, "careful", on="both"))
    return parts


def prediction_parts(
    pictures: Sequence[Picture],
    choices: Sequence[Sequence[Choice]],
    unread: Sequence[Unread],
    runs: Sequence[str],
    path: str,
    notes: Sequence[str] = (),
) -> list[Part]:
    """Tells what the network saw and what it took it for; `choices` are of each picture, likeliest first.

    Of several runs, the mean of their probabilities counts. `notes` are lines on what pictures were made
    into, and on files passed over.
    """
    parts: list[Part] = []
    if pictures:
        parts.append(Digits(list(map(_digit, pictures[:_MOST_DRAWN], choices[:_MOST_DRAWN])), on="both"))
    if len(pictures) > _MOST_DRAWN:
        parts.append(_prediction_table(pictures[_MOST_DRAWN:], choices[_MOST_DRAWN:]))
    parts += _doubtful(pictures)
    if unread:
        skipped = [
            Fact("skipped", f"{one_line(file_name(each.path))}: {one_line(each.reason)}") for each in unread
        ]
        parts.append(Facts(skipped, most=_MOST_UNREAD, on="both"))
    facts = [Fact("note", one_line(note)) for note in notes]
    counts = f"{plural(len(pictures), 'image')} predicted"
    if unread:
        counts += f", {len(unread):,} skipped (predictions.csv says why)"
    facts.append(Fact("images", counts))
    facts += [Fact("run" if len(runs) == 1 else "the mean of", one_line(run), "path") for run in runs]
    facts.append(Fact("written", path, "path"))
    return [*parts, Facts(facts, on="both")]


def _doubtful(pictures: Sequence[Picture]) -> list[Part]:
    """Names pictures that a single prediction cannot be right about, and those with more than a digit."""
    parts: list[Part] = []
    if several := [picture for picture in pictures if shows_several(picture.image)]:
        verbs = ("seems", "is") if len(several) == 1 else ("seem", "are")
        words = f"{verbs[0]} to show several objects, and {verbs[1]} read as one digit"
        parts.append(_name(words, several, "shows_several"))
    if surrounded := [picture for picture in pictures if picture.has_surroundings]:
        verb = "shows" if len(surrounded) == 1 else "show"
        words = f"{verb} a shadow or another object, which was ignored"
        parts.append(_name(words, surrounded, "shows_something_else"))
    return parts


def _name(words: str, pictures: Sequence[Picture], column: str) -> Words:
    names = ", ".join(one_line(file_name(each.path)) for each in pictures[:_MOST_UNREAD])
    hidden = len(pictures) - _MOST_UNREAD
    more = f" and {hidden:,} more ({column} in predictions.csv)" if hidden > 0 else ""
    return Words(f"{plural(len(pictures), 'image')} {words}: {names}{more}", "careful", on="both")


def _digit(picture: Picture, choices: Sequence[Choice]) -> Digit:
    name = _fit(one_line(file_name(picture.path).rpartition("/")[2]), WIDTH)
    return Digit(picture.image, [name, *map(word_choice, choices)])


def word_choice(choice: Choice) -> str:
    """Words a class below an image, its name cut so that its probability fits."""
    share = confidence(choice.probability)
    room = WIDTH - len(share) - 1
    return f"{_fit(one_line(choice.name), room):<{min(room, 4)}} {share:>6}"[:WIDTH]


def _fit(text: str, room: int) -> str:
    """Cuts a text in its middle, so that a file's number stays."""
    if len(text) <= room:
        return text
    end = (room - 1) // 2
    return f"{text[: room - 1 - end]}…{text[len(text) - end :]}"


def _prediction_table(pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> Table:
    """Lists the pictures that were not drawn, one a line."""
    rows = []
    for picture, found in zip(pictures, choices, strict=True):
        cells = [f"{one_line(choice.name)} {confidence(choice.probability)}" for choice in found]
        name = _fit(one_line(file_name(picture.path)), _LONGEST_NAME)
        rows.append(row(*[name, *cells, "", ""][:4]))
    columns = [Column(text, "words") for text in ("file", "prediction", "second", "third")]
    return Table("Predictions", columns, rows, source="predictions.csv", most=_MOST_LISTED, on="both")
