"""Search spaces: what is read, what is refused, what Keras Tuner is told, and what trials are made of."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.parsing import Composition, resolve
from mnist_exp.errors import ConfigError
from mnist_exp.tuning.definition import Blueprint, Search, check, experiment_yaml, freeze
from mnist_exp.tuning.proposals import hyperparameters
from mnist_exp.tuning.search_space import Dimension, SearchSpace, assemble, describe, parse_search_space

SHIPPED = sorted(path.stem for path in CONF_DIR.joinpath("search_space").glob("*.yaml"))
BASE: dict[str, Any] = {
    "model": {"family": "mlp", "name": "ann", "units": [128], "activation": "relu", "dropout": 0.0},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "training": {"batch_size": 128, "epochs": 35},
}
LENGTH = {"model.units.length": {"type": "int", "min_value": 1, "max_value": 3}}
UNITS = LENGTH | {"model.units.each": {"type": "int", "min_value": 32, "max_value": 512, "step": 32}}
ACTIVATION = {"type": "choice", "values": ["relu", "tanh"], "as_many_as": "model.units"}
OPTIMIZER = {"optimizer": {"type": "choice", "values": ["adam", "rmsprop", "sgd"]}}
RATE = {"type": "float", "min_value": 1e-4, "max_value": 1e-2, "sampling": "log"}
RATES = OPTIMIZER | {
    "optimizer.learning_rate": [
        RATE | {"when": {"optimizer": ["adam", "rmsprop"]}},
        RATE | {"min_value": 1e-2, "max_value": 0.5, "when": {"optimizer": "sgd"}},
    ]
}
BATCH = {"training.batch_size": {"type": "choice", "values": [64, 128, 256]}}


@pytest.fixture(autouse=True)
def composing() -> Iterator[None]:
    """Lets Hydra compose from conf/."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield


def parse(tree: dict[str, Any], base: dict[str, Any] | None = None) -> SearchSpace:
    return parse_search_space(tree, BASE if base is None else base)


def one(**fields: Any) -> Dimension:
    (dimension,) = parse({"training.batch_size": fields}, {}).dimensions
    return dimension


def composed(*overrides: str) -> DictConfig:
    return compose("config", list(overrides))


def frozen(space: SearchSpace, *overrides: str) -> Blueprint:
    typed = ["mode=tune", *overrides]
    with_hydra = compose("config", typed, return_hydra_config=True)
    choices = OmegaConf.to_container(with_hydra.hydra.runtime.choices)
    assert isinstance(choices, dict)
    texts = {str(group): str(option) for group, option in choices.items()}
    return freeze(Composition(composed(*typed), typed, texts, lambda typed: composed(*typed)), space)


def shipped(name: str, *overrides: str) -> tuple[SearchSpace, Blueprint]:
    tree = composed("mode=tune", f"search_space={name}", *overrides)
    base = resolve(tree)
    space = parse(base.pop("search_space"), base)
    return space, frozen(space, f"search_space={name}", *overrides)


def as_told(space: SearchSpace, values: dict[str, Any]) -> dict[str, Any]:
    """Values by name as Keras Tuner has them: the inverse of `decode`."""
    return {
        dimension.id: dimension.encode(values[dimension.name])
        for dimension in space.dimensions
        if all(values.get(name) in accepted for name, accepted in dimension.conditions)
    }


def samples(space: SearchSpace, count: int) -> Iterator[dict[str, Any]]:
    """Draws values as Keras Tuner's random search does."""
    for seed in range(count):
        drawn = hyperparameters(space)
        drawn.values = {}
        for number, hyperparameter in enumerate(drawn.space):
            if drawn.is_active(hyperparameter):
                drawn.values[hyperparameter.name] = hyperparameter.random_sample(seed * 1000 + number)
        yield drawn.values


def names(space: SearchSpace) -> list[str]:
    return [dimension.name for dimension in space.dimensions]


