"""What a run, a search and a sweep keep in their JSON files; the field names are the names in the files."""

import os
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from mnist_exp.config.requests import DecidedConfig
from mnist_exp.statistics import ClassBalance

Status = Literal["running", "completed", "failed", "interrupted"]
Background = Literal["dark", "light"]
TestPart = Literal["official", "held_out", "fold"]
TrialStatus = Literal["completed", "failed", "stopped"]


class EpochMetrics(Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: 1 for the first.
        loss: Mean training objective over the epoch, label smoothing and class weights included.
        accuracy: Training accuracy while the weights were moving.
        val_loss: Cross-entropy on the validation images; like `val_accuracy`, null without any.
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
    """`summary.json`: the result of a finished run.

    Attributes:
        test_accuracy: Of the best epoch's weights; `test_loss` is cross-entropy.
        best_epoch: 1-based; `val_accuracy` is its own, null without validation images.
        num_params: Number of weights, trained or not.
        train_s: Seconds of all epochs, validation included, compilation left out.
        seconds_per_epoch: Median seconds of an epoch's training steps alone.
        peak_memory_bytes: The process's largest resident set.
        ms_per_image: Milliseconds an image when predicting the test images in batches.
        selected_on_test: Whether test images chose the best epoch, which makes `test_accuracy` optimistic.
        balanced_accuracy: Like both shares, as `statistics.ClassBalance` has it; null in older ones.
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
    balanced_accuracy: float | None = None
    majority_share: float | None = None
    minority_share: float | None = None

    @property
    def balance(self) -> ClassBalance | None:
        """How the test images are spread over the classes; None where it was not recorded."""
        if self.balanced_accuracy is None or self.majority_share is None or self.minority_share is None:
            return None
        return ClassBalance(self.balanced_accuracy, self.majority_share, self.minority_share)


class ErrorRecord(Struct, frozen=True, kw_only=True):
    """Why a run failed: the exception's name, its message, and what to do."""

    type: str
    message: str
    hint: str


class GitRecord(Struct, frozen=True, kw_only=True):
    """The commit the code came from, and whether files had been changed since."""

    commit: str
    dirty: bool


class FoldRecord(Struct, frozen=True, kw_only=True):
    """Which fold of the training images took the place of the test images.

    Attributes:
        fold: From 0.
        whole_sha256: SHA-256 of all training images' bytes, then the labels'; `num_images` counts them.
    """

    folds: int
    fold: int
    whole_sha256: str
    num_images: int | None = None


class DataDescription(Struct, frozen=True, kw_only=True):
    """What was understood of a data set's files.

    Attributes:
        kind: The form of the files, in words.
        image_shape: Height and width in pixels.
        counts: Images of each class, by `train`, `validation` and `test`, those that there are.
        notes: Sentences on what was made of the files, and what is odd about them.
    """

    kind: str = ""
    image_shape: list[int] = []
    class_names: list[str] = []
    counts: dict[str, list[int]] = {}
    notes: list[str] = []


class DataRecord(Struct, frozen=True, kw_only=True):
    """Which images a run saw, known by their content.

    Attributes:
        name: The data set; `sample` when the bundled digits stood in for it.
        notice: What a reader must know about them; null when they are as named.
        train_sha256: SHA-256 of the training images' bytes, then the labels'.
        test_sha256: The same for the test images; null while a search has not looked at them.
        split_sha256: SHA-256 of the indices of the validation images, or of the files' own ones; null
            without any.
        background: Of the training images, dark or light; null where they differ, or it was not recorded.
        test_part: The files' own test images, or training images in their place: a tenth `held_out`, or
            a `fold`.
        description: Null in older ones.
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
    test_part: TestPart = "official"
    fold: FoldRecord | None = None
    description: DataDescription | None = None


class EngineRecord(Struct, frozen=True, kw_only=True):
    """The engine that trained, and why it was chosen."""

    name: str
    reason: str


class EnvironmentRecord(Struct, frozen=True, kw_only=True):
    """What of a machine and a shell decides a result's last bits; the processor as its kernel calls it."""

    variables: dict[str, str] = {}
    processor: str | None = None
    vector_extensions: list[str] = []


class SweepPlace(Struct, frozen=True, kw_only=True):
    """A run's place in a sweep: its number in `sweep.json`.

    Where `jobs_at_once` is more than one, seconds are not those of an idle machine.
    """

    name: str
    job: int
    jobs_at_once: int


class ResumeRecord(Struct, frozen=True, kw_only=True):
    """One time that a training was resumed.

    Attributes:
        at: When, UTC.
        epoch: The last epoch finished before; 0 for none.
        epochs: The number of epochs planned from then on.
        environment: Null for runs from before it was recorded.
    """

    at: str
    epoch: int
    epochs: int
    versions: dict[str, str]
    environment: EnvironmentRecord | None = None


class Manifest(Struct, frozen=True, kw_only=True):
    """`manifest.json`: what was run, on what, and how it ended.

    Attributes:
        threads: Number of threads of one operation.
        inter_op_threads: Number of operations at the same time; like `environment`, null in older ones.
        not_drawn: A sentence for each picture that could not be drawn.
        working_dir: The folder that relative paths of `argv` and of the configuration start from, `~` for
            the home folder; null in older ones.
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
    not_drawn: list[str] = []
    working_dir: str | None = None

    @property
    def folder(self) -> Path | None:
        """`working_dir`, unless it can be none."""
        path = Path(os.path.expanduser(self.working_dir or ""))  # noqa: PTH111 - never raises
        return path if path.is_absolute() else None


class PublishedRecord(Struct, frozen=True, kw_only=True):
    """One entry of `published.json`: a tracker that has a copy of the run.

    Attributes:
        where: The tracker's address or folder.
        name: What the tracker calls the copy.
        at: When, UTC.
        files: What was asked for beside parameters, curves and results.
        status: How the run had ended by then, or `lost`.
    """

    to: str
    where: str
    project: str
    name: str
    at: str
    files: list[str]
    status: str = "completed"


class ExecutionRecord(Struct, frozen=True, kw_only=True):
    """One training of a trial's network.

    Attributes:
        score: The objective at the best epoch.
        best_epoch: 1-based.
        compile_s: Seconds spent tracing and compiling; 0 when a compiled function was used again.
        metrics: A row an epoch, as in `metrics.jsonl`.
    """

    seed: int
    score: float
    best_epoch: int
    train_s: float
    seconds_per_epoch: float = 0.0
    compile_s: float
    metrics: list[EpochMetrics]


class TrialRecord(Struct, frozen=True, kw_only=True):
    """One line of `trials.jsonl`: a configuration that was tried, and its result.

    Attributes:
        trial: 0 for the first; in the order in which trials were started.
        status: `failed` with an `error`; `stopped` when the budget ended it before its last epoch.
        score: Mean of its executions' scores; null unless completed.
        values: What was chosen, by the names of the search space, inactive ones left out: a
            dotted path, `<list>.length`, or `<list>.<position>` for one entry of a list.
        num_params: Number of weights; null where no network could be built.
    """

    trial: int
    status: TrialStatus
    score: float | None
    values: dict[str, Any]
    epochs: int
    num_params: int | None
    started_at: str
    finished_at: str
    duration_s: float
    worker: str
    executions: list[ExecutionRecord]
    error: ErrorRecord | None


class ConfirmationRecord(Struct, frozen=True, kw_only=True):
    """One line of `confirmed.jsonl`: `default` or `trial_<number>` trained again on a fresh seed."""

    candidate: str
    seed: int
    status: TrialStatus
    num_params: int | None
    execution: ExecutionRecord | None
    error: ErrorRecord | None


class CandidateRecord(Struct, frozen=True, kw_only=True):
    """A candidate's line in the report: what the search thought of it, and what held.

    Attributes:
        candidate: `default` for the untuned configuration, else `trial_<number>`.
        values: As of the trial; empty for the default.
        search_score: The trial's score; null for the default.
        search_interval: 95% Wilson interval of it; null unless it is an accuracy.
        confirmed_scores: The objective at the best epoch, one for each fresh seed; null mean without any.
        confirmed_interval: 95% t interval of that mean; null with fewer than two seeds.
        train_s: Median seconds of one training.
    """

    candidate: str
    values: dict[str, Any]
    num_params: int | None
    search_score: float | None
    search_interval: tuple[float, float] | None
    confirmed_scores: list[float]
    confirmed_score: float | None
    confirmed_interval: tuple[float, float] | None
    train_s: float


class SearchSummary(Summary, frozen=True, kw_only=True):
    """`summary.json` of a search: that of the winner's best network, and how it was found.

    Attributes:
        num_trials: Number of trials of every status.
        search_s: Seconds from the search's start to its last trial, interruptions left out.
        candidates: Best confirmed first.
        winner_test_accuracies: The winner's accuracy on the test images, one for each fresh seed.
        difference: Winner's confirmed mean minus the default's; null where the default won.
        difference_interval: 95% interval of it (Welch), wider for the choice among several candidates
            (Bonferroni); null with fewer than two seeds.
    """

    objective: str
    num_trials: int
    num_completed: int
    search_s: float
    ended_by: str
    winner: str
    candidates: list[CandidateRecord]
    winner_test_accuracies: list[float]
    difference: float | None
    difference_interval: tuple[float, float] | None
    verdict: str


class SweepJob(Struct, frozen=True, kw_only=True):
    """One job of a sweep.

    Attributes:
        number: 0 for the first.
        name: Its directory in the sweep's: words of how it differs from the others, then a hash of its
            configuration. Letters, digits, `_`, `.` and `-` only.
        overrides: What would be typed to run it alone, the sweep's own keys left out.
        varied: What tells it from the others: key to value, as composed.
        config: Its whole configuration, resolved, as `config.yaml` holds it.
        search: For `mode=tune`: what is searched, frozen; null otherwise.
    """

    number: int
    name: str
    overrides: list[str]
    varied: dict[str, Any]
    config: dict[str, Any]
    search: dict[str, Any] | None
    num_params: int


class SweepRecord(Struct, frozen=True, kw_only=True):
    """`sweep.json`.

    Attributes:
        created_at: UTC, ISO 8601.
        git: The code's commit; null outside a repository.
        working_dir: The folder that relative paths of the configuration start from.
        cores_per_job: How many cores each job may use, so that the bits do not depend on what runs
            beside it; 0 for all of a machine's.
        until: When its pairs of configurations are decided; null for a sweep that runs all its jobs.
        boundaries: Of its looks; see `comparison.sequential`.
    """

    name: str
    created_at: str
    argv: list[str]
    versions: dict[str, str]
    git: GitRecord | None
    working_dir: str
    cores_per_job: int
    jobs: list[SweepJob]
    until: DecidedConfig | None = None
    boundaries: list[float] = []
