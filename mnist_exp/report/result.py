"""What a training is about to do, and its result: accuracy, what makes it doubtful, numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray

from mnist_exp.config.schema import AugmentationConfig, OptimizerConfig, ScheduleConfig
from mnist_exp.evaluation.results import ClassScores
from mnist_exp.report.digits import prediction_lines
from mnist_exp.report.document import (
    Column,
    Digit,
    Digits,
    Fact,
    Facts,
    Notice,
    Part,
    Score,
    Table,
    Words,
    next_commands,
    row,
)
from mnist_exp.runs.records import DataRecord, EngineRecord, SearchSummary, Summary
from mnist_exp.statistics import ClassBalance, mean_interval
from mnist_exp.words import duration, loss_text, percent, plural, size

_MOST_LAYERS, _MOST_CLASSES, _FEW_CLASSES = 500, 26, 10


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of a model; the shape of its output is without the batch."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    num_params: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is about to be trained; `run_path` is as the user would type it."""

    model_name: str
    layers: Sequence[LayerRow]
    num_params: int
    num_trainable: int
    data: DataRecord
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augmentation: AugmentationConfig
    epochs: int
    batch_size: int
    engine: EngineRecord
    seed: int
    run_path: str


def plan_parts(plan: Plan) -> list[Part]:
    """Tells what is about to be trained, on what, how, and where it goes."""
    total = f"{plan.num_params:,} parameters"
    if plan.num_trainable != plan.num_params:
        total += f", {plan.num_trainable:,} trainable"
    columns = [Column("layer", "words"), Column("kind", "words"), Column("output"), Column("parameters")]
    layers = []
    for layer in plan.layers:
        shape = " × ".join(map(str, layer.output_shape))
        layers.append(
            row(layer.name, layer.kind, shape, f"{layer.num_params:,}" if layer.num_params else "–")
        )
    data = plan.data
    counts = f"{data.num_train:,} train, {data.num_validation:,} validation, {data.num_test:,} test"
    facts = [
        Fact("data", f"{data.name}: {counts}"),
        Fact("data", data.source, "quiet"),
        *_description_facts(data),
        Fact("optimizer", _describe_optimizer(plan.optimizer)),
        Fact("schedule", _describe(plan.schedule)),
        Fact("augmentation", _describe(plan.augmentation)),
        Fact("training", f"{plural(plan.epochs, 'epoch')}, batches of {plan.batch_size:,}"),
        Fact("engine", plan.engine.name + (f" ({plan.engine.reason})" if plan.engine.reason else "")),
        Fact("seed", str(plan.seed)),
        Fact("run", plan.run_path, "path"),
    ]
    return [
        Words(f"{plan.model_name}  {total}", "strong", on="console"),
        Table("Layers", columns, layers, most=_MOST_LAYERS, on="console"),
        Facts(facts, on="console"),
    ]


def _description_facts(data: DataRecord) -> list[Fact]:
    """Tells in two lines what was understood of the files, and what is odd about them."""
    found = data.description
    if found is None:
        return []
    size = " × ".join(map(str, found.image_shape))
    polarity = {"dark": ", light on dark", "light": ", dark on light"}.get(data.background or "", "")
    counts = found.counts.get("train", [])
    names = ", ".join(found.class_names[:_FEW_CLASSES])
    more = ", …" if len(found.class_names) > _FEW_CLASSES else ""
    fewest, most = f"{min(counts):,}", f"{max(counts):,}"
    range_text = most if fewest == most else f"{fewest} to {most}"
    classes = f"{len(counts)}, {range_text} images to train on each"
    facts = [Fact("images", f"{found.kind}: {size}{polarity}"), Fact("classes", f"{classes}: {names}{more}")]
    if found.notes:
        facts.append(Fact("noted", " ".join(found.notes)))
    return facts


def _describe(node: Struct) -> str:
    words = {key.replace("_", " "): value for key, value in asdict(node).items() if value}
    details = [key if value is True else f"{key} {value:g}" for key, value in words.items()]
    return ", ".join([str(node.__struct_config__.tag), *details])


def _describe_optimizer(optimizer: OptimizerConfig) -> str:
    arguments = [f"{key.replace('_', ' ')} {value}" for key, value in optimizer.arguments.items()]
    return ", ".join([optimizer.name, f"learning rate {optimizer.learning_rate:g}", *arguments])


