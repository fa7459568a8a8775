"""Whether jobs can be begun: their images are there, their networks can be built."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mnist_exp.config.schema import Config, DataConfig
from mnist_exp.data.dataset import SPLITS, find_source
from mnist_exp.data.locating import Progress
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.processes.child import explain_end, wait_for_any
from mnist_exp.processes.messages import Checked as Reply
from mnist_exp.processes.messages import CheckNetworks, Network, NetworkFacts, Refusal
from mnist_exp.processes.places import LocalPlace
from mnist_exp.sweeps.network_facts import known_facts

_POLL_S = 1.0


@dataclass(frozen=True)
class DataFacts:
    """What is known of images before they are read.

    Attributes:
        image_shape: Height and width.
        num_classes: Number of labels.
        num_train: Number of images to train on.
        num_validation: Number of images to validate on.
        num_test: Number of test images.
        notice: What a reader must know about them; None when they are as named.
    """

    image_shape: tuple[int, int]
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    notice: str | None


@dataclass(frozen=True)
class Checked:
    """A job that can be begun: its images are there, its network can be built."""

    network: NetworkFacts
    data: DataFacts


class Checker:
    """Checks jobs; networks are built by a worker process, which is started when it is needed.

    Args:
        progress: Told about downloads of images.

    Attributes:
        place: Where that process is; None while it was not needed.
    """

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

        Args:
            configs: The jobs'.

        Returns:
            In their order, what each job costs, or why it cannot be begun.

        Raises:
            ExperimentError: The worker process died.
        """
        results: dict[int, Checked | ConfigError] = {}
        to_build: dict[bytes, list[int]] = {}
        networks: list[Network] = []
        data = [self._data_of(config) for config in configs]
        for number, (config, facts) in enumerate(zip(configs, data, strict=True)):
            if isinstance(facts, ConfigError):
                results[number] = facts
            elif known := known_facts(config.model, config.optimizer, facts.image_shape, facts.num_classes):
                results[number] = Checked(known, facts)
            else:
                network = _network(config, facts)
                jobs = to_build.setdefault(msgspec.json.encode(network), [])
                if not jobs:
                    networks.append(network)
                jobs.append(number)
        for jobs, built in zip(to_build.values(), self._build(networks), strict=True):
            for number in jobs:
                results[number] = _together(data[number], built)
        return [results[number] for number in range(len(configs))]

    def _data_of(self, config: Config) -> DataFacts | ConfigError:
        """Looks for a job's images."""
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
        num_images, num_test = source.num_images("train"), source.num_images("test")
        num_validation = 0 if source.validation == "test" else source.validation
        height, width = source.arrays["x_train"].shape[1:]
        return DataFacts(
            image_shape=(height, width),
            num_classes=len(source.class_names),
            num_train=num_images - num_validation,
            num_validation=num_test if source.validation == "test" else num_validation,
            num_test=num_test,
            notice=source.notice,
        )

    def _build(self, networks: list[Network]) -> list[NetworkFacts | Refusal]:
        """Has the worker process build networks."""
        if not networks:
            return []
        child = self.start().child
        child.send(CheckNetworks(networks))
        while (status := child.status()) is None:
            wait_for_any([child], _POLL_S)
            for reply in child.receive():
                if isinstance(reply, Reply):
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


def _together(data: DataFacts | ConfigError, network: NetworkFacts | Refusal) -> Checked | ConfigError:
    if isinstance(data, ConfigError):
        return data
    if isinstance(network, Refusal):
        return ConfigError(network.message, network.hint)
    return Checked(network, data)
