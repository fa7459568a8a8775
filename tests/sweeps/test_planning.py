"""A whole sweep planned: every job composed, checked, named, estimated, before any begins."""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from msgspec.structs import replace

from mnist_exp.config.parsing import parse_sweep_request, parse_tree
from mnist_exp.errors import ConfigError, ExperimentError
from mnist_exp.runs.records import SweepRecord
from mnist_exp.sweeps.checking import Checker
from mnist_exp.sweeps.estimate import estimate_jobs
from mnist_exp.sweeps.names import canonical, first_difference, name_jobs
from mnist_exp.sweeps.planning import PlannedSweep, plan_sweep

from ..conftest import FinishedRun

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(autouse=True)
def composing() -> Iterator[None]:
    """Lets Hydra compose from conf/."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    """The process that builds networks, one for all tests of this file."""
    with closing(Checker()) as opened:
        yield opened


def plan(checker: Checker, *typed: str) -> PlannedSweep:
    """Plans `mnist-exp -m data=sample …`."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    arguments = ["data=sample", *typed]
    config = hydra.compose_config("config", arguments, RunMode.MULTIRUN)
    return plan_sweep("mine", config, parse_sweep_request(config), ["-m", *arguments], checker.check)


def refusal(checker: Checker, *typed: str) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(checker, *typed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_job_is_frozen_whole(checker: Checker) -> None:
    planned = plan(checker, "model=ann,bn_dnn", "optimizer.learning_rate=1e-3,3e-3", "training.epochs=3")
    jobs = planned.record.jobs
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert [job.varied for job in jobs[:2]] == [
        {"model": "ann", "optimizer.learning_rate": 0.001},
        {"model": "ann", "optimizer.learning_rate": 0.003},
    ]
    assert jobs[2].overrides == [
        "data=sample", "model=bn_dnn", "optimizer.learning_rate=0.001", "training.epochs=3",
    ]  # fmt: skip
    for job in jobs:
        config = parse_tree(job.config)
        assert config.sweep == "mine" and config.training.epochs == 3 and job.search is None
        assert config.model.name == job.varied["model"]
    assert msgspec.json.decode(msgspec.json.encode(planned.record), type=SweepRecord) == planned.record


def test_the_shipped_plan_is_two_networks_on_five_seeds_from_the_one_that_is_typed(checker: Checker) -> None:
    jobs = plan(checker, "sweep_plan=study", "seed=40").record.jobs
    assert [(job.varied["model"], job.config["seed"]) for job in jobs] == [
        (model, seed) for model in ("ann", "bn_dnn") for seed in range(40, 45)
    ]
    assert re.fullmatch(r"ann_seed-40_[0-9a-f]{6}", jobs[0].name)


@pytest.mark.parametrize(
    ("typed", "num_params"),
    [
        ("model=ann,bn_dnn,cnn", [101_770, 131_594, 24_394]),
        # larger than the memory, of which it takes none
        ("model.units=[1000000,1000000]", [784 * 10**6 + 10**12 + 10 * 10**6 + 2 * 10**6 + 10]),
    ],
)
def test_the_parameters_of_networks_are_counted(checker: Checker, typed: str, num_params: list[int]) -> None:
    planned = plan(checker, typed)
    assert [job.num_params for job in planned.record.jobs] == num_params
    assert [facts.num_params for facts in planned.checked] == num_params
    assert planned.checked[0].data.num_train == 3500


# What is typed, how the refusal begins, and what else it says.
REFUSED = [
    (
        "model=ann,cnn optimizer.learning_rate=1e-3,-1",
        "job 2 of 4 (model=ann optimizer.learning_rate=-1): optimizer.learning_rate: got -1",
        "1 more job ",
    ),
    ("model=ann,bn_dn", "job 2 of 2 (model=bn_dn): model:", '"bn_dnn"'),
    ("model=ann,cnn model.units=[3]", "job 2 of 2 (model=cnn): model.units:", ""),
    ("+model.unitz=1,2,3", "job 1 of 3 (+model.unitz=1): model.unitz:", "2 more jobs"),
    ("mode=train,tune data.validation=test", "job 2 of 2 (mode=tune): data.validation: got test", ""),
    ("sweep_plan.seeds=2 seed=2147483647", "job 2 of 2 (seed=2147483648): seed:", ""),
    ("sweep_plan.seeds=2 seed=x", "seed:", "whole number"),
    ("training.epochs=0", "training.epochs: got 0", ""),  # one job is refused as a run is
    # what only Keras knows
    (
        "model=ann,cnn +optimizer.clipnorm=1 +optimizer.clipvalue=1",
        "job 1 of 2 (model=ann): optimizer:",
        "1 more job ",
    ),
    (
        "model=cnn model.layers.0.Reshape.target_shape=[28,28,1],[3,3,1]",
        "job 2 of 2 (model.layers.0.Reshape.target_shape=[3,3,1]): model.layers: they do not fit",
        "",
    ),
    # what only the disk knows
    (
        "data=sample,fashion_mnist data.mirrors=[] data.places=[]",
        "job 2 of 2 (data=fashion_mnist): fashion_mnist",
        "",
    ),
    ("data.validation=500,4000", "job 2 of 2 (data.validation=4000): data.validation=4000 leaves", ""),
]


@pytest.mark.parametrize(("typed", "beginning", "more"), REFUSED)
def test_a_job_that_cannot_be_is_refused_before_any_begins(
    checker: Checker, typed: str, beginning: str, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_EXP_FASHION_DATA", raising=False)
    words = refusal(checker, *typed.split())
    assert words.startswith(beginning) and more in words


def test_jobs_that_would_do_the_same_are_done_once(checker: Checker) -> None:
    planned = plan(checker, "optimizer=adamw,adam", "optimizer.learning_rate=0.001,1e-3,1,1.0", "sweep=s")
    assert len(planned.record.jobs) == 4
    assert planned.num_duplicates == 4
    assert [job.number for job in planned.record.jobs] == [0, 1, 2, 3]


def test_a_search_in_a_sweep_is_frozen_too(checker: Checker) -> None:
    planned = plan(checker, "mode=tune", "seed=1,2", "model.activation=gelu")
    for job in planned.record.jobs:
        assert job.search is not None and job.search["blueprint"]["base"]["sweep"] == "mine"
        assert all(entry["name"] != "model.activation" for entry in job.search["space"]["dimensions"])
    assert any("model.activation" in note for note in planned.notes)


def test_a_checker_that_died_says_why() -> None:
    with closing(Checker()) as opened:
        os.kill(opened.start().child.pid, signal.SIGKILL)
        with pytest.raises(ExperimentError, match="signal 9"):
            plan(opened, "model=cnn")


def test_three_hundred_jobs_are_planned_in_seconds(checker: Checker) -> None:
    started = time.monotonic()
    rates = "optimizer.learning_rate=1e-3,2e-3,3e-3,4e-3,5e-3"
    planned = plan(checker, "model=ann,bn_dnn", rates, "seed=range(0,30)")
    assert len(planned.record.jobs) == 300
    assert time.monotonic() - started < 30


def test_names_are_stable_short_and_safe_whatever_the_values_are() -> None:
    source = random.Random(0)
    hostile = ["../../etc", "-rf", "a/b", "$(reboot)", "`x`", "é\n\x1b[2J", "..", "", "*", "A" * 300, "con"]
    hostile.append("\u202e")
    varied: list[dict[str, Any]] = []
    for _ in range(300):
        value = source.choice([*hostile, None, True, [1, -2.5], {"a": "/"}])
        varied.append({"model": source.choice(hostile), "-x.y": value})
    identities = [canonical({"number": number}) for number in range(300)]
    names = name_jobs(varied, identities, {"model"}, "-")
    assert names == name_jobs(varied, identities, {"model"}, "-")
    assert len({name.casefold() for name in names}) == 300
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}_[0-9a-f]{6,}", name), name


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (["model=ann,cnn", "seed=0,1"], ["ann_seed-0", "ann_seed-1", "cnn_seed-0", "cnn_seed-1"]),
        (["augmentation=none,shift"], ["augmentation-none", "shift"]),
        (["model.units=[64,32],[8]", "model=bn_dnn"], ["units-64-32", "units-8"]),
        (
            ["training.early_stopping.patience=0,2", "schedule=plateau", "schedule.patience=3"],
            ["patience-0", "patience-2"],
        ),
        (
            ["training.early_stopping.patience=2,4", "schedule=plateau", "schedule.patience=3,4"],
            [
                f"training.early_stopping.patience-{stopping}_schedule.patience-{plateau}"
                for stopping in (2, 4)
                for plateau in (3, 4)
            ],
        ),
        (["seed=4"], ["train_ann"]),
    ],
)
def test_names_say_what_tells_jobs_apart(checker: Checker, typed: list[str], names: list[str]) -> None:
    assert [job.name.rpartition("_")[0] for job in plan(checker, *typed).record.jobs] == names


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        ("model=ann,cnn", "model=cnn,ann", None),
        (
            "sweep_plan.seeds=2 optimizer.learning_rate=0.001",
            "sweep_plan.seeds=2 optimizer.learning_rate=0.003",
            "optimizer.learning_rate: 0.001 → 0.003 in job 0",
        ),
        ("seed=0,1", "seed=0,1 training.epochs=4", "training.epochs: 35 → 4 in job 0"),
        ("seed=range(0,5)", "seed=range(0,7)", "5 jobs then, 7 now (seed=5 is new)"),
        ("seed=range(0,7)", "seed=range(0,5)", "7 jobs then, 5 now (seed=5 is missing)"),
    ],
)
def test_the_difference_of_two_plans_is_said_in_a_line(
    checker: Checker, then: str, now: str, words: str | None
) -> None:
    before, after = (plan(checker, *typed.split()).record for typed in (then, now))
    assert first_difference(before, after) == words


