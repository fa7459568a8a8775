"""From what was typed and planned to one list of overrides a job."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf, open_dict

from mnist_exp.config.composing import Composer
from mnist_exp.config.overrides import override_value, to_override
from mnist_exp.config.requests import SweepPlanConfig
from mnist_exp.errors import ConfigError
from mnist_exp.sweeps.expansion import expand

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(autouse=True)
def composing() -> Iterator[None]:
    """Lets Hydra compose from conf/."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


def plan(**parts: Any) -> SweepPlanConfig:
    empty: dict[str, Any] = {"grid": {}, "zip": {}, "list": [], "exclude": [], "seeds": None}
    return SweepPlanConfig(**(empty | parts))


@pytest.mark.parametrize(
    "typed",
    [
        ["model=ann,bn_dnn", "seed=0,1,2"],
        ["seed=range(3,0,-1)", "optimizer.learning_rate=range(0.1,0.5,0.1)"],
        ["optimizer=glob(ada*)", "schedule=glob(*,exclude=c*)"],
        ["model.units=[64],[128,64]", "+optimizer.amsgrad=true,false", "~optimizer.epsilon"],
        ["model.name=choice('a,b',c)", "data.path='it\\'s, here'", "training={epochs:3,batch_size:32}"],
        ["seed=1,2", "seed=7", "model=ann,cnn"],
        ["training.epochs=sort(3,1,2)", "model.activation=tag(t,choice(relu,gelu))"],
        ["data.path=", "model=ann"],
        [],
    ],
)
def test_the_command_line_is_expanded_as_hydra_does_it(typed: list[str]) -> None:
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    assert expand(typed, plan(), 0) == BasicSweeper.split_arguments(parser.parse_overrides(typed), None)[0]


def test_grid_zip_list_and_seeds_multiply_and_the_last_changes_fastest() -> None:
    jobs = expand(
        ["seed=7", "schedule=step,cosine"],
        plan(
            grid={"model": ["ann", "cnn"]},
            zip={"training.epochs": [1, 2], "training.batch_size": [32, 64]},
            list=[{}, {"optimizer": "sgd", "optimizer.momentum": 0.5}],
            seeds=2,
        ),
        base_seed=7,
    )
    assert len(jobs) == 2 * 2 * 2 * 2 * 2
    base = ["model=ann", "training.epochs=1", "training.batch_size=32"]
    assert jobs[0] == [*base, "schedule=step", "seed=7"]
    assert jobs[1] == [*base, "schedule=step", "seed=8"]
    assert jobs[2] == [*base, "optimizer=sgd", "optimizer.momentum=0.5", "schedule=step", "seed=7"]
    assert jobs[4][:3] == ["model=ann", "training.epochs=2", "training.batch_size=64"]
    assert jobs[8][0] == "model=cnn"
    assert jobs[16] == [*base, "schedule=cosine", "seed=7"]


def test_what_is_typed_is_taken_out_of_the_plan() -> None:
    planned = plan(
        grid={"model": ["ann", "cnn"], "seed": [1, 2]},
        zip={"training.epochs": [1, 2], "training.batch_size": [32, 32]},
        list=[{"optimizer": "sgd"}, {"optimizer": "adam"}],
        exclude=[{"model": "cnn", "seed": 2}],
    )
    jobs = expand(["model=bn_dnn", "training.epochs=9", "++optimizer=adamw"], planned, 0)
    typed = ["model=bn_dnn", "training.epochs=9", "++optimizer=adamw"]
    assert jobs == [
        ["seed=1", "training.batch_size=32", *typed],
        ["seed=2", "training.batch_size=32", *typed],
    ]


def test_the_overrides_of_a_whole_sweep_are_in_no_job() -> None:
    typed = ["sweep=s", "plan=true", "rerun=all", "on_fail=stop", "sweep_plan=study", "sweep_plan.seeds=3"]
    assert expand([*typed, "runs_dir=here", "model=cnn"], plan(), 0) == [["runs_dir=here", "model=cnn"]]