# What is refused: the space, then what the one line must contain.
REFUSED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ("search_space:", "empty")),
    ({"a.b": {"typ": "int", "min_value": 1, "max_value": 2}}, ("a.b:", '"type"', "int")),
    ({"a.b": {"tpye": "int"}}, ("a.b.tpye:", '"type"')),
    ({"a.b": 3}, ("a.b:", "got 3", "mapping")),
    ({"a.b": None}, ("a.b:", "null")),
    ({"a.b": []}, ("a.b:", "got []")),
    ({"a.b": [1, 2]}, ("a.b:", "got [1,2]")),
    ({"a.b": {}}, ("a.b:", '"type"')),
    ({"a.b": {"type": "integer", "min_value": 1, "max_value": 2}}, ("a.b.type:", "integer", '"int"')),
    ({"a.b": {"type": "int", "min_value": 1, "max_value": 2, "stp": 1}}, ("a.b.stp:", '"step"')),
    ({"a.b": {"type": "choice", "values": [1], "step": 1}}, ("a.b.step:", "choice has no such field")),
    ({"a.b": {"type": "int", "max_value": 2}}, ("a.b.min_value:", "missing")),
    ({"a.b": {"type": "float", "min_value": 2}}, ("a.b.max_value:", "missing")),
    ({"a.b": {"type": "int", "min_value": 3, "max_value": 2}}, ("a.b:", "empty", "3", "2")),
    ({"a.b": {"type": "int", "min_value": 1.5, "max_value": 2}}, ("a.b.min_value:", "1.5", "whole")),
    ({"a.b": {"type": "int", "min_value": True, "max_value": 2}}, ("a.b.min_value:", "true", "whole")),
    ({"a.b": {"type": "int", "min_value": 1, "max_value": 10**30}}, ("a.b.max_value:",)),
    ({"a.b": {"type": "float", "min_value": "1", "max_value": 2}}, ("a.b.min_value:", "finite")),
    ({"a.b": {"type": "float", "min_value": 0, "max_value": float("inf")}}, ("a.b.max_value:", "finite")),
    ({"a.b": {"type": "float", "min_value": float("nan"), "max_value": 1}}, ("a.b.min_value:", "finite")),
    ({"a.b": {"type": "float", "min_value": 1e-50, "max_value": 1}}, ("a.b.min_value:", "1e-50")),
    ({"a.b": RATE | {"min_value": 0}}, ("a.b.min_value:", "got 0", "log")),
    ({"a.b": RATE | {"sampling": "lgo"}}, ("a.b.sampling:", "lgo", '"log"')),
    ({"a.b": RATE | {"sampling": ["log"]}}, ("a.b.sampling:", "[log]")),
    (
        RATES | {"optimizer": OPTIMIZER["optimizer"]} | {"a.b": [RATE, RATE], "a": {"b": RATE}},
        ("a.b:", "alternatives"),
    ),
    ({"a.b": RATE | {"step": 1}}, ("a.b.step:", "above 1")),
    ({"a.b": {"type": "int", "min_value": 1, "max_value": 2, "step": 0}}, ("a.b.step:", "above 0")),
    ({"a.b": {"type": "int", "min_value": 1, "max_value": 2, "step": -1}}, ("a.b.step:", "above 0")),
    ({"a.b": {"type": "int", "min_value": 1, "max_value": 9, "step": 1.5}}, ("a.b.step:", "whole")),
    ({"a.b": {"type": "float", "min_value": 0, "max_value": 1, "step": 1e-9}}, ("a.b.step:", "10,000")),
    ({"a.b": {"type": "choice"}}, ("a.b.values:", "at least one")),
    ({"a.b": {"type": "choice", "values": []}}, ("a.b.values:", "at least one")),
    ({"a.b": {"type": "choice", "values": 3}}, ("a.b.values:", "got 3")),
    ({"a.b": {"type": "choice", "values": [1, 2, 1.0]}}, ("a.b.values:", "twice")),
    ({"a.b": {"type": "choice", "values": [[1], [1]]}}, ("a.b.values:", "[1]", "twice")),
    ({"a.b": {"type": "choice", "values": [float("nan")]}}, ("a.b.values:", "finite")),
    ({"a.b": {"type": "choice", "values": [1, 2], "default": 3}}, ("a.b.default:", "got 3", "1 or 2")),
    ({"a.b": {"type": "boolean", "default": 1}}, ("a.b.default:", "true or false")),
    ({"a.b": RATE | {"default": 1.0}}, ("a.b.default:", "0.0001 to 0.01")),
    (BATCH | {"a.b": RATE | {"when": {"training.batchsize": 64}}}, ("a.b.when:", '"training.batch_size"')),
    (
        BATCH | {"a.b": RATE | {"when": {"training.batch_size": 65}}},
        ("a.b.when:", "never 65", "128, 256, 64"),
    ),
    (BATCH | {"a.b": RATE | {"when": {"training.batch_size": []}}}, ("a.b.when:", "at least one")),
    (BATCH | {"a.b": RATE | {"when": 64}}, ("a.b.when:", "mapping")),
    ({"a.b": RATE, "a.c": RATE | {"when": {"a.b": 1e-3}}}, ("a.c.when:", "range of numbers")),
    (RATES | {"a.c": RATE | {"when": {"optimizer.learning_rate": 0.01}}}, ("a.c.when:", "alternatives")),
    ({"a.b": {"type": "boolean", "when": {"a.b": True}}}, ("a.b.when:", "a.b -> a.b")),
    (
        {"a": {"type": "boolean", "when": {"b": True}}, "b": {"type": "boolean", "when": {"a": True}}},
        ("a.when:", "a -> b -> a"),
    ),
    (
        {
            "a": {"type": "boolean"},
            "b": {"type": "boolean", "when": {"a": True}},
            "c": RATE | {"when": {"a": False, "b": True}},
        },
        ("c.when:", "never hold"),
    ),
    (
        OPTIMIZER | {"a.b": [RATE, RATE | {"when": {"optimizer": "sgd"}}]},
        ("a.b:", "at once: always; optimizer is sgd"),
    ),
    (
        RATES
        | {"a.b": [RATE | {"when": {"optimizer": ["adam", "sgd"]}}, RATE | {"when": {"optimizer": "sgd"}}]},
        ("a.b:", "at once: optimizer is adam or sgd; optimizer is sgd"),
    ),
    ({"model.units.each": UNITS["model.units.each"]}, ("model.units.each:", "no length")),
    (LENGTH, ("model.units.length:", "entry 0", '"model.units.each"')),
    (
        UNITS | {"model.activation.each": ACTIVATION | {"as_many_as": "model.unit"}},
        ("model.unit ", '"model.units"'),
    ),
    ({"model.activation.each": ACTIVATION}, ("as_many_as:", '"model.units.length"')),
    (UNITS | {"model.activation": ACTIVATION}, ("as_many_as:", '"model.activation.each"')),
    (UNITS | {"model.units.length": RATE}, ("model.units.length:", "whole number")),
    (UNITS | {"model.units.length": LENGTH["model.units.length"] | {"max_value": 101}}, ("101",)),
    (UNITS | {"model.units.length": LENGTH["model.units.length"] | {"max_value": 10**9}}, ("length:", "100")),
    (UNITS | {"model.units.5": {"type": "choice", "values": [1]}}, ("model.units.5:", "never hold")),
]


