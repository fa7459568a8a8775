"""Whether a run's own result came out again, and if not, why."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.records import Sameness
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.report.console import plural
from mnist_exp.runs import predictions, provenance
from mnist_exp.runs.folder import RunFolder
from mnist_exp.runs.predictions import PredictionsError, read_predictions
from mnist_exp.runs.run import DamagedRun, RunResult
from mnist_exp.statistics import accuracy, cross_entropy
from mnist_exp.words import percent

_SHORT = 8

Probabilities = NDArray[np.float32]


def compare_with_run(
    run: RunResult,
    scored: ScoredSplit,
    probabilities: Probabilities,
    threads: int,
    device: str,
) -> Sameness:
    """Compares what a network says now with what the run wrote down.

    Args:
        run: Completed.
        scored: The images.
        probabilities: What the network says of them, float32 (N, C).
        threads: Number of threads of one operation now.
        device: `CPU` or `GPU`, now.
    """
    if (difference := _other_images(run, scored)) is not None:
        return Sameness(is_identical=None, sentence=difference)
    match scored.split:
        case "test":
            same = _compare_test(run, scored.seen.labels, probabilities)
        case "validation":
            same = _compare_validation(run, scored.seen.labels, probabilities)
        case "train":
            sentence = "not comparable: a run's training accuracy is measured while its weights move"
            return Sameness(is_identical=None, sentence=sentence)
    changes = provenance.changes_since(run.manifest, threads, device)
    if same.is_identical is False and changes:
        reasons = "; ".join(provenance.word(change, "{} {} then, {} now") for change in changes)
        return Sameness(is_identical=False, sentence=f"{same.sentence} ({reasons})")
    return same


def _other_images(run: RunResult, scored: ScoredSplit) -> str | None:
    """Says that these are not the images that the run saw; None when they are."""
    data = run.data
    own, kind = (data.test_sha256, "test") if scored.is_test else (data.train_sha256, "training")
    if own != scored.sha256:
        return (
            f"not the run's own {kind} images: {scored.source.name} with SHA-256 {scored.sha256[:_SHORT]}… "
            f"instead of {data.name} with {(own or 'none')[:_SHORT]}…"
        )
    if not scored.is_test and data.split_sha256 != scored.split_sha256:
        return "not the run's own validation split: other images of the same training set are set apart"
    return None


def _compare_test(run: RunResult, labels: NDArray[np.uint8], probabilities: Probabilities) -> Sameness:
    """Compares with `summary.json` and, where there is one, with `predictions.npz`."""
    now = accuracy(probabilities, labels), cross_entropy(probabilities, labels)
    then = run.result.test_accuracy, run.result.test_loss
    own = _read_probabilities(run, labels, probabilities.shape[1])
    if isinstance(own, str):
        same = "the same accuracy and loss as in summary.json" if now == then else _word_accuracies(now, then)
        return Sameness(is_identical=now == then, sentence=f"{same}; predictions.npz: {own}")
    if now == then and np.array_equal(own, probabilities):
        count = f"{len(labels):,} × {probabilities.shape[1]}"
        sentence = (
            f"identical to the run's own: accuracy, loss and all {count} probabilities, to the last bit"
        )
        return Sameness(is_identical=True, sentence=sentence)
    return Sameness(
        is_identical=False, sentence=f"{_word_accuracies(now, then)}; {_word_farthest(own, probabilities)}"
    )


def _compare_validation(run: RunResult, labels: NDArray[np.uint8], probabilities: Probabilities) -> Sameness:
    """Compares with the best epoch's validation accuracy, of which only the share is known."""
    then = run.result.val_accuracy
    if then is None:
        return Sameness(is_identical=None, sentence="not comparable: the run had no validation images")
    now = int((probabilities.argmax(axis=1) == labels).sum())
    own = round(then * len(labels))
    if now == own:
        sentence = f"identical to the run's best epoch: {now:,} of {plural(len(labels), 'image')} right"
        return Sameness(is_identical=True, sentence=sentence)
    return Sameness(is_identical=False, sentence=f"{now:,} right; the run's best epoch had {own:,}")


def _read_probabilities(run: RunResult, labels: NDArray[np.uint8], num_classes: int) -> Probabilities | str:
    """Reads what the run said of the same images; why not, where that cannot be had."""
    if not run.has_predictions:
        return "missing"
    try:
        with RunFolder(run.path) as folder:
            content = folder.read(predictions.NAME, predictions.MAX_BYTES)
        own = read_predictions(BytesIO(content))
    except (DamagedRun, PredictionsError) as error:
        return str(error)
    if own.num_classes != num_classes or not np.array_equal(own.labels, labels):
        return "holds other images' labels"
    # Its arrays are now known to be as large as these.
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return np.asarray(arrays["probabilities"], np.float32)


def _word_accuracies(now: tuple[float, float], then: tuple[float, float]) -> str:
    if now[0] == then[0]:
        return f"the same accuracy as the run's own; loss {now[1]:.9g} instead of {then[1]:.9g}"
    return f"not the run's own result: {percent(now[0])} instead of {percent(then[0])}"


def _word_farthest(own: Probabilities, now: Probabilities) -> str:
    farthest = float(np.abs(own.astype(np.float64) - now).max())
    num_changed = int((own.argmax(axis=1) != now.argmax(axis=1)).sum())
    return f"probabilities differ by up to {farthest:.1e}, {plural(num_changed, 'prediction')} by class"
