"""Where a search's processes are: Keras Tuner's environment variables, and this machine's cores."""

import os
from dataclasses import dataclass

from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.provenance import num_cores

_BYTES_PER_WORKER = 2_000_000_000


@dataclass(frozen=True)
class Workplace:
    """What Keras Tuner's variables say of this process.

    Attributes:
        name: KERASTUNER_TUNER_ID; empty for a search on this machine alone.
        host: KERASTUNER_ORACLE_IP: where the chief is.
        port: KERASTUNER_ORACLE_PORT; 0 for any free one.
    """

    name: str = ""
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def reachable_host(self) -> str:
        """Where processes on this machine find the chief."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host

    @property
    def is_worker(self) -> bool:
        """Whether this process works for a search that another one leads."""
        return self.name != "" and "chief" not in self.name

    @property
    def is_chief_of_others(self) -> bool:
        """Whether this process leads a search for workers started elsewhere."""
        return "chief" in self.name


def find_workplace() -> Workplace:
    """Reads Keras Tuner's three environment variables.

    Raises:
        ConfigError: Only some of them are set, or the port is no number.
    """
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    values = {name: os.environ.get(name, "") for name in names}
    missing = [name for name, value in values.items() if not value]
    if len(missing) == len(names):
        return Workplace()
    if missing:
        raise ConfigError(
            f"{missing[0]}: it is not set, and {next(name for name in names if values[name])} is.",
            "A search on several machines needs all three; on this machine alone, unset them.",
        )
    port = values["KERASTUNER_ORACLE_PORT"]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"KERASTUNER_ORACLE_PORT: got {port}; a port, 1 to 65535, is needed.")
    return Workplace(values[names[0]], values[names[1]], int(port))


def count_workers(config: Config, workplace: Workplace) -> int:
    """Says how many trials run at once on this machine: by default one a core, as far as memory goes."""
    assert config.tuner is not None
    if config.tuner.workers:
        return config.tuner.workers
    if workplace.is_chief_of_others:
        return 0
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    useful = min(num_cores(), memory // _BYTES_PER_WORKER, config.tuner.max_trials or num_cores())
    return max(useful, 1)


def count_threads(config: Config, num_workers: int) -> int:
    """Says how many threads each worker gets: its share of the cores unless `training.threads` says."""
    return config.training.threads or max(num_cores() // max(num_workers, 1), 1)
