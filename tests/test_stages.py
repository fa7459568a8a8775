"""What a search remembers when it is killed between any two writes; real oracles and files, no training."""

import json
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from mnist_exp import CONF_DIR
from mnist_exp.config.parsing import Composition, parse
from mnist_exp.processes.messages import RunTrial
from mnist_exp.runs.job import Job
from mnist_exp.runs.provenance import Moment
from mnist_exp.runs.records import ConfirmationRecord, ErrorRecord, TrialRecord
from mnist_exp.tuning.candidates import Candidates
from mnist_exp.tuning.definition import Search, plan_search
from mnist_exp.tuning.proposals import build_oracle
from mnist_exp.tuning.search_files import SearchFiles, trial_name
from mnist_exp.tuning.stages import ConfirmationStage, SearchStage, Stage
from tests.trials import make_trial

NUM_RANDOM = 4
"""Trials of a Bayesian search before it goes by a Gaussian process."""
PROPOSALS = Path(__file__).with_name("proposals.json")
LOST = ErrorRecord(type="ProcessLost", message="gone", hint="")


@cache
def planned(*overrides: str) -> Search:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        request = ["mode=tune", *overrides]
        composed = compose("config", request)
        choices = {"model": "ann", "optimizer": "adamw"}
        composition = Composition(composed, request, choices, lambda others: compose("config", others))
        return plan_search(parse(composed), composition)[0]


def begun(search: Search, files: SearchFiles, is_extended: bool = False) -> SearchStage:
    oracle = build_oracle(search.tuner, search.space, search.config.seed)
    return SearchStage(search, files, oracle, is_extended)


def assigned(stage: Stage, worker: str = "local1") -> RunTrial:
    trial = stage.assign(worker)
    assert isinstance(trial, RunTrial)
    return trial


def result(trial: RunTrial, score: float | None) -> TrialRecord:
    status = "failed" if score is None else "completed"
    return make_trial(trial.trial, score or 0.0, trial.values, status, num_epochs=1)


def finish(stage: SearchStage, trial: RunTrial, score: float | None, **changes: Any) -> None:
    stage.files.submit(trial.name, msgspec.structs.replace(result(trial, score), **changes))
    stage.take(trial.name)


def pseudo_score(trial: RunTrial) -> float:
    """A score that depends on the values alone."""
    return 0.9 + 0.09 * (zlib.crc32(str(sorted(trial.values.items())).encode()) % 97) / 97


@pytest.fixture
def files(tmp_path: Path) -> SearchFiles:
    (tmp_path / "checkpoints").mkdir()
    made = SearchFiles(tmp_path)
    made.write_request({})
    return made


TUNERS = {
    "random": ("tuner=random",),
    "grid": ("tuner=grid", "search_space=study"),
    "hyperband": ("tuner=hyperband", "training.epochs=9"),
    "bayesian": ("tuner=bayesian", "tuner.initial_trials=3", "search_space=recipe"),
}


TWO_DIMENSIONS = (
    *("model.units=[32]", "model.batch_norm=true", "model.activation=relu", "model.input_dropout=0.1"),
    *("optimizer.weight_decay=0.2", "training.label_smoothing=0.05"),
)
"""All but two dimensions of `recipe`: each costs a Gaussian process seconds."""


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_taken_up_after_every_trial_proposes_what_an_undisturbed_one_does(
    tuner: str, tmp_path: Path
) -> None:
    search = planned(*TUNERS[tuner], *(TWO_DIMENSIONS if tuner == "bayesian" else ()))

    def propose(folder: Path, count: int, between: Callable[[SearchStage], SearchStage]) -> list[Any]:
        folder.mkdir()
        files = SearchFiles(folder)
        files.write_request({})
        stage, proposed = begun(search, files), []
        for _ in range(count):
            trial = assigned(stage)
            proposed.append(trial)
            finish(stage, trial, pseudo_score(trial))
            stage = between(stage)
        return proposed

    count = 4 if tuner == "bayesian" else 15
    undisturbed = propose(tmp_path / "whole", count, lambda stage: stage)
    resumed = propose(tmp_path / "parts", count, lambda stage: begun(search, stage.files))
    assert resumed == undisturbed


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("tuner", TUNERS)
def test_a_seed_proposes_what_it_always_has(tuner: str, seed: int, files: SearchFiles) -> None:
    """`proposals.json` was recorded when searches still went through Keras Tuner's own services."""
    recorded = json.loads(PROPOSALS.read_text())[f"{tuner}, seed {seed}"]
    if tuner == "bayesian":
        # Where a Gaussian process leads differs from processor to processor.
        recorded = recorded[:NUM_RANDOM]
    stage, proposed = begun(planned(*TUNERS[tuner], f"seed={seed}"), files), []
    for _ in recorded:
        trial = assigned(stage)
        proposed.append({"epochs": trial.epochs, "values": trial.values})
        checksum = zlib.crc32(json.dumps(trial.values, sort_keys=True).encode())
        finish(stage, trial, round(0.9 + 0.09 * (checksum % 97) / 97, 6))
    assert proposed == recorded