@pytest.mark.parametrize(("tree", "expected"), REFUSED, ids=[" ".join(words) for _, words in REFUSED])
def test_a_space_that_cannot_be_searched_is_refused(tree: dict[str, Any], expected: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(tree)
    message = str(refusal.value)
    assert message.startswith("search_space") and "\n" not in message
    assert all(part in message for part in expected), message


def test_whatever_is_written_is_read_or_refused() -> None:
    random = np.random.default_rng(0)
    keys = ["type", "min_value", "max_value", "step", "sampling", "values", "default", "when", "as_many_as"]
    oddities = [
        None,
        True,
        -1,
        0,
        2,
        0.5,
        1e300,
        float("nan"),
        "int",
        "log",
        "a.b",
        [],
        [1],
        [[]],
        {},
        {"a.b": 1},
        {1: 2},
    ]
    good = {"type": "int", "min_value": 1, "max_value": 3}
    num_read = 0
    for _ in range(3000):
        fields = {str(key): oddities[random.integers(len(oddities))] for key in random.choice(keys, 2)}
        name = str(random.choice(["a.b", "a.each", "a.length", "a.0", "b"]))
        with contextlib.suppress(ConfigError):
            hyperparameters(parse(UNITS | {"a.b": good} | {name: good | fields}))
            num_read += 1
    assert 0 < num_read < 3000


def test_dotted_and_nested_paths_are_the_same() -> None:
    nested = {"model": {"units": {"length": UNITS["model.units.length"], "each": UNITS["model.units.each"]}}}
    assert parse(nested) == parse(UNITS)


def test_a_field_on_the_command_line_changes_one_in_the_file() -> None:
    (dimension,) = parse(BATCH | {"training": {"batch_size": {"values": [32, 64]}}}).dimensions
    assert dimension.values == (32, 64)


def test_each_entry_of_a_list_is_searched_only_where_the_list_has_it() -> None:
    space = parse(UNITS | {"model.activation.each": ACTIVATION})
    assert names(space)[:4] == ["model.units.length", "model.units.0", "model.units.1", "model.units.2"]
    conditions = {dimension.name: dimension.conditions for dimension in space.dimensions}
    assert conditions["model.units.1"] == (("model.units.length", (2, 3)),)
    assert conditions["model.activation.2"] == (("model.units.length", (3,)),)
    assert space.lengths == {"model.units": "model.units.length", "model.activation": "model.units.length"}


def test_an_entry_may_be_described_apart_from_the_others() -> None:
    space = parse(UNITS | {"model.units.0": {"type": "choice", "values": [512]}})
    assert {d.name: d.max_value for d in space.dimensions if d.name != "model.units.length"} == {
        "model.units.1": 512,
        "model.units.2": 512,
        "model.units.0": None,
    }


def test_dimensions_come_after_those_that_they_depend_on() -> None:
    reverse = dict(reversed(RATES.items()))
    assert names(parse(reverse))[0] == "optimizer"


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_the_alternative_whose_condition_holds_is_chosen(optimizer: str) -> None:
    space = parse(RATES)
    values = space.example(space.dimensions[0], optimizer)
    assert list(as_told(space, values))[1] == f"optimizer.learning_rate{'#2' if optimizer == 'sgd' else ''}"


def test_alternatives_may_exclude_each_other_by_any_of_the_names_that_they_depend_on() -> None:
    flags: dict[str, Any] = {name: {"type": "choice", "values": [1, 2, 3]} for name in ("a", "b")}
    flags["d"] = {"type": "boolean", "when": {"a": 3, "b": 3}}
    whens: list[dict[str, Any]] = [{"a": [1, 2], "b": 1}, {"a": 2, "b": [2, 3]}, {"d": True}]
    space = parse(flags | {"c": [RATE | {"when": when} for when in whens]})
    assert [dimension.id for dimension in space.dimensions if dimension.name == "c"] == ["c", "c#2", "c#3"]


@pytest.mark.parametrize(
    ("name", "fields", "default"),
    [
        ("training.batch_size", BATCH["training.batch_size"], 128),
        ("training.batch_size", {"type": "choice", "values": [1, 2]}, 1),
        ("training.batch_size", {"type": "choice", "values": [128, 2], "default": 2}, 2),
        ("training.epochs", {"type": "int", "min_value": 10, "max_value": 100}, 35),
        ("training.epochs", {"type": "int", "min_value": 10, "max_value": 100, "step": 10}, 10),
        ("training.epochs", {"type": "int", "min_value": 50, "max_value": 100}, 50),
        ("optimizer", {"type": "choice", "values": ["sgd", "adam"]}, "adam"),
        ("optimizer.learning_rate", RATE, 0.001),
        ("model.batch_norm", {"type": "boolean"}, False),
        ("model.units.0", {"type": "int", "min_value": 1, "max_value": 500}, 128),
        ("model.dropout", {"type": "float", "min_value": 0, "max_value": 0.5, "step": 0.1}, 0.0),
    ],
)
def test_the_default_is_its_own_then_the_configurations_then_the_first(
    name: str, fields: dict[str, Any], default: Any
) -> None:
    assert parse({name: fields}).dimensions[0].default == default


def test_a_range_with_a_step_has_both_its_ends() -> None:
    assert one(type="float", min_value=0, max_value=0.5, step=0.1).values == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert one(type="float", min_value=-0.2, max_value=0.2, step=0.1).values == (-0.2, -0.1, 0.0, 0.1, 0.2)
    powers = one(type="float", min_value=1e-3, max_value=10, step=10, sampling="log")
    assert powers.values == (0.001, 0.01, 0.1, 1.0, 10.0)
    mirrored = one(type="int", min_value=1, max_value=8, step=2, sampling="reverse_log")
    assert list(mirrored.possible_values() or ()) == [1, 5, 7, 8]


@pytest.mark.parametrize(
    "values",
    [
        ["relu", "tanh"],
        ["1", "true", "null"],
        [64, 128],
        [0.1, 0.2, 0.30000000000000004],
        [0, 0.5],
        [True, False],
        [None, 0.1],
        [[256], [512, 256], []],
        [{"a": 1}, "a", 1, True, None],
        [10**18, 1],
        ["é ${x}", "[1]"],
    ],
)
def test_a_choice_of_anything_goes_to_keras_tuner_and_back(values: list[Any]) -> None:
    space = parse({"a.b": {"type": "choice", "values": values}})
    (dimension,) = space.dimensions
    told = hyperparameters(space).space[0]
    sent = type(told).from_proto(told.to_proto())
    for value, encoded in zip(values, sent.values, strict=True):
        assert json.dumps(space.decode({"a.b": encoded})["a.b"]) == json.dumps(value)
        assert as_told(space, {"a.b": value}) == {"a.b": encoded}
    assert json.dumps(list(dimension.values)) == json.dumps(values)


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
@pytest.mark.parametrize("step", [None, 3])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_what_keras_tuner_draws_from_a_range_lies_in_it(kind: str, step: int | None, sampling: str) -> None:
    fields = {"type": kind, "min_value": 1, "max_value": 30, "step": step, "sampling": sampling}
    space = parse({"a.b": fields}, {})
    (dimension,) = space.dimensions
    drawn = [space.decode(encoded)["a.b"] for encoded in samples(space, 200)]
    assert all(dimension.find(value) for value in drawn)
    assert all(type(value) is {"int": int, "float": float}[kind] for value in drawn)
    possible = dimension.possible_values()
    assert possible is None or set(drawn) <= set(possible)
    assert step is None or set(drawn) == set(possible or ())


def test_drawn_numbers_are_short_and_stay_in_range() -> None:
    space = parse({"a.b": {"type": "float", "min_value": 0.1234564, "max_value": 0.2}})
    assert space.decode({"a.b": 0.12345641}) == {"a.b": 0.1234564}
    assert space.decode({"a.b": 0.15000000596046448}) == {"a.b": 0.15}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_values_go_to_keras_tuner_and_back_and_make_a_configuration(name: str) -> None:
    space, blueprint = shipped(name)
    for encoded in samples(space, 20):
        values = space.decode(encoded)
        assert set(as_told(space, values)) == set(encoded)
        assert space.decode(as_told(space, values)) == values == json.loads(json.dumps(values))
        tree = resolve(blueprint.composed(values))
        for path, value in assemble(values, space.lengths).items():
            found = OmegaConf.select(OmegaConf.create(tree), path)
            assert (found["name"] if path in blueprint.options else found) == value
        assert blueprint.config(values).mode == "train"


def test_lists_are_put_together() -> None:
    lengths: dict[str, str | int] = {
        "model.units": "model.units.length",
        "model.dropout": "model.units.length",
    }
    values = {
        "model.units.length": 2,
        "model.units.0": 64,
        "model.units.1": 32,
        "model.dropout.0": 0.1,
        "model.dropout.1": 0.2,
        "model.filters.1": 8,
    }
    assert assemble(values, lengths) == {
        "model.filters.1": 8,
        "model.units": [64, 32],
        "model.dropout": [0.1, 0.2],
    }
    assert assemble({"model.units.length": 0}, {"model.units": "model.units.length"}) == {"model.units": []}
    assert assemble({}, lengths) == {}
    for wrong in ({"model.units.0": 64}, {"model.units.length": 2, "model.units.0": 64}):
        with pytest.raises(ConfigError, match=r"search_space\.model\.units: got 1 entries"):
            assemble(wrong, lengths)


def test_what_is_given_is_not_searched() -> None:
    space, sentences = parse(RATES | BATCH).fix({"optimizer.learning_rate": 0.01, "seed": 3})
    assert names(space) == ["optimizer", "training.batch_size"]
    assert sentences == ["optimizer.learning_rate=0.01 is given, and not searched"]


def test_a_given_group_leaves_only_what_belongs_to_it() -> None:
    space, sentences = parse(RATES | BATCH).fix({"optimizer": "sgd"})
    assert [(d.id, d.conditions) for d in space.dimensions] == [
        ("optimizer.learning_rate#2", ()),
        ("training.batch_size", ()),
    ]
    assert sentences == ["optimizer=sgd is given, and not searched"]
    assert names(parse(RATES | BATCH).fix({"optimizer": "adamw"})[0]) == ["training.batch_size"]


def test_a_given_list_keeps_its_length_and_its_entries() -> None:
    whole = parse(UNITS | {"model.activation.each": ACTIVATION})
    space, sentences = whole.fix({"model.units": [256, 128]})
    assert names(space) == ["model.activation.0", "model.activation.1"]
    assert sentences == ["model.units=[256,128] is given, and not searched"]
    values = space.decode({"model.activation.0": "relu", "model.activation.1": "tanh"})
    assert assemble(values, space.lengths) == {"model.activation": ["relu", "tanh"]}
    config = frozen(space, "model.units=[256,128]").config(values)
    assert (config.model.units, config.model.activation) == ([256, 128], ["relu", "tanh"])


def test_one_value_given_for_a_whole_list_is_not_searched() -> None:
    space, _ = parse(UNITS | {"model.activation.each": ACTIVATION}).fix({"model.activation": "tanh"})
    assert names(space) == names(parse(UNITS)) and space.lengths == {"model.units": "model.units.length"}


def test_a_search_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left"):
        parse(BATCH).fix({"training.batch_size": 32})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "int", "min_value": 32, "max_value": 512, "step": 32}, "32 to 512 by 32"),
        (
            {"type": "int", "min_value": 1, "max_value": 64, "step": 2, "sampling": "log"},
            "1 to 64 times 2, log",
        ),
        (RATE, "0.0001 to 0.01, log"),
        ({"type": "float", "min_value": 0, "max_value": 0.5, "step": 0.1}, "0 to 0.5 by 0.1"),
        ({"type": "choice", "values": ["relu", "tanh", "sigmoid"]}, "relu, tanh or sigmoid"),
        ({"type": "choice", "values": [[256], [256, 128], None]}, "[256], [256,128] or null"),
        ({"type": "choice", "values": [True]}, "true"),
        ({"type": "boolean"}, "true or false"),
    ],
)
def test_a_range_is_put_into_words(fields: dict[str, Any], words: str) -> None:
    assert describe(one(**fields)) == (words, "")


