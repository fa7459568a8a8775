"""`mode=tune` as a worker: trains for a search that a chief on some machine leads."""

import sys
from pathlib import Path

import grpc

from mnist_exp import worker
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.processes.local_workers import Assignment
from mnist_exp.processes.workplace import Workplace, count_threads
from mnist_exp.report.terminal import Terminal
from mnist_exp.tuning.assignments import RUN


def join(config: Config, workplace: Workplace, terminal: Terminal) -> None:
    """Works until the search is over.

    Args:
        config: Says where this machine has the images, and how many threads to use; the rest is the
            chief's to say.
        workplace: Where the chief is.
        terminal: Told whom this works for.

    Raises:
        ConfigError: The chief's run directory or its images are not here.
        RunError: The chief does not answer.
    """
    from keras_tuner.src.distribute.oracle_client import OracleClient

    terminal.print(f"{workplace.name}: asking {workplace.host}:{workplace.port} for work")
    try:
        run_path = Path(OracleClient(None).get_space().values[RUN])
        if not run_path.is_dir():
            raise ConfigError(
                f"runs_dir: the chief's {run_path} is not to be seen from here.",
                "Give the chief a runs_dir in a folder that all machines share.",
            )
        terminal.print(f"{workplace.name}: working for {run_path}")
        assignment = Assignment(
            run_path=str(run_path),
            address=workplace.host,
            port=workplace.port,
            name=workplace.name,
            threads=count_threads(config, 1),
        )
        worker.employ(assignment, config.data).work(sys.maxsize)
        terminal.print(f"{workplace.name}: the search is over")
    except grpc.RpcError as error:
        raise RunError(f"{workplace.host}:{workplace.port}: the chief does not answer.") from error
