"""How long, by which engine and against which targets a network is trained."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from mnist_exp.config.schema.values import Count, Node, Rate


class Engine(StrEnum):
    """How an epoch is executed: see `mnist_exp.training.engine`."""

    AUTO = "auto"
    COMPILED = "compiled"
    GRAPH = "graph"
    KERAS = "keras"


class EarlyStoppingConfig(Node, frozen=True):
    """When to stop before the last epoch.

    Attributes:
        patience: Number of epochs without improvement that are borne; 0 never stops early.
        min_delta: The smallest change of `training.monitor` that counts as improvement.
    """

    patience: Count
    min_delta: Annotated[float, Meta(ge=0, le=1000)]


class TeacherConfig(Node, frozen=True):
    """Who is learnt from, beside the labels; see `mnist_exp.training.distillation`.

    Attributes:
        run: Directory of a finished run; null for nobody.
        weight: Share of the teacher's answers in the objective; the rest is that of the labels.
        temperature: What logits are divided by: above 1, the less likely classes count for more.
    """

    run: Annotated[str, Meta(min_length=1)] | None = None
    weight: Annotated[float, Meta(gt=0, le=1)] = 0.9
    temperature: Annotated[float, Meta(gt=0, le=1000)] = 2.0


class TrainingConfig(Node, frozen=True):
    """How long, in which batches, and by which engine a network is trained.

    Attributes:
        epochs: Number of passes over the training images.
        batch_size: Number of images a step.
        label_smoothing: Share of each target spread evenly over all classes.
        ema_momentum: Momentum of the moving average of the weights; 0 keeps none.
        mixup: Alpha of the Beta distribution by which images mix in pairs (Zhang et al. 2018); 0: none.
        monitor: The metric that chooses the best epoch.
        direction: Whether a larger (`max`) or a smaller (`min`) monitor is better.
        early_stopping: When to stop before the last epoch.
        engine: How an epoch is executed.
        threads: Number of threads of one operation; 0 uses every core.
        teacher: Who is learnt from, beside the labels.
    """

    epochs: Annotated[int, Meta(ge=1, le=100_000)]
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000)]
    label_smoothing: Rate
    ema_momentum: Rate
    monitor: Literal["accuracy", "loss", "val_accuracy", "val_loss"]
    direction: Literal["max", "min"]
    early_stopping: EarlyStoppingConfig
    engine: Engine
    threads: Annotated[int, Meta(ge=0, le=1024)]
    mixup: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    teacher: TeacherConfig = TeacherConfig()
