"""An evaluation as a rich renderable.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.evaluation.records import ClassScores, EnsembleEvaluation, Evaluation, Latency, Robustness
from mnist_exp.report.console import columns, plural, render_facts, render_next
from mnist_exp.report.ensemble_console import render_members
from mnist_exp.trial_words import one_line
from mnist_exp.words import loss_text, percent

_MOST_CLASSES = 26
_LOOKED = "the test images were looked at once more; choose nothing by this number"


def render_evaluation(found: Evaluation, path: str, next_commands: Sequence[str]) -> RenderableType:
    """Shows how good a network is, class by class and on harder images, and how sure that is.

    Args:
        found: What was measured.
        path: Where it was written to, as the user would type it.
        next_commands: Commands to try, each a line.
    """
    parts: list[RenderableType] = [_render_classes(found.classes)]
    if found.robustness:
        parts.append(_render_robustness(found.robustness))
    if isinstance(found, EnsembleEvaluation):
        parts.append(render_members(found))
    facts = render_facts(
        (f"{found.split} accuracy", _word_accuracy(found)),
        ("", _word_sameness(found)),
        *([("", Text(_LOOKED, style="yellow"))] if found.looks_at_test else []),
        *([("", Text(_word_known(found), style="bold yellow"))] if found.num_trained_on else []),
        ("loss", f"{loss_text(found.loss)} (cross-entropy), Brier score {found.calibration.brier_score:.4f}"),
        ("calibration", _word_calibration(found)),
        ("latency", Text("\n".join(map(_word_latency, found.latency)))),
        ("images", f"{found.split} split of {found.data}: {found.source}, SHA-256 {found.sha256[:8]}…"),
        ("run", Text(one_line(found.run), style="cyan")),
        ("written", Text(path, style="cyan")),
    )
    return Group(*parts, facts, *render_next(next_commands))


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
    """Says how far belief and truth are apart, and in which direction."""
    measured = found.calibration
    errors = (
        f"ECE {percent(measured.expected_calibration_error)} "
        f"(adaptive bins {percent(measured.adaptive_calibration_error)})"
    )
    gap = measured.mean_confidence - found.accuracy
    tendency = "too sure" if gap > 0 else "not sure enough"
    confidence = f"mean confidence {percent(measured.mean_confidence)}"
    return f"{errors}; {confidence}: {tendency}, by {100 * abs(gap):.2f} points"


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
    lowest = min(known, default=None)
    for each in classes[:_MOST_CLASSES]:
        is_worst = each.f1 is not None and each.f1 == lowest and len(known) > 1 and lowest < max(known)
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