def test_a_condition_is_put_into_words() -> None:
    space = parse(RATES | UNITS)
    words = {dimension.id: describe(dimension)[1] for dimension in space.dimensions}
    assert words["optimizer.learning_rate"] == "optimizer is adam or rmsprop"
    assert words["optimizer.learning_rate#2"] == "optimizer is sgd"
    assert words["model.units.0"] == "model.units.length is 1 to 3"
    assert words["model.units.2"] == "model.units.length is 3"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_space_is_checked_in_no_time(name: str) -> None:
    space, blueprint = shipped(name)
    started = time.process_time()
    check(space, blueprint)
    assert time.process_time() - started < 2


def test_the_mlp_space_fits_both_networks_and_no_other() -> None:
    check(*shipped("mlp", "model=bn_dnn"))
    with pytest.raises(ConfigError, match=r"search_space\.model\.activation: model cnn has no such key"):
        check(*shipped("mlp", "model=cnn"))


def test_the_cnn_space_chooses_its_network_unless_another_is_given() -> None:
    assert shipped("cnn")[1].choices["model"] == "cnn"
    with pytest.raises(ConfigError, match=r"search_space\.model\.filters\.0: there is no such key"):
        check(*shipped("cnn", "model=ann"))


def test_the_studys_experiment_goes_with_its_space() -> None:
    space, blueprint = shipped("study", "experiment=study_tuning")
    check(space, blueprint)
    config = blueprint.config({})
    assert (config.optimizer.name, config.training.epochs, config.training.batch_size) == ("adam", 10, 32)
    optimizer = next(each for each in space.dimensions if each.name == "optimizer")
    sgd = blueprint.config(space.example(optimizer, "sgd"))
    assert (sgd.optimizer.name, sgd.training.epochs) == ("sgd", 10)


