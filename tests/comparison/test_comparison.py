"""Comparisons from run directories on disk: verdicts, tables, files."""

import csv
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from mnist_exp.comparison.comparison import compare
from mnist_exp.comparison.measures import Spread
from mnist_exp.comparison.report import Comparison
from mnist_exp.config.requests import CompareOptions
from mnist_exp.errors import ConfigError
from mnist_exp.report.comparison import markdown_table, results_csv
from mnist_exp.runs.records import SweepPlace
from tests.comparison.run_makers import BN_DNN, data_record, make_labels, make_run, make_unfinished


def right(num_wrong: int, start: int = 0, count: int = 1000) -> np.ndarray:
    """A network that errs on so many images from a place on."""
    correct = np.ones(count, bool)
    correct[start : start + num_wrong] = False
    return correct


def make_study(folder: Path, seeds: int = 5, gap: int = 8) -> Path:
    """ann and bn_dnn; on each seed bn_dnn errs on `gap` images less, give or take two."""
    for seed in range(seeds):
        wobble = (seed * 7) % 5 - 2
        make_run(folder, f"ann_{seed}", seed=seed, correct=right(40 + seed % 3), val_accuracy=0.97)
        make_run(
            folder, f"bn_{seed}", seed=seed, config=BN_DNN, correct=right(40 + seed % 3 - gap + wobble),
            val_accuracy=0.98, summary={"num_params": 131_594, "train_s": 16.6},
        )  # fmt: skip
    return folder


def rows(comparison: Comparison, columns: list[str] | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(results_csv(comparison, columns))))


def test_groups_of_seeds_that_differ_have_a_verdict_with_its_evidence(tmp_path: Path) -> None:
    (found,) = compare([make_study(tmp_path)]).sets
    (pair,) = found.pairs
    gaps = [0.008 - ((seed * 7) % 5 - 2) / 1000 for seed in range(5)]
    expected = ttest_rel(gaps, np.zeros(5))
    assert pair.method == "paired t" and pair.p_value == pytest.approx(expected.pvalue)
    assert pair.difference == pytest.approx(0.008)
    assert found.verdict == "bn_dnn is better than ann by 0.80 points (95% 0.60 to 1.00, p = 0.0003, 5 seeds)"
    assert found.leader == "bn_dnn"


def test_groups_that_cannot_be_told_apart_say_what_it_would_take(tmp_path: Path) -> None:
    (found,) = compare([make_study(tmp_path, gap=1)]).sets
    (pair,) = found.pairs
    assert not pair.is_decided and pair.more_seeds
    assert found.verdict.startswith(
        "cannot tell bn_dnn from ann: difference 0.10 points (95% −0.10 to 0.30, p ="
    )
    assert found.verdict.endswith(
        f"; about {pair.more_seeds} more seeds would be needed to detect 0.1 points"
    )


def test_a_single_run_against_a_single_run_is_mcnemars_exact_test(tmp_path: Path) -> None:
    make_run(tmp_path, "ann", correct=right(60, 40), val_accuracy=0.97)
    make_run(tmp_path, "bn", config=BN_DNN, correct=right(40), val_accuracy=0.98)
    (found,) = compare([tmp_path]).sets
    (pair,) = found.pairs
    assert pair.method == "McNemar" and pair.discordance is not None
    assert (pair.discordance.only_first, pair.discordance.only_second) == (60, 40)
    assert pair.p_value == pytest.approx(binomtest(60, 100).pvalue)
    assert "p = 0.057, 1 seed)" in found.verdict and found.verdict.startswith("cannot tell bn_dnn from ann")


def test_identical_runs_cannot_be_told_apart(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path, f"ann_{seed}", seed=seed, correct=right(20))
        make_run(tmp_path, f"bn_{seed}", seed=seed, config=BN_DNN, correct=right(20))
    (pair,) = compare([tmp_path]).sets[0].pairs
    assert pair.p_value == 1.0 and pair.difference == 0 and pair.image_interval == (0.0, 0.0)
    one = compare([tmp_path / "ann_0", tmp_path / "bn_0"]).sets[0]
    assert "difference 0.00 points (95% −" in one.verdict and "p = 1, 1 seed)" in one.verdict


