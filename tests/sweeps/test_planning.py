"""A whole sweep planned: every job composed, checked, named, estimated, before any begins."""

import json
import os
import random
import re
import signal
import subprocess
import sys
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
from mnist_exp.sweeps.estimate import estimate_jobs, total_seconds
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


def plan(checker: Checker, *typed: str, name: str = "mine") -> PlannedSweep:
    """Plans `mnist-exp -m data=sample …`."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    arguments = ["data=sample", *typed]
    config = hydra.compose_config("config", arguments, RunMode.MULTIRUN)
    return plan_sweep(name, config, parse_sweep_request(config), ["-m", *arguments], checker.check)


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
    assert [job.num_params for job in jobs] == [101_770, 101_770, 131_594, 131_594]
    assert jobs[2].overrides == [
        "data=sample", "model=bn_dnn", "optimizer.learning_rate=0.001", "training.epochs=3",
    ]  # fmt: skip
    for job in jobs:
        config = parse_tree(job.config)
        assert config.sweep == "mine" and config.training.epochs == 3 and job.search is None
        assert config.model.name == job.varied["model"]
    assert msgspec.json.decode(msgspec.json.encode(planned.record), type=SweepRecord) == planned.record


def test_the_shipped_plan_is_two_networks_on_five_seeds(checker: Checker) -> None:
    jobs = plan(checker, "sweep_plan=study").record.jobs
    assert [(job.varied["model"], job.varied["seed"]) for job in jobs] == [
        (model, seed) for model in ("ann", "bn_dnn") for seed in range(5)
    ]
    assert re.fullmatch(r"ann_seed-0_[0-9a-f]{6}", jobs[0].name)


def test_seeds_are_counted_from_the_seed_that_is_typed(checker: Checker) -> None:
    jobs = plan(checker, "sweep_plan.seeds=3", "seed=40").record.jobs
    assert [job.config["seed"] for job in jobs] == [40, 41, 42]


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        (
            ["model=ann,cnn", "optimizer.learning_rate=1e-3,-1"],
            [
                "job 2 of 4 (model=ann optimizer.learning_rate=-1): optimizer.learning_rate: got -1",
                "1 more job ",
            ],
        ),
        (["model=ann,bn_dn"], ["job 2 of 2 (model=bn_dn): model:", '"bn_dnn"']),
        (["model=ann,cnn", "model.units=[3]"], ["job 2 of 2 (model=cnn): model.units:"]),
        (["+model.unitz=1,2,3"], ["job 1 of 3 (+model.unitz=1): model.unitz:", "2 more jobs"]),
        (["mode=train,tune", "data.validation=test"], ["job 2 of 2 (mode=tune): data.validation: got test"]),
        (["sweep_plan.seeds=2", "seed=2147483647"], ["job 2 of 2 (seed=2147483648): seed:"]),
        (["sweep_plan.seeds=2", "seed=x"], ["seed:", "whole number"]),
        # what only Keras knows
        (
            ["model=ann,cnn", "+optimizer.clipnorm=1", "+optimizer.clipvalue=1"],
            ["job 1 of 2 (model=ann): optimizer:", "1 more job "],
        ),
        (
            ["model=cnn", "model.layers.0.Reshape.target_shape=[28,28,1],[3,3,1]"],
            ["job 2 of 2 (model.layers.0.Reshape.target_shape=[3,3,1]): model.layers: they do not fit"],
        ),
        # what only the disk knows
        (
            ["data=sample,fashion_mnist", "data.mirrors=[]", "data.places=[]"],
            ["job 2 of 2 (data=fashion_mnist): fashion_mnist"],
        ),
        (["data.validation=500,4000"], ["job 2 of 2 (data.validation=4000): data.validation=4000 leaves"]),
    ],
)
def test_a_job_that_cannot_be_is_refused_before_any_begins(
    checker: Checker, typed: list[str], needed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_EXP_FASHION_DATA", raising=False)
    words = refusal(checker, *typed)
    assert all(part in words for part in needed), words


def test_a_sweep_of_one_job_is_refused_as_a_run_is(checker: Checker) -> None:
    assert refusal(checker, "training.epochs=0").startswith("training.epochs: got 0")


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


def test_networks_are_counted_as_keras_counts_them(checker: Checker) -> None:
    planned = plan(checker, "model=ann,bn_dnn,cnn")
    assert [facts.num_params for facts in planned.checked] == [101_770, 131_594, 24_394]
    assert planned.checked[0].data.num_train == 3500


def test_a_network_larger_than_the_memory_takes_none_to_plan(checker: Checker) -> None:
    (job,) = plan(checker, "model.units=[1000000,1000000]").record.jobs
    assert job.num_params == 784 * 10**6 + 10**12 + 10 * 10**6 + 2 * 10**6 + 10


def test_a_checker_that_died_says_why() -> None:
    with closing(Checker()) as opened:
        os.kill(opened.start().child.pid, signal.SIGKILL)
        with pytest.raises(ExperimentError, match="signal 9"):
            plan(opened, "model=cnn")


def test_a_worker_ends_with_its_parent() -> None:
    code = "from mnist_exp.processes.child import Child; print(Child().pid, flush=True)"
    parent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status = Path("/proc", parent.stdout.strip(), "stat")
    deadline = time.monotonic() + 60
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.2)


def test_three_hundred_jobs_are_planned_in_seconds(checker: Checker) -> None:
    started = time.monotonic()
    rates = "optimizer.learning_rate=1e-3,2e-3,3e-3,4e-3,5e-3"
    planned = plan(checker, "model=ann,bn_dnn", rates, "seed=range(0,30)")
    assert len(planned.record.jobs) == 300
    assert time.monotonic() - started < 30


def test_names_are_stable_short_and_safe_whatever_the_values_are() -> None:
    source = random.Random(0)
    hostile = [
        "../../etc",
        "-rf",
        "a/b",
        "$(reboot)",
        "`x`",
        "é\n\x1b[2J",
        "..",
        "",
        "*",
        "A" * 300,
        "con",
        "\u202e",
    ]
    varied: list[dict[str, Any]] = [
        {
            "model": source.choice(hostile),
            "-x.y": source.choice([*hostile, None, True, [1, -2.5], {"a": "/"}]),
        }
        for _ in range(300)
    ]
    identities = [canonical({"number": number}) for number in range(300)]
    names = name_jobs(varied, identities, {"model"}, "-")
    assert names == name_jobs(varied, identities, {"model"}, "-")
    assert len({name.casefold() for name in names}) == 300
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}_[0-9a-f]{6,}", name), name


def test_names_say_what_tells_jobs_apart(checker: Checker) -> None:
    def words(*typed: str) -> list[str]:
        return [job.name.rpartition("_")[0] for job in plan(checker, *typed).record.jobs]

    assert words("model=ann,cnn", "seed=0,1") == ["ann_seed-0", "ann_seed-1", "cnn_seed-0", "cnn_seed-1"]
    assert words("augmentation=none,shift") == ["augmentation-none", "shift"]
    assert words("model.units=[64,32],[8]", "model=bn_dnn") == ["units-64-32", "units-8"]
    assert words("training.early_stopping.patience=0,2", "schedule=plateau", "schedule.patience=3,4")[0] == (
        "training.early_stopping.patience-0_schedule.patience-3"
    )
    assert words("seed=4") == ["train_ann"]


def changed(record: SweepRecord, **values: Any) -> SweepRecord:
    """The same plan with other values, by key of the configuration's root."""
    jobs = [replace(job, config=job.config | values) for job in record.jobs]
    return replace(record, jobs=jobs)