def test_excluded_are_jobs_that_have_all_values_of_an_entry() -> None:
    jobs = expand(
        ["model=ann,cnn"],
        plan(
            grid={"optimizer.learning_rate": [0.001, 1], "model.name": ["a, b", "1"]},
            exclude=[
                {"model": "cnn", "optimizer.learning_rate": 1.0},
                {"model.name": "a, b", "model": "ann"},
            ],
        ),
        0,
    )
    left = [dict(map(override_value, job)) for job in jobs]
    assert [(job["model"], job["optimizer.learning_rate"], job["model.name"]) for job in left] == [
        ("ann", 0.001, "1"), ("ann", 1, "1"), ("cnn", 0.001, "a, b"), ("cnn", 0.001, "1"),
    ]  # fmt: skip


def test_an_exclusion_that_the_command_line_made_pointless_is_none() -> None:
    planned = plan(grid={"model": ["ann", "cnn"], "seed": [0]}, exclude=[{"model": "cnn", "seed": 0}])
    assert expand(["model=ann"], planned, 0) == [["seed=0", "model=ann"]]


REFUSED_PLANS: list[tuple[dict[str, Any], *tuple[str, ...]]] = [
    ({"grid": {"seed": [1]}, "zip": {"seed": [1]}}, "seed", "grid", "zip"),
    ({"zip": {"+seed": [1]}, "list": [{"seed": 1}]}, "seed", "zip", "list"),
    ({"zip": {"seed": [1, 2], "model": ["ann"]}}, "seed has 2", "model has 1"),
    ({"grid": {"model": []}}, "sweep_plan.grid.model", "empty"),
    ({"zip": {"model": [], "seed": []}}, "sweep_plan.zip.model", "empty"),
    ({"exclude": [{}]}, "sweep_plan.exclude", "every job"),
    ({"grid": {"seed": [1]}, "exclude": [{"seed": 1}]}, "sweep_plan.exclude", "every job"),
    # that fits no job is a likely typo
    ({"grid": {"seed": [1, 2]}, "exclude": [{"seed": 1}, {"seed": 3}]}, "sweep_plan.exclude[1]", "seed: 3"),
    ({"grid": {"training.epochs": [1]}, "exclude": [{"training.epochs": True}]}, "sweep_plan.exclude[0]"),
    ({"seeds": 2, "grid": {"seed": [1]}}, "sweep_plan.seeds", "seed"),
    ({"seeds": 2, "list": [{"seed": 1}]}, "sweep_plan.seeds", "seed"),
    ({"grid": {"hydra.job.chdir": [True]}}, "sweep_plan.grid.hydra.job.chdir"),
    ({"list": [{"hydra/launcher": "joblib"}]}, "hydra/launcher"),
    ({"zip": {"sweep_plan.seeds": [1]}}, "sweep_plan.seeds"),
    ({"grid": {"runs_dir": ["a", "b"]}}, "runs_dir"),
    ({"list": [{"++sweep": "a"}]}, "sweep"),
    ({"grid": {"resume": ["a"]}}, "resume"),
    ({"grid": {"a b": [1]}}, "sweep_plan.grid.a b"),
    ({"grid": {"seed=1,2": [1]}}, "sweep_plan.grid.seed=1,2"),
    ({"grid": {"~model": [1]}}, "sweep_plan.grid.~model"),
    ({"grid": {"model.name": [b"x"]}}, "model.name", "bytes"),
    ({"grid": {"model.numbers": [{"1": 2}]}}, "model.numbers"),
    ({"grid": {"seed": list(range(1000)), "training.epochs": list(range(101))}}, "101,000", "100,000"),
    ({"seeds": 100_000, "grid": {"model": ["ann", "cnn"]}}, "200,000"),
]
REFUSED_COMMANDS = [
    ("sweep=a,b", "sweep:"),
    ("plan=true,false", "plan:"),
    ("sweep_plan=none,study", "sweep_plan:"),
    ("sweep_plan.seeds=1,2", "sweep_plan.seeds:"),
    ("+rerun=all,failed", "rerun:"),
    ("runs_dir=a,b", "runs_dir:"),
    ("resume=a", "resume:"),
    ("resume=a,b", "resume:"),
    ("hydra.job.num=1,2", "hydra.job.num:"),
    ("seed=interval(0,1)", "interval"),
    ("seed=range(0,1000000000000)", "100,000"),
    ("seed=shuffle(range(0,1000000000000))", "100,000"),
    ("seed=range(0,inf)", "finite"),
    ("seed=range(nan,3)", "finite"),
    ("seed=range(0,3,0)", "finite"),
    ("seed=range(3,0)", "no such values"),
    ("model=glob(zz*)", "no such values"),
    ("seed=[1", "a whole number"),
]


