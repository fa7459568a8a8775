"""Whether jobs can be begun: their images are there and as they were, their networks can be built."""

import functools
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config, DataConfig, MlpConfig, OptimizerConfig
from mnist_exp.data.dataset import SPLITS, find_source
from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.data.found import Progress
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.processes.child import explain_end, wait_for_any
from mnist_exp.processes.messages import CheckNetworks, Network, NetworksChecked, Refusal
from mnist_exp.processes.places import LocalPlace
from mnist_exp.runs.records import SweepJob
from mnist_exp.sweeps.directory import SweepDirectory

_POLL_S = 1.0
_CHANGES_SHAPE = {"glu"}
"""Activations whose output has another size than their input."""

_WEIGHTS_OF_BATCH_NORM = 4


@dataclass(frozen=True)
class DataFacts:
    """What is known of images before they are read: `image_shape` is (height, width).

    `notice` is what a reader must know about them; None when they are as named.
    """

    image_shape: tuple[int, int]
    num_classes: int
    num_train: int
    notice: str | None


@dataclass(frozen=True)
class Checked:
    """A job that can be begun: its network has so many weights, trained or not."""

    num_params: int
    data: DataFacts


class Checker:
    """Checks jobs; `place` is the worker process that builds networks, None while it was not needed."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._found: dict[bytes, DataFacts | ConfigError] = {}
        self.place: LocalPlace | None = None

    def start(self) -> LocalPlace:
        """Starts the worker process, unless it runs."""
        if self.place is None:
            self.place = LocalPlace()
        return self.place

    def close(self) -> None:
        """Ends the worker process, if there is one."""
        if self.place is not None:
            self.place.close()

    def check(self, configs: Sequence[Config]) -> list[Checked | ConfigError]:
        """Finds each job's images and builds its network.

        Returns:
            In the order of the jobs; an error says why one cannot be begun.

        Raises:
            ExperimentError: The worker process died.
        """
        data = [self._data_of(config) for config in configs]
        networks: dict[bytes, Network] = {}
        keys = []
        for config, facts in zip(configs, data, strict=True):
            network = _network(config, facts) if isinstance(facts, DataFacts) else None
            keys.append(msgspec.json.encode(network))
            if network is not None:
                networks[keys[-1]] = network
        built = self._build(networks)
        return [
            facts if isinstance(facts, ConfigError) else _together(facts, built[key])
            for facts, key in zip(data, keys, strict=True)
        ]

    def _data_of(self, config: Config) -> DataFacts | ConfigError:
        key = msgspec.json.encode(config.data)
        if key not in self._found:
            self._found[key] = self._find(config.data)
        return self._found[key]

    def _find(self, config: DataConfig) -> DataFacts | ConfigError:
        """Looks at the headers and labels of a data set; downloads it where it is missing."""
        try:
            source = find_source(config, progress=self._progress)
            for split in SPLITS:
                source.labels(split)
        except ConfigError as error:
            return error
        is_own = source.has_own_validation
        num_validation = 0 if is_own or source.validation == "test" else source.validation
        return DataFacts(
            image_shape=source.found.image_shape,
            num_classes=len(source.class_names),
            num_train=source.num_images("train") - num_validation,
            notice=source.notice,
        )

    def _build(self, networks: dict[bytes, Network]) -> dict[bytes, int | Refusal]:
        """Counts the weights of networks; has the worker process build those that only Keras can judge."""
        known = {key: known_num_params(network) for key, network in networks.items()}
        counted: dict[bytes, int | Refusal] = {}
        unknown = []
        for key, num_params in known.items():
            if num_params is None:
                unknown.append(key)
            else:
                counted[key] = num_params
        if unknown:
            counted |= zip(unknown, self._ask([networks[key] for key in unknown]), strict=True)
        return counted

    def _ask(self, networks: list[Network]) -> list[int | Refusal]:
        child = self.start().child
        child.send(CheckNetworks(networks))
        while (status := child.status()) is None:
            wait_for_any([child], _POLL_S)
            for reply in child.receive():
                if isinstance(reply, NetworksChecked):
                    return reply.results
        error = explain_end(status, child.last_words())
        raise ExperimentError(f"The networks could not be checked: {error.message.rstrip('.')}.")


def _network(config: Config, data: DataFacts) -> Network:
    return Network(
        model=config.model,
        optimizer=config.optimizer,
        ema_momentum=config.training.ema_momentum,
        image_shape=data.image_shape,
        num_classes=data.num_classes,
    )


def _together(data: DataFacts, network: int | Refusal) -> Checked | ConfigError:
    if isinstance(network, Refusal):
        return ConfigError(network.message, network.hint)
    return Checked(network, data)


def known_num_params(network: Network) -> int | None:
    """Counts an MLP's weights, where its optimizer is as it ships; None for what only Keras can judge."""
    model = network.model
    if not isinstance(model, MlpConfig) or not _is_shipped(network.optimizer):
        return None
    activations = model.activation if isinstance(model.activation, list) else [model.activation]
    if _CHANGES_SHAPE.intersection(activations):
        return None
    height, width = network.image_shape
    sizes = [height * width, *model.units, network.num_classes]
    kernels = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    normalised = _WEIGHTS_OF_BATCH_NORM * sum(model.units) if model.batch_norm else 0
    return kernels + sum(sizes[1:]) + normalised


def _is_shipped(optimizer: OptimizerConfig) -> bool:
    """Says whether an optimizer has its file's arguments, with values from 0 to 1, which Keras accepts."""
    names = _shipped_optimizers().get(optimizer.name)
    values = optimizer.arguments.values()
    is_plain = all(isinstance(value, float | int) and 0 <= value <= 1 for value in values)
    return names == optimizer.arguments.keys() and is_plain


@functools.cache
def _shipped_optimizers() -> dict[str, set[str]]:
    nodes = map(OmegaConf.load, sorted((CONF_DIR / "optimizer").glob("*.yaml")))
    return {str(node.name): {str(key) for key in node} - {"name", "learning_rate"} for node in nodes}


def check_same_images(sweep: SweepDirectory, jobs: Sequence[SweepJob]) -> None:
    """Raises ConfigError where the images that are found now are not those of completed jobs."""
    wanted = {_data_key(job): job for job in jobs}
    for job in sweep.record.jobs:
        state = sweep.state(job)
        seen = state.manifest.data if state.manifest and state.status == "completed" else None
        if seen is None or seen.test_sha256 is None:
            continue
        again = wanted.pop(_data_key(job), None)
        if again is not None and (other := find_other_images(seen, _fingerprints(sweep, again))) is not None:
            raise ConfigError(
                f"data: the {other} ({job.name} of this sweep).",
                "Give this sweep the same images (MNIST_EXP_DATA), or begin another one.",
            )


def _fingerprints(sweep: SweepDirectory, job: SweepJob) -> dict[Part, str | None]:
    """Reads the images that a job would see, from the folder that it would start in."""
    folder = sweep.record.working_dir
    with chdir(folder if Path(folder).is_dir() else Path.cwd()):
        source = find_source(parse_tree(job.config).data)
        return {"train": source.load("train").sha256, "test": source.load("test").sha256}


def _data_key(job: SweepJob) -> bytes:
    return msgspec.json.encode(job.config["data"], order="sorted")
