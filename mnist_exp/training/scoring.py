"""What a trained network is worth: its test accuracy and its summary."""

import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.backgrounds import find_background
from mnist_exp.data.dataset import Images, Source, TrainingData
from mnist_exp.data.description import describe
from mnist_exp.runs.records import DataRecord, EpochMetrics, FoldRecord, Summary
from mnist_exp.statistics import accuracy, class_balance, confusion_counts, cross_entropy, wilson_interval
from mnist_exp.training import networks
from mnist_exp.training.networks import EVALUATION_BATCH_SIZE


@dataclass(frozen=True, eq=False)
class Scored:
    """A plain Keras model with weights of the best epoch, 1-based; test probabilities float32 (N, C)."""

    network: keras.Model
    rows: Sequence[EpochMetrics]
    best_epoch: int
    probabilities: NDArray[np.float32]
    predict_s: float


def score(
    network: keras.Model, rows: Sequence[EpochMetrics], best_epoch: int, images: NDArray[np.uint8]
) -> Scored:
    """Lets a network, loaded from a checkpoint as anyone would load it, predict images, uint8 (N, H, W)."""
    # Compiled first, so that the clock sees predictions alone.
    networks.predict_probabilities(network, np.zeros_like(images[:EVALUATION_BATCH_SIZE]))
    started = time.perf_counter()
    probabilities = networks.predict_probabilities(network, images)
    return Scored(network, rows, best_epoch, probabilities, time.perf_counter() - started)


def data_record(source: Source, seen: TrainingData, test: Images | None) -> DataRecord:
    """Says which images a run saw, as they lie in files; `test` is None while it has not looked at them."""
    fold = None
    if source.fold is not None and seen.whole_sha256 is not None:
        folds, number = source.fold
        num_images = source.num_images("train") + source.num_images("test")
        fold = FoldRecord(folds=folds, fold=number, whole_sha256=seen.whole_sha256, num_images=num_images)
    notices = [notice for notice in (seen.notice, test and test.notice) if notice]
    return DataRecord(
        name=source.name,
        source=source.description,
        notice=" ".join(dict.fromkeys(notices)) or None,
        train_sha256=seen.train_sha256,
        test_sha256=None if test is None else test.sha256,
        split_sha256=seen.split_sha256,
        num_train=len(seen.training),
        num_validation=len(seen.validation or ()),
        num_test=source.num_images("test"),
        background=find_background(seen.training.images),
        test_part=source.test_part,
        fold=fold,
        description=describe(source, seen, test),
    )


def summarise(
    scored: Scored,
    labels: NDArray[np.uint8],
    *,
    seconds_per_epoch: float,
    compile_s: float,
    selected_on_test: bool,
    data_notice: str | None,
) -> Summary:
    """Puts a finished training's numbers together; labels of the test images, uint8 (N,)."""
    test_accuracy = accuracy(scored.probabilities, labels)
    counts = confusion_counts(scored.probabilities, labels, scored.probabilities.shape[1])
    balance = class_balance(counts.sum(axis=1).tolist(), counts.diagonal().tolist())
    return Summary(
        test_accuracy=test_accuracy,
        test_accuracy_interval=wilson_interval(round(test_accuracy * len(labels)), len(labels)),
        test_loss=cross_entropy(scored.probabilities, labels),
        val_accuracy=scored.rows[scored.best_epoch - 1].val_accuracy,
        best_epoch=scored.best_epoch,
        epochs=len(scored.rows),
        num_params=scored.network.count_params(),
        train_s=round(sum(row.duration_s for row in scored.rows), 3),
        seconds_per_epoch=seconds_per_epoch,
        compile_s=compile_s,
        peak_memory_bytes=peak_memory(),
        ms_per_image=1000 * scored.predict_s / len(labels),
        selected_on_test=selected_on_test,
        data_notice=data_notice,
        **asdict(balance),
    )


def peak_memory() -> int:
    """Says the largest resident set so far, in bytes: of this process or any of its children."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * 1024
