"""Which runs are put together, and what groups are called."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_exp.comparison.grouping import comparable_sets, count_looks, without_contradictions
from mnist_exp.comparison.labels import label_recipes, recipe
from mnist_exp.runs.run import Run, read_run
from tests.comparison.run_makers import BN_DNN, data_record, make_config, make_labels, make_run


def read(*paths: Path) -> list[Run]:
    return [read_run(path) for path in paths]


RATE, MOMENTUM = "optimizer.learning_rate", "optimizer.momentum"
SOFTENED = {"training.batch_size": 64, "training.label_smoothing": 0.05, "optimizer.weight_decay": 0.01}
# What each group changes, and the groups' names: short, and long where they would be one otherwise.
LABELS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([BN_DNN], ["bn_dnn"]),
    ([{}, BN_DNN], ["ann", "bn_dnn"]),
    (
        [{}, {"model.units": [256]}, BN_DNN],
        ["model=ann units=[128]", "model=ann units=[256]", "model=bn_dnn"],
    ),
    (
        [{RATE: 1e-3}, BN_DNN | {RATE: 0.003}],
        ["model=ann learning_rate=0.001", "model=bn_dnn learning_rate=0.003"],
    ),
    ([{"training.epochs": 5}, {"training.epochs": 10}], ["epochs=5", "epochs=10"]),
    ([{}, {"augmentation": {"name": "shift", "max_pixels": 1}}], ["none", "shift"]),
    (
        [{MOMENTUM: 0.5, "training.momentum": 1}, {MOMENTUM: 0.9, "training.momentum": 2}],
        ["optimizer.momentum=0.5 training.momentum=1", "optimizer.momentum=0.9 training.momentum=2"],
    ),
    ([{}, {MOMENTUM: 0.9}], ["momentum=unset", "momentum=0.9"]),
    (
        [SOFTENED, {"training.batch_size": 32}, BN_DNN, {}],
        [
            "model=ann weight_decay=0.01 batch_size=64 label_smoothing=0.05",
            *("model=ann batch_size=32", "model=bn_dnn", "model=ann"),
        ],
    ),
    ([{RATE: 1 / 3}, {RATE: 0.5}], ["learning_rate=0.3333", "learning_rate=0.5"]),
    ([{RATE: 0.33331}, {RATE: 0.33332}], ["learning_rate=0.33331", "learning_rate=0.33332"]),
]


@pytest.mark.parametrize(("changes", "labels"), LABELS)
def test_groups_are_named_by_what_tells_them_apart(changes: list[dict[str, Any]], labels: list[str]) -> None:
    assert label_recipes([recipe(make_config(each)) for each in changes]) == labels


def test_no_two_labels_are_alike_whatever_strangers_write() -> None:
    generator = np.random.default_rng(0)
    odd = ["a b=c", "a\nb", "\x1b[31mred", "x" * 300, "x" * 299 + "y", "", "="]
    odd += [None, True, 1, 1.5, [1, [2]], {}]
    keys = ("model.name", "model.units", "optimizer.name", "optimizer.learning_rate", "extra")
    for _ in range(50):
        changes = [{key: odd[int(generator.integers(len(odd)))] for key in keys} for _ in range(6)]
        recipes = {repr(each): recipe(make_config(each)) for each in changes}
        labels = label_recipes(list(recipes.values()))
        assert len(set(labels)) == len(recipes)
        assert all(label.isprintable() and len(label) < 400 for label in labels)


def test_runs_that_differ_by_seed_and_place_are_one_group(tmp_path: Path) -> None:
    elsewhere = {"runs_dir": "other", "sweep": "s", "data.path": "mnist.npz", "training.threads": 1}
    paths = [make_run(tmp_path, "a", seed=0), make_run(tmp_path, "b", seed=1, config=elsewhere)]
    paths.append(make_run(tmp_path, "c", seed=2, config={"model.dropout": 0}))
    (found,) = comparable_sets(read(*paths))
    (group,) = found.groups
    assert group.seeds == [0, 1, 2] and group.label == "ann" and found.keys == []


def test_the_latest_of_two_runs_of_a_seed_counts(tmp_path: Path) -> None:
    paths = []
    for number, second in enumerate((3, 9, 5)):
        started = {"started_at": f"2026-11-22T10:00:0{second}.000Z"}
        paths.append(make_run(tmp_path, f"run_{number}", seed=1, manifest=started))
    (found,) = comparable_sets(read(*paths))
    (group,) = found.groups
    assert [run.path.name for run in group.runs] == ["run_1"]
    assert [run.path.name for run in group.duplicates] == ["run_0", "run_2"]
    assert found.num_runs == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"train": "x"}, "other training images"),
        ({"test": "x"}, "other test images"),
        ({"split": "x"}, "other validation images"),
        ({"split": None}, "instead of 3c0a2e8b"),
    ],
)
def test_runs_on_other_images_are_set_apart_with_the_reason(
    tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    paths = [make_run(tmp_path, f"run_{seed}", seed=seed) for seed in range(3)]
    paths.append(make_run(tmp_path, "apart", manifest={"data": data_record(**other)}))
    sets = comparable_sets(read(*paths))
    assert [found.num_runs for found in sets] == [3, 1]
    assert sets[0].reason == ""
    assert words in sets[1].reason or sets[1].reason.startswith("other validation images (none instead of")


def test_choosing_on_test_images_makes_another_group(tmp_path: Path) -> None:
    record = {"data": data_record(split=None)}
    honest = make_run(tmp_path, "honest", config={"data.validation": 0}, manifest=record, val_accuracy=None)
    chosen = make_run(
        tmp_path, "chosen", seed=1, config={"data.validation": "test"}, manifest=record,
        summary={"selected_on_test": True},
    )  # fmt: skip
    (found,) = comparable_sets(read(honest, chosen))
    assert {group.label: group.is_optimistic for group in found.groups} == {
        "validation=none": False, "validation=test": True,
    }  # fmt: skip


def test_the_ledger_counts_looks_at_each_set_of_test_images(tmp_path: Path) -> None:
    paths = [make_run(tmp_path, f"run_{seed}", seed=seed) for seed in range(3)]
    on_test = {"data": data_record(split=None)}
    result = {"selected_on_test": True, "epochs": 5}
    paths.append(make_run(tmp_path, "chosen", manifest=on_test, summary=result))
    paths.append(make_run(tmp_path, "apart", manifest={"data": data_record(test="other")}))
    first, second = count_looks(read(*paths))
    assert "looked at 9 times by 4 runs; choosing a run" in first
    assert second.endswith("looked at once by 1 run.")


def test_labels_that_contradict_most_runs_are_not_believed(tmp_path: Path) -> None:
    turned = (make_labels(1000) + 1) % 10
    paths = [make_run(tmp_path, "a_liar", labels=turned)]
    paths += [make_run(tmp_path, f"run_{seed}", seed=seed) for seed in range(2)]
    believed, damaged = without_contradictions(read(*paths))
    assert [run.path.name for run in believed] == ["run_0", "run_1"]
    assert [error.path.name for error in damaged] == ["a_liar"]
    assert "labels differ" in damaged[0].reason
