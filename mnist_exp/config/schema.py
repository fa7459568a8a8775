"""The shape of every configuration: which keys there are, their types, units and bounds."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Seed = Annotated[int, Meta(ge=0, lt=2**31)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
PositiveCount = Annotated[int, Meta(ge=1, le=10_000_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(ge=0, lt=1)]
LearningRate = Annotated[float, Meta(gt=0, le=1000)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Meta(min_length=1)]
SplitName = Literal["test", "validation", "train"]
ClassWeight = Literal["none", "balanced"]


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A node of the configuration: immutable, and without room for unknown keys."""


class MirrorConfig(Node, frozen=True):
    """Where to download a data set.

    Attributes:
        url: A folder's address, `/` at its end.
        files: The names of its files, each with `algorithm:hex digest`.
    """

    url: str
    files: dict[str, str]


class DataConfig(Node, frozen=True):
    """Which images, where they come from, and how the validation images are set apart.

    Attributes:
        name: What reports call the images.
        path: A file or folder of a form that `mnist_exp.data.formats` reads;
            null looks at the environment variable `path_variable`, then at `places`.
        path_variable: Environment variable that stands in for `path`; null for none.
        places: Files or folders to look at when no path is given; `~` is the home
            folder, `{keras}` is Keras' own folder.
        mirrors: Where to download from when nothing is found, tried in order.
        on_missing: `sample` falls back to the bundled digits, `error` refuses.
        validation: Number of training images set apart for validation (0 for none), their share of
            all, or `test` to validate on the test images, as the original study did: every number
            that comes out of such a run is then marked as chosen on test images.
        split_seed: Seed of the stratified choice of validation images, held out ones and folds.
        class_names: Name of each label, 0 upwards.
        train_sha256: Fingerprint of the canonical training images and labels; null without any.
        test_sha256: The same for the test images.
        preprocessing: `deskew` makes slanted things upright; the saved network does this itself.
            Runs from before there was such a key are read as `none`.
        num_classes: As many as `class_names`; networks refer to it.
        image_shape: Height, width and 1; networks refer to it.
        size: Side in pixels that pictures are brought to; null for their commonest.
        folds: Number of stratified parts of the training images, for cross-validation; null without.
        fold: The part that takes the place of the test images, from 0.
    """

    name: Name
    path: Text | None
    path_variable: str | None
    places: list[Text]
    mirrors: list[MirrorConfig]
    on_missing: Literal["sample", "error"]
    validation: Count | Annotated[float, Meta(gt=0, lt=1)] | Literal["test"]
    split_seed: Seed
    class_names: list[str]
    train_sha256: str | None
    test_sha256: str | None
    preprocessing: Literal["none", "deskew"] = "none"
    num_classes: int | None = None
    image_shape: list[int] | None = None
    size: Annotated[int, Meta(ge=8, le=256)] | None = None
    folds: Annotated[int, Meta(ge=2, le=10_000_000)] | None = None
    fold: Count | None = None


class MlpConfig(Node, frozen=True, tag="mlp", tag_field="family"):
    """A multilayer perceptron: Flatten, hidden layers, softmax.

    Attributes:
        name: What reports call the network.
        units: Number of units of each hidden layer, first to last.
        activation: A Keras activation, for all hidden layers or one for each.
        batch_norm: Whether BatchNormalization follows each hidden layer's activation.
        dropout: Dropout rate after hidden layers, for all or one for each.
        input_dropout: Dropout rate on the pixels.
        input_noise: Standard deviation of Gaussian noise on the pixels, which go from 0 to 1; 0 for none.
        max_norm: Largest norm of the weights into a hidden unit (Srivastava et al. 2014); 0 for no limit.
            Averages of weights (`training.ema_momentum`) may lie a little above it.
    """

    name: Name
    units: list[Annotated[int, Meta(ge=1, le=1_000_000)]]
    activation: str | list[str]
    batch_norm: bool
    dropout: Rate | list[Rate]
    input_dropout: Rate
    input_noise: Fraction = 0.0
    max_norm: Annotated[float, Meta(ge=0, le=1000)] = 0.0


class SequentialConfig(Node, frozen=True, tag="sequential", tag_field="family"):
    """Any stack of Keras layers, named in YAML.

    Attributes:
        name: What reports call the network.
        layers: Each a name, or a mapping of one name to its arguments, which may refer by interpolation to
            the file's own keys.
        numbers: These own keys.
    """

    name: Name
    layers: list[str | dict[str, dict[str, Any] | None]]
    numbers: dict[str, Any]


ModelConfig = MlpConfig | SequentialConfig


