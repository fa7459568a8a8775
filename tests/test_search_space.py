"""Search spaces: what is read, what is refused, what Keras Tuner is told, and what trials are made of."""

import contextlib
import json
import time
from collections.abc import Iterator
from functools import cache
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
PATIENCE = "training.early_stopping.patience=4"
BASE: dict[str, Any] = {
    "model": {"family": "mlp", "name": "ann", "units": [128], "activation": "relu", "dropout": 0.0},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "training": {"batch_size": 128, "epochs": 35},
}
FLAG = {"type": "boolean"}


def choice(values: list[Any]) -> dict[str, Any]:
    return {"type": "choice", "values": values}


def whole(low: Any, high: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "int", "min_value": low, "max_value": high} | fields


def rate_when(condition: dict[str, Any]) -> dict[str, Any]:
    return RATE | {"when": condition}


LENGTH = {"model.units.length": whole(1, 3)}
UNITS = LENGTH | {"model.units.each": whole(32, 512, step=32)}
ACTIVATION = {"type": "choice", "values": ["relu", "tanh"], "as_many_as": "model.units"}
OPTIMIZER = {"optimizer": choice(["adam", "rmsprop", "sgd"])}
RATE = {"type": "float", "min_value": 1e-4, "max_value": 1e-2, "sampling": "log"}
RATES = OPTIMIZER | {
    "optimizer.learning_rate": [
        rate_when({"optimizer": ["adam", "rmsprop"]}),
        RATE | {"min_value": 1e-2, "max_value": 0.5, "when": {"optimizer": "sgd"}},
    ]
}
BATCH = {"training.batch_size": choice([64, 128, 256])}


@pytest.fixture(autouse=True, scope="module")
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


@cache
def composed_once(*overrides: str) -> DictConfig:
    return compose("config", list(overrides))


def composed(*overrides: str) -> DictConfig:
    return composed_once(*overrides).copy()


def frozen(space: SearchSpace, *overrides: str) -> Blueprint:
    typed = ["mode=tune", *overrides]
    with_hydra = compose("config", typed, return_hydra_config=True)
    choices = OmegaConf.to_container(with_hydra.hydra.runtime.choices)
    assert isinstance(choices, dict)
    texts = {str(group): str(option) for group, option in choices.items()}
    return freeze(Composition(composed(*typed), typed, texts, lambda typed: composed(*typed)), space)


@cache
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


