import dataclasses
import os
import re
import time
from contextlib import closing, contextmanager
from io import StringIO

import numpy as np
import pytest
from msgspec.structs import replace

from mnist_exp.config.schema import CosineScheduleConfig, NoAugmentationConfig, OptimizerConfig
from mnist_exp.report.console import render_notice, render_parts
from mnist_exp.report.result import LayerRow, Plan, first_digits, plan_parts, result_parts
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import DataRecord, EngineRecord, EpochMetrics, Summary
from mnist_exp.words import confidence, duration, size

HOSTILE = "[red]x[/red] [/] :smile: model.units=[128] [bold]"
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
CLOTHES += ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


@pytest.fixture(autouse=True)
def ordinary_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


class Screen:
    """A pseudo-terminal to write on, and everything that arrived at its other end."""

    def __init__(self):
        self._main, child = os.openpty()
        self.stream = os.fdopen(child, "w", encoding="utf-8")

    def read(self):
        self.stream.flush()
        os.set_blocking(self._main, False)
        received = b""
        try:
            while chunk := os.read(self._main, 65536):
                received += chunk
        except BlockingIOError:
            pass
        return received.decode()


@contextmanager
def screen():
    opened = Screen()
    yield opened
    opened.stream.close()
    os.close(opened._main)


def epoch(number, **changes):
    row = EpochMetrics(epoch=number, loss=0.1234, accuracy=0.9617, val_loss=0.0987, val_accuracy=0.9802,
                       learning_rate=0.00069, duration_s=0.21)  # fmt: skip
    return replace(row, **changes)


SUMMARY = Summary(
    test_accuracy=0.9837, test_accuracy_interval=(0.98104, 0.98601), test_loss=0.0543, val_accuracy=0.9841,
    best_epoch=33, epochs=40, num_params=101_770, train_s=12.4, seconds_per_epoch=0.231, compile_s=1.12,
    peak_memory_bytes=812_000_000, ms_per_image=0.0123, selected_on_test=False, data_notice=None,
)  # fmt: skip
DATA = DataRecord(
    name="mnist", source="/data/mnist.npz", notice=None, train_sha256="a", test_sha256="b", split_sha256="c",
    num_train=55_000, num_validation=5_000, num_test=10_000,
)  # fmt: skip
PLAN = Plan(
    model_name="ann",
    layers=[LayerRow("flatten", "Flatten", (784,), 0), LayerRow("hidden [1]", "Dense", (128,), 100_480),
            LayerRow("probabilities", "Dense", (10,), 1_290)],
    num_params=101_770, num_trainable=101_770, data=DATA,
    optimizer=OptimizerConfig(name="adamw", learning_rate=0.002, arguments={"weight_decay": 0.1}),
    schedule=CosineScheduleConfig(warmup_fraction=0.05, final_fraction=0.0),
    augmentation=NoAugmentationConfig(),
    epochs=40, batch_size=128, engine=EngineRecord(name="compiled", reason="dense layers only"), seed=7,
    run_path="runs/20260102_030405_train_ann_1a2b3c",
)  # fmt: skip


def render_plan(plan):
    return render_parts(plan_parts(plan))


def render_summary(summary, run_path, commands):
    return render_parts(result_parts(summary, run_path, commands))


def render_digits(*strip):
    return render_parts([first_digits(*strip)])


def shown(*renderables):
    stream = StringIO()
    Terminal(stdout=stream).print(*renderables)
    return stream.getvalue()


def digits(count=6):
    generator = np.random.default_rng(0)
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 4:24, 4:24] = generator.integers(0, 256, (count, 20, 20))
    probabilities = np.full((count, 10), 0.005)
    probabilities[:, 3] = 0.955
    return images, np.full(count, 3), probabilities


def control_characters(text):
    return set(re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text))


