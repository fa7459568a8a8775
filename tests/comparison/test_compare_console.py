"""A comparison at 100 columns: plain, whole, and quiet about what strangers wrote."""

from io import StringIO
from pathlib import Path

import pytest

from mnist_exp.comparison.comparison import compare
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import render_comparison
from mnist_exp.report.terminal import PLAIN_WIDTH, Terminal
from tests.comparison.run_makers import BN_DNN, data_record, make_run, make_unfinished
from tests.comparison.test_comparison import make_study, right


def shown(path: Path, written_to: str = "", options: CompareOptions | None = None) -> str:
    stdout = StringIO()
    Terminal(stdout).print(render_comparison(compare([path], options), written_to))
    return stdout.getvalue()


def words_of(path: Path) -> str:
    return " ".join(shown(path).split())


def test_the_table_of_a_small_study_is_as_people_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_study(tmp_path / "study")
    lines = [line.rstrip() for line in shown(Path("study")).splitlines()]
    assert lines[:6] == [
        "10 runs in 2 groups on mnist: 55,000 to train on, 5,000 to validate, 1,000 to test",
        "",
        " group   seeds  validation  test accuracy    95% interval  parameters  training",
        " ──────────────────────────────────────────────────────────────────────────────",
        " bn_dnn      5      98.00%  96.72% ± 0.24  96.42 to 97.02     131,594      17 s",
        " ann         5      97.00%  95.92% ± 0.08  95.82 to 96.02     101,770     8.9 s",
    ]
    text = " ".join(" ".join(lines).split())
    assert "verdict bn_dnn is better than ann by 0.80 points (95% 0.60 to 1.00, p = 0.0003, 5 seeds)" in text
    assert "by a paired t test over seeds. Over seeds and test images together, bn_dnn minus ann is" in text
    assert "The test images of mnist (9f86d081) were looked at 10 times by 10 runs" in text
    columns = ["group", "model.units", "test_loss", "best_checkpoint_bytes"]
    head = shown(Path("study"), options=CompareOptions(columns=columns)).splitlines()[2]
    assert head.split() == ["group", "model.units", "test", "loss", "file"]


def test_one_seed_each_says_by_what_it_was_tested(tmp_path: Path) -> None:
    words = words_of(make_study(tmp_path, seeds=1))
    assert "evidence Of 1,000 test images, only " in words and "(exact McNemar test)" in words
    assert "With one seed the interval is that of the one network (Wilson)." in words


def test_many_groups_show_the_best_twenty_the_first_pairs_and_where_the_rest_is(tmp_path: Path) -> None:
    for number in range(21):
        config = {"optimizer.learning_rate": (number + 1) / 1000}
        correct, val_accuracy = right(10 + number**2), 0.99 - number / 1000
        make_run(tmp_path, f"r{number}", config=config, correct=correct, val_accuracy=val_accuracy)
    text = shown(tmp_path, "study")
    assert "learning_rate=0.001 against each other group" in text and "Holm p" in text
    assert "better" in text and "cannot tell" in text
    assert " learning_rate=0.02 " in text and " learning_rate=0.021 " not in text
    assert "The first 20 of 21; results.csv has them all." in text and "written" in text
    assert "The first 8 of 20; compare.format=json has them all." in words_of(tmp_path)


def test_what_test_images_sort_and_choose_is_said(tmp_path: Path) -> None:
    made = {"manifest": {"data": data_record(split=None)}, "val_accuracy": None}
    for units in (16, 32, 64):
        make_run(tmp_path, f"{units}", config={"model.units": [units]}, correct=right(units), **made)
    words = words_of(tmp_path)
    assert "Sorted by test accuracy" in words and "validation accuracy" not in words
    assert "corrected for 2 tests, and for a leader chosen by the same images;" in words


def test_other_images_and_what_was_left_out_stand_apart(tmp_path: Path) -> None:
    for number in range(7):
        make_unfinished(tmp_path, f"failed_{number}", "failed", "loss became nan")
    assert "No completed training is among these runs, so nothing is compared." in shown(tmp_path)
    make_study(tmp_path, seeds=2)
    make_run(tmp_path, "apart", manifest={"data": data_record(train="other")})
    make_unfinished(tmp_path, "gone", "running")
    words = words_of(tmp_path)
    assert "Not to be ranked with the first" in words and "other training images (" in words
    assert words.count("loss became nan") == 5 and "and 2 more" in words
    assert "its process ended without a message" in words


def test_no_line_is_wider_than_the_screen_and_no_control_character_is_let_through(tmp_path: Path) -> None:
    nasty = "x\x1b[31m[bold]red[/bold]\n" + "very long " * 20
    for number, name in enumerate(("ann", nasty, "y" * 300)):
        config = BN_DNN | {"model.name": name, "optimizer.name": nasty[number:]}
        val_accuracy, summary = 0.9 + number / 100, {"data_notice": nasty}
        make_run(tmp_path, f"r{number}", config=config, val_accuracy=val_accuracy, summary=summary)
    make_unfinished(tmp_path, "failed", "failed", nasty)
    text = shown(tmp_path)
    assert max(map(len, text.splitlines())) <= PLAIN_WIDTH
    assert "\x1b" not in text and "[bold]red" in text