@pytest.mark.parametrize(
    ("typed", "parts", "needed"),
    [
        *(([], parts, needed) for parts, *needed in REFUSED_PLANS),
        *(([typed], {}, [needed]) for typed, needed in REFUSED_COMMANDS),
        (["seed=1,2"], {"seeds": 2}, ["sweep_plan.seeds"]),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_line(
    typed: list[str], parts: dict[str, Any], needed: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(typed, plan(**parts), 0)
    words = str(caught.value)
    assert [word for word in needed if word not in words] == [] and "\n" not in words, words


_LETTERS = "ab1'\"\\,[]{}()=:$ \t\n\r#é~%*@?|+-./_\u2028😀"
_WORDS = ["true", "null", "NaN", "inf", "1", "1e3", "0x1", "${model.name}", "a(b)", "~", "", " ", "a,b", "-"]


def _any_value(source: random.Random, depth: int = 0) -> Any:
    kind = source.randrange(10 if depth < 3 else 7)
    if kind < 2:
        return source.choice([None, True, False, 0, -3, 10**20, 0.0, -1.5, 1e22, 1e-7, float("inf")])
    if kind == 2:
        return source.uniform(-1, 1) * 10.0 ** source.randint(-300, 300)
    if kind == 3:
        return source.choice(_WORDS)
    if kind < 7:
        return "".join(source.choice(_LETTERS) for _ in range(source.randrange(9)))
    if kind < 9:
        return [_any_value(source, depth + 1) for _ in range(source.randrange(4))]
    keys = ["".join(source.choice("abc_") for _ in range(3)) for _ in range(source.randrange(3))]
    return {key: _any_value(source, depth + 1) for key in keys}


def test_every_value_of_yaml_is_written_so_that_hydra_reads_it_back() -> None:
    source = random.Random(0)
    for _ in range(1500):
        value = _any_value(source)
        key, read = override_value(to_override("model.x", value, "sweep_plan.grid"))
        assert key == "model.x" and repr(read) == repr(value)


_POOL = [
    "model=ann", "model=bn_dnn", "model=cnn", "optimizer=sgd", "optimizer=adam", "schedule=step", "mode=tune",
    "experiment=study_ann", "experiment=none", "data=sample", "mode=train", "tuner=grid",
    "search_space=study", "augmentation=shift", "augmentation.max_pixels=2", "seed=3", "training.epochs=2",
    "model.units=[4,5]",
    "model.units.0=7", "+optimizer.amsgrad=true", "++optimizer.amsgrad=false", "~optimizer.epsilon",
    "optimizer.momentum=0.3", "~optimizer", "~model=ann", "training={epochs:7}", "model={units:[9]}",
    "+model=cnn", "++model=cnn", "model@other=ann", "data.name=${model.name}", "nothing=1", "model=nothing",
    "+new.key={a:[1,2]}", "training.early_stopping=null", "model.filters.2=8", "+training.epochs=4",
    "~training.epochs=3", "tuner.max_trials=2", "model=[ann,cnn]", "optimizer=null", "seed.x=1", "model=3",
]  # fmt: skip


def _outcome(make: Any) -> Any:
    try:
        config, choices = make()
    except Exception as error:
        cause = error.__cause__
        return type(error), str(error), type(cause), str(cause)
    return OmegaConf.to_container(config), choices, OmegaConf.is_struct(config)


@pytest.mark.slow
def test_composing_many_gives_what_hydra_gives_for_each_errors_included() -> None:
    source, composer = random.Random(1), Composer()

    def fast(overrides: list[str]) -> Any:
        composed = composer.compose(overrides)
        return composed.config, composed.choices

    def slow(overrides: list[str]) -> Any:
        composed = compose("config", overrides, return_hydra_config=True)
        choices = {str(key): str(value) for key, value in composed.hydra.runtime.choices.items()}
        with open_dict(composed):
            del composed["hydra"]
        return composed, choices

    accepted = 0
    for _ in range(60):
        overrides = source.sample(_POOL, source.randint(0, 4))
        expected = _outcome(lambda overrides=overrides: slow(overrides))
        assert _outcome(lambda overrides=overrides: fast(overrides)) == expected, overrides
        accepted += len(expected) == 3
    assert 15 < accepted < 55