class OptimizerConfig(Node, frozen=True):
    """Any optimizer that Keras registers.

    Attributes:
        name: As Keras knows it, such as `adamw`.
        learning_rate: What the schedule starts from or rises to.
        arguments: All others, as Keras names them.
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
    """The learning rate falls in steps.

    Attributes:
        every_epochs: Number of epochs of a step.
        factor: What the learning rate is multiplied by after each.
    """

    every_epochs: PositiveCount
    factor: Annotated[float, Meta(gt=0, le=1)]


class PlateauScheduleConfig(Node, frozen=True, tag="plateau", tag_field="name"):
    """The learning rate falls when `training.monitor` stops improving.

    Attributes:
        patience: Number of epochs without improvement.
        factor: What the learning rate is then multiplied by.
        min_learning_rate: It falls no further than this.
    """

    patience: PositiveCount
    factor: Annotated[float, Meta(gt=0, lt=1)]
    min_learning_rate: Annotated[float, Meta(ge=0, le=1000)]


ScheduleConfig = ConstantScheduleConfig | CosineScheduleConfig | StepScheduleConfig | PlateauScheduleConfig


class NoAugmentationConfig(Node, frozen=True, tag="none", tag_field="name"):
    """Training images as they are."""


class _AugmentationConfig(Node, frozen=True, kw_only=True):
    """What every change of the training images may begin and end with.

    Attributes:
        horizontal_flip: Whether half of the images, drawn at random, are mirrored left to right.
        cutout_pixels: Side of a square that is set to background, at a random place (DeVries and
            Taylor 2017); 0 for none.
    """

    horizontal_flip: bool = False
    cutout_pixels: Annotated[int, Meta(ge=0, le=28)] = 0


class ShiftConfig(_AugmentationConfig, frozen=True, tag="shift", tag_field="name"):
    """Each training image moved by whole pixels.

    Attributes:
        max_pixels: How far at most, on each axis.
    """

    max_pixels: Annotated[int, Meta(ge=1, le=8)]


class AffineConfig(_AugmentationConfig, frozen=True, tag="affine", tag_field="name"):
    """Each training image rotated, scaled, sheared and moved at random.

    Attributes:
        rotation_degrees: At most so far, either way.
        scale_fraction: At most so much larger or smaller, as a share of the image, each axis apart.
        shear_degrees: At most so far, either way.
        translation_pixels: At most so far, either way, on each axis.
    """

    rotation_degrees: Annotated[float, Meta(ge=0, le=180)]
    scale_fraction: Annotated[float, Meta(ge=0, le=0.9)]
    shear_degrees: Annotated[float, Meta(ge=0, le=60)]
    translation_pixels: Annotated[float, Meta(ge=0, le=14)]


class ElasticConfig(AffineConfig, frozen=True, tag="elastic", tag_field="name"):
    """What `affine` does, and each part of the image pulled another way, smoothly (Simard et al. 2003).

    Attributes:
        elastic_pixels: Standard deviation of how far a node of the grid is pulled on each axis.
        elastic_grid: Number of nodes of the grid on each axis: few bend the image, many crumple it.
    """

    elastic_pixels: Annotated[float, Meta(ge=0, le=14)]
    elastic_grid: Annotated[int, Meta(ge=2, le=28)]


AugmentationConfig = NoAugmentationConfig | ShiftConfig | AffineConfig | ElasticConfig


class Engine(StrEnum):
    """How an epoch is executed: see `mnist_exp.training.engine`."""

    AUTO = "auto"
    COMPILED = "compiled"
    GRAPH = "graph"
    KERAS = "keras"


class EarlyStoppingConfig(Node, frozen=True):
    """When a training ends before its last epoch.

    Attributes:
        patience: Number of epochs without an improvement by `min_delta`; 0 never stops early.
        min_delta: The least change of `training.monitor` that counts as an improvement.
    """

    patience: Count
    min_delta: Annotated[float, Meta(ge=0, le=1000)]


class TrainingConfig(Node, frozen=True):
    """How long, in which batches, and by which engine a network is trained.

    Attributes:
        epochs: How often the network sees all training images.
        batch_size: Number of images of a training step.
        label_smoothing: Share of each target spread evenly over all classes.
        ema_momentum: Momentum of the moving average of the weights; 0 keeps none.
        mixup: Alpha of the Beta distribution by which images mix in pairs (Zhang et al. 2018); 0: none.
        class_weight: `balanced` has every class count alike in the training objective.
        monitor: The metric that chooses the best epoch.
        direction: Whether a larger (`max`) or a smaller (`min`) monitor is better.
        engine: What executes an epoch: XLA (`compiled`), a TensorFlow `graph`, stock `keras`; `auto` chooses.
        threads: Number of threads of one operation; 0 uses every core.
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
    class_weight: ClassWeight = "none"