def test_seeds_of_their_own_are_compared_by_welch_and_one_against_many_by_the_pooled_test(
    tmp_path: Path,
) -> None:
    for seed in range(4):
        make_run(tmp_path, f"ann_{seed}", seed=seed, correct=right(40 + seed))
        other = {"seed": seed + 2, "config": BN_DNN, "val_accuracy": 0.99}
        make_run(tmp_path, f"bn_{seed}", correct=right(30 + seed), **other)
    make_run(tmp_path, "wide", config={"model.units": [512]}, correct=right(35), val_accuracy=0.95)
    (found,) = compare([tmp_path]).sets
    assert {pair.second: pair.method for pair in found.pairs} == {
        "model=ann units=[128]": "Welch t", "model=ann units=[512]": "pooled t",
    }  # fmt: skip
    assert found.pairs[1].num_seeds == (4, 1)
    assert "4 seeds against 1" in found.pairs[1].sentence
    assert found.pairs[0].image_interval is not None
    assert found.pairs[1].image_interval is None, "a single run does not tell how much seeds matter"


def test_what_holds_on_these_images_alone_is_said(tmp_path: Path) -> None:
    """Every seed misses the same 3 of 1,000 images more: sure on these, not on others."""
    for seed in range(5):
        make_run(tmp_path, f"ann_{seed}", seed=seed, correct=right(23))
        make_run(tmp_path, f"bn_{seed}", seed=seed, config=BN_DNN, correct=right(20), val_accuracy=0.99)
    (found,) = compare([tmp_path]).sets
    assert found.pairs[0].is_decided
    assert "; on other test images it may not be: 95% " in found.verdict


def test_many_pairs_are_corrected_and_the_verdict_names_them(tmp_path: Path) -> None:
    for number, wrong in enumerate((10, 12, 60, 80)):
        config, val_accuracy = {"optimizer.learning_rate": 0.001 * (number + 1)}, 0.99 - 0.01 * number
        make_run(tmp_path, f"r{number}", config=config, correct=right(wrong), val_accuracy=val_accuracy)
    (found,) = compare([tmp_path]).sets
    assert [pair.corrected_p_value >= pair.p_value for pair in found.pairs] == [True] * 3
    assert found.verdict == (
        "learning_rate=0.001 leads on validation images; on the test images it is better than "
        "learning_rate=0.003, learning_rate=0.004 and cannot be told from learning_rate=0.002"
    )
    assert all("Holm p" in pair.sentence for pair in found.pairs)


def test_without_validation_images_test_accuracy_sorts_and_p_values_allow_for_that(tmp_path: Path) -> None:
    made = {"manifest": {"data": data_record(split=None)}, "val_accuracy": None}
    for units, wrong in ((16, 90), (32, 10), (64, 50)):
        make_run(tmp_path, f"{units}", config={"model.units": [units]}, correct=right(wrong), **made)
    (found,) = compare([tmp_path]).sets
    assert [row.settings["model.units"] for row in found.groups] == [[32], [64], [16]]
    # Of three groups, any of three pairs could have been tested, and two were.
    smallest, other = sorted(found.pairs, key=lambda pair: pair.p_value or 1.0)
    assert smallest.corrected_p_value == pytest.approx(min(1.0, 3 * (smallest.p_value or 1.0)))
    assert (other.corrected_p_value or 0.0) >= (smallest.corrected_p_value or 0.0)


def test_the_leader_is_chosen_on_validation_images_even_where_it_loses(tmp_path: Path) -> None:
    make_run(tmp_path, "ann", correct=right(10), val_accuracy=0.97)
    make_run(tmp_path, "bn", config=BN_DNN, correct=right(90), val_accuracy=0.98)
    (found,) = compare([tmp_path], CompareOptions(sort="test_accuracy")).sets
    assert found.leader == "bn_dnn" and [row.label for row in found.groups] == ["ann", "bn_dnn"]
    assert found.verdict.startswith("ann is better than bn_dnn by 8.00 points (95% ")
    assert any("choosing a run by that is a look" in note for note in found.notes)