def result_parts(summary: Summary, run_path: str, commands: Sequence[str]) -> list[Part]:
    """Tells a finished training's result on the console, and what to do next."""
    facts = [Fact("compiling", duration(summary.compile_s)), Fact("run", run_path, "path")]
    return [
        score(summary),
        numbers(summary),
        Facts(facts, on="console"),
        *warnings(summary),
        next_commands(commands),
    ]


def score(summary: Summary) -> Score:
    """Gives the accuracy on test images: of a search, the winner's mean over fresh seeds."""
    value, interval = summary.test_accuracy, summary.test_accuracy_interval
    if isinstance(summary, SearchSummary) and summary.winner_test_accuracies:
        value = fmean(summary.winner_test_accuracies)
        of_mean = mean_interval(summary.winner_test_accuracies)
        if of_mean is not None:
            interval = max(of_mean[0], 0.0), min(of_mean[1], 1.0)
    return Score("test accuracy", value, interval, on="both")


def warnings(summary: Summary) -> list[Part]:
    """Says what a result must be read with."""
    found = majority_notice(summary.test_accuracy, summary.balance)
    if summary.selected_on_test:
        words = "It was chosen on the test images themselves: on other images expect less than this."
        found.append(Notice("Optimistic", words, on="both"))
    if summary.data_notice:
        found.append(Notice("About the data", summary.data_notice, on="both"))
    return found


def majority_notice(accuracy: float, balance: ClassBalance | None) -> list[Part]:
    """Says so where a network is no more accurate than no network at all."""
    if balance is None or not balance.majority_suffices(accuracy):
        return []
    share = percent(balance.majority_share)
    words = f"Always predicting the largest class would be right on {share} of these images."
    return [Notice("No more accurate than the majority class", words, "bad", on="both")]


def balance_facts(balance: ClassBalance | None) -> list[Fact]:
    """Lists what stands beside accuracy where classes differ in size."""
    if balance is None or not balance.is_uneven:
        return []
    return [
        Fact("balanced accuracy", percent(balance.balanced_accuracy)),
        Fact("majority class", f"{percent(balance.majority_share)} of images"),
    ]


def numbers(summary: Summary) -> Facts:
    """Lists the numbers of second interest."""
    validation = "none" if summary.val_accuracy is None else percent(summary.val_accuracy)
    memory = size(summary.peak_memory_bytes)
    if abs(summary.peak_memory_bytes) >= 10**15:
        memory = "out of range"
    facts = [
        *balance_facts(summary.balance),
        Fact("validation accuracy", validation),
        Fact("best epoch", f"{summary.best_epoch} of {summary.epochs:,}"),
        Fact("test loss", loss_text(summary.test_loss)),
        Fact("parameters", f"{summary.num_params:,}"),
        Fact("training", duration(summary.train_s)),
        Fact("per epoch", duration(summary.seconds_per_epoch)),
        Fact("prediction per image", f"{summary.ms_per_image:.3g} ms"),
        Fact("peak memory", memory),
    ]
    return Facts(facts, is_grid=True, on="both")


def first_digits(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
    count: int = 6,
) -> Digits:
    """Shows the first images side by side with prediction, confidence and a tick or cross.

    Args:
        images: uint8 (N, height, width), 0 background.
        labels: True classes (N,).
        probabilities: Class probabilities (N, C), rows summing to 1.
        count: 100 columns hold six, and a narrower screen shows fewer.
    """
    digits = []
    for image, label, chances in zip(images[:count], labels, probabilities, strict=False):
        lines = prediction_lines(class_names[label], class_names[chances.argmax()], float(chances.max()))
        digits.append(Digit(image, lines))
    return Digits(digits, is_one_row=True, on="console")


def class_table(classes: Sequence[ClassScores]) -> Table:
    """Lists precision, recall and F1, a class a line; the lowest F1 is marked."""
    known = {each.f1 for each in classes if each.f1 is not None}
    lowest = min(known) if len(known) > 1 else None
    headings = ("images", "right", "recall", "95% interval", "precision", "F1")
    rows = []
    for each in classes:
        interval = "–"
        if each.recall_interval is not None:
            interval = " to ".join(f"{100 * bound:.1f}" for bound in each.recall_interval)
        cells = [each.name, f"{each.num_images:,}", f"{each.num_right:,}", _share(each.recall), interval]
        cells += [_share(each.precision), _share(each.f1)]
        is_lowest = lowest is not None and each.f1 == lowest
        rows.append(row(*cells, tone="careful" if is_lowest else ""))
    columns = [Column("class", "words"), *map(Column, headings)]
    return Table("Classes", columns, rows, source="per_class.csv", most=_MOST_CLASSES, on="both")


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)