@pytest.mark.parametrize(
    ("tree", "overrides", "expected"),
    [
        ({"optimizer.learning_rte": RATE}, (), ("learning_rte:", '"optimizer.learning_rate"')),
        ({"optimzer.learning_rate": RATE}, (), ("optimzer.learning_rate:", '"optimizer.learning_rate"')),
        ({"optimzer": OPTIMIZER["optimizer"]}, (), ("optimzer:", '"optimizer"')),
        ({"seed": {"type": "int", "min_value": 0, "max_value": 9}}, (), ("seed:", "same for all")),
        ({"data.validation": {"type": "choice", "values": [1]}}, (), ("data.validation:", "same for all")),
        ({"training.monitor": {"type": "choice", "values": ["loss"]}}, (), ("monitor:", "score")),
        ({"optimizer": {"type": "choice", "values": ["adam", "sg"]}}, (), ('no "sg"', '"sgd"')),
        ({"optimizer": {"type": "choice", "values": ["adam", 3]}}, (), ("got 3", "files")),
        (OPTIMIZER, ("optimizer.weight_decay=0.1",), ("adam", "optimizer.weight_decay")),
        (
            {"training.batch_size": {"type": "int", "min_value": 0, "max_value": 9}},
            (),
            ("batch_size: got 0", ">= 1"),
        ),
        ({"model.dropout": {"type": "choice", "values": [0.5, 1.0]}}, (), ("model.dropout: got 1.0", "< 1")),
        ({"model.activation": {"type": "choice", "values": ["relu", "tnh"]}}, (), ('"tnh"', '"tanh"')),
        ({"model.units.1": {"type": "choice", "values": [3, 4]}}, (), ("model.units.1:", "1 entries")),
        (
            {"model.width": {"type": "choice", "values": [3, 4]}},
            ("model=cnn",),
            ("model.width:", "no such key"),
        ),
        ({"augmentation.max_pixels": {"type": "choice", "values": [1, 2]}}, (), ("max_pixels",)),
    ],
)
def test_values_that_a_configuration_cannot_have_are_refused_before_the_first_trial(
    tree: dict[str, Any], overrides: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    space = parse(tree)
    with pytest.raises(ConfigError) as refusal:
        check(space, frozen(space, *overrides))
    message = str(refusal.value)
    assert message.startswith("search_space.") and "\n" not in message
    assert all(part in message for part in expected), message


def test_what_an_option_does_not_have_may_be_searched_where_the_schema_knows_it() -> None:
    space = parse({"optimizer.weight_decay": {"type": "choice", "values": [None, 0.01]}})
    blueprint = frozen(space, "optimizer=adam")
    check(space, blueprint)
    assert blueprint.config({"optimizer.weight_decay": 0.01}).optimizer.arguments["weight_decay"] == 0.01


def test_alternatives_follow_the_group_that_was_chosen() -> None:
    tree = {
        "augmentation": {"type": "choice", "values": ["none", "shift", "affine"]},
        "augmentation.max_pixels": {
            "type": "int",
            "min_value": 1,
            "max_value": 3,
            "when": {"augmentation": "shift"},
        },
    }
    space = parse(tree)
    blueprint = frozen(space)
    check(space, blueprint)
    config = blueprint.config({"augmentation": "shift", "augmentation.max_pixels": 2})
    assert config.augmentation.max_pixels == 2


def test_a_blueprint_and_a_space_survive_being_written_down() -> None:
    space, blueprint = shipped("study")
    config = blueprint.config({})
    tree = json.loads(json.dumps(Search(config, blueprint, space).to_tree()))
    assert Search.from_tree(tree, config) == Search(config, blueprint, space)
    assert yaml.safe_load(yaml.safe_dump(tree)) == tree


@pytest.mark.parametrize("name", SHIPPED)
def test_the_written_experiment_composes_to_the_trials_configuration(name: str, tmp_path: Path) -> None:
    space, blueprint = shipped(name, "training.early_stopping.patience=4")
    values = space.decode(next(samples(space, 1)))
    path = tmp_path / "experiment" / "best_experiment.yaml"
    path.parent.mkdir()
    text = experiment_yaml(blueprint, values, ["The winner.", "", "mnist-exp experiment=best_experiment"])
    path.write_text(text, encoding="utf-8")
    assert text.startswith("# @package _global_\n# The winner.\n#\n# mnist-exp")
    again = composed("experiment=best_experiment", f"hydra.searchpath=[{tmp_path}]")
    assert resolve(again) == resolve(blueprint.composed(values))


def test_the_written_experiment_leaves_out_what_the_trial_has_switched_off() -> None:
    pixels, grid = "augmentation.elastic_pixels", "augmentation.elastic_grid"
    space = parse(
        {pixels: {"type": "choice", "values": [0.0, 0.5]}, grid: {"type": "choice", "values": [4, 7]}}
    )
    blueprint = frozen(space, "augmentation=elastic")
    written = [
        yaml.safe_load(experiment_yaml(blueprint, {pixels: value, grid: 7}, []))["augmentation"]
        for value in (0.0, 0.5)
    ]
    assert "elastic_grid" not in written[0] and written[1]["elastic_grid"] == 7


RECIPES_WITH_DATA = {
    "best_ann": ("data=sample",),
    "fashion_ann": (),
    "study_ann": ("data.split_seed=3",),
}


@pytest.mark.parametrize(("recipe", "typed"), RECIPES_WITH_DATA.items())
def test_the_written_experiment_has_the_data_of_the_trials_but_no_place_of_this_machine(
    recipe: str, typed: tuple[str, ...], tmp_path: Path
) -> None:
    space = parse(BATCH)
    blueprint = frozen(space, f"experiment={recipe}", *typed, "data.path=/here/digits.npz")
    path = tmp_path / "experiment" / "best_experiment.yaml"
    path.parent.mkdir()
    path.write_text(experiment_yaml(blueprint, {"training.batch_size": 64}, ["The winner."]))
    again = resolve(composed("experiment=best_experiment", f"hydra.searchpath=[{tmp_path}]"))
    expected = resolve(blueprint.composed({"training.batch_size": 64}))
    assert "/here" not in path.read_text()
    assert again == expected | {"data": expected["data"] | {"path": None}}


def test_a_written_experiment_takes_other_images() -> None:
    text = experiment_yaml(frozen(parse(BATCH), "experiment=best_ann"), {}, ["The winner."])
    assert yaml.safe_load(text)["data"] == {"validation": 0, "preprocessing": "deskew"}
    assert "data" not in yaml.safe_load(experiment_yaml(frozen(parse(BATCH)), {}, ["The winner."]))


def test_a_written_experiment_keeps_interpolations() -> None:
    _, blueprint = shipped("cnn")
    text = experiment_yaml(blueprint, {"model.filters.0": 24}, ["The winner."])
    assert "${model.filters.0}" in text and yaml.safe_load(text)["model"]["filters"] == [24, 32, 64]
