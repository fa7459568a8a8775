"""How long a job may take and how much it may keep: by what earlier runs took, or by arithmetic."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mnist_exp.config.schema import Config, TunerConfig
from mnist_exp.errors import ConfigError
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.runs.provenance import num_cores
from mnist_exp.runs.run import DamagedRun, Run, parse_config
from mnist_exp.sweeps.checking import Checked

_MOST_READ = 200

# Measured on two cores with all of MNIST, batches of 128: ann 0.20 s, bn_dnn 0.32 s, cnn 4 s an epoch.
_DENSE_PER_S = 1.04e11
_CONVOLUTION_PER_S = 2.3e10
_LAYER_STEP_S = 2.8e-5
_EPOCH_S = 0.05
_RUN_S, _LAYER_S, _COMPILED_LAYER_S = 1.7, 0.2, 0.3
_PROCESS_S = 5.0
_COMPILED_STEPS = 5_000
_BACKWARD = 3
"""A training step takes as many multiplications as three predictions."""

_PLOTS_BYTES, _WEIGHTS_PLOT_BYTES, _TEXT_BYTES, _EPOCH_BYTES = 400_000, 250_000, 15_000, 300
_PAGE_BYTES = 100_000
"""Of a page beyond the picture of weights that is in it again."""
_FLOAT_BYTES = 4
_SLOTS = {"sgd": 1, "rmsprop": 1, "adagrad": 1, "lion": 1}
_MOST_SLOTS = 2


@dataclass(frozen=True)
class JobEstimate:
    """What a job may take.

    Attributes:
        seconds: Of its process; None where that is unknown.
        num_bytes: Of its directory.
        num_earlier: Number of earlier runs that this goes by; 0 for arithmetic.
    """

    seconds: float | None
    num_bytes: int
    num_earlier: int


@dataclass(frozen=True)
class _Pace:
    """What an epoch takes, and everything else in a run."""

    epoch_s: float
    rest_s: float
    num_earlier: int


def estimate_jobs(configs: Sequence[Config], checked: Sequence[Checked], runs_dir: Path) -> list[JobEstimate]:
    """Estimates every job of a sweep.

    Args:
        configs: The jobs'.
        checked: Of each job.
        runs_dir: Where earlier runs are.
    """
    wanted = {facts.network.num_params for facts in checked}
    earlier = _gather(_read_earlier(runs_dir, wanted))
    return [
        _estimate(
            config, facts, earlier.get(_kind(config, facts.data.num_train)) or _calculate(config, facts)
        )
        for config, facts in zip(configs, checked, strict=True)
    ]


def total_seconds(estimates: Iterable[JobEstimate], jobs_at_once: int) -> float:
    """Says how long jobs take, so many at once; those of unknown length take no time."""
    seconds = [estimate.seconds or 0.0 for estimate in estimates]
    return _PROCESS_S + max(sum(seconds) / jobs_at_once, max(seconds, default=0.0))


def _estimate(config: Config, facts: Checked, pace: _Pace) -> JobEstimate:
    training_s = pace.epoch_s * config.training.epochs + pace.rest_s
    seconds = training_s if config.tuner is None else _search_s(config.tuner, training_s, pace)
    return JobEstimate(seconds, _num_bytes(config, facts), pace.num_earlier)


def _search_s(tuner: TunerConfig, training_s: float, pace: _Pace) -> float | None:
    """Estimates a search as if all its trials had the untuned network."""
    workers = tuner.workers or num_cores()
    limits = [] if tuner.max_minutes is None else [60 * tuner.max_minutes]
    if tuner.max_trials is not None:
        trial_s = tuner.executions_per_trial * pace.epoch_s * tuner.epochs + pace.rest_s
        limits.append(math.ceil(tuner.max_trials / workers) * trial_s)
    num_confirmations = (tuner.confirm.top + 1) * tuner.confirm.seeds
    return min(limits) + math.ceil(num_confirmations / workers) * training_s if limits else None


def _calculate(config: Config, facts: Checked) -> _Pace:
    """Estimates by what a network computes."""
    network, num_train = facts.network, facts.data.num_train
    num_steps = math.ceil(num_train / config.training.batch_size)
    image_s = (
        network.dense_multiply_adds / _DENSE_PER_S + network.convolution_multiply_adds / _CONVOLUTION_PER_S
    )
    epoch_s = _BACKWARD * image_s * num_train + num_steps * network.num_layers * _LAYER_STEP_S + _EPOCH_S
    is_compiled = (
        not network.convolution_multiply_adds and num_steps * config.training.epochs >= _COMPILED_STEPS
    )
    layer_s = _LAYER_S + (_COMPILED_LAYER_S if is_compiled else 0)
    return _Pace(epoch_s, _RUN_S + layer_s * network.num_layers, 0)


def _num_bytes(config: Config, facts: Checked) -> int:
    """Estimates a run's directory: two checkpoints, the optimizer's state, predictions, plots, text."""
    network, data, training = facts.network, facts.data, config.training
    weights = network.num_params * _FLOAT_BYTES
    slots = _SLOTS.get(config.optimizer.name.lower(), _MOST_SLOTS) + bool(training.ema_momentum)
    weights_plots = 0 if network.convolution_multiply_adds else 2 * _WEIGHTS_PLOT_BYTES
    plots = _PLOTS_BYTES + _PAGE_BYTES + weights_plots
    predictions = data.num_test * (data.num_classes * _FLOAT_BYTES + 1)
    copies = 2 + slots if config.tuner is None else config.tuner.keep + config.tuner.confirm.seeds
    return weights * copies + predictions + plots + _TEXT_BYTES + _EPOCH_BYTES * training.epochs


def _kind(config: Config, num_train: int) -> bytes:
    """Puts runs together that take equally long an epoch."""
    same = (config.model, config.training.batch_size, config.augmentation, num_train)
    return msgspec.json.encode(same, order="deterministic")


def _gather(earlier: Iterable[tuple[bytes, float, float]]) -> dict[bytes, _Pace]:
    """Takes the medians of the runs of each kind."""
    found: dict[bytes, list[tuple[float, float]]] = {}
    for kind, epoch_s, rest_s in earlier:
        found.setdefault(kind, []).append((epoch_s, rest_s))
    return {kind: _median_pace(times) for kind, times in found.items()}


def _median_pace(times: list[tuple[float, float]]) -> _Pace:
    epoch_s, rest_s = (statistics.median(column) for column in zip(*times, strict=True))
    return _Pace(epoch_s, rest_s, len(times))


def _read_earlier(runs_dir: Path, wanted: set[int]) -> Iterator[tuple[bytes, float, float]]:
    """Reads the newest runs' kinds, seconds an epoch, and other seconds; damaged ones are passed over.

    Args:
        runs_dir: Where they are, in folders of their own or in those of sweeps and experiments.
        wanted: Numbers of weights; others are of no use.
    """
    for path in _newest(runs_dir):
        try:
            run = Run(path)
            if not run.is_training:
                continue
            manifest, summary = run.manifest, run.result
            if summary.num_params in wanted and summary.epochs > 0 and manifest.duration_s is not None:
                kind = _kind(parse_config(run), run.data.num_train)
                rest_s = max(0.0, manifest.duration_s - summary.train_s)
                yield kind, summary.train_s / summary.epochs, rest_s
        except (DamagedRun, ConfigError):
            continue


def _newest(runs_dir: Path) -> list[Path]:
    """Lists the directories of the newest runs."""
    dated = []
    for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}"):
        for path in runs_dir.glob(pattern):
            try:
                dated.append((path.stat().st_mtime, path.parent))
            except OSError:
                continue
    return [path for _, path in sorted(dated, reverse=True)[:_MOST_READ]]
