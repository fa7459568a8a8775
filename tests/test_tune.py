"""`mode=tune` as a user sees it: real searches on the bundled digits."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import FinishedRun, Run
from tests.digits import sample_digits

pytestmark = pytest.mark.slow

SMALL = ("mode=tune", "data=sample", "training.engine=graph", "training.epochs=2")
GIVEN = "model.activation=tanh"
ALONE = ("tuner.confirm.seeds=0", "tuner.workers=1")


def records(run: Path, name: str = "trials.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def search(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A small search with everything that a search has; read it only."""
    folder = tmp_path_factory.mktemp("search")
    momentum = "+search_space.training.ema_momentum={type: choice, values: [0.0, 0.5]}"
    kept = ("tuner.keep=2", "tuner.confirm.top=2", "tuner.confirm.seeds=2")
    result = run_command(*SMALL, "tuner.max_trials=4", "tuner.workers=2", *kept, momentum, GIVEN, cwd=folder)
    (path,) = (folder / "runs").iterdir()
    return FinishedRun(path, result.returncode, result.stdout, result.stderr)


def summary(run: FinishedRun) -> dict[str, Any]:
    return json.loads((run.path / "summary.json").read_text())


def confirmations_of_the_winner(run: FinishedRun) -> list[dict[str, Any]]:
    winner = summary(run)["winner"]
    return [record for record in records(run.path, "confirmed.jsonl") if record["candidate"] == winner]


def test_a_search_ends_well_and_says_what_it_did(search: FinishedRun) -> None:
    assert (search.status, search.stderr) == (0, "")
    assert json.loads((search.path / "manifest.json").read_text())["status"] == "completed"
    assert "random search" in search.stdout
    assert f"{GIVEN} is given, and not searched" in search.stdout
    assert "search finished (tuner.max_trials: 4 trials)" in search.stdout
    assert summary(search)["verdict"] in " ".join(search.stdout.split())
    (command,) = [line for line in search.stdout.splitlines() if line.startswith("  mnist-exp")]
    assert command == f"  mnist-exp --config-dir {search.path} experiment=best_experiment data=sample"


