"""`mode=verify`: a finished training done again, to say whether it comes out identical."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import none_given, parse_tree, read_request, refuse_unused
from mnist_exp.config.schema import Config, Text
from mnist_exp.data.fingerprints import load_own_data, own_data_node
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.verification import verify
from mnist_exp.modes.execution import execute
from mnist_exp.report.terminal import Terminal
from mnist_exp.report.verification import render_verdict
from mnist_exp.runs import files, provenance
from mnist_exp.runs.finding import choose_run, read_finished
from mnist_exp.runs.folder import LOG
from mnist_exp.runs.job import Job
from mnist_exp.runs.run import Run, read_run, refused

_DATA_PATH = "data.path"
_VERIFICATION = "verification.json"


class VerifyRequest(Struct, frozen=True, kw_only=True):
    """What `mode=verify` reads; of `data`, the command line's node, `path` counts where it was typed.

    Attributes:
        run: `latest`, `best` (by validation accuracy), a directory; null when not given.
    """

    run: str | None
    runs_dir: Text
    data: dict[str, Any]
    typed: list[str] = []

    @property
    def names_images(self) -> bool:
        """Whether the command line says where the images are."""
        return any(plain_key(override) == _DATA_PATH for override in self.typed)


def accept(tree: dict[str, Any], typed: Sequence[str]) -> VerifyRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    accepted = f"run, runs_dir, {_DATA_PATH}"
    only = f"Only {_DATA_PATH} can be set: where the run's images are now."
    refuse_unused(typed, "verify", "trains a finished run again", accepted, also=[_DATA_PATH], only=only)
    request = read_request({**tree, "typed": list(typed)}, VerifyRequest)
    if not request.run:
        raise none_given("run", request.runs_dir, "mode=verify", "run=latest")
    return request


def run(request: VerifyRequest, terminal: Terminal, given: Path | None) -> int:
    """Trains a finished run again, in the directory `given`; None makes one.

    Returns:
        0 where the result is identical, 1 where it is not.

    Raises:
        ConfigError: There is no such run, it cannot be trained again, or its images are not here.
        RunError: Training failed, or a file could not be written.
        Interrupted: A stop was requested.
    """
    run, config = read_finished(choose_run(str(request.run), Path(request.runs_dir)))
    _refuse_other_modes(run)
    with refused("run: "):
        # Before anything is trained, so that a damaged run is refused at once.
        _ = run.arrays
    job = _job(run, config, request, given)
    load_own_data(run, job.config.data, terminal.download_progress)
    terminal.print(f"training again: {run.path}")
    path = execute(job, terminal)
    assert path is not None
    with refused("run: "):
        found = verify(run, read_run(path))
    files.write_json(path / _VERIFICATION, found)
    terminal.print(render_verdict(found))
    return 0 if found.identical else 1


def _refuse_other_modes(run: Run) -> None:
    mode = run.manifest.mode
    if mode == "tune":
        raise ConfigError(
            f"run: {run.path} is a search (mode=tune), not one training.",
            f"Train its winner by the command that ends {run.path / LOG}, then verify that run.",
        )
    if mode != "train":
        raise ConfigError(f"run: {run.path} was made by mode={mode}.", "Name a run of mode=train.")


def _job(run: Run, config: Config, request: VerifyRequest, given: Path | None) -> Job:
    """Repeats what the run did, with nothing left to this machine: engine, threads, images."""
    training = provenance.as_begun(config, run.manifest).training
    tree = run.config | {
        "runs_dir": request.runs_dir,
        "sweep": None,
        "resume": None,
        "tracker": {"name": "none"},
        "data": own_data_node(run, request.data["path"] if request.names_images else None),
        "training": run.config["training"] | {"engine": training.engine.value, "threads": training.threads},
    }
    return Job(
        config=parse_tree(tree),
        tree=tree,
        overrides=request.typed,
        argv=sys.argv[1:],
        folder=Path(request.runs_dir),
        given=given,
        is_repetition=True,
    )