def test_trials_that_fail_count_as_trials_without_a_better_score(files: SearchFiles) -> None:
    search = planned("tuner.max_trials=null", "tuner.patience_trials=3")
    stage = begun(search, files)
    for score in (0.9, None, 0.8, None):
        finish(stage, assigned(stage), score)
    assert stage.assign("local1") == "finished"
    assert stage.ended_by == "tuner.patience_trials: 3 trials without a better score"


def test_a_trial_handed_over_but_not_taken_is_not_run_again(files: SearchFiles) -> None:
    search = planned()
    stage = begun(search, files)
    first, second = assigned(stage), assigned(stage, "local2")
    files.submit(first.name, result(first, 0.9))
    stage = begun(search, files)
    assert [trial.trial for trial in stage.trials] == [0]
    assert assigned(stage) == second


def test_a_search_killed_at_its_last_trial_finishes_that_trial(files: SearchFiles) -> None:
    search = planned("tuner.max_trials=1")
    stage = begun(search, files)
    last = assigned(stage)
    assert stage.assign("local2") == "finished", "with nothing to do it spends the budget"
    stage = begun(search, files)
    assert assigned(stage) == last
    finish(stage, last, 0.9)
    assert stage.assign("local1") == "finished" and stage.ended_by == "tuner.max_trials: 1 trials"


def test_a_trial_that_the_oracle_was_not_told_of_is_not_run_again(files: SearchFiles) -> None:
    search = planned()
    stage = begun(search, files)
    first = assigned(stage)
    before = files.read_state()
    finish(stage, first, 0.9)
    assert before is not None
    files.write_state(before)
    files.submit(first.name, result(first, 0.9))
    stage = begun(search, files)
    assert [trial.trial for trial in stage.trials] == [0]
    assert assigned(stage).name != first.name
    assert files.read_submitted(first.name, TrialRecord) is None


def test_trials_that_a_budget_cut_short_begin_again_when_it_is_raised(files: SearchFiles) -> None:
    search = planned("tuner.max_trials=1")
    stage = begun(search, files)
    trial = assigned(stage)
    finish(stage, trial, None, status="stopped")
    assert stage.assign("local1") == "finished"
    assert begun(search, files).assign("local1") == "finished"
    stage = begun(planned("tuner.max_trials=2"), files, is_extended=True)
    assert stage.trials == []
    assert assigned(stage).name == trial.name


def test_failures_cost_a_round_of_hyperband_no_promotions(files: SearchFiles) -> None:
    search = planned("tuner=hyperband", "training.epochs=9")
    stage = begun(search, files)
    epochs = []
    while isinstance(trial := stage.assign("local1"), RunTrial):
        epochs.append(trial.epochs)
        finish(stage, trial, None if int(trial.name) % 2 else pseudo_score(trial))
    assert epochs.count(9) >= 4
    assert sum(trial.status == "failed" for trial in stage.trials) == len(epochs) // 2


def confirmed(candidate: str, seed: int, score: float = 0.9) -> ConfirmationRecord:
    (execution,) = make_trial(0, score, {}, num_epochs=1).executions
    return ConfirmationRecord(
        candidate=candidate, seed=seed, status="completed", num_params=1, execution=execution, error=None
    )


