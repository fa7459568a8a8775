"""A run's records as rich renderables: the plan, notices, the summary, a few digits.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.config.schema import AugmentationConfig, OptimizerConfig, ScheduleConfig
from mnist_exp.report.console import columns, render_facts, render_next, render_notice, render_parts
from mnist_exp.report.digits import prediction_lines
from mnist_exp.report.document import Digit, Digits
from mnist_exp.runs.records import DataRecord, EngineRecord, Summary
from mnist_exp.words import duration, loss_text, percent, plural, size


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of a model as a reader sees it.

    Attributes:
        name: The layer's name.
        kind: Its class, such as `Dense`.
        output_shape: Shape of its output without the batch.
        num_params: Number of its weights, trained or not.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    num_params: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is about to be trained.

    Attributes:
        model_name: The model's name.
        layers: Its layers, input side first.
        num_params: Number of weights, trained or not.
        num_trainable: Number of weights that are trained.
        data: The images.
        optimizer: As configured.
        schedule: As configured.
        augmentation: As configured.
        epochs: Number of epochs.
        batch_size: Number of images a step.
        engine: The engine and why it was chosen.
        seed: The run's seed.
        run_path: The run's directory as the user would type it.
    """

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


def render_plan(plan: Plan) -> RenderableType:
    """Shows what is about to be trained, on what, how, and where it goes."""
    data = plan.data
    counts = f"{data.num_train:,} train, {data.num_validation:,} validation, {data.num_test:,} test"
    engine = f"{plan.engine.name} ({plan.engine.reason})" if plan.engine.reason else plan.engine.name
    facts: list[tuple[str, str | Text]] = [
        ("data", f"{data.name}: {counts}"),
        ("", Text(data.source, style="bright_black")),
        ("optimizer", _describe_optimizer(plan.optimizer)),
        ("schedule", _describe(plan.schedule)),
        ("augmentation", _describe(plan.augmentation)),
    ]
    facts += [
        ("training", f"{plural(plan.epochs, 'epoch')}, batches of {plan.batch_size:,}"),
        ("engine", engine),
        ("seed", str(plan.seed)),
        ("run", Text(plan.run_path, style="cyan")),
    ]
    return Group(_render_layers(plan), render_facts(*facts), Text())


def _render_layers(plan: Plan) -> RenderableType:
    """Shows a model layer by layer, its parameters counted in the first line."""
    frozen = plan.num_params - plan.num_trainable
    total = f"{plan.num_params:,} parameters" + (f", {plan.num_trainable:,} trainable" if frozen else "")
    table = columns("layer", "kind", "output", "parameters", num_left=2)
    for layer in plan.layers:
        shape = " × ".join(map(str, layer.output_shape))
        count = Text(f"{layer.num_params:,}") if layer.num_params else Text("–", style="bright_black")
        table.add_row(Text(layer.name), Text(layer.kind), shape, count)
    return Group(Text.assemble((plan.model_name, "bold"), f"  {total}"), table)


def _describe(node: Struct) -> str:
    """Words a tagged part of the configuration: its name, then what is on and how much of it."""
    words = {key.replace("_", " "): value for key, value in asdict(node).items() if value}
    details = [key if value is True else f"{key} {value:g}" for key, value in words.items()]
    return ", ".join([str(node.__struct_config__.tag), *details])


def _describe_optimizer(optimizer: OptimizerConfig) -> str:
    """Words an optimizer: its name, its learning rate, and what else was given."""
    arguments = [f"{key.replace('_', ' ')} {value}" for key, value in optimizer.arguments.items()]
    return ", ".join([optimizer.name, f"learning rate {optimizer.learning_rate:g}", *arguments])


def render_summary(summary: Summary, run_path: str, next_commands: Sequence[str]) -> RenderableType:
    """Shows a finished run's result, what it must be read with, and what to do next.

    Args:
        run_path: The run's directory as the user would type it.
    """
    each = f"{duration(summary.seconds_per_epoch)} an epoch, {duration(summary.compile_s)} compiling"
    facts = render_facts(
        ("test accuracy", _word_accuracy(summary)),
        ("test loss", loss_text(summary.test_loss)),
        ("best epoch", _word_best(summary)),
        ("training", f"{duration(summary.train_s)}: {each}"),
        ("prediction", f"{summary.ms_per_image:.3g} ms an image"),
        ("size", f"{summary.num_params:,} parameters, {size(summary.peak_memory_bytes)} memory at peak"),
        ("run", Text(run_path, style="cyan")),
    )
    notice = [Text(), render_notice(summary.data_notice)] if summary.data_notice else []
    return Group(Text(), facts, *notice, *render_next(next_commands))


def _word_accuracy(summary: Summary) -> Text:
    """Words the test accuracy, its interval, and whether test images had a part in it."""
    low, high = (100 * bound for bound in summary.test_accuracy_interval)
    words = Text.assemble((percent(summary.test_accuracy), "bold green"), f" (95%: {low:.2f} to {high:.2f})")
    if summary.selected_on_test:
        words.append("\noptimistic: test images had a part in choosing its epoch", style="bold yellow")
    return words


def _word_best(summary: Summary) -> str:
    """Words the best epoch and its validation accuracy, if any."""
    best = f"{summary.best_epoch} of {summary.epochs}"
    if summary.val_accuracy is None:
        return f"{best}, without validation images"
    return f"{best}, validation accuracy {percent(summary.val_accuracy)}"


def render_digits(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
    count: int = 6,
) -> RenderableType:
    """Draws the first images side by side with prediction, confidence and a tick or cross.

    Args:
        images: uint8 (N, height, width), 0 background.
        labels: True classes (N,).
        probabilities: Class probabilities (N, C), rows summing to 1.
        class_names: The C names.
        count: Number of images to draw; 100 columns hold six, and a narrower screen shows fewer.
    """
    digits = []
    for image, label, row in zip(images[:count], labels, probabilities, strict=False):
        lines = prediction_lines(class_names[label], class_names[row.argmax()], float(row.max()))
        digits.append(Digit(image, lines))
    return render_parts([Digits(digits, is_one_row=True, on="both")])