def test_where_classes_differ_in_size_balanced_accuracy_stands_beside_accuracy(tmp_path: Path) -> None:
    """Nine images in ten are of one class; `ann` predicts no other, and its runs are older than that."""
    labels = np.repeat([0, 1, 2], [900, 60, 40]).astype(np.uint8)
    fair = {"balanced_accuracy": 0.875, "majority_share": 0.9, "minority_share": 0.04}
    made = {"config": BN_DNN | {"training.class_weight": "balanced"}, "summary": fair, "labels": labels}
    for seed in range(2):
        make_run(tmp_path, f"ann_{seed}", seed=seed, labels=labels, correct=labels == 0, val_accuracy=0.99)
        make_run(tmp_path, f"bn_{seed}", seed=seed, correct=right(90 - seed), **made)
    comparison = compare([tmp_path], CompareOptions(sort="balanced_accuracy"))
    (found,) = comparison.sets
    assert [row.settings["training.class_weight"] for row in found.groups] == ["balanced", "none"]
    ann = found.groups[1]
    assert ann.measures["balanced_accuracy"] == Spread(pytest.approx(1 / 3), 0.0, 2)
    assert "Classes are 4.00% to 90.00% of the test images each" in " ".join(found.notes)
    assert f"majority class (90.00%): {ann.label}." in " ".join(found.notes)
    assert "| 87.50% |" in markdown_table(comparison) and found.leader == ann.label
    assert {row["majority_share"] for row in rows(comparison)} == {"0.9"}


def test_where_classes_are_of_a_size_balanced_accuracy_is_a_column_to_ask_for(tmp_path: Path) -> None:
    make_study(tmp_path, seeds=1)
    assert "balanced" not in markdown_table(compare([tmp_path]))
    asked = compare([tmp_path], CompareOptions(columns=["group", "balanced_accuracy"]))
    recalls = [right(30)[make_labels(1000) == digit].mean() for digit in range(10)]
    assert f"dnn | {100 * np.mean(recalls):.2f}% |" in markdown_table(asked)


def test_choosing_on_test_images_never_leads(tmp_path: Path) -> None:
    record = {"data": data_record(split=None)}
    make_run(tmp_path, "honest", manifest=record, correct=right(50), val_accuracy=None)
    make_run(tmp_path, "chosen", manifest=record, correct=right(5), summary={"selected_on_test": True})
    for sort in ("val_accuracy", "test_accuracy", "num_params"):
        (found,) = compare([tmp_path], CompareOptions(sort=sort)).sets
        assert [row.is_optimistic for row in found.groups] == [False, True]
        assert found.leader == "validation=none"
    assert "optimistic" in found.verdict
    assert any(note.startswith("Optimistic: validation=test") for note in found.notes)


def test_runs_without_predictions_are_compared_by_their_seeds_alone(tmp_path: Path) -> None:
    make_study(tmp_path)
    for path in tmp_path.glob("*/predictions.npz"):
        path.unlink()
    (found,) = compare([tmp_path]).sets
    assert found.pairs[0].is_decided and found.pairs[0].image_interval is None
    single = compare([tmp_path / "ann_0", tmp_path / "bn_0"]).sets[0]
    assert single.verdict.startswith("cannot test bn_dnn against ann") and single.pairs[0].method == "none"


def test_what_is_not_compared_is_listed_with_its_reason(tmp_path: Path) -> None:
    make_study(tmp_path, seeds=2)
    make_unfinished(tmp_path, "failed", "failed", "loss became nan\nin epoch 3")
    make_unfinished(tmp_path, "stopped", "interrupted", "stopped by SIGINT")
    make_unfinished(tmp_path, "gone", "running")
    (make_run(tmp_path, "damaged") / "summary.json").write_text("{")
    make_run(tmp_path, "elsewhere", manifest={"mode": "evaluate"})
    found = compare([tmp_path])
    assert {Path(row.run).name: (row.status, row.error) for row in found.left_out} == {
        "failed": ("failed", "loss became nan in epoch 3"),
        "stopped": ("interrupted", "stopped by SIGINT"),
        "gone": ("lost", "its process ended without a message"),
        "damaged": ("damaged", "summary.json: Input data was truncated"),
        "elsewhere": ("completed", "mode=evaluate trains nothing"),
    }
    assert len(found.runs) == 9 and sum(len(row.seeds) for row in found.sets[0].groups) == 4


def test_the_csv_has_a_line_a_run_and_a_column_a_key(tmp_path: Path) -> None:
    make_study(tmp_path, seeds=2)
    place = SweepPlace(name="study", job=3, jobs_at_once=2)
    make_run(
        tmp_path, "again", seed=1, manifest={"started_at": "2027-01-01T00:00:00Z", "sweep": place},
        config={"optimizer.learning_rate": 0.1},
    )  # fmt: skip
    make_unfinished(tmp_path, "failed", "failed", '=HYPERLINK("x")')
    found = compare([tmp_path])
    table = {Path(row["run"]).name: row for row in rows(found)}
    assert len(table) == 6
    assert table["bn_0"]["model.name"] == "bn_dnn" and table["bn_0"]["model.units"] == "[128, 128, 64, 64]"
    assert table["ann_0"]["test_accuracy"] == "0.96" and table["ann_0"]["status"] == "completed"
    low, high = (float(table["ann_0"][f"test_accuracy_{end}"]) for end in ("low", "high"))
    assert low < 0.96 < high
    assert table["again"]["jobs_at_once"] == "2" and table["ann_0"]["jobs_at_once"] == ""
    assert table["ann_0"]["best_checkpoint_bytes"] == "7"
    assert table["failed"]["error"] == '\'=HYPERLINK("x")'
    assert any("other jobs of a sweep" in note for note in found.sets[0].notes)


