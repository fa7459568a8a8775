"""Optimizers and learning rates over time."""

from typing import Annotated, Any

from msgspec import Meta

from mnist_exp.config.schema.values import Fraction, LearningRate, Node, PositiveCount


class OptimizerConfig(Node, frozen=True):
    """A Keras optimizer.

    Attributes:
        name: Any optimizer that Keras registers, such as `adamw`.
        learning_rate: The rate that the schedule starts from or rises to.
        arguments: Everything else in the YAML file, as Keras names it.
    """

    name: str
    learning_rate: LearningRate
    arguments: dict[str, Any]


class ConstantScheduleConfig(Node, frozen=True, tag="constant", tag_field="name"):
    """The optimizer's learning rate throughout."""


class CosineScheduleConfig(Node, frozen=True, tag="cosine", tag_field="name"):
    """A linear warm-up, then half a cosine down (Loshchilov and Hutter 2017).

    Attributes:
        warmup_fraction: Share of all training steps spent rising from zero.
        final_fraction: The last learning rate as a share of the highest.
    """

    warmup_fraction: Fraction
    final_fraction: Fraction


class StepScheduleConfig(Node, frozen=True, tag="step", tag_field="name"):
    """The learning rate times `factor` after every `every_epochs` epochs."""

    every_epochs: PositiveCount
    factor: Annotated[float, Meta(gt=0, le=1)]


class PlateauScheduleConfig(Node, frozen=True, tag="plateau", tag_field="name"):
    """The learning rate times `factor` when `training.monitor` stops improving.

    Attributes:
        patience: Number of epochs without improvement that are borne.
        factor: What the learning rate is multiplied by.
        min_learning_rate: The rate never falls below this.
    """

    patience: PositiveCount
    factor: Annotated[float, Meta(gt=0, lt=1)]
    min_learning_rate: Annotated[float, Meta(ge=0, le=1000)]


ScheduleConfig = ConstantScheduleConfig | CosineScheduleConfig | StepScheduleConfig | PlateauScheduleConfig
