"""The shape of what is no part of an experiment: a whole sweep's keys, and those of modes that read runs."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from mnist_exp.config.schema import Name, Node, Text

_Entries = list[dict[str, Any]]
What = Literal["last_checkpoints", "failed", "runs"]


class SweepPlanConfig(Node, frozen=True):
    """Which jobs a sweep has, beyond what the command line sweeps over.

    A job takes one combination of `grid`, one row of `zip` and one entry of `list`. Keys are dotted
    paths, or groups, whose values are names of their files; what is not given is empty.

    Attributes:
        grid: Every combination of these values.
        zip: The first values together, the second ones together, and so on: lists of one length.
        list: The values of one job after another.
        exclude: Jobs that have all values of one of these entries are left out.
        seeds: Number of seeds of each job, counted from `seed`; null for `seed` alone.
    """

    grid: dict[str, list[Any]] = {}
    zip: dict[str, list[Any]] = {}
    list: _Entries = []
    exclude: _Entries = []
    seeds: Annotated[int, Meta(ge=1, le=100_000)] | None = None


class NoUntilConfig(Node, frozen=True, tag="none", tag_field="name"):
    """All seeds that were asked for, and no more."""


class DecidedConfig(Node, frozen=True, tag="decided", tag_field="name"):
    """More seeds, one at a time, until each pair of configurations is decided.

    Attributes:
        by: What is compared; `test_accuracy` lets test images decide how many seeds there are.
        level: Chance of any wrong decision, over all pairs and looks.
        precision: A difference that is certainly smaller counts as none; percentage points.
        first_seeds: Number of seeds of each configuration before the first look.
        most_seeds: Number of seeds after which a pair stays open.
    """

    by: Literal["val_accuracy", "test_accuracy"]
    level: Annotated[float, Meta(gt=0, le=0.5)]
    precision: Annotated[float, Meta(gt=0, le=100)]
    first_seeds: Annotated[int, Meta(ge=2, le=1000)]
    most_seeds: Annotated[int, Meta(ge=2, le=1000)]


class SweepRequest(Node, frozen=True):
    """The keys of a whole sweep (`-m`), which are no part of any job's configuration.

    Attributes:
        plan: Whether to list the jobs and run nothing.
        rerun: Of a sweep that was begun: `unfinished` runs what is not completed, `failed` only what
            failed, `all` everything again.
        on_fail: `stop` starts no more jobs after one has failed.
        until: How many seeds each configuration is trained on, where that is not said beforehand.
    """

    plan: bool
    rerun: Literal["unfinished", "failed", "all"]
    on_fail: Literal["continue", "stop"]
    sweep_plan: SweepPlanConfig
    until: NoUntilConfig | DecidedConfig


class CompareOptions(Node, frozen=True):
    """How runs are compared.

    Attributes:
        sort: The column that sorts the table, best first: a column of `results.csv`, or a key that
            differs between the runs, such as `optimizer.learning_rate`.
        columns: The columns to show; null for those that say most.
        format: How the comparison is printed; all but `table` for programs.
    """

    sort: str = "val_accuracy"
    columns: list[str] | None = None
    format: Literal["table", "csv", "json", "markdown"] = "table"


class ExportOptions(Node, frozen=True):
    """What a network is exported to.

    Attributes:
        format: `onnx`, `litert`, `litert_int8` (8 bits), `saved_model`, `page` (to draw on), or `all`; null
            when not given.
    """

    format: str | None = None


class PublishOptions(Node, frozen=True):
    """How runs are copied into a tracker.

    Attributes:
        to: Which tracker; null when not given.
        project: MLflow's experiment, or W&B's project.
        files: Files that are copied too, by their path in a run's directory.
        unfinished: Whether failed and interrupted runs are copied, too.
    """

    to: Literal["mlflow", "wandb", "tensorboard"] | None = None
    project: Name = "mnist-exp"
    files: list[Text] = []
    unfinished: bool = False


class CleanOptions(Node, frozen=True):
    """What is cleared away.

    Attributes:
        what: Of completed runs the `last_checkpoints`, runs that have `failed`, or `runs` of any end; null
            when not given.
    """

    what: What | None = None


class KeepOptions(Node, frozen=True):
    """What stays.

    Attributes:
        best: So many runs of each sweep, and of those in none, by validation accuracy.
    """

    best: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class EvaluateOptions(Node, frozen=True):
    """How a run is evaluated.

    Attributes:
        robustness_images: At most so many are shifted, rotated, blurred and made noisy; 0 for none.
    """

    robustness_images: Annotated[int, Meta(ge=0, le=10_000_000)] = 2000


class PredictOptions(Node, frozen=True):
    """What a line of `predictions.csv` holds.

    Attributes:
        columns: Names of two columns, for the image and its predicted class, in place of all others;
            null for those that say most.
        first_id: Number of the first image of a file of images.
        probabilities: Whether each class has a column.
    """

    columns: Annotated[list[Text], Meta(min_length=2, max_length=2)] | None = None
    first_id: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    probabilities: bool = False