# What is refused of the key "a.b": its fields, then what the one line must contain.
REFUSED_FIELDS: list[tuple[Any, ...]] = [
    ({"typ": "int", "min_value": 1, "max_value": 2}, "a.b:", '"type"', "int"),
    (3, "a.b:", "got 3", "mapping"),
    (None, "a.b:", "null"),
    ([], "a.b:", "got []"),
    ([1, 2], "a.b:", "got [1,2]"),
    ({}, "a.b:", '"type"'),
    ({"type": "integer", "min_value": 1, "max_value": 2}, "a.b.type:", "integer", '"int"'),
    ({"type": "int", "min_value": 1, "max_value": 2, "stp": 1}, "a.b.stp:", '"step"'),
    ({"type": "choice", "values": [1], "step": 1}, "a.b.step:", "choice has no such field"),
    ({"type": "int", "max_value": 2}, "a.b.min_value:", "missing"),
    (whole(3, 2), "a.b:", "empty", "3", "2"),
    (whole(1.5, 2), "a.b.min_value:", "1.5", "whole"),
    (whole(True, 2), "a.b.min_value:", "true", "whole"),
    (whole(1, 10**30), "a.b.max_value:"),
    ({"type": "float", "min_value": "1", "max_value": 2}, "a.b.min_value:", "finite"),
    ({"type": "float", "min_value": float("nan"), "max_value": 1}, "a.b.min_value:", "finite"),
    ({"type": "float", "min_value": 1e-50, "max_value": 1}, "a.b.min_value:", "1e-50"),
    (RATE | {"min_value": 0}, "a.b.min_value:", "got 0", "log"),
    (RATE | {"sampling": "lgo"}, "a.b.sampling:", "lgo", '"log"'),
    (RATE | {"sampling": ["log"]}, "a.b.sampling:", "[log]"),
    (RATE | {"step": 1}, "a.b.step:", "above 1"),
    (whole(1, 2, step=0), "a.b.step:", "above 0"),
    (whole(1, 9, step=1.5), "a.b.step:", "whole"),
    ({"type": "float", "min_value": 0, "max_value": 1, "step": 1e-09}, "a.b.step:", "10,000"),
    (choice([]), "a.b.values:", "at least one"),
    ({"type": "choice", "values": 3}, "a.b.values:", "got 3"),
    (choice([1, 2, 1.0]), "a.b.values:", "twice"),
    (choice([[1], [1]]), "a.b.values:", "[1]", "twice"),
    (choice([float("nan")]), "a.b.values:", "finite"),
    ({"type": "choice", "values": [1, 2], "default": 3}, "a.b.default:", "got 3", "1 or 2"),
    ({"type": "boolean", "default": 1}, "a.b.default:", "true or false"),
    (RATE | {"default": 1.0}, "a.b.default:", "0.0001 to 0.01"),
    (FLAG | {"when": {"a.b": True}}, "a.b.when:", "a.b -> a.b"),
]
# The same of whole spaces.
REFUSED_SPACES: list[tuple[Any, ...]] = [
    ({}, "search_space:", "empty"),
    (RATES | {"optimizer": OPTIMIZER["optimizer"]} | {"a.b": [RATE, RATE], "a": {"b": RATE}}, "a.b:",
     "alternatives"),
    (BATCH | {"a.b": rate_when({"training.batchsize": 64})}, "a.b.when:", '"training.batch_size"'),
    (BATCH | {"a.b": rate_when({"training.batch_size": 65})}, "a.b.when:", "never 65", "128, 256, 64"),
    (BATCH | {"a.b": rate_when({"training.batch_size": []})}, "a.b.when:", "at least one"),
    (BATCH | {"a.b": RATE | {"when": 64}}, "a.b.when:", "mapping"),
    ({"a.b": RATE, "a.c": rate_when({"a.b": 0.001})}, "a.c.when:", "range of numbers"),
    (RATES | {"a.c": rate_when({"optimizer.learning_rate": 0.01})}, "a.c.when:", "alternatives"),
    ({"a": FLAG | {"when": {"b": True}}, "b": FLAG | {"when": {"a": True}}}, "a.when:", "a -> b -> a"),
    ({"a": FLAG, "b": FLAG | {"when": {"a": True}}, "c": rate_when({"a": False, "b": True})}, "c.when:",
     "never hold"),
    (OPTIMIZER | {"a.b": [RATE, rate_when({"optimizer": "sgd"})]}, "a.b:",
     "at once: always; optimizer is sgd"),
    (RATES | {"a.b": [rate_when({"optimizer": ["adam", "sgd"]}), rate_when({"optimizer": "sgd"})]},
     "a.b:", "at once: optimizer is adam or sgd; optimizer is sgd"),
    ({"model.units.each": UNITS["model.units.each"]}, "model.units.each:", "no length"),
    (LENGTH, "model.units.length:", "entry 0", '"model.units.each"'),
    (UNITS | {"model.activation.each": ACTIVATION | {"as_many_as": "model.unit"}},
     "model.unit ", '"model.units"'),
    ({"model.activation.each": ACTIVATION}, "as_many_as:", '"model.units.length"'),
    (UNITS | {"model.activation": ACTIVATION}, "as_many_as:", '"model.activation.each"'),
    (UNITS | {"model.units.length": RATE}, "model.units.length:", "whole number"),
    (UNITS | {"model.units.length": LENGTH["model.units.length"] | {"max_value": 101}}, "101"),
    (UNITS | {"model.units.length": LENGTH["model.units.length"] | {"max_value": 10**9}}, "length:", "100"),
    (UNITS | {"model.units.5": choice([1])}, "model.units.5:", "never hold"),
]  # fmt: skip
REFUSED = [({"a.b": case[0]}, case[1:]) for case in REFUSED_FIELDS]
REFUSED += [(case[0], case[1:]) for case in REFUSED_SPACES]


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
    oddities = [None, True, -1, 0, 2, 0.5, 1e300, float("nan"), "int", "log", "a.b"]
    oddities += [[], [1], [[]], {}, {"a.b": 1}, {1: 2}]
    good = whole(1, 3)
    num_read = 0
    for _ in range(1000):
        fields = {str(key): oddities[random.integers(len(oddities))] for key in random.choice(keys, 2)}
        name = str(random.choice(["a.b", "a.each", "a.length", "a.0", "b"]))
        with contextlib.suppress(ConfigError):
            hyperparameters(parse(UNITS | {"a.b": good} | {name: good | fields}))
            num_read += 1
    assert 0 < num_read < 1000


