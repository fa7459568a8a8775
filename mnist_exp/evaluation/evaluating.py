"""Everything that is measured of one network on one split."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.evaluation_options import EvaluateOptions
from mnist_exp.data.overlap import TrainedOn
from mnist_exp.data.source import LabelledImages
from mnist_exp.evaluation.calibration import measure_calibration
from mnist_exp.evaluation.class_scores import macro_mean, score_classes
from mnist_exp.evaluation.distortions import choose_images, measure_robustness
from mnist_exp.evaluation.latency import measure_latency
from mnist_exp.evaluation.records import Evaluation, Robustness
from mnist_exp.evaluation.sameness import compare_with_run
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.runs import provenance
from mnist_exp.runs.moments import utc_now
from mnist_exp.runs.run import RunResult
from mnist_exp.statistics import accuracy, confusion_counts, wilson_interval
from mnist_exp.training import fitting
from mnist_exp.training.device import device_name


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What was measured.

    Attributes:
        record: What `evaluation.json` holds.
        probabilities: What the network says of the images, float32 (N, C).
        counts: Images by true class (rows) and predicted class (columns), (C, C).
    """

    record: Evaluation
    probabilities: NDArray[np.float32]
    counts: NDArray[np.int64]


def evaluate(
    run: RunResult,
    model_name: str,
    network: keras.Model,
    scored: ScoredSplit,
    options: EvaluateOptions,
    threads: int,
) -> Evaluated:
    """Measures a network on a split.

    Args:
        run: That the network is of.
        model_name: Its name in the run's configuration.
        network: Loaded, and known to fit the images.
        scored: The images.
        options: How.
        threads: Number of threads of one operation.
    """
    probabilities = fitting.predict_probabilities(network, scored.seen.images)
    measured, counts = measure(network, probabilities, scored, options, threads)
    record = Evaluation(
        run=str(run.path),
        run_id=run.manifest.run_id,
        model=model_name,
        num_trained_on=TrainedOn(scored.seen.images).count(run),
        same_as_run=compare_with_run(run, scored, probabilities, threads, device_name()),
        **measured,
    )
    return Evaluated(record, probabilities, counts)


def measure(
    network: keras.Model,
    probabilities: NDArray[np.float32],
    scored: ScoredSplit,
    options: EvaluateOptions,
    threads: int,
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Measures what does not depend on where a network comes from.

    Args:
        network: Known to fit the images.
        probabilities: What it says of them, float32 (N, C).
        scored: The images.
        options: How.
        threads: Number of threads of one operation.

    Returns:
        Fields of `Evaluation`, and images by true class (rows) and predicted class (columns), (C, C).
    """
    labels, names = scored.seen.labels, scored.source.class_names
    counts = confusion_counts(probabilities, labels, len(names))
    classes = score_classes(counts, names)
    calibration = measure_calibration(probabilities, labels)
    share = accuracy(probabilities, labels)
    measured = {
        "evaluated_at": utc_now(),
        "data": scored.source.name,
        "source": scored.source.description,
        "split": scored.split,
        "looks_at_test": scored.is_test,
        "sha256": scored.sha256,
        "data_notice": scored.notice,
        "num_images": len(labels),
        "accuracy": share,
        "accuracy_interval": wilson_interval(round(share * len(labels)), len(labels)),
        "loss": calibration.negative_log_likelihood,
        "calibration": calibration,
        "classes": classes,
        "macro_precision": macro_mean([each.precision for each in classes]),
        "macro_recall": macro_mean([each.recall for each in classes]),
        "macro_f1": macro_mean([each.f1 for each in classes]),
        "latency": measure_latency(network, scored.seen.images),
        "robustness": _measure_robustness(network, scored.seen, options.robustness_images),
        "device": device_name(),
        "threads": threads,
        "versions": provenance.versions(),
        "environment": provenance.environment(),
    }
    return measured, counts


def _measure_robustness(network: keras.Model, seen: LabelledImages, most: int) -> list[Robustness]:
    """Measures accuracy on at most so many images made harder; nothing where that is none."""
    if most == 0:
        return []
    chosen = choose_images(seen, most)
    return measure_robustness(chosen, lambda images: fitting.predict_probabilities(network, images))
