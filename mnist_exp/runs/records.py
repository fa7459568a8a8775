"""What a run leaves behind as data: one epoch, the summary, the manifest.

The field names are the names in `metrics.jsonl`, `summary.json` and `manifest.json`;
nothing else in the package spells them. Accuracies are fractions, durations seconds,
sizes bytes, times UTC in ISO 8601.
"""

from pathlib import Path
from typing import Literal

from msgspec import Struct

Status = Literal["running", "completed", "failed", "interrupted"]


class EpochMetrics(Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: 1 for the first.
        loss: Mean training objective over the epoch, label smoothing included.
        accuracy: Training accuracy while the weights were moving.
        val_loss: Cross-entropy on the validation images; null without any.
        val_accuracy: Accuracy on the validation images; null without any.
        learning_rate: The rate of the epoch's last step.
        duration_s: Seconds from the epoch's first step to the end of its validation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    duration_s: float


class Summary(Struct, frozen=True, kw_only=True):
    """`summary.json`: what a finished run came to.

    Attributes:
        test_accuracy: Accuracy of the best epoch's weights on the test images.
        test_accuracy_interval: 95% Wilson interval of that accuracy.
        test_loss: Cross-entropy on the test images.
        val_accuracy: The best epoch's; null without validation images.
        best_epoch: The epoch whose weights were scored, 1-based.
        epochs: Number of epochs trained.
        num_params: Number of weights, trained or not.
        train_s: Seconds of all epochs, validation included, compilation left out.
        seconds_per_epoch: Median seconds of an epoch's training steps alone.
        compile_s: Seconds spent tracing and compiling.
        peak_memory_bytes: The process's largest resident set.
        ms_per_image: Milliseconds an image when predicting the test images in batches.
        selected_on_test: Whether the best epoch was chosen on test images, or the network learnt from a
            teacher that knows them, which makes `test_accuracy` optimistic.
        data_notice: What a reader must know about the data; null when they are as named.
    """

    test_accuracy: float
    test_accuracy_interval: tuple[float, float]
    test_loss: float
    val_accuracy: float | None
    best_epoch: int
    epochs: int
    num_params: int
    train_s: float
    seconds_per_epoch: float
    compile_s: float
    peak_memory_bytes: int
    ms_per_image: float
    selected_on_test: bool
    data_notice: str | None


class ErrorRecord(Struct, frozen=True, kw_only=True):
    """Why a run failed: the exception's name, its message, and what to do."""

    type: str
    message: str
    hint: str


class GitRecord(Struct, frozen=True, kw_only=True):
    """The commit the code came from, and whether files had been changed since."""

    commit: str
    dirty: bool


Background = Literal["dark", "light"]


class DataRecord(Struct, frozen=True, kw_only=True):
    """Which images a run saw, known by their content.

    Attributes:
        name: The data set; `sample` when the bundled digits stood in for it.
        source: Where the arrays came from.
        notice: What a reader must know about them; null when they are as named.
        train_sha256: SHA-256 of the training images' bytes, then the labels'.
        test_sha256: The same for the test images; null while a search has not looked at them.
        split_sha256: SHA-256 of the indices of the validation images; null without any.
        num_train: Number of images trained on.
        num_validation: Number of images validated on.
        num_test: Number of test images.
        background: Of the training images, dark or light; null where they differ, or it was not recorded.
    """

    name: str
    source: str
    notice: str | None
    train_sha256: str
    test_sha256: str | None
    split_sha256: str | None
    num_train: int
    num_validation: int
    num_test: int
    background: Background | None = None


class EngineRecord(Struct, frozen=True, kw_only=True):
    """The engine that trained, and why it was chosen."""

    name: str
    reason: str


class EnvironmentRecord(Struct, frozen=True, kw_only=True):
    """What of a machine and a shell decides a result's last bits.

    Attributes:
        variables: Environment variables of TensorFlow, XLA and oneDNN that were set.
        processor: Its model, as the kernel calls it; null where unknown.
        vector_extensions: The processor's, as the kernel calls them, sorted; none where unknown.
    """

    variables: dict[str, str] = {}
    processor: str | None = None
    vector_extensions: list[str] = []


class Change(Struct, frozen=True, kw_only=True, rename={"now": "is"}):
    """A circumstance that is not as it was.

    Attributes:
        what: Such as `tensorflow` or `threads`.
        was: When the run was made.
        now: This time; `is` in the file.
    """

    what: str
    was: str
    now: str


class SweepPlace(Struct, frozen=True, kw_only=True):
    """A run's place in a sweep.

    Attributes:
        name: The sweep's.
        job: The run's number in `sweep.json`.
        jobs_at_once: How many of its jobs may have run on this machine at the same time; with more
            than one, seconds are not those of an idle machine.
    """

    name: str
    job: int
    jobs_at_once: int


class ResumeRecord(Struct, frozen=True, kw_only=True):
    """One time that a training was gone on with.

    Attributes:
        at: When, UTC.
        epoch: The last epoch finished before; 0 for none.
        epochs: The number of epochs planned from then on.
        versions: Of what decides the numbers, from then on.
        environment: The same; null for runs from before it was recorded.
    """

    at: str
    epoch: int
    epochs: int
    versions: dict[str, str]
    environment: EnvironmentRecord | None = None


class TeacherRecord(Struct, frozen=True, kw_only=True):
    """Whom a network learnt from; see `mnist_exp.training.distillation`.

    Attributes:
        run_id: The teacher's run.
        path: Its directory, as the configuration names it.
        sha256: SHA-256 of its `best.keras`.
        knows_test: Whether it is known to have been trained on test images, or chosen by them.
        notice: What a reader of the student's results must know about it; null for nothing.
    """

    run_id: str
    path: str
    sha256: str
    knows_test: bool
    notice: str | None


class Manifest(Struct, frozen=True, kw_only=True):
    """`manifest.json`: what was run, on what, and how it ended.

    Attributes:
        threads: Number of threads of one operation.
        inter_op_threads: Number of operations at the same time; null for runs from before it was recorded.
        environment: Null for runs from before it was recorded.
        not_drawn: A sentence for each picture that could not be drawn.
        working_dir: The folder that relative paths of `argv` and of the configuration start from; null in
            older ones.
    """

    run_id: str
    mode: str
    status: Status
    error: ErrorRecord | None
    started_at: str
    finished_at: str | None
    duration_s: float | None
    argv: list[str]
    seed: int
    engine: EngineRecord | None
    device: str | None
    threads: int | None
    inter_op_threads: int | None = None
    versions: dict[str, str]
    environment: EnvironmentRecord | None = None
    git: GitRecord | None
    data: DataRecord | None
    sweep: SweepPlace | None = None
    resumed: list[ResumeRecord] = []
    teacher: TeacherRecord | None = None
    not_drawn: list[str] = []
    working_dir: str | None = None

    @property
    def folder(self) -> Path | None:
        """`working_dir`, unless it can be none."""
        return Path(self.working_dir) if self.working_dir and Path(self.working_dir).is_absolute() else None
