"""Everything that is measured of one network on one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.requests import EvaluateOptions
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.data.fingerprints import TrainedOn
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.distortions import choose_images, measure_robustness
from mnist_exp.evaluation.latency import measure_latency
from mnist_exp.evaluation.results import EnsembleEvaluation, Evaluation, MemberScores, Robustness, Sameness
from mnist_exp.evaluation.scores import macro_mean, measure_calibration, score_classes
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.evaluation.verification import compare_with_run
from mnist_exp.runs import provenance
from mnist_exp.runs.members import Member
from mnist_exp.runs.provenance import utc_now
from mnist_exp.runs.run import Run
from mnist_exp.statistics import (
    accuracy,
    confusion_counts,
    count_discordance,
    cross_entropy,
    paired_difference_interval,
    wilson_interval,
)
from mnist_exp.training import networks
from mnist_exp.training.device import device_name
from mnist_exp.training.loading import check_fit, load_network

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What was measured: `evaluation.json`, and probabilities, float32 (N, C).

    `counts` are images by true class (rows) and predicted class (columns), (C, C).
    """

    record: Evaluation
    probabilities: NDArray[np.float32]
    counts: NDArray[np.int64]


def evaluate(
    run: Run,
    model_name: str,
    network: keras.Model,
    scored: ScoredSplit,
    options: EvaluateOptions,
    threads: int,
) -> Evaluated:
    """Measures a network that is known to fit the images on a split."""
    probabilities = networks.predict_probabilities(network, scored.seen.images)
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
    if most == 0:
        return []
    chosen = choose_images(seen, most)
    return measure_robustness(chosen, lambda images: networks.predict_probabilities(network, images))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks in the order of the members, and a plain Keras model of their mean probabilities."""

    networks: list[keras.Model]
    average: keras.Model


def load_ensemble(
    members: Sequence[Member], shape: Sequence[int] | None, class_names: Sequence[str], name: str
) -> Ensemble:
    """Loads every member's network and builds their mean; one is its own mean.

    Averaging probabilities: Lakshminarayanan, Pritzel and Blundell 2017, "Simple and scalable predictive
    uncertainty estimation using deep ensembles".

    Raises:
        ConfigError: A file cannot be loaded, or does not fit the images.
    """
    networks = []
    for number, (run, _) in enumerate(members):
        network = load_network(run)
        shape = tuple(shape or network.input_shape[1:])
        try:
            check_fit(network, shape, class_names, name)
        except ConfigError as error:
            raise ConfigError(f"{error.message} ({run.path})", error.hint) from error
        # Keras wants the parts of a model to have names of their own.
        network.name = f"member_{number}"
        networks.append(network)
    if len(networks) == 1:
        return Ensemble(networks, networks[0])
    pixels = keras.Input(shape)
    mean = keras.layers.Average()([network(pixels) for network in networks])
    return Ensemble(networks, keras.Model(pixels, mean, name="ensemble"))


def evaluate_ensemble(
    members: Sequence[Member], ensemble: Ensemble, scored: ScoredSplit, options: EvaluateOptions, threads: int
) -> Evaluated:
    """Measures the mean of several networks on a split, and each of them beside it."""
    together = networks.predict_probabilities(ensemble.average, scored.seen.images)
    trained_on = TrainedOn(scored.seen.images)
    scores = [
        _score_member(run, config.model.name, network, together, scored, threads, trained_on)
        for (run, config), network in zip(members, ensemble.networks, strict=True)
    ]
    mean = float(np.mean([each.accuracy for each in scores]))
    measured, counts = measure(ensemble.average, together, scored, options, threads)
    record = EnsembleEvaluation(
        run=f"the mean of {len(members)} runs",
        run_id="ensemble",
        model="ensemble",
        num_trained_on=trained_on.count_any([run for run, _ in members]),
        same_as_run=_sameness(scores),
        members=scores,
        num_params=sum(each.num_params for each in scores),
        mean_member_accuracy=mean,
        gain=measured["accuracy"] - mean,
        **measured,
    )
    return Evaluated(record, together, counts)


def _score_member(
    run: Run,
    model_name: str,
    network: keras.Model,
    together: Probabilities,
    scored: ScoredSplit,
    threads: int,
    trained_on: TrainedOn,
) -> MemberScores:
    labels = scored.seen.labels
    alone = networks.predict_probabilities(network, scored.seen.images)
    is_right = [predicted.argmax(axis=1) == labels for predicted in (together, alone)]
    against = count_discordance(*is_right)
    return MemberScores(
        run=str(run.path),
        run_id=run.manifest.run_id,
        model=model_name,
        seed=run.manifest.seed,
        num_params=network.count_params(),
        accuracy=accuracy(alone, labels),
        accuracy_interval=wilson_interval(int(is_right[1].sum()), len(labels)),
        loss=cross_entropy(alone, labels),
        num_trained_on=trained_on.count(run),
        selected_on_test=run.result.selected_on_test,
        same_as_run=compare_with_run(run, scored, alone, threads, device_name()),
        gain=against.difference,
        gain_interval=paired_difference_interval(against),
    )


def _sameness(scores: Sequence[MemberScores]) -> Sameness:
    found = [each.same_as_run.is_identical for each in scores]
    # What is known to differ must not hide behind what cannot be compared.
    for is_identical in (False, None):
        if is_identical in found:
            other = scores[found.index(is_identical)]
            sentence = f"{other.run_id}: {other.same_as_run.sentence}"
            return Sameness(is_identical=is_identical, sentence=sentence)
    return Sameness(is_identical=True, sentence="every member's own result was reproduced")