def test_dotted_and_nested_paths_are_the_same_and_the_command_line_counts_last() -> None:
    nested = {"model": {"units": {"length": UNITS["model.units.length"], "each": UNITS["model.units.each"]}}}
    assert parse(nested) == parse(UNITS)
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
    space = parse(UNITS | {"model.units.0": choice([512])})
    largest = {dimension.name: dimension.max_value for dimension in space.dimensions}
    assert [largest[f"model.units.{place}"] for place in range(3)] == [None, 512, 512]


def test_the_alternative_whose_condition_holds_is_chosen() -> None:
    space = parse(dict(reversed(RATES.items())))
    assert names(space)[0] == "optimizer", "dimensions come after those that they depend on"
    for optimizer, ending in (("adam", ""), ("rmsprop", ""), ("sgd", "#2")):
        values = space.example(space.dimensions[0], optimizer)
        assert list(as_told(space, values))[1] == f"optimizer.learning_rate{ending}"


def test_alternatives_may_exclude_each_other_by_any_of_the_names_that_they_depend_on() -> None:
    flags: dict[str, Any] = {name: choice([1, 2, 3]) for name in ("a", "b")}
    flags["d"] = FLAG | {"when": {"a": 3, "b": 3}}
    whens: list[dict[str, Any]] = [{"a": [1, 2], "b": 1}, {"a": 2, "b": [2, 3]}, {"d": True}]
    space = parse(flags | {"c": [RATE | {"when": when} for when in whens]})
    assert [dimension.id for dimension in space.dimensions if dimension.name == "c"] == ["c", "c#2", "c#3"]