class ConfirmConfig(Node, frozen=True):
    """How the best trials and the untuned default are checked.

    Attributes:
        top: Number of trials that are trained again.
        seeds: Number of fresh seeds for each; 0 for no such check.
    """

    top: Annotated[int, Meta(ge=1, le=1000)]
    seeds: Annotated[int, Meta(ge=0, le=1000)]


class _TunerConfig(Node, frozen=True):
    """What every way of searching has: a goal and a budget.

    Attributes:
        objective: The metric whose value at a training's best epoch is its score.
        max_trials: The search ends after so many trials; null for no limit.
        max_minutes: The search ends after so many minutes; null for no limit.
        patience_trials: It ends after so many trials without a better score, failed ones counted; null never.
        epochs: Of a trial; the confirmation trains for `training.epochs`.
        executions_per_trial: Number of trainings of a trial, each on a seed of its own.
        workers: Number of trials at once on this machine; 0 for one a core.
        keep: Number of trials whose weights are kept.
    """

    objective: Literal["val_accuracy", "val_loss"]
    max_trials: PositiveCount | None
    max_minutes: Annotated[float, Meta(gt=0, le=1_000_000)] | None
    patience_trials: PositiveCount | None
    epochs: Annotated[int, Meta(ge=1, le=100_000)]
    executions_per_trial: Annotated[int, Meta(ge=1, le=1000)]
    workers: Annotated[int, Meta(ge=0, le=1024)]
    keep: Annotated[int, Meta(ge=1, le=1000)]
    confirm: ConfirmConfig


class RandomTunerConfig(_TunerConfig, frozen=True, tag="random", tag_field="name"):
    """Values drawn at random."""


class GridTunerConfig(_TunerConfig, frozen=True, tag="grid", tag_field="name"):
    """Every combination in order."""


class HyperbandTunerConfig(_TunerConfig, frozen=True, tag="hyperband", tag_field="name"):
    """Many short trials, the best of them again with more epochs (Li et al. 2018).

    Attributes:
        factor: Of each round, one trial in so many is trained again, with so many times the epochs.
        iterations: How often the whole procedure is run.
    """

    factor: Annotated[int, Meta(ge=2, le=100)]
    iterations: PositiveCount


class BayesianTunerConfig(_TunerConfig, frozen=True, tag="bayesian", tag_field="name"):
    """A Gaussian process over the trials so far proposes the next one (Snoek et al. 2012).

    Attributes:
        initial_trials: Number of random trials before the first proposal.
        alpha: Variance of the scores' noise, as the process assumes.
        beta: How much an uncertain region is worth exploring.
    """

    initial_trials: PositiveCount
    alpha: Annotated[float, Meta(gt=0, le=1)]
    beta: Annotated[float, Meta(ge=0, le=1000)]


TunerConfig = RandomTunerConfig | GridTunerConfig | HyperbandTunerConfig | BayesianTunerConfig


class NoTrackerConfig(Node, frozen=True, tag="none", tag_field="name"):
    """The run's own files, and no more."""


class TensorBoardTrackerConfig(Node, frozen=True, tag="tensorboard", tag_field="name"):
    """Event files in the run's directory, written as it trains."""


TrackerConfig = NoTrackerConfig | TensorBoardTrackerConfig


class Config(Node, frozen=True):
    """Everything that decides what a run does.

    Attributes:
        mode: What to do.
        seed: Seed of the initial weights, the shuffling, dropout, augmentation and the search.
        runs_dir: The folder that run directories are made in, and looked for in.
        sweep: Name of the folder in `runs_dir` for runs that belong together; null for none.
        resume: The directory of an interrupted run to resume, or `latest`; null for a new run.
        model: The network.
        schedule: How the learning rate changes while a network trains.
        augmentation: How training images are changed at random, anew in each epoch.
        tuner: How to search; null unless `mode` is `tune`.
        tracker: Who follows a training; it has no part in what comes of that.
        search_space: What to search, by dotted path; see `mnist_exp.tuning.search_space`.
    """

    mode: Literal["train", "tune"]
    seed: Seed
    runs_dir: Text
    sweep: Name | None
    resume: Text | None
    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    tuner: TunerConfig | None = None
    search_space: dict[str, Any] | None = None
    tracker: TrackerConfig = NoTrackerConfig()