def test_two_plans_of_the_same_jobs_do_not_differ(checker: Checker) -> None:
    record = plan(checker, "model=ann,cnn").record
    assert first_difference(record, plan(checker, "model=cnn,ann", name="other").record) is None
    assert first_difference(record, changed(record, runs_dir="/elsewhere", sweep="x")) is None


def test_the_difference_of_two_plans_is_said_in_a_line(checker: Checker) -> None:
    base = ["model=ann,cnn", "sweep_plan.seeds=5"]
    record = plan(checker, *base, "optimizer.learning_rate=0.001").record
    words = first_difference(record, plan(checker, *base, "optimizer.learning_rate=0.003").record)
    assert words == "optimizer.learning_rate: 0.001 → 0.003 in job 0"
    words = first_difference(
        record, plan(checker, *base, "optimizer.learning_rate=0.001", "training.epochs=4").record
    )
    assert words == "training.epochs: 35 → 4 in job 0"


def test_jobs_that_came_or_went_are_counted_and_one_is_named(checker: Checker) -> None:
    five, seven = (plan(checker, f"seed=range(0,{count})").record for count in (5, 7))
    assert first_difference(five, seven) == "5 jobs then, 7 now (seed=5 is new)"
    assert first_difference(seven, five) == "7 jobs then, 5 now (seed=5 is missing)"