def test_a_file_that_was_edited_is_a_difference_and_another_place_or_name_is_none(checker: Checker) -> None:
    record = plan(checker, "seed=0,1").record

    def changed(**values: Any) -> SweepRecord:
        return replace(record, jobs=[replace(job, config=job.config | values) for job in record.jobs])

    assert first_difference(record, changed(runs_dir="/elsewhere", sweep="x")) is None
    edited = changed(optimizer=record.jobs[0].config["optimizer"] | {"weight_decay": 0.5})
    assert first_difference(record, edited) == "optimizer.weight_decay: 0.15 → 0.5 in job 0"


def test_without_a_whole_run_nothing_is_known(checker: Checker, tmp_path: Path) -> None:
    runs_dir = f"runs_dir={tmp_path}"
    assert estimate_jobs(plan(checker, "model=ann,cnn", runs_dir)) == [None, None]
    for number, text in enumerate(["", "{", "[]", '{"status": "completed"}', "\x00"]):
        folder = tmp_path / "sweep" / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    (tmp_path / "folder" / "manifest.json").mkdir(parents=True)
    assert estimate_jobs(plan(checker, runs_dir)) == [None]


def test_a_search_has_no_estimate(checker: Checker, finished_run: FinishedRun) -> None:
    planned = plan(checker, "mode=tune", f"runs_dir={finished_run.path.parent}")
    assert estimate_jobs(planned) == [None]


