"""An evaluation as a document, and its figures."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mnist_exp.evaluation.results import EnsembleEvaluation, Evaluation, Latency, Robustness
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.report.document import (
    Column,
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
from mnist_exp.report.predictions import LOOKED
from mnist_exp.report.result import balance_facts, class_table, majority_notice
from mnist_exp.report.tables import to_csv
from mnist_exp.words import loss_text, one_line, percent, plural

if TYPE_CHECKING:
    from mnist_exp.evaluation.evaluating import Evaluated

_MEMBER_COLUMNS = (
    "run", "run_id", "model", "seed", "num_params", "accuracy", "loss", "num_trained_on", "selected_on_test",
    "gain",
)  # fmt: skip


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