def test_a_file_that_was_edited_shows_as_a_change_of_the_jobs_it_is_in(checker: Checker) -> None:
    record = plan(checker, "seed=0,1").record
    edited = changed(record, optimizer=record.jobs[0].config["optimizer"] | {"weight_decay": 0.5})
    assert first_difference(record, edited) == "optimizer.weight_decay: 0.15 → 0.5 in job 0"


def test_nothing_is_known_where_nothing_was_run(checker: Checker, tmp_path: Path) -> None:
    assert estimate_jobs(plan(checker, "model=ann,cnn", f"runs_dir={tmp_path}")) == [None, None]


def test_estimates_go_by_earlier_runs_where_there_are_some(
    checker: Checker, finished_run: FinishedRun, tmp_path: Path
) -> None:
    runs_dir = finished_run.path.parent
    planned = plan(checker, "model=ann,cnn", "training.epochs=3", f"runs_dir={runs_dir}")
    first, other = estimate_jobs(planned)
    assert first is not None and other is None
    manifest = json.loads((finished_run.path / "manifest.json").read_text())
    assert first.seconds == pytest.approx(manifest["duration_s"], rel=1e-6)
    kept = sum(path.stat().st_size for path in finished_run.path.rglob("*") if path.is_file())
    assert first.num_bytes == kept
    longer, _ = estimate_jobs(plan(checker, "model=ann,cnn", "training.epochs=30", f"runs_dir={runs_dir}"))
    assert longer is not None and longer.seconds > first.seconds
    assert total_seconds([first, longer], 1) > total_seconds([first, longer], 2) > longer.seconds


def test_damaged_runs_are_passed_over(checker: Checker, tmp_path: Path) -> None:
    for number, text in enumerate(["", "{", "[]", '{"status": "completed"}', "\x00"]):
        folder = tmp_path / "sweep" / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    (tmp_path / "folder" / "manifest.json").mkdir(parents=True)
    assert estimate_jobs(plan(checker, f"runs_dir={tmp_path}")) == [None]


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


@pytest.mark.parametrize("group", ["experiment", "model"])
def test_settings_of_a_sweep_in_a_file_that_is_swept_over_are_refused(
    checker: Checker, tmp_path: Path, group: str
) -> None:
    (tmp_path / group).mkdir()
    searchpath = f"hydra.searchpath=[file://{tmp_path}]"
    for key, text in SETTINGS.items():
        if group == "model" and key == "sweep_plan.seeds":
            continue  # the group sweep_plan comes later, and has the last word
        (tmp_path / group / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
        other = "ann" if group == "model" else "none"
        words = refusal(checker, searchpath, f"{group}={other},mine")
        assert f"job 2 of 2 ({group}=mine): {key}: a file that this job chooses sets it" in words
        assert "sweep of its own" in words
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