def test_an_earlier_run_of_a_seed_stays_in_the_csv_and_counts_no_more(tmp_path: Path) -> None:
    make_study(tmp_path, seeds=3)
    make_run(tmp_path, "earlier", seed=1, correct=right(500), manifest={"started_at": "2020-01-01T00:00:00Z"})
    found = compare([tmp_path])
    counted = {Path(row["run"]).name: row["is_counted"] for row in rows(found, ["run", "is_counted"])}
    assert counted["earlier"] == "false" and counted["ann_1"] == "true"
    ann = next(row for row in found.sets[0].groups if row.label == "ann")
    assert ann.num_duplicates == 1 and ann.measures["test_accuracy"].mean > 0.95
    assert any(note.startswith("Run more than once") for note in found.sets[0].notes)


def test_markdown_is_a_table_that_strangers_cannot_break(tmp_path: Path) -> None:
    make_run(tmp_path, "a", config={"model.name": "x | y <script>"}, val_accuracy=0.9)
    make_run(tmp_path, "b", val_accuracy=0.8)
    text = markdown_table(compare([tmp_path]))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 4 and lines[1].startswith("| --- | --: |")
    assert "x \\| y \\<script\\>" in lines[2]


def test_any_column_and_any_key_sorts(tmp_path: Path) -> None:
    for number, rate in enumerate((0.01, 0.001, 0.1)):
        config, summary = {"optimizer.learning_rate": rate}, {"train_s": 5.0 + number}
        make_run(tmp_path, f"r{number}", config=config, summary=summary)

    def order(sort: str) -> list[Any]:
        found = compare([tmp_path], CompareOptions(sort=sort))
        return [row.settings["optimizer.learning_rate"] for row in found.sets[0].groups]

    assert order("optimizer.learning_rate") == [0.001, 0.01, 0.1]
    assert order("train_s") == [0.01, 0.001, 0.1]
    assert order("group") == [0.001, 0.01, 0.1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sort": "test_acuracy"}, 'sort: there is no column "test_acuracy". Did you mean "test_accuracy"?'),
        ({"columns": ["seedz"]}, 'compare.columns: there is no column "seedz". Did you mean "seeds"?'),
        ({"columns": ["seeds"], "format": "csv"}, 'there is no column "seeds". Did you mean "seed"?'),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path, options: Any, words: str) -> None:
    make_study(tmp_path, seeds=1)
    with pytest.raises(ConfigError) as caught:
        compare([tmp_path], CompareOptions(**options))
    assert words in str(caught.value)


MEASURED = """
import sys, time
started = time.perf_counter()
from mnist_exp.comparison.comparison import compare
from mnist_exp.comparison.measures import Spread
from mnist_exp.report.comparison import render_comparison
from mnist_exp.report.terminal import Terminal
found = compare(sys.argv[1:])
assert len(found.runs) == 200 and len(found.sets[0].pairs) == 39
Terminal().print(render_comparison(found))
heavy = {"tensorflow", "keras", "sklearn", "pandas", "matplotlib", "scipy.stats"}
assert not heavy & set(sys.modules)
# Not getrusage: what that says begins with the memory of the process that started this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], time.perf_counter() - started)
"""


@pytest.mark.slow
def test_many_runs_take_a_second_and_no_memory_for_their_probabilities(tmp_path: Path) -> None:
    for number in range(40):
        config = {"optimizer.learning_rate": 0.001 * (number + 1)}
        for seed in range(5):
            name, skill = f"r{number}_{seed}", 0.9 - 0.0005 * number
            make_run(tmp_path, name, seed=seed, config=config, skill=skill, num_test=10_000)
    command = [sys.executable, "-c", MEASURED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kilobytes, seconds = map(float, done.stdout.splitlines()[-1].split())
    assert kilobytes < 130_000, "91 MB; the probabilities would be 80 MB more"
    assert seconds < 10, "0.9 s alone on two cores; the tests beside this one slow it down"
