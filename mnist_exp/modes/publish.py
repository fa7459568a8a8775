"""`mode=publish`: runs copied into a tracker, from their files alone; TensorFlow is not loaded."""

from collections.abc import Sequence
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.comparison.grouping import comparable_sets
from mnist_exp.config.commands import setting
from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.requests import PublishOptions
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError, RunError, explain
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import writer
from mnist_exp.runs.finding import find_runs
from mnist_exp.runs.folder import RunFolder
from mnist_exp.runs.provenance import utc_now
from mnist_exp.runs.records import PublishedRecord
from mnist_exp.runs.run import DamagedRun, Run, read_run
from mnist_exp.trackers.copies import RunCopy, Tracker
from mnist_exp.trackers.mlflow import MlflowTracker
from mnist_exp.trackers.tensorboard import TensorBoardTracker
from mnist_exp.trackers.wandb import WandbTracker
from mnist_exp.words import one_line, plural

_ACCEPTED = "runs, runs_dir, publish.to, publish.project, publish.files, publish.unfinished"


class PublishRequest(Struct, frozen=True, kw_only=True):
    """What `mode=publish` reads of a configuration.

    Attributes:
        runs: Folders, globs or sweeps; null when not given.
    """

    runs: str | list[Text] | None
    runs_dir: Text
    publish: PublishOptions


def accept(tree: dict[str, Any], typed: Sequence[str]) -> PublishRequest:
    """Checks a request.

    Raises:
        ConfigError: A key is not accepted, is of no use here, or is missing, or a package is.
    """
    refuse_unused(typed, "publish", "copies finished runs", _ACCEPTED)
    request = read_request(tree, PublishRequest)
    if not request.runs:
        everything = setting("runs", str(Path(escape(request.runs_dir), "*")))
        raise none_given("runs", request.runs_dir, "mode=publish", everything, "publish.to=tensorboard")
    to = request.publish.to
    if to is None:
        raise ConfigError("publish.to: got none.", "Accepted: mlflow, tensorboard, wandb.")
    for name in request.publish.files:
        if to == "tensorboard" or Path(name).is_absolute() or ".." in Path(name).parts:
            hint = "MLflow and W&B take files, by their paths in a run's directory."
            raise ConfigError(f"publish.files: got {one_line(name)} with publish.to={to}.", hint)
    if to != "tensorboard" and find_spec(to) is None:
        hint = f"Use uv run --with {to} mnist-exp …, or pip install 'mnist-exp[{to}]'."
        raise ConfigError(f"publish.to={to} needs {to}, which is not installed.", hint)
    return request


def run(request: PublishRequest, terminal: Terminal, _given: Path | None) -> None:
    """Copies each run that is not there yet as it ended, and notes in its directory that it is.

    Raises:
        ConfigError: A path is not there.
        RunError: The tracker failed; what was copied before is noted.
    """
    paths = find_runs(request.runs or [], Path(request.runs_dir))
    ended = _read_ended(paths, request.publish.unfinished, terminal)
    groups, tracker, num_copied = _groups(ended), _connect(request.publish), 0
    for each in ended:
        if not _is_there(each, request.publish, tracker):
            _publish(each, groups.get(each.path, ""), request.publish, tracker, terminal)
            num_copied += 1
    terminal.print(f"{plural(num_copied, 'run')} published to {request.publish.to}: {tracker.where}")
    if len(ended) > num_copied:
        terminal.print(f"{plural(len(ended) - num_copied, 'run')} left out: published there before")


def _read_ended(paths: Sequence[Path], with_unfinished: bool, terminal: Terminal) -> list[Run]:
    """Reads trainings and searches; says of others, and of damaged ones, that they are left out."""
    ended = []
    for path in paths:
        try:
            run = read_run(path)
            _ = run.read_published(), run.config
            with RunFolder(path) as folder:
                folder.refuse_links()  # what is written next would go where they lead
        except DamagedRun as error:
            terminal.print(f"left out: {error}")
            continue
        accepted = ("completed", "failed", "interrupted", "lost") if with_unfinished else ("completed",)
        if run.status in accepted and run.manifest.mode != "verify":
            ended.append(run)
        else:
            terminal.print(f"left out: {path} is {run.status} (mode={run.manifest.mode})")
    return ended


def _groups(ended: Sequence[Run]) -> dict[Path, str]:
    """Calls each completed training by what tells its recipe from those of the others."""
    labels: dict[Path, str] = {}
    for found in comparable_sets(each for each in ended if each.is_training):
        for group in found.groups:
            labels |= {each.path: group.label for each in (*group.runs, *group.duplicates)}
    return labels


def _connect(options: PublishOptions) -> Tracker:
    match options.to:
        case "mlflow":
            return MlflowTracker(options.project)
        case "wandb":
            return WandbTracker(options.project)
    return TensorBoardTracker()


def _is_there(run: Run, options: PublishOptions, tracker: Tracker) -> bool:
    for each in run.read_published():
        is_same = (each.to, each.where, each.project) == (options.to, tracker.where, options.project)
        if is_same and each.status == run.status and set(options.files) <= set(each.files):
            return True
    return False


def _publish(run: Run, group: str, options: PublishOptions, tracker: Tracker, terminal: Terminal) -> None:
    with RunFolder(run.path) as folder:
        files = [name for name in options.files if folder.size_of(name) is not None]
    for name in set(options.files).difference(files):
        terminal.print(f"{run.path} has no {one_line(name)}")
    try:
        name = tracker.publish(RunCopy(run, group, files))
    except Exception as error:
        problem = f"{run.path} was not published to {tracker.where}: {explain(error).message}"
        raise RunError(problem, "The same command goes on from here.") from error
    note = PublishedRecord(
        to=str(options.to), where=tracker.where, project=options.project, name=name, at=utc_now(),
        files=options.files, status=run.status,
    )  # fmt: skip
    writer.write_published(run.path, [*run.read_published(), note])
