"""The shape of a configuration: every key, its type, its range and its meaning.

Defaults live in `conf/`; what is accepted lives here. Instances are immutable.

A key that came later has a default here too: what files that were written before it mean.
"""

from mnist_exp.config.schema.augmentation import (
    AffineConfig,
    AugmentationConfig,
    ElasticConfig,
    NoAugmentationConfig,
    ShiftConfig,
)
from mnist_exp.config.schema.data import DataConfig, MirrorConfig
from mnist_exp.config.schema.experiment import Config
from mnist_exp.config.schema.model import MlpConfig, ModelConfig, SequentialConfig
from mnist_exp.config.schema.optimizer import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    OptimizerConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
    StepScheduleConfig,
)
from mnist_exp.config.schema.sweep import SweepPlanConfig, SweepRequest
from mnist_exp.config.schema.training import EarlyStoppingConfig, Engine, TeacherConfig, TrainingConfig
from mnist_exp.config.schema.tuner import (
    BayesianTunerConfig,
    ConfirmConfig,
    GridTunerConfig,
    HyperbandTunerConfig,
    RandomTunerConfig,
    TunerConfig,
)

__all__ = [
    "AffineConfig",
    "AugmentationConfig",
    "BayesianTunerConfig",
    "Config",
    "ConfirmConfig",
    "ConstantScheduleConfig",
    "CosineScheduleConfig",
    "DataConfig",
    "EarlyStoppingConfig",
    "ElasticConfig",
    "Engine",
    "GridTunerConfig",
    "HyperbandTunerConfig",
    "MirrorConfig",
    "MlpConfig",
    "ModelConfig",
    "NoAugmentationConfig",
    "OptimizerConfig",
    "PlateauScheduleConfig",
    "RandomTunerConfig",
    "ScheduleConfig",
    "SequentialConfig",
    "ShiftConfig",
    "StepScheduleConfig",
    "SweepPlanConfig",
    "SweepRequest",
    "TeacherConfig",
    "TrainingConfig",
    "TunerConfig",
]