@pytest.mark.parametrize("columns", ["40", "200"])
def test_output_off_a_terminal_is_plain_and_100_wide(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = shown(
        "word " * 60,
        render_plan(PLAN),
        render_summary(SUMMARY, "runs/x", []),
        render_digits(*digits(), CLOTHES),
    )
    assert not control_characters(text)
    assert 90 < max(map(len, text.splitlines())) <= 100


def test_a_terminal_gets_colour_and_the_log_none(tmp_path):
    log = tmp_path / "train.log"
    with screen() as tty, closing(Terminal(stdout=tty.stream, stderr=StringIO())) as terminal:
        terminal.print(render_plan(PLAN))
        terminal.attach_log(log)
        with terminal.training_progress(3) as progress:
            for number in (1, 2, 3):
                progress.epoch(epoch(number), is_best=number == 2)
        terminal.print(render_summary(SUMMARY, "runs/x", []), render_digits(*digits(), CLOTHES))
        received = tty.read()
    assert "\x1b[" in received and "training" in received
    text = log.read_text(encoding="utf-8")
    assert not control_characters(text)
    for expected in ("hidden [1]", "1/3", "2/3", "3/3", "98.37%"):
        assert text.count(expected) == 1, expected
    assert "━" not in text


def test_no_color_keeps_colour_off_a_terminal_that_has_it(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with screen() as tty:
        Terminal(stdout=tty.stream).print(
            render_summary(SUMMARY, "r", ["next"]), render_digits(*digits(), CLOTHES)
        )
        received = tty.read()
    assert "98.37%" in received
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", received)


def test_the_log_is_written_at_once_and_goes_on_where_an_earlier_one_stopped(tmp_path):
    log = tmp_path / "train.log"
    for line in ("first", "second"):
        with closing(Terminal(stdout=StringIO(), stderr=StringIO())) as terminal:
            terminal.print(line)
            terminal.attach_log(log)
            terminal.error(f"{line} error")
            assert log.read_text().endswith(f"{line}\n{line} error\n")
    assert log.read_text().splitlines() == ["first", "first error", "second", "second error"]


def test_text_of_users_is_never_markup():
    data = replace(DATA, name=HOSTILE, source=HOSTILE)
    plan = dataclasses.replace(PLAN, model_name=HOSTILE, run_path=HOSTILE, data=data)
    summary = replace(SUMMARY, data_notice=HOSTILE)
    assert shown(HOSTILE) == f"{HOSTILE}\n"
    assert shown(render_notice(HOSTILE)).count(HOSTILE) == 1
    assert shown(render_plan(plan)).count(HOSTILE) == 4
    assert shown(render_summary(summary, HOSTILE, [HOSTILE])).count(HOSTILE) == 3
    with screen() as tty:
        Terminal(stdout=tty.stream).print(HOSTILE, render_notice(HOSTILE))
        assert tty.read().count(HOSTILE) == 2


def test_terminal_sequences_in_text_of_users_reach_neither_a_pipe_nor_the_log(tmp_path):
    screen_text, log = StringIO(), StringIO()
    terminal = Terminal(stdout=screen_text)
    terminal.attach_log(log)
    terminal.print("a\x1b[31mb\x1b]0;title\x1b\\c\x9b", "\x1b]unended", render_notice("a\x1b[2Jb"))
    for text in (screen_text.getvalue(), log.getvalue()):
        assert text.startswith("abc\nunended\n╭") and not control_characters(text)


def test_an_error_is_one_unwrapped_line_on_stderr():
    out, err = StringIO(), StringIO()
    Terminal(out, err).error(f"{HOSTILE}\nsecond \x1b[31mline\x1b[0m " + "word " * 50)
    assert out.getvalue() == ""
    assert err.getvalue() == f"{HOSTILE} second line " + "word " * 49 + "word\n"


def test_an_error_during_training_first_takes_the_bar_away():
    with screen() as tty:
        terminal = Terminal(tty.stream, tty.stream)
        with terminal.training_progress(3) as progress:
            progress.epoch(epoch(1), True)
            terminal.error("it failed")
            after = tty.read().rpartition("it failed")
    assert after[0].endswith("\x1b[2K") and "━" not in after[2]


def epoch_lines(epochs, trained, first=1):
    stream = StringIO()
    with Terminal(stdout=stream).training_progress(epochs, first) as progress:
        for number in range(first, trained + 1):
            progress.epoch(epoch(number), is_best=number == 37)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("epochs", "trained", "first", "expected"),
    [
        (30, 30, 1, [*range(1, 31)]),
        (1003, 1003, 1, [1, *range(50, 1001, 50), 1003]),
        (1000, 73, 1, [1, 50, 73]),  # stopped early
        (40, 40, 38, [38, 39, 40]),  # resumed
    ],
)
def test_many_epochs_are_thinned_to_a_readable_number_with_first_and_last(epochs, trained, first, expected):
    text = epoch_lines(epochs, trained, first)
    assert [int(number) for number in re.findall(r"^ *(\d+)/", text, re.MULTILINE)] == expected
    assert ("(a line every 50 epochs; metrics.csv has them all)" in text) == (epochs >= 1000)


def test_a_terminal_shows_every_epoch():
    with screen() as tty:
        received = ""
        with Terminal(stdout=tty.stream).training_progress(100) as progress:
            for number in range(1, 101):
                progress.epoch(epoch(number), False)
                received += tty.read()
    assert all(re.search(rf" {number}/100 +0\.1234", received) for number in range(1, 101))
    assert "s left" in received or "0:00:0" in received


def test_an_epoch_line_states_its_numbers():
    numbers = ["37/37", "0.1234", "96.17%", "0.0987", "98.02%", "0.00069", "0.21", "best"]
    assert epoch_lines(37, 37, first=37).splitlines()[1].split() == numbers
    last = epoch_lines(1003, 1003).splitlines()[-1]
    assert last.endswith("(37)"), "a line names the best epoch even if that has none"
    stream = StringIO()
    with Terminal(stdout=stream).training_progress(1) as progress:
        progress.epoch(epoch(1, val_loss=None, val_accuracy=None), False)
    unvalidated = ["1/1", "0.1234", "96.17%", "–", "–", "0.00069", "0.21"]
    assert stream.getvalue().splitlines()[1].split() == unvalidated


def test_lines_and_bar_cost_little_beside_an_epoch_of_a_fifth_of_a_second():
    with screen() as tty, Terminal(stdout=tty.stream).training_progress(300) as progress:
        spent = 0.0
        for number in range(1, 301):
            start = time.process_time()
            progress.epoch(epoch(number), False)
            spent += time.process_time() - start
            tty.read()
    assert spent / 300 < 0.01


def test_the_plan_states_what_will_be_trained():
    text = shown(render_plan(PLAN))
    for expected in (
        "101,770 parameters", "100,480", "Dense", "784",
        "mnist: 55,000 train, 5,000 validation, 10,000 test",
        "/data/mnist.npz", "adamw, learning rate 0.002, weight decay 0.1", "cosine, warmup fraction 0.05",
        "compiled (dense layers only)", "40 epochs, batches of 128", "runs/20260102_030405_train_ann_1a2b3c",
    ):  # fmt: skip
        assert expected in text
    assert "trainable" not in text, "said only where it differs"
    plan = dataclasses.replace(PLAN, num_trainable=101_514)
    assert "101,770 parameters, 101,514 trainable" in shown(render_plan(plan))


def test_the_summary_states_accuracy_with_its_interval():
    text = shown(render_summary(SUMMARY, "runs/x", ["mnist-exp mode=evaluate run=runs/x"]))
    for expected in (
        "98.37%, 95% interval 98.10 to 98.60%", "0.0543", "33 of 40", "98.41%", "12 s", "0.23 s", "1.1 s",
        "812 MB", "0.0123 ms", "\n  mnist-exp mode=evaluate run=runs/x\n",
    ):  # fmt: skip
        assert expected in text
    assert "Optimistic" not in text and "About the data" not in text


def test_the_summary_says_what_makes_its_result_doubtful_and_cuts_no_path():
    summary = replace(SUMMARY, selected_on_test=True, data_notice="5,000 bundled digits", val_accuracy=None)
    path = "runs/" + "a" * 150
    text = shown(render_summary(summary, path, []))
    assert "Optimistic" in text and "chosen on the test images themselves" in text
    assert "5,000 bundled digits" in text
    assert re.search("validation accuracy +none", text)
    assert path in text.replace("\n", "").replace(" ", "")


def test_six_digits_fit_100_columns_with_their_captions():
    images, labels, probabilities = digits()
    labels[4] = 9
    lines = shown(render_digits(images, labels, probabilities, CLOTHES)).splitlines()
    assert len(lines) == 7 + 3 and max(map(len, lines)) <= 100
    assert lines[7].split("   ")[0] == "✓ Dress" and lines[7].count("✓ Dress") == 5
    assert lines[7].count("✗ Dress") == 1 and lines[9].strip() == "is Ankle boot"
    assert lines[8].split() == ["95.5%"] * 6


def test_a_digit_keeps_its_shape_and_one_that_fills_its_frame_is_not_cropped():
    stroke, corners = np.zeros((2, 1, 28, 28), dtype=np.uint8)
    stroke[0, 4:24, 12:16] = 200
    corners[0, [0, 0, 27, 27], [0, 27, 0, 27]] = 255
    strokes, frame = (
        shown(render_digits(images, np.array([3]), digits(1)[2], CLOTHES)).splitlines()[:7]
        for images in (stroke, corners)
    )
    assert {line.strip() for line in strokes} in ({"████"}, {"██"})
    assert frame[0].strip() == "▀" + " " * 12 + "▀" and frame[6] == "▄" + " " * 12 + "▄"


def test_a_narrow_screen_shows_fewer_whole_digits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with screen() as tty:
        Terminal(stdout=tty.stream).print(render_digits(*digits(), CLOTHES))
        received = re.sub(r"\x1b\[[0-9;]*m", "", tty.read())
    assert received.count("✓ Dress") == 2 and received.splitlines()[0].count("▀") == 28


def test_an_encoding_without_blocks_gets_a_ramp(tmp_path):
    path = tmp_path / "out.txt"
    with path.open("w", encoding="ascii") as stream:
        Terminal(stdout=stream).print(render_digits(*digits(), CLOTHES), render_plan(PLAN), "✓")
    text = path.read_text(encoding="ascii")
    assert len(set(text.splitlines()[0]) & set(".:-=+*#%@")) > 3


WORDS = [
    # never certain where it is not
    *((confidence, 1.0, "100.0%"), (confidence, 0.99991, ">99.9%"), (confidence, 0.9989, "99.9%")),
    *((confidence, 0.0001, "<0.1%"), (confidence, 0, "0.0%")),
    *((duration, 0.231, "0.23 s"), (duration, 9.94, "9.9 s"), (duration, 9.96, "10 s")),
    *((duration, 59.6, "1 min 00 s"), (duration, 185, "3 min 05 s"), (duration, 7500, "2 h 05 min")),
    *((size, 612_300_000, "612 MB"), (size, 1_484_000_000, "1.48 GB")),
]


@pytest.mark.parametrize(("say", "quantity", "words"), WORDS)
def test_quantities_have_the_words_a_person_would_choose(say, quantity, words):
    assert say(quantity) == words