@pytest.mark.parametrize(
    ("name", "fields", "default"),
    [
        ("training.batch_size", BATCH["training.batch_size"], 128),
        ("training.batch_size", choice([1, 2]), 1),
        ("training.batch_size", {"type": "choice", "values": [128, 2], "default": 2}, 2),
        ("training.epochs", whole(10, 100), 35),
        ("training.epochs", whole(10, 100, step=10), 10),
        ("training.epochs", whole(50, 100), 50),
        ("optimizer", choice(["sgd", "adam"]), "adam"),
        ("optimizer.learning_rate", RATE, 0.001),
        ("model.batch_norm", FLAG, False),
        ("model.units.0", whole(1, 500), 128),
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


CHOICES = [
    ["relu", "tanh"], ["1", "true", "null"], [64, 128], [0.1, 0.2, 0.30000000000000004], [0, 0.5],
    [True, False], [None, 0.1], [[256], [512, 256], []], [{"a": 1}, "a", 1, True, None], [10**18, 1],
    ["é ${x}", "[1]"],
]  # fmt: skip


@pytest.mark.parametrize("values", CHOICES)
def test_a_choice_of_anything_goes_to_keras_tuner_and_back(values: list[Any]) -> None:
    space = parse({"a.b": choice(values)})
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
    drawn = [space.decode(encoded)["a.b"] for encoded in samples(space, 100)]
    assert all(dimension.find(value) for value in drawn)
    assert all(type(value) is {"int": int, "float": float}[kind] for value in drawn)
    possible = dimension.possible_values()
    assert possible is None or set(drawn) <= set(possible)
    assert step is None or set(drawn) == set(possible or ())


def test_drawn_numbers_are_short_and_stay_in_range() -> None:
    space = parse({"a.b": {"type": "float", "min_value": 0.1234564, "max_value": 0.2}})
    assert space.decode({"a.b": 0.12345641}) == {"a.b": 0.1234564}
    assert space.decode({"a.b": 0.15000000596046448}) == {"a.b": 0.15}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_space_is_checked_at_once_and_its_values_make_a_configuration(name: str) -> None:
    space, blueprint = shipped(name, PATIENCE)
    started = time.process_time()
    check(space, blueprint)
    assert time.process_time() - started < 2
    for encoded in samples(space, 5):
        values = space.decode(encoded)
        assert set(as_told(space, values)) == set(encoded)
        assert space.decode(as_told(space, values)) == values == json.loads(json.dumps(values))
        tree = resolve(blueprint.composed(values))
        for path, value in assemble(values, space.lengths).items():
            found = OmegaConf.select(OmegaConf.create(tree), path)
            assert (found["name"] if path in blueprint.options else found) == value
        assert blueprint.config(values).mode == "train"


def test_lists_are_put_together() -> None:
    lengths: dict[str, str | int] = dict.fromkeys(["model.units", "model.dropout"], "model.units.length")
    values = {"model.units.length": 2, "model.units.0": 64, "model.units.1": 32}
    values |= {"model.dropout.0": 0.1, "model.dropout.1": 0.2, "model.filters.1": 8}
    lists = {"model.units": [64, 32], "model.dropout": [0.1, 0.2]}
    assert assemble(values, lengths) == {"model.filters.1": 8} | lists
    assert assemble({"model.units.length": 0}, {"model.units": "model.units.length"}) == {"model.units": []}
    assert assemble({}, lengths) == {}
    for wrong in ({"model.units.0": 64}, {"model.units.length": 2, "model.units.0": 64}):
        with pytest.raises(ConfigError, match=r"search_space\.model\.units: got 1 entries"):
            assemble(wrong, lengths)


LAYERS = UNITS | {"model.activation.each": ACTIVATION}
# A space, what is given and how that is worded, and what is left.
GIVEN: list[tuple[dict[str, Any], dict[str, Any], str, list[str]]] = [
    (RATES | BATCH, {"optimizer.learning_rate": 0.01, "seed": 3}, "optimizer.learning_rate=0.01",
     ["optimizer", "training.batch_size"]),
    (RATES | BATCH, {"optimizer": "sgd"}, "optimizer=sgd",
     ["optimizer.learning_rate#2", "training.batch_size"]),
    (RATES | BATCH, {"optimizer": "adamw"}, "optimizer=adamw", ["training.batch_size"]),
    (LAYERS, {"model.units": [256, 128]}, "model.units=[256,128]",
     ["model.activation.0", "model.activation.1"]),
    (LAYERS, {"model.activation": "tanh"}, "model.activation=tanh",
     ["model.units.length", "model.units.0", "model.units.1", "model.units.2"]),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "given", "words", "left"), GIVEN)
def test_what_is_given_is_not_searched(
    tree: dict[str, Any], given: dict[str, Any], words: str, left: list[str]
) -> None:
    space, sentences = parse(tree).fix(given)
    assert [dimension.id for dimension in space.dimensions] == left
    assert sentences == [f"{words} is given, and not searched"]
    known = {dimension.name for dimension in space.dimensions}
    assert all(name in known for dimension in space.dimensions for name, _ in dimension.conditions)


def test_a_given_list_keeps_its_length_and_its_entries() -> None:
    space, _ = parse(LAYERS).fix({"model.units": [256, 128]})
    values = space.decode({"model.activation.0": "relu", "model.activation.1": "tanh"})
    assert assemble(values, space.lengths) == {"model.activation": ["relu", "tanh"]}
    config = frozen(space, "model.units=[256,128]").config(values)
    assert (config.model.units, config.model.activation) == ([256, 128], ["relu", "tanh"])


def test_a_search_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left"):
        parse(BATCH).fix({"training.batch_size": 32})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (whole(32, 512, step=32), "32 to 512 by 32"),
        (RATE | whole(1, 64, step=2), "1 to 64 times 2, log"),
        (RATE, "0.0001 to 0.01, log"),
        ({"type": "float", "min_value": 0, "max_value": 0.5, "step": 0.1}, "0 to 0.5 by 0.1"),
        (choice(["relu", "tanh", "sigmoid"]), "relu, tanh or sigmoid"),
        (choice([[256], [256, 128], None]), "[256], [256,128] or null"),
        (choice([True]), "true"),
        (FLAG, "true or false"),
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


# Values that no configuration can have: the space, what is typed, and what the one line must contain.
REFUSED_VALUES: list[tuple[Any, ...]] = [
    ({"optimizer.learning_rte": RATE}, "", "learning_rte:", '"optimizer.learning_rate"'),
    ({"optimzer.learning_rate": RATE}, "", "optimzer.learning_rate:", '"optimizer.learning_rate"'),
    ({"optimzer": OPTIMIZER["optimizer"]}, "", "optimzer:", '"optimizer"'),
    ({"seed": whole(0, 9)}, "", "seed:", "same for all"),
    ({"data.validation": choice([1])}, "", "data.validation:", "same for all"),
    ({"training.monitor": choice(["loss"])}, "", "monitor:", "score"),
    ({"optimizer": choice(["adam", "sg"])}, "", 'no "sg"', '"sgd"'),
    ({"optimizer": choice(["adam", 3])}, "", "got 3", "files"),
    (OPTIMIZER, "optimizer.weight_decay=0.1", "adam", "optimizer.weight_decay"),
    (
        {"training.batch_size": whole(0, 9)},
        "",
        "batch_size: got 0",
        ">= 1",
    ),
    ({"model.dropout": choice([0.5, 1.0])}, "", "model.dropout: got 1.0", "< 1"),
    ({"model.activation": choice(["relu", "tnh"])}, "", '"tnh"', '"tanh"'),
    ({"model.units.1": choice([3, 4])}, "", "model.units.1:", "1 entries"),
    ({"model.width": choice([3, 4])}, "model=cnn", "model.width:", "no such key"),
    ({"augmentation.max_pixels": choice([1, 2])}, "", "max_pixels"),
]


@pytest.mark.parametrize(("tree", "typed", "expected"), [(*case[:2], case[2:]) for case in REFUSED_VALUES])
def test_values_that_a_configuration_cannot_have_are_refused_before_the_first_trial(
    tree: dict[str, Any], typed: str, expected: tuple[str, ...]
) -> None:
    space = parse(tree)
    with pytest.raises(ConfigError) as refusal:
        check(space, frozen(space, *typed.split()))
    message = str(refusal.value)
    assert message.startswith("search_space.") and "\n" not in message
    assert all(part in message for part in expected), message


def test_what_an_option_does_not_have_may_be_searched_where_the_schema_knows_it() -> None:
    space = parse({"optimizer.weight_decay": choice([None, 0.01])})
    blueprint = frozen(space, "optimizer=adam")
    check(space, blueprint)
    assert blueprint.config({"optimizer.weight_decay": 0.01}).optimizer.arguments["weight_decay"] == 0.01


def test_alternatives_follow_the_group_that_was_chosen() -> None:
    pixels = {"type": "int", "min_value": 1, "max_value": 3, "when": {"augmentation": "shift"}}
    augmentation = choice(["none", "shift", "affine"])
    space = parse({"augmentation": augmentation, "augmentation.max_pixels": pixels})
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


NO_TRACKER = {"tracker": {"name": "none"}}
"""Whoever trains a trial again says how it is followed."""


@pytest.mark.parametrize("name", SHIPPED)
def test_the_written_experiment_composes_to_the_trials_configuration(name: str, tmp_path: Path) -> None:
    space, blueprint = shipped(name, PATIENCE)
    values = space.decode(next(samples(space, 1)))
    path = tmp_path / "experiment" / "best_experiment.yaml"
    path.parent.mkdir()
    text = experiment_yaml(blueprint, values, ["The winner.", "", "mnist-exp experiment=best_experiment"])
    path.write_text(text, encoding="utf-8")
    assert text.startswith("# @package _global_\n# The winner.\n#\n# mnist-exp")
    again = composed("experiment=best_experiment", f"hydra.searchpath=[{tmp_path}]")
    assert resolve(again) == resolve(blueprint.composed(values)) | NO_TRACKER


def test_the_written_experiment_leaves_out_what_the_trial_has_switched_off() -> None:
    pixels, grid = "augmentation.elastic_pixels", "augmentation.elastic_grid"
    space = parse({pixels: choice([0.0, 0.5]), grid: choice([4, 7])})
    blueprint = frozen(space, "augmentation=elastic")
    for value, written in ((0.0, None), (0.5, 7)):
        tree = yaml.safe_load(experiment_yaml(blueprint, {pixels: value, grid: 7}, []))
        assert tree["augmentation"].get("elastic_grid") == written


RECIPES_WITH_DATA = {"best_ann": ("data=sample",), "fashion_ann": ("data.split_seed=3",)}


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
    assert again == expected | NO_TRACKER | {"data": expected["data"] | {"path": None}}


def test_a_written_experiment_takes_other_images() -> None:
    text = experiment_yaml(frozen(parse(BATCH), "experiment=best_ann"), {}, ["The winner."])
    assert yaml.safe_load(text)["data"] == {"validation": 0, "preprocessing": "deskew"}
    assert "data" not in yaml.safe_load(experiment_yaml(frozen(parse(BATCH)), {}, ["The winner."]))


def test_a_written_experiment_keeps_interpolations() -> None:
    _, blueprint = shipped("cnn")
    text = experiment_yaml(blueprint, {"model.filters.0": 24}, ["The winner."])
    assert "${model.filters.0}" in text and yaml.safe_load(text)["model"]["filters"] == [24, 32, 64]
