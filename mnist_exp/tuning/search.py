"""A search from its first trial to its report."""

import argparse
import itertools
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnist_exp.config.commands import (
    SEARCH_PATH,
    command,
    data_words,
    portable,
    resume_command,
    setting,
    with_runs_dir,
)
from mnist_exp.config.overrides import override_value
from mnist_exp.config.schema import TunerConfig
from mnist_exp.data.dataset import Source, TrainingData, find_source, load_training_data
from mnist_exp.errors import RunError
from mnist_exp.processes.messages import PrepareTrials
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.console import render_notice
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.files import remove_drafts
from mnist_exp.runs.provenance import changed_circumstances, changes_since
from mnist_exp.runs.records import EngineRecord, SearchSummary
from mnist_exp.runs.run import Run, read_tree
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.training import fitting
from mnist_exp.training.device import device_name, start_fresh
from mnist_exp.training.networks import build_network
from mnist_exp.training.scoring import data_record
from mnist_exp.tuning.conclusion import conclude
from mnist_exp.tuning.definition import DEFAULT, Search, tuner_name
from mnist_exp.tuning.dimensions import Dimension, describe
from mnist_exp.tuning.dispatch import Dispatcher
from mnist_exp.tuning.places import Places, count_threads
from mnist_exp.tuning.proposals import build_oracle
from mnist_exp.tuning.screen import DimensionRow, SearchPlan, render_search_plan, render_trial_header
from mnist_exp.tuning.search_files import SearchFiles, trial_name
from mnist_exp.tuning.search_space import SearchSpace
from mnist_exp.tuning.stages import ConfirmationStage, SearchStage


@dataclass(frozen=True)
class PreparedSearch:
    """A request that was accepted.

    Attributes:
        search: What is searched.
        source: Where the images are; the test images are read at the end.
        data: What trials see.
        engine: As chosen for the untuned network.
        places: Where trials are trained.
        threads: Number of threads of each training.
        fixed: Sentences on what was taken out of the search.
        is_extended: Whether this resumes a search under another budget.
    """

    search: Search
    source: Source
    data: TrainingData
    engine: EngineRecord
    places: Places
    threads: int
    fixed: list[str]
    is_extended: bool


def prepare(
    search: Search, fixed: list[str], terminal: Terminal, places: Places, is_extended: bool
) -> PreparedSearch:
    """Finds the data and makes sure that the untuned network can be built.

    Args:
        search: What is searched.
        fixed: Sentences on what was taken out of the search.
        terminal: Told about a download.
        places: Where trials are trained.
        is_extended: Whether this resumes a search under another budget.

    Raises:
        ConfigError: The data or the network cannot be had as asked for.
    """
    config = search.config
    source = find_source(config.data, progress=terminal.download_progress)
    data = load_training_data(source)
    start_fresh(config.seed, config.training.threads)
    untuned = search.trial_config({}, config.seed, config.training.threads)
    shape = data.training.images.shape[1:]
    network = build_network(untuned.model, shape, len(source.class_names))
    return PreparedSearch(
        search=search,
        source=source,
        data=data,
        engine=fitting.pick_engine(untuned, network, len(data.training)),
        places=places,
        threads=count_threads(config, places.at_once),
        fixed=fixed,
        is_extended=is_extended,
    )


def search(
    prepared: PreparedSearch, run: RunDirectory, terminal: Terminal, request: StopRequest
) -> SearchSummary:
    """Searches, confirms, scores and draws; see `mnist_exp.modes.tune.run`."""
    search, files = prepared.search, SearchFiles(run.path)
    files.write_request(search.to_tree())
    record = data_record(prepared.source, prepared.data, None)
    notices = [record.notice]
    notices += changed_circumstances(changes_since(run.manifest, prepared.threads, device_name()))
    run.update_manifest(
        engine=prepared.engine,
        device=device_name(),
        threads=prepared.threads,
        inter_op_threads=prepared.threads,
        data=record,
    )
    for notice in filter(None, notices):
        terminal.print(render_notice(notice))
    terminal.print(render_search_plan(_plan(prepared, run)))
    try:
        with closing(prepared.places):
            stage, confirmations = _find_winner(prepared, files, run, terminal, request)
    finally:
        remove_drafts(run.path)
    return conclude(
        search,
        prepared.source,
        prepared.data,
        files,
        run,
        stage,
        confirmations.confirmations if confirmations else [],
        terminal,
        resume_command(run.path, read_tree(run.path), run.manifest.folder, run.manifest.argv),
        _next_commands(search, run, files),
    )


def _next_commands(search: Search, run: RunDirectory, files: SearchFiles) -> list[str]:
    """Suggests how to train the winner, on the same images and with the user's own YAML."""
    folder = run.manifest.folder
    tree = read_tree(run.path)
    words = with_runs_dir([], tree, folder)
    words += data_words(Run(run.path).read_overrides() or [], tree, folder)
    folders = _search_path(portable(run.manifest.argv, folder))
    own = [setting(SEARCH_PATH, folders)] if folders else []
    experiment = f"experiment={files.experiment_path.stem}"
    return [command("--config-dir", str(run.path.absolute()), experiment, *words, *own)]


