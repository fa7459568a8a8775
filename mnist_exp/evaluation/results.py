"""What `evaluation.json` holds: fractions, 95% intervals, milliseconds where a name says so."""

from msgspec import Struct

from mnist_exp.config.schema import SplitName
from mnist_exp.runs.records import EnvironmentRecord
from mnist_exp.statistics import ClassBalance, class_balance

Interval = tuple[float, float]


class ConfidenceBin(Struct, frozen=True, kw_only=True):
    """Images whose predictions were about equally confident.

    Attributes:
        low: The bin's lower edge; with equal counts, the lowest confidence in it.
        high: The upper edge, or the highest confidence.
        accuracy: Share of them that is right; like `confidence`, null without any.
        interval: Wilson interval of that share; null without any.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    interval: Interval | None


class Calibration(Struct, frozen=True, kw_only=True):
    """How far a network's confidence is from its accuracy.

    Attributes:
        expected_calibration_error: Over bins of equal width, a share.
        adaptive_calibration_error: Over bins of equal count, a share.
        negative_log_likelihood: Mean -log p(true class), nats.
        brier_score: Mean squared distance to the true class, 0 to 2.
        mean_confidence: Mean probability of the predicted class.
    """

    expected_calibration_error: float
    adaptive_calibration_error: float
    negative_log_likelihood: float
    brier_score: float
    mean_confidence: float
    equal_width: list[ConfidenceBin]
    equal_count: list[ConfidenceBin]


class ClassScores(Struct, frozen=True, kw_only=True):
    """How well one class is distinguished from the others.

    Attributes:
        precision: Share of its predictions that are right; null without any.
        recall: Share of its images that are found; null without any.
        recall_interval: Wilson interval of the recall; null without any.
        f1: Harmonic mean of precision and recall; null without images and predictions.
    """

    name: str
    num_images: int
    num_predicted: int
    num_right: int
    precision: float | None
    recall: float | None
    recall_interval: Interval | None
    f1: float | None


class Latency(Struct, frozen=True, kw_only=True):
    """How long one call of the compiled network takes: median and quartiles of so many calls, an image."""

    batch_size: int
    repeats: int
    ms_per_image: float
    ms_per_image_low: float
    ms_per_image_high: float


class Distorted(Struct, frozen=True, kw_only=True):
    """Accuracy on images that were made harder, with its Wilson interval; severity 0 leaves them."""

    severity: float
    accuracy: float
    interval: Interval


class Robustness(Struct, frozen=True, kw_only=True):
    """Accuracy against severities, mildest first, of a `shift`, `rotation`, `noise` or `blur` of images."""

    distortion: str
    unit: str
    num_images: int
    levels: list[Distorted]


class Sameness(Struct, frozen=True, kw_only=True):
    """Whether a run's own result came out again to the last bit; null where nothing can be compared."""

    is_identical: bool | None
    sentence: str


class Evaluation(Struct, frozen=True, kw_only=True):
    """`evaluation.json`: a network, scored on a split of a data set.

    Attributes:
        evaluated_at: UTC.
        looks_at_test: Whether these are the test images, which a choice must not be made by.
        sha256: SHA-256 of the images' bytes, then the labels'; of the whole training split where
            `split` is part of it.
        num_trained_on: How many of them the run was trained on, pixel for pixel; null where its
            training images are not on this machine.
        accuracy_interval: Wilson interval of it.
        loss: Cross-entropy, nats.
        macro_precision: Mean over classes that were predicted.
        macro_recall: Mean over classes that have images: balanced accuracy.
        macro_f1: Mean over classes that have either.
        device: `CPU` or `GPU`.
        threads: Number of threads of one operation.
        versions: Of Python and of what decides the numbers.
        environment: What else decides their last bits; null in files from before it was recorded.
    """

    run: str
    run_id: str
    model: str
    evaluated_at: str
    data: str
    source: str
    split: SplitName
    looks_at_test: bool
    sha256: str
    data_notice: str | None
    num_images: int
    num_trained_on: int | None
    accuracy: float
    accuracy_interval: Interval
    loss: float
    same_as_run: Sameness
    calibration: Calibration
    classes: list[ClassScores]
    macro_precision: float
    macro_recall: float
    macro_f1: float
    latency: list[Latency]
    robustness: list[Robustness]
    device: str
    threads: int
    versions: dict[str, str]
    environment: EnvironmentRecord | None = None

    @property
    def balance(self) -> ClassBalance:
        """How the images are spread over the classes."""
        num_images = [each.num_images for each in self.classes]
        return class_balance(num_images, [each.num_right for each in self.classes])


class MemberScores(Struct, frozen=True, kw_only=True):
    """One of several networks whose probabilities are averaged.

    Attributes:
        accuracy: Share that it gets right alone.
        accuracy_interval: Wilson interval of it.
        loss: Cross-entropy alone, nats.
        gain: The mean's accuracy less its own.
        gain_interval: 95% interval of that difference on these images (Newcombe 1998).
    """

    run: str
    run_id: str
    model: str
    seed: int
    num_params: int
    accuracy: float
    accuracy_interval: Interval
    loss: float
    num_trained_on: int | None
    selected_on_test: bool
    same_as_run: Sameness
    gain: float
    gain_interval: Interval


class EnsembleEvaluation(Evaluation, frozen=True, kw_only=True):
    """`evaluation.json` of the mean of several networks; `gain` is its accuracy less their mean accuracy."""

    members: list[MemberScores]
    num_params: int
    mean_member_accuracy: float
    gain: float
