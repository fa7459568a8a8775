"""A search from its first trial to its report."""

import argparse
import itertools
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

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
from mnist_exp.data.dataset import Source, TrainingData, find_source, load_training_data
from mnist_exp.errors import RunError
from mnist_exp.processes.messages import (
    Ended,
    EpochEnded,
    Failed,
    Lost,
    PrepareTrials,
    Reply,
    RunTrial,
    Stop,
)
from mnist_exp.processes.places import Place
from mnist_exp.processes.signals import StopRequest
from mnist_exp.report.console import render_notice
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.files import remove_drafts
from mnist_exp.runs.provenance import changed_circumstances, changes_since
from mnist_exp.runs.records import ConfirmationRecord, EngineRecord, SearchSummary, TrialRecord
from mnist_exp.runs.run import Run, read_tree
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.training import fitting
from mnist_exp.training.device import device_name, start_fresh
from mnist_exp.training.networks import build_network
from mnist_exp.training.scoring import data_record
from mnist_exp.tuning.candidates import Candidates
from mnist_exp.tuning.conclusion import conclude
from mnist_exp.tuning.definition import DEFAULT, Search
from mnist_exp.tuning.places import Places, count_threads
from mnist_exp.tuning.proposals import build_oracle
from mnist_exp.tuning.screen import (
    RunningTrial,
    SearchStatus,
    render_confirmation,
    render_search_plan,
    render_search_status,
    render_trial,
    render_trial_header,
)
from mnist_exp.tuning.search_files import SearchFiles, trial_name
from mnist_exp.tuning.stages import ConfirmationStage, SearchStage, Stage

_TURN_S = 0.1


@dataclass(frozen=True)
class PreparedSearch:
    """A request that was accepted.

    Attributes:
        source: Where the images are; the test images are read at the end.
        engine: As chosen for the untuned network.
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

    def run(self, run: RunDirectory, terminal: Terminal, request: StopRequest) -> SearchSummary:
        """Searches, confirms, scores and draws.

        Raises:
            RunError: No trial was completed, or something other than a trial failed.
            Interrupted: Someone asked the search to stop; what was finished is kept.
        """
        files = SearchFiles(run.path)
        files.write_request(self.search.to_tree())
        self._describe(run, terminal)
        try:
            with closing(self.places):
                stage, confirmations = self._find_winner(files, run, terminal, request)
        finally:
            remove_drafts(run.path)
        assert self.data.validation is not None
        found = Candidates(self.search, stage, confirmations, len(self.data.validation))
        resume = resume_command(run.path, read_tree(run.path), run.manifest.folder, run.manifest.argv)
        following = _next_command(run, files)
        return conclude(found, self.source, self.data, files, run, terminal, resume, following)

    def _describe(self, run: RunDirectory, terminal: Terminal) -> None:
        """Says what is about to be searched, on the screen and in the manifest."""
        record = data_record(self.source, self.data, None)
        notices = [record.notice]
        notices += changed_circumstances(changes_since(run.manifest, self.threads, device_name()))
        run.update_manifest(
            engine=self.engine,
            device=device_name(),
            threads=self.threads,
            inter_op_threads=self.threads,
            data=record,
        )
        for notice in filter(None, notices):
            terminal.print(render_notice(notice))
        workers, path = self.places.count, str(run.path)
        terminal.print(render_search_plan(self.search, record, self.fixed, workers, self.threads, path))

    def _find_winner(
        self, files: SearchFiles, run: RunDirectory, terminal: Terminal, request: StopRequest
    ) -> tuple[SearchStage, list[ConfirmationRecord]]:
        """Runs both stages, whatever an earlier process left of them."""
        search, tuner = self.search, self.search.tuner
        oracle = build_oracle(tuner, search.space, search.config.seed)
        stage = SearchStage(search, files, oracle, self.is_extended)
        run_path, working_dir, threads = str(run.path.resolve()), str(Path.cwd()), self.threads
        self.places.begin(
            files,
            lambda worker: PrepareTrials(
                run_path=run_path, working_dir=working_dir, threads=threads, worker=worker
            ),
        )
        dispatcher = Dispatcher(self.places, terminal, request, stage)
        terminal.print(render_trial_header())
        dispatcher.finish(stage)
        if stage.best is None:
            raise _no_trial_completed(stage)
        if not tuner.confirm.seeds:
            return stage, []
        finalists = stage.finalists()
        candidates = [(DEFAULT, {}), *((trial_name(trial.trial), trial.values) for trial in finalists)]
        confirmation = ConfirmationStage(search, files, candidates)
        best = f"the best {len(finalists)} and " if finalists else ""
        terminal.print(
            f"\nsearch finished ({stage.ended_by}); now training {best}the untuned default again, "
            f"on {tuner.confirm.seeds} fresh seeds each"
        )
        dispatcher.finish(confirmation)
        return stage, confirmation.confirmations


def prepare(
    search: Search, fixed: list[str], terminal: Terminal, places: Places, is_extended: bool
) -> PreparedSearch:
    """Finds the data and builds the untuned network, or raises ConfigError; see `PreparedSearch`."""
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


class Dispatcher:
    """Keeps a search's places at work and shows what comes of it, a stage at a time, from the first one."""

    def __init__(self, places: Places, terminal: Terminal, request: StopRequest, stage: SearchStage) -> None:
        self.places, self.terminal, self.request = places, terminal, request
        self._searching, self._tuner = stage, stage.search.tuner
        self._running: dict[str, RunningTrial] = {}
        self._status = self._describe_status(is_searching=True)

    def finish(self, stage: Stage) -> None:
        """Has the places do a stage, to its end.

        Raises:
            ExperimentError: Something other than a trial failed.
            Interrupted: Someone asked the search to stop.
        """
        with self.terminal.live_view(lambda: render_search_status(self._status, self._tuner.objective)):
            while not self._turn(stage):
                self.request.check()
                # A snapshot: the screen is redrawn on a thread that must wait for nothing.
                self._status = self._describe_status(is_searching=stage is self._searching)
                self.places.wait(_TURN_S)

    def _turn(self, stage: Stage) -> bool:
        """Takes what is there and hands out what can be; says whether the stage is finished."""
        is_empty = False
        for place in self.places.present():
            for reply in place.receive():
                self._take(place, reply, stage)
            running = self._running.get(place.name)
            if running is None:
                is_empty = self._assign(place, stage)
            elif stage.must_stop and not running.is_stopped:
                running.is_stopped = True
                place.send(Stop(running.trial.name))
        return is_empty and not self._running

    def _assign(self, place: Place, stage: Stage) -> bool:
        """Gives a place something to do; says whether the stage has nothing left to give out."""
        trial = stage.assign(place.name)
        if isinstance(trial, RunTrial):
            self._running[place.name] = RunningTrial(trial, place.name)
            place.send(trial)
        return trial == "finished"

    def _take(self, place: Place, reply: Reply, stage: Stage) -> None:
        if isinstance(reply, Failed):
            raise RunError(reply.message, reply.hint)
        if place.name not in self._running:
            return
        if isinstance(reply, EpochEnded):
            self._running[place.name].last = reply
        elif isinstance(reply, Ended | Lost):
            running = self._running.pop(place.name)
            trial = running.trial
            if isinstance(reply, Ended) or stage.lose(trial, running.began, place.name, reply.error):
                self._show(stage, trial.name)

    def _show(self, stage: Stage, name: str) -> None:
        record, tuner = stage.take(name), self._tuner
        if isinstance(record, TrialRecord):
            best = self._searching.best
            number = None if best is None else best.trial
            num_finished = len(self._searching.trials)
            line = render_trial(record, tuner.objective, number, num_finished, tuner.max_trials)
        else:
            line = render_confirmation(record, tuner.objective)
        self.terminal.print(line)

    def _describe_status(self, *, is_searching: bool) -> SearchStatus:
        stage = self._searching
        return SearchStatus(
            num_finished=len(stage.trials),
            num_failed=sum(trial.status == "failed" for trial in stage.trials),
            max_trials=self._tuner.max_trials,
            elapsed_s=stage.elapsed_s,
            left_s=_seconds_left(stage, max(len(self._running), 1)) if is_searching else None,
            best=stage.best,
            running=list(self._running.values()),
        )