SETTINGS = {
    "hydra.sweeper.params.seed": "hydra: {sweeper: {params: {seed: '3,4'}}}",
    "hydra.launcher._target_": "defaults: [override /hydra/launcher: joblib]",
    "hydra.run.dir": "hydra: {run: {dir: elsewhere}}",
    "hydra.sweep.dir": "hydra: {sweep: {dir: elsewhere}}",
    "hydra.job.env_set.WORD": "hydra: {job: {env_set: {WORD: said}}}",
    "hydra.callbacks.mine._target_": (
        "hydra: {callbacks: {mine: {_target_: hydra.experimental.callback.Callback}}}"
    ),
    "sweep_plan.seeds": "sweep_plan: {seeds: 2}",
    "runs_dir": "runs_dir: elsewhere",
    "sweep": "sweep: mine",
    "on_fail": "on_fail: stop",
}


@pytest.mark.parametrize("key", SETTINGS)
def test_settings_of_a_sweep_in_a_file_that_is_swept_over_are_refused(
    checker: Checker, tmp_path: Path, key: str
) -> None:
    # Of the group sweep_plan itself a model's file would not have the last word.
    group, other = ("experiment", "none") if key == "sweep_plan.seeds" else ("model", "ann")
    (tmp_path / group).mkdir()
    (tmp_path / group / "mine.yaml").write_text(f"# @package _global_\n{SETTINGS[key]}\n")
    searchpath = f"hydra.searchpath=[file://{tmp_path}]"
    words = refusal(checker, searchpath, f"{group}={other},mine")
    assert f"job 2 of 2 ({group}=mine): {key}: a file that this job chooses sets it" in words
    assert "sweep of its own" in words
    if key == "runs_dir":
        assert f"{key}:" in refusal(checker, searchpath, f"sweep_plan.list=[{{{group}: mine}}]")


def test_settings_of_hydras_in_a_file_that_all_jobs_have_hold(checker: Checker, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    for name, text in (("mine", SETTINGS["hydra.sweeper.params.seed"]), ("launched", "")):
        text = text or f"{SETTINGS['hydra.job.env_set.WORD']}\ntraining: {{epochs: 2}}"
        (tmp_path / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    searchpath = f"hydra.searchpath=[file://{tmp_path}]"
    jobs = plan(checker, searchpath, "experiment=mine").record.jobs
    assert [job.config["seed"] for job in jobs] == [3, 4]
    typed = "++hydra.job.env_set.WORD=said"  # the same for all jobs, as the file has it
    assert len(plan(checker, searchpath, typed, "experiment=none,launched").record.jobs) == 2
