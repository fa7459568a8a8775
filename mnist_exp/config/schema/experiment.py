"""All of a run's configuration."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from mnist_exp.config.schema.augmentation import AugmentationConfig
from mnist_exp.config.schema.data import DataConfig
from mnist_exp.config.schema.model import ModelConfig
from mnist_exp.config.schema.optimizer import OptimizerConfig, ScheduleConfig
from mnist_exp.config.schema.training import TrainingConfig
from mnist_exp.config.schema.tuner import TunerConfig
from mnist_exp.config.schema.values import Name, Node, Seed


class Config(Node, frozen=True):
    """Everything that decides what a run does.

    Attributes:
        mode: What to do.
        seed: Seed of the initial weights, the shuffling, dropout, augmentation and the search.
        runs_dir: The folder that runs are made in.
        sweep: Name of the folder in `runs_dir` for runs that belong together; null for none.
        resume: The directory of an interrupted run to go on with; null for a new run.
        tuner: How to search; null unless `mode` is `tune`.
        search_space: What to search, by dotted path; see `mnist_exp.tuning.search_space`.
    """

    mode: Literal["train", "tune"]
    seed: Seed
    runs_dir: Annotated[str, Meta(min_length=1)]
    sweep: Name | None
    resume: str | None
    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    tuner: TunerConfig | None = None
    search_space: dict[str, Any] | None = None