def _seconds_left(stage: SearchStage, at_once: int) -> float | None:
    tuner, limits = stage.search.tuner, []
    if tuner.max_minutes is not None:
        limits.append(60 * tuner.max_minutes - stage.elapsed_s)
    durations = [trial.duration_s for trial in stage.trials]
    if tuner.max_trials is not None and durations:
        left = max(tuner.max_trials - len(durations), 0)
        limits.append(left * sum(durations) / len(durations) / at_once)
    return max(min(limits), 0.0) if limits else None


def _next_command(run: RunDirectory, files: SearchFiles) -> str:
    folder = run.manifest.folder
    tree = read_tree(run.path)
    words = with_runs_dir([], tree, folder)
    words += data_words(Run(run.path).read_overrides() or [], tree, folder)
    folders = _search_path(portable(run.manifest.argv, folder))
    if folders:
        words.append(setting(SEARCH_PATH, folders))
    experiment = f"experiment={files.experiment_path.stem}"
    return command("--config-dir", str(run.path.absolute()), experiment, *words)


def _search_path(argv: list[str]) -> list[str]:
    """Lists where the user's own YAML is: the folder of `--config-dir`, and those of `hydra.searchpath`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    given, words = parser.parse_known_args(argv)
    typed = [override_value(word)[1] for word in words if word.startswith(f"{SEARCH_PATH}=")]
    folder = [] if given.config_dir is None else [f"file://{given.config_dir}"]
    return [*folder, *itertools.chain(*typed)]


def _no_trial_completed(stage: SearchStage) -> RunError:
    reasons = [trial.error.message for trial in stage.trials if trial.error is not None]
    if not reasons:
        return RunError(
            f"no trial was completed before the search ended ({stage.ended_by}).", "Give it a larger budget."
        )
    commonest = max(set(reasons), key=reasons.count)
    return RunError(
        f"no trial was completed: {len(reasons)} of {len(stage.trials)} failed, most often with: {commonest}"
    )