def test_no_confirmation_is_lost_or_counted_twice(files: SearchFiles) -> None:
    search = planned("tuner.confirm.seeds=2")
    candidates: list[tuple[str, dict[str, Any]]] = [("default", {}), ("trial_3", {"a": 1})]
    stage = ConfirmationStage(search, files, candidates)
    first, second = assigned(stage), assigned(stage, "local2")
    files.submit(first.name, confirmed("default", 1))
    stage.take(first.name)
    files.submit(first.name, confirmed("default", 1))
    files.submit(second.name, confirmed("trial_3", 1))
    stage = ConfirmationStage(search, files, candidates)
    assert [confirmation.candidate for confirmation in stage.confirmations] == ["default", "trial_3"]
    assert {confirmation.seed for confirmation in stage.confirmations} == {1}
    left = [assigned(stage, worker).name for worker in ("local1", "local2")]
    assert sorted(left) == ["default_seed_2", "trial_3_seed_2"]
    assert stage.assign("local3") == "finished"


def test_a_confirmation_whose_worker_is_lost_is_given_to_another_one_once(files: SearchFiles) -> None:
    stage = ConfirmationStage(planned("tuner.confirm.seeds=1"), files, [("default", {})])
    training = assigned(stage)
    assert not stage.lose(training, Moment(), "local1", LOST)
    assert assigned(stage, "local2") == training
    assert stage.lose(training, Moment(), "local2", LOST)
    assert stage.take(training.name).status == "failed"


def test_trials_that_a_budget_cut_short_stay_while_no_time_is_left(files: SearchFiles) -> None:
    search = planned("tuner.max_minutes=0.0001")
    stage = begun(search, files)
    finish(stage, assigned(stage), None, status="stopped")
    time.sleep(0.01)
    assert stage.assign("local1") == "finished"
    stage = begun(planned("tuner.max_minutes=0.0001", "tuner.max_trials=9"), files, is_extended=True)
    assert stage.assign("local1") == "finished"
    for trials in (stage.trials, files.read_trials()):
        assert [trial.status for trial in trials] == ["stopped"]


def test_only_a_budget_extends_a_search(tmp_path: Path) -> None:
    for typed, is_extended in (
        ([], False),
        (["tuner.workers=1"], False),
        (["tuner.max_trials=9"], True),
        (["tuner.workers=1", "++tuner.max_minutes=2"], True),
    ):
        job = Job(config=planned().config, tree={}, overrides=typed, argv=typed, folder=tmp_path)
        assert job.is_extended == is_extended


def through(search: Search, files: SearchFiles) -> SearchStage:
    """A search at its end."""
    stage = begun(search, files)
    while isinstance(trial := stage.assign("local1"), RunTrial):
        finish(stage, trial, pseudo_score(trial))
    return stage


def test_a_configuration_promoted_by_hyperband_is_one_finalist(files: SearchFiles) -> None:
    search = planned("tuner=hyperband", "training.epochs=9", "tuner.confirm.top=100")
    stage = through(search, files)
    every = [trial.values for trial in stage.ranked()]
    distinct = [values for place, values in enumerate(every) if values not in every[:place]]
    assert len(distinct) < len(every)
    assert [trial.values for trial in stage.finalists()] == distinct


def test_the_untuned_configuration_is_no_rival_of_itself(files: SearchFiles, tmp_path: Path) -> None:
    folder = tmp_path / "search_space"
    folder.mkdir()
    (folder / "two.yaml").write_text("model.activation: {type: choice, values: [relu, tanh]}\n")
    search = planned("tuner=grid", "search_space=two", f"hydra.searchpath=[file://{tmp_path}]")
    stage = through(search, files)
    assert len(stage.ranked()) == 2
    assert [trial.values for trial in stage.finalists()] == [{"model.activation": "tanh"}]


@pytest.mark.parametrize(("top", "level"), [(1, "(95%: "), (3, "(95% as the best of 3: ")])
def test_a_verdict_says_of_how_many_the_winner_is_the_best(top: int, level: str, files: SearchFiles) -> None:
    search = planned("tuner.max_trials=4", f"tuner.confirm.top={top}", "tuner.confirm.seeds=3")
    stage = through(search, files)
    names = ["default", *(trial_name(trial.trial) for trial in stage.finalists())]
    records = [
        confirmed(name, seed, 0.9 + 0.02 * place + 0.001 * seed)
        for place, name in enumerate(names)
        for seed in range(3)
    ]
    found = Candidates(search, stage, records, 500)
    assert found.winner.candidate == names[-1]
    assert f"beats the untuned default beyond seed noise: +{2 * top}.00 points {level}" in found.verdict()