def _search_path(argv: list[str]) -> list[str]:
    """Lists where the user's own YAML is: the folder of `--config-dir`, and those of `hydra.searchpath`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    given, words = parser.parse_known_args(argv)
    typed = [override_value(word)[1] for word in words if word.startswith(f"{SEARCH_PATH}=")]
    folder = [] if given.config_dir is None else [f"file://{given.config_dir}"]
    return [*folder, *itertools.chain(*typed)]


def _find_winner(
    prepared: PreparedSearch, files: SearchFiles, run: RunDirectory, terminal: Terminal, request: StopRequest
) -> tuple[SearchStage, ConfirmationStage | None]:
    """Runs both stages, whatever an earlier process left of them."""
    search = prepared.search
    tuner = search.tuner
    oracle = build_oracle(tuner, search.space, search.config.seed)
    stage = SearchStage(search, files, oracle, prepared.is_extended)
    prepared.places.begin(files, partial(_preparation, prepared, run))
    dispatcher = Dispatcher(search, prepared.places, terminal, request, stage)
    terminal.print(render_trial_header())
    dispatcher.finish(stage)
    if stage.best is None:
        raise _no_trial_completed(stage)
    if not tuner.confirm.seeds:
        return stage, None
    confirmations = ConfirmationStage(search, files, _candidates(stage))
    terminal.print(_describe_confirmation(stage))
    dispatcher.finish(confirmations)
    return stage, confirmations


def _preparation(prepared: PreparedSearch, run: RunDirectory, worker: str) -> PrepareTrials:
    """Says what a worker needs to know before its first trial."""
    return PrepareTrials(
        run_path=str(run.path.resolve()),
        working_dir=str(Path.cwd()),
        threads=prepared.threads,
        worker=worker,
    )


def _candidates(stage: SearchStage) -> list[tuple[str, dict[str, Any]]]:
    """Lists what is trained again: name and values of the untuned default and of the best trials."""
    return [(DEFAULT, {}), *((trial_name(trial.trial), trial.values) for trial in stage.finalists())]


def _describe_confirmation(stage: SearchStage) -> str:
    """Announces the second stage."""
    num_seeds, num_finalists = stage.search.tuner.confirm.seeds, len(stage.finalists())
    best = f"the best {num_finalists} and " if num_finalists else ""
    return (
        f"\nsearch over ({stage.ended_by}); now {best}the untuned default once more, "
        f"on {num_seeds} fresh seeds each"
    )


def _no_trial_completed(stage: SearchStage) -> RunError:
    """Says why a search came to nothing."""
    reasons = [trial.error.message for trial in stage.trials if trial.error is not None]
    if not reasons:
        return RunError(
            f"no trial was completed before the search ended ({stage.ended_by}).", "Give it a larger budget."
        )
    commonest = max(set(reasons), key=reasons.count)
    return RunError(
        f"no trial was completed: {len(reasons)} of {len(stage.trials)} failed, most often with: {commonest}"
    )


def _plan(prepared: PreparedSearch, run: RunDirectory) -> SearchPlan:
    search, tuner = prepared.search, prepared.search.tuner
    rows = [_describe_dimension(search.space, dimension) for dimension in search.space.dimensions]
    return SearchPlan(
        tuner_name=tuner_name(tuner),
        objective=tuner.objective,
        dimensions=rows,
        fixed=prepared.fixed,
        budget=_describe_budget(tuner),
        epochs=tuner.epochs,
        executions=tuner.executions_per_trial,
        workers=prepared.places.count,
        threads=prepared.threads,
        data=data_record(prepared.source, prepared.data, None),
        preprocessing=search.config.data.preprocessing,
        model_name=search.config.model.name,
        seed=search.config.seed,
        run_path=str(run.path),
    )


def _describe_dimension(space: SearchSpace, dimension: Dimension) -> DimensionRow:
    """Says what is searched; a condition that always holds goes without saying."""
    parents = {parent.name: parent.possible_values() or () for parent in space.dimensions}
    always = all(len(parents[name]) == len(values) for name, values in dimension.conditions)
    words, when = describe(dimension)
    return DimensionRow(dimension.name, words, "" if always else when)


def _describe_budget(tuner: TunerConfig) -> str:
    """Says when the search ends, in words."""
    limits = []
    if tuner.max_trials is not None:
        limits.append(f"{tuner.max_trials} trials")
    if tuner.max_minutes is not None:
        limits.append(f"{tuner.max_minutes:g} minutes")
    if tuner.patience_trials is not None:
        limits.append(f"{tuner.patience_trials} trials without a better score")
    return ", or ".join(limits) or "none: until the tuner has nothing left to propose"
