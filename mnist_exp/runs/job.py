"""What one run is to do, accepted and complete: by the command line, or as part of a sweep."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mnist_exp.config.overrides import plain_key
from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.runs import provenance, writer
from mnist_exp.runs.records import Manifest, SweepPlace
from mnist_exp.runs.run import Run, parse_config

SEARCH_BUDGET = ("tuner.max_trials", "tuner.max_minutes", "tuner.patience_trials")

_MAY_CHANGE = {
    "train": ("training.epochs", "data.path", "tracker"),
    "tune": (*SEARCH_BUDGET, "tuner.workers", "data.path", "tracker"),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to be.

    Attributes:
        given: Its directory itself, missing or empty; None for a new one in `folder`.
        search: For `mode=tune`: what is searched, frozen; None otherwise.
        sentences: What the user should know about how the request was understood.
        place: Its place in a sweep; None for a run of its own.
        launcher: What lends a search the places of its trials: as composed, with Hydra's own node; None for
            processes on this machine.
        is_repetition: Whether it does again what another run did, as for `mode=verify`.
    """

    config: Config
    tree: dict[str, Any]
    overrides: list[str]
    argv: list[str]
    folder: Path
    given: Path | None = None
    search: dict[str, Any] | None = None
    sentences: list[str] = field(default_factory=list)
    place: SweepPlace | None = None
    launcher: DictConfig | None = None
    is_repetition: bool = False

    @property
    def mode(self) -> str:
        """What its manifest calls it: a repetition is no result to choose or to compare."""
        return "verify" if self.is_repetition else self.config.mode

    @property
    def can_be_resumed(self) -> bool:
        """Whether `resume=` accepts it: a sweep is resumed as a whole, and a repetition not at all."""
        return self.place is None and not self.is_repetition

    @property
    def is_extended(self) -> bool:
        """Whether a search is resumed with another budget."""
        return any(plain_key(override) in SEARCH_BUDGET for override in self.overrides)


def open_run(job: Job) -> writer.RunDirectory:
    """Makes a job's directory and writes down what was requested.

    Raises:
        ConfigError: The folder cannot be written, or the given directory is in use.
    """

    def manifest(run_id: str) -> Manifest:
        return Manifest(
            run_id=run_id,
            mode=job.mode,
            status="running",
            error=None,
            started_at=provenance.utc_now(),
            finished_at=None,
            duration_s=None,
            argv=job.argv,
            seed=job.config.seed,
            engine=None,
            device=None,
            threads=None,
            versions=provenance.versions(),
            environment=provenance.environment(),
            git=provenance.git_record(),
            data=None,
            sweep=job.place,
            working_dir=_without_home(Path.cwd()),
        )

    label = f"{job.mode}_{job.config.model.name}"
    run = writer.create_run(job.folder, manifest, label, job.given)
    try:
        run.write_request(job.tree, job.overrides)
    except RunError as error:
        run.remove()
        raise ConfigError(f"runs_dir: {error.message}", error.hint) from error
    return run


def resumed_tree(run_path: Path, requested: dict[str, Any], typed: list[str]) -> dict[str, Any]:
    """Reads the configuration to resume a run with, other budgets included.

    Raises:
        ConfigError: The run cannot be resumed, or not with these overrides.
    """
    run = Run(run_path)
    planned, tree = parse_config(run), run.config
    accepted = _MAY_CHANGE[planned.mode]
    for override in typed:
        key = plain_key(override)
        if key in accepted:
            _copy(key.split("."), requested, tree)
        elif key != "resume" and override != f"mode={planned.mode}":
            raise ConfigError(
                f"{key}: {run_path} is resumed with its own configuration; this cannot be changed.",
                f"Accepted with mode={planned.mode} resume=…: {', '.join(accepted)}.",
            )
    if tree["training"]["epochs"] < planned.training.epochs:
        raise ConfigError(
            f"training.epochs: got {tree['training']['epochs']}; {run_path} has {planned.training.epochs}.",
            "They can be raised.",
        )
    return tree


def _copy(parts: list[str], source: dict[str, Any], target: dict[str, Any]) -> None:
    *groups, name = parts
    for group in groups:
        source, target = source[group], target[group]
    target[name] = source[name]


def _without_home(path: Path) -> str:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - never raises
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) else str(path)