def test_every_trial_is_recorded_with_its_values_seed_curve_and_time(search: FinishedRun) -> None:
    trials = records(search.path)
    assert sorted(trial["trial"] for trial in trials) == [0, 1, 2, 3]
    for trial in trials:
        (execution,) = trial["executions"]
        assert trial["status"] == "completed"
        assert [row["epoch"] for row in execution["metrics"]] == [1, 2]
        best = max(row["val_accuracy"] for row in execution["metrics"])
        assert trial["score"] == execution["score"] == best
        assert trial["num_params"] > 0 and trial["duration_s"] > 0
        assert trial["values"]["training.ema_momentum"] in (0.0, 0.5)
        assert "model.activation" not in trial["values"]
        # Units of layers that do not exist are not sampled.
        units = [name for name in trial["values"] if name.startswith("model.units.") and name[-1].isdigit()]
        assert len(units) == trial["values"]["model.units.length"]
    assert len({trial["executions"][0]["seed"] for trial in trials}) == 4
    with (search.path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [trial["score"] for trial in trials]


def test_the_weights_of_the_best_trials_only_are_kept_without_optimizer_state(search: FinishedRun) -> None:
    ranked = sorted(records(search.path), key=lambda trial: (-trial["score"], trial["trial"]))
    kept = {path.stem for path in (search.path / "checkpoints").glob("trial_?.keras")}
    assert kept == {f"trial_{trial['trial']}" for trial in ranked[:2]}
    for path in (search.path / "checkpoints").glob("*.keras"):
        num_params = path.stat().st_size / 4
        assert num_params < 1.3 * max(trial["num_params"] for trial in ranked) + 20_000


def test_candidates_and_the_default_are_confirmed_on_the_same_fresh_seeds(search: FinishedRun) -> None:
    confirmed = records(search.path, "confirmed.jsonl")
    found = summary(search)
    seeds = {candidate: set() for candidate in ("default", *[c["candidate"] for c in found["candidates"]])}
    for record in confirmed:
        seeds[record["candidate"]].add(record["seed"])
    assert len(seeds) == 3
    assert set(map(frozenset, seeds.values())) == {frozenset({1, 2})}
    means = [candidate["confirmed_score"] for candidate in found["candidates"]]
    assert means == sorted(means, reverse=True)
    assert found["winner"] == found["candidates"][0]["candidate"]


def test_the_kept_network_is_the_winners_best_on_validation(search: FinishedRun) -> None:
    found = summary(search)
    best = max(confirmations_of_the_winner(search), key=lambda record: record["execution"]["score"])
    assert records(search.path, "metrics.jsonl") == best["execution"]["metrics"]
    with np.load(search.path / "predictions.npz") as arrays:
        accuracy = float(np.mean(arrays["probabilities"].argmax(axis=1) == arrays["labels"]))
    assert accuracy == found["test_accuracy"]
    assert found["test_accuracy"] in found["winner_test_accuracies"]
    assert len(found["winner_test_accuracies"]) == 2


def test_pictures_of_the_search_and_of_the_winner_are_drawn(search: FinishedRun) -> None:
    drawn = {path.stem for path in (search.path / "plots").iterdir()}
    assert drawn >= {
        "search_progress", "hyperparameters", "parallel_coordinates", "importance", "trial_curves",
        "confirmation", "learning_curves", "confusion_matrix", "mistakes", "sample_predictions",
    }  # fmt: skip


def test_the_winner_is_an_experiment_that_trains_to_the_confirmed_curve(
    search: FinishedRun, run_command: Run, tmp_path: Path
) -> None:
    record = confirmations_of_the_winner(search)[0]
    own = ("--config-dir", str(search.path), "experiment=best_experiment", "data=sample")
    result = run_command(*own, f"seed={record['seed']}", "training.threads=1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs" / "best_experiment").iterdir()
    curve = [{**row, "duration_s": 0} for row in records(run, "metrics.jsonl")]
    assert curve == [{**row, "duration_s": 0} for row in record["execution"]["metrics"]]


def test_a_finished_search_is_finished(search: FinishedRun, run_command: Run) -> None:
    folder = search.path.parent.parent
    before = (search.path / "trials.jsonl").read_bytes()
    result = run_command(f"resume={search.path}", cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "is completed; there is nothing to resume." in " ".join(result.stdout.split())
    for words, refusal in (
        (("mode=tune", "tuner.max_trials=50"), "To train further, begin a new run."),
        (("seed=5",), "is resumed with its own configuration"),
    ):
        result = run_command(f"resume={search.path}", *words, cwd=folder)
        assert result.returncode == 2 and refusal in result.stderr
    assert (search.path / "trials.jsonl").read_bytes() == before


def test_of_two_equal_trainings_of_a_trial_the_network_that_is_kept_is_the_one_that_is_reported(
    run_command: Run, tmp_path: Path
) -> None:
    few = ("training.epochs=6", "data.validation=10", "tuner.max_trials=1", "tuner.executions_per_trial=3")
    searched = run_command(*SMALL[:3], *few, *ALONE, cwd=tmp_path)
    assert searched.returncode == 0, searched.stderr
    (run,) = (tmp_path / "runs").iterdir()
    (trial,) = records(run)
    scores = [execution["score"] for execution in trial["executions"]]
    assert scores.count(max(scores)) > 1, "of ten images, two of three networks get equally many right"
    first = trial["executions"][scores.index(max(scores))]
    assert records(run, "metrics.jsonl") == first["metrics"]
    quick = ("split=validation", "evaluate.robustness_images=0")
    asked = run_command("mode=evaluate", f"run={run}", *quick, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    (evaluation,) = (tmp_path / "runs").glob("*evaluate*/evaluation.json")
    kept = first["metrics"][first["best_epoch"] - 1]
    assert json.loads(evaluation.read_text())["loss"] == pytest.approx(kept["val_loss"], rel=1e-4)


def test_failing_trials_are_recorded_and_the_search_goes_on(run_command: Run, tmp_path: Path) -> None:
    spaces = tmp_path / "mine" / "search_space"
    spaces.mkdir(parents=True)
    (spaces / "wild.yaml").write_text(
        "optimizer.weight_decay: {type: choice, values: [4000.0, 0.1]}\n"
        "model.dropout: {type: choice, values: [0.0, 0.1]}\n"
    )
    wild = ("search_space=wild", "schedule=constant", "training.epochs=3", "tuner=grid", *ALONE)
    result = run_command("--config-dir=mine", *SMALL, *wild, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    trials = records(run)
    failed = [trial for trial in trials if trial["values"]["optimizer.weight_decay"] == 4000]
    assert [trial["status"] for trial in failed] == ["failed", "failed"]
    assert all("became nan" in trial["error"]["message"] for trial in failed)
    assert sum(trial["status"] == "completed" for trial in trials) == 2
    assert "failed: loss became nan" in result.stdout
    found = json.loads((run / "summary.json").read_text())
    assert found["ended_by"].startswith("every combination") and "was not trained again" in found["verdict"]


def test_test_images_are_not_read_before_the_search_is_over(run_command: Run, tmp_path: Path) -> None:
    """A search over an archive whose test images are damaged fails when it wants to score, not before."""
    images, labels = sample_digits(600)
    arrays = {"x_train": images[:500], "y_train": labels[:500], "x_test": images, "y_test": labels}
    np.savez(tmp_path / "digits.npz", **arrays)
    archive = bytearray((tmp_path / "digits.npz").read_bytes())
    place = archive.index(b"x_test.npy") + 5_000
    archive[place : place + 8] = b"damaged!"
    (tmp_path / "digits.npz").write_bytes(archive)
    damaged = ("mode=tune", *SMALL[2:], "data.path=digits.npz", "data.validation=100")
    budget = ("tuner.max_trials=1", "tuner.confirm.top=1", "tuner.confirm.seeds=1")
    result = run_command(*damaged, *budget, cwd=tmp_path)
    assert result.returncode == 1
    assert "x_test" in result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert [trial["status"] for trial in records(run)] == ["completed"]
    assert len(records(run, "confirmed.jsonl")) == 2
    assert json.loads((run / "manifest.json").read_text())["data"]["test_sha256"] is None


def test_keras_tuners_own_way_to_several_machines_is_refused(run_command: Run, tmp_path: Path) -> None:
    done = run_command("mode=tune", "data=sample", cwd=tmp_path, KERASTUNER_TUNER_ID="chief")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mnist-exp: KERASTUNER_TUNER_ID: ") and "hydra/launcher=" in done.stderr
    assert list(tmp_path.iterdir()) == []
