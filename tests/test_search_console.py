import re
import time
from contextlib import closing
from dataclasses import replace as changed
from io import StringIO
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace
from rich.console import Console
from rich.text import Text

from mnist_exp.config.schema import HyperbandTunerConfig
from mnist_exp.processes.messages import EpochEnded, RunTrial
from mnist_exp.report.console import render_parts
from mnist_exp.report.terminal import Terminal
from mnist_exp.report.tuning import search_result
from mnist_exp.runs.records import ConfirmationRecord, ErrorRecord, ExecutionRecord, SearchSummary
from mnist_exp.runs.run import read_config
from mnist_exp.tuning.definition import Blueprint, Search
from mnist_exp.tuning.dimensions import Dimension
from mnist_exp.tuning.screen import (
    RunningTrial,
    SearchStatus,
    render_confirmation,
    render_search_plan,
    render_search_status,
    render_trial,
    render_trial_header,
)
from mnist_exp.tuning.search_space import SearchSpace
from mnist_exp.words import describe_values
from tests.test_console import (
    DATA,
    HOSTILE,
    control_characters,
    epoch,
    ordinary_environment,  # noqa: F401 (holds for every test here)
    screen,
    shown,
)
from tests.trials import make_candidate, make_trial

VALUES = {
    "model.units.length": 2, "model.units.0": 256, "model.units.1": 128, "model.activation": "relu",
    "model.dropout": 0.2, "optimizer": "adamw", "optimizer.learning_rate": 0.0031234,
    "training.batch_size": 128,
}  # fmt: skip
EXECUTION = ExecutionRecord(
    seed=1234, score=0.9831, best_epoch=9, train_s=11.8, compile_s=1.1,
    metrics=[epoch(number) for number in range(1, 11)],
)  # fmt: skip
TRIAL = replace(
    make_trial(7, 0.9842, VALUES, num_epochs=10), num_params=235_146, duration_s=12.34, executions=[EXECUTION]
)
OUT_OF_MEMORY = ErrorRecord(type="ResourceExhausted", message="out of memory: 80 GB\nat …\n", hint="")
FAILED = replace(
    make_trial(8, 0.0, VALUES, "failed", 10), num_params=None, duration_s=0.41, error=OUT_OF_MEMORY
)
LENGTH = Dimension("length", "model.units.length", "model.units.length", "int", 1, 4)
UNITS = Dimension(
    "units", "model.units.1", "model.units.each", "int", 32, 512, 32,
    conditions=(("model.units.length", (2, 3, 4)),),
)  # fmt: skip
RATE = Dimension(
    "rate", "optimizer.learning_rate", "optimizer.learning_rate", "float", 1e-4, 1e-2, sampling="log"
)
CONFIG = read_config(Path(__file__).with_name("old_runs") / "search")
FIXED = ["training.batch_size=64 is given, and not searched"]


def search(*dimensions, model_name="ann", preprocessing="none", **tuner):
    budget = {"epochs": 10, "max_trials": 30, "max_minutes": 10, "patience_trials": None}
    config = replace(
        CONFIG, seed=7, model=replace(CONFIG.model, name=model_name),
        data=replace(CONFIG.data, preprocessing=preprocessing),
        tuner=replace(CONFIG.tuner, **budget | tuner),
    )  # fmt: skip
    return Search(config, Blueprint({}, {}, {}, {}), SearchSpace(dimensions, {}))


def plan(searched, fixed=(), run_path="runs/20260102_030405_tune_ann_1a2b3c"):
    return render_search_plan(searched, DATA, fixed, workers=2, threads=1, run_path=run_path)


WINNER = replace(
    make_candidate("trial_7", 0.9862, [0.984, 0.985, 0.9833], VALUES), num_params=235_146,
    search_interval=(0.98259, 0.98907), confirmed_interval=(0.9829, 0.9853), train_s=12.3,
)  # fmt: skip
DEFAULT = replace(make_candidate("default", None, [0.981, 0.982, 0.983]), num_params=101_770, train_s=9.1)
SUMMARY = SearchSummary(
    test_accuracy=0.9837, test_accuracy_interval=(0.98104, 0.98601), test_loss=0.0543, val_accuracy=0.985,
    best_epoch=9, epochs=10, num_params=235_146, train_s=12.4, seconds_per_epoch=0.231, compile_s=1.12,
    peak_memory_bytes=812_000_000, ms_per_image=0.0123, selected_on_test=False, data_notice=None,
    objective="val_accuracy", num_trials=30, num_completed=28, search_s=312.0, ended_by="30 trials",
    winner="trial_7", candidates=[WINNER, DEFAULT], winner_test_accuracies=[0.9837, 0.983, 0.9841],
    difference=0.0021, difference_interval=(0.0003, 0.0039),
    verdict="trial 7 beats the untuned default by 0.21 points (95%: 0.03 to 0.39).",
)  # fmt: skip
RUNNING = RunningTrial(
    RunTrial(name="12", trial=12, values=VALUES, seeds=[1], epochs=10), "worker 0",
    EpochEnded(epoch=5, epochs=10, score=0.9781),
)  # fmt: skip
CONFIRMING = RunningTrial(
    RunTrial(name="x", candidate="untuned default", values=VALUES, seeds=[5]), "worker 0"
)
STATUS = SearchStatus(
    num_finished=12, num_failed=1, max_trials=30, elapsed_s=185, left_s=245, best=TRIAL,
    running=[RUNNING, CONFIRMING],
)  # fmt: skip
CONFIRMATION = ConfirmationRecord(
    candidate="trial_7", seed=1234, status="completed", num_params=235_146, execution=EXECUTION, error=None
)
MANY_VALUES = {f"model.layer_{number}.rate": number / 100 for number in range(40)}


def line(record, objective="val_accuracy", best_trial=None, num_finished=12, max_trials=30):
    text = shown(render_trial(record, objective, best_trial, num_finished, max_trials))
    assert text.endswith("\n") and text.count("\n") == 1 and len(text) <= 101
    return text.rstrip("\n")


def render_search_summary(summary, run_path, commands):
    return render_parts(search_result(summary, run_path, commands))


def words(text):
    return " ".join(text.split())


def test_the_plan_states_what_will_be_searched():
    text = words(shown(plan(search(LENGTH, UNITS, RATE), FIXED)))
    for expected in (
        "random search 3 values of model ann",
        "model.units.1 32 to 512 by 32 model.units.length is 2 to 4",
        "optimizer.learning_rate 0.0001 to 0.01, log",
        "fixed training.batch_size=64 is given, and not searched",
        "objective highest validation accuracy", "one training of 10 epochs",
        "30 trials, or 10 minutes", "2 trials, 1 thread each",
        "mnist: 55,000 train, 5,000 validation; the 10,000 test images are not looked at", "seed 7",
        "run runs/20260102_030405_tune_ann_1a2b3c",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_plan_leaves_out_what_there_is_nothing_of():
    text = shown(plan(search(RATE)))
    assert "1 value of model ann" in text
    assert [word for word in ("only when", "fixed", " preprocessing ") if word in text] == []


def test_the_plan_says_what_is_out_of_the_ordinary():
    searched = search(RATE, objective="val_loss", executions_per_trial=3, preprocessing="deskew")
    tuner = HyperbandTunerConfig(**asdict(searched.config.tuner), factor=3, iterations=1)
    text = words(shown(plan(changed(searched, config=replace(searched.config, tuner=tuner)))))
    assert "lowest validation loss" in text and "preprocessing deskew" in text
    assert "the mean of 3 trainings of up to 10 epochs, each on its own seed" in text


def test_a_trial_is_one_line_under_its_headings():
    assert line(TRIAL, best_trial=7).split("  units")[0].split() == [
        "12/30", "7", "98.42%", "best", "235,146", "10", "12.3",
    ]  # fmt: skip
    assert line(TRIAL).endswith("  units 256-128, relu, dropout 0.2, adamw 0.0…")
    heading = shown(render_trial_header())
    for name, value in (("score", "98.42%"), ("parameters", "235,146"), ("seconds", "12.3")):
        assert heading.index(name) + len(name) == line(TRIAL).index(value) + len(value)


NAMELESS = replace(FAILED, error=replace(FAILED.error, message=" \n"))


@pytest.mark.parametrize(
    ("record", "options", "pattern"),
    [
        (TRIAL, {"best_trial": 7}, "98.42%  best"),
        (TRIAL, {"best_trial": 3}, r"98.42%  +235,146"),
        (TRIAL, {"max_trials": None}, "^ *12 +7 "),
        (replace(TRIAL, score=0.05432), {"objective": "val_loss"}, r" 0\.0543 "),
        (replace(TRIAL, executions=[EXECUTION] * 3), {}, " 3×10 "),
        (FAILED, {}, r"8 +– +– +10 +0\.4  failed: out of memory: 80 GB  \(units"),
        (NAMELESS, {}, "failed: ResourceExhausted"),
        (replace(FAILED, error=None), {}, "failed: unknown reason"),
        (replace(TRIAL, status="stopped", score=None), {}, "stopped before its last epoch"),
    ],
)
def test_a_trials_line_says_how_it_ended(record, options, pattern):
    assert re.search(pattern, line(record, **options)), line(record, **options)


def test_many_values_are_cropped_and_never_wrap():
    for record in (TRIAL, FAILED):
        cropped = line(replace(record, values=MANY_VALUES))
        assert len(cropped) == 100 and cropped.endswith("…")
    assert line(replace(TRIAL, trial=1234, duration_s=123_456.0, num_params=98_765_432), max_trials=9999)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (VALUES, "units 256-128, relu, dropout 0.2, adamw 0.00312, batch size 128"),
        ({"optimizer.learning_rate": 0.01}, "learning rate 0.01"),
        ({"optimizer": "sgd", "optimizer.weight_decay": 1e-05}, "sgd, weight decay 1e-05"),
        ({"model.batch_norm": True, "augmentation": "none"}, "batch norm, augmentation none"),
        ({"model.batch_norm": False, "schedule": "cosine"}, "no batch norm, schedule cosine"),
        ({"model.units": [256, 128], "model.dropout": [0.1, 0.25]}, "units 256-128, dropout 0.1-0.25"),
        ({"model.filters.0": 16, "model.filters.1": 32}, "filters 16-32"),
        ({"model.filters.1": 32}, "filters[1] 32"),
        ({"model.units.length": 1, "model.units.0": 64, "model.activation.0": "tanh"}, "units 64, tanh"),
        ({f"model.dropout.{n}": n for n in range(11)}, "dropout 0-1-2-3-4-5-6-7-8-9-10"),
        ({"data.name": "a", "model.name": "b"}, "data name a, model name b"),
        ({"training.early_stopping.patience": 5}, "early stopping patience 5"),
        ({"model.dropout": None, "model.layers": [{"Dense": {}}]}, 'dropout none, layers [{"Dense": {}}]'),
        ({"training.batch_size": 1024, "optimizer.momentum": 0.98765}, "batch size 1024, momentum 0.988"),
        ({}, ""),
    ],
)  # fmt: skip
def test_values_are_worded_briefly(values, expected):
    assert describe_values(values) == expected


def test_a_confirmation_states_candidate_seed_and_score():
    assert shown(render_confirmation(CONFIRMATION, "val_accuracy")) == (
        "confirming trial 7 on seed 1234: 98.31% at epoch 9 of 10, 12 s\n"
    )
    failed = replace(CONFIRMATION, candidate="default", status="failed", execution=None, error=FAILED.error)
    assert shown(render_confirmation(failed, "val_accuracy")) == (
        "confirming untuned default on seed 1234: failed: out of memory: 80 GB\n"
    )


def test_the_status_says_what_is_done_and_what_is_running():
    text = shown(render_search_status(STATUS, "val_accuracy"))
    for part in ("12 of 30 trials done, 1 failed, best 98.42% (trial 7)", "about 4 min 05 s left"):
        assert part in text
    assert re.search(r"trial 12 +worker 0 +━+ +epoch 5/10 +97\.81%  units 256-128", text)
    assert re.search(r"untuned default, seed 5 +worker 0 +preparing +–  units", text)
    assert max(map(len, text.splitlines())) <= 100


def test_a_status_claims_nothing_early_and_leaves_room_on_the_screen():
    nothing = {"num_finished": 0, "num_failed": 0, "max_trials": None, "left_s": None, "best": None}
    text = shown(render_search_status(changed(STATUS, running=[], **nothing), "val_loss"))
    assert text.strip() == "0 trials done, 3 min 05 s elapsed"
    text = shown(render_search_status(changed(STATUS, running=[RUNNING] * 40), "val_accuracy"))
    assert text.count("worker 0") == 16 and "and 24 more" in text


def test_the_report_sets_search_and_confirmed_scores_side_by_side():
    text = shown(render_search_summary(SUMMARY, "runs/x", ["mnist-exp experiment=best_experiment"]))
    for expected in (
        "trial 7 (winner) 98.62% (98.26 to 98.91) 98.41% (98.29 to 98.53) 235,146 12 s",
        "untuned default – 98.20% (97.95 to 98.45) 101,770 9.1 s",
        "Scores are validation accuracy.", "The best of 28 search scores is partly luck.",
        "trial 7 (winner) units 256-128, relu, dropout 0.2, adamw 0.00312, batch size 128",
        "untuned default the configuration as it was before the search",
        "verdict trial 7 beats the untuned default by 0.21 points (95%: 0.03 to 0.39).",
        "98.36%, 95% interval 98.22 to 98.50%",
        "Trained anew on 3 fresh seeds, it is 98.36% ± 0.06 (mean ± sd)",
        "chosen on validation images alone", "kept network 98.37% (98.10 to 98.60%)",
        "30 trials, 28 completed, in 5 min 12 s; it ended with: 30 trials", "run runs/x",
    ):  # fmt: skip
        assert expected in words(text), expected
    assert "\n  mnist-exp experiment=best_experiment\n" in text and "optimistic" not in text


UNKNOWN = {"confirmed_scores": [], "confirmed_score": None, "confirmed_interval": None}
NO_SEED = replace(DEFAULT, **UNKNOWN)
ONE_SEED = replace(WINNER, confirmed_scores=[0.984], confirmed_score=0.984, confirmed_interval=None)
LOSSES = replace(
    WINNER, search_score=0.0543, search_interval=None, confirmed_scores=[0.055, 0.056],
    confirmed_score=0.0555, confirmed_interval=(0.0525, 0.0585),
)  # fmt: skip
NO_TRIAL = replace(
    SUMMARY, num_trials=3, num_completed=0, winner="default", difference=None, difference_interval=None,
    verdict="No trial completed: the untuned default is what there is.",
)  # fmt: skip
# What is not as in SUMMARY, what the report says then, and what it does not.
REPORTS = [
    (replace(SUMMARY, candidates=[replace(WINNER, **UNKNOWN), NO_SEED], winner_test_accuracies=[]),
     ("test accuracy 98.37%, 95% interval 98.10 to 98.60%",),
     ("onfirmed", "seeds", "kept network", "Candidates on")),
    (replace(SUMMARY, candidates=[ONE_SEED, NO_SEED], winner_test_accuracies=[0.9837]),
     ("98.40% 235,146", "untuned default – failed 101,770"), ()),
    (replace(SUMMARY, candidates=[ONE_SEED, DEFAULT]), ("98.40%, 1 of 3 seeds 235,146",), ()),
    (replace(SUMMARY, objective="val_loss", candidates=[LOSSES], data_notice="5,000 bundled digits"),
     ("0.0543 0.0555 (0.0525 to 0.0585)", "Scores are validation loss.", "5,000 bundled digits"), ()),
    (replace(NO_TRIAL, candidates=[]), ("3 trials, 0 completed", "No trial completed"), ("luck",)),
    (replace(NO_TRIAL, candidates=[DEFAULT]), ("3 trials, 0 completed", "No trial completed"), ("luck",)),
]  # fmt: skip


@pytest.mark.parametrize(("summary", "there", "missing"), REPORTS)
def test_a_report_says_only_what_there_is(summary, there, missing):
    text = words(shown(render_search_summary(summary, "runs/x", [])))
    assert [part for part in there if part not in text] == []
    assert [part for part in missing if part in text] == []


def test_text_of_users_is_never_markup():
    values = {HOSTILE: HOSTILE}
    hostile = Dimension(HOSTILE, HOSTILE, HOSTILE, "choice", values=(HOSTILE,))
    shown_plan = plan(search(hostile, model_name=HOSTILE), [HOSTILE], HOSTILE)
    error = replace(FAILED.error, message=HOSTILE)
    training = RunTrial(name="x", candidate=HOSTILE, values={}, seeds=[5])
    running = RunningTrial(training, "[red]")
    summary = replace(
        SUMMARY, verdict=HOSTILE, data_notice=HOSTILE, candidates=[replace(WINNER, values=values)]
    )
    for count, renderable in (
        (5, shown_plan),
        (1, render_trial(replace(FAILED, error=error), "val_accuracy", None, 1, None)),
        (1, render_search_status(changed(STATUS, running=[running]), "val_accuracy")),
        (4, render_search_summary(summary, "runs/x", [HOSTILE])),
    ):
        for markup in (False, True):
            stream = StringIO()
            Console(file=stream, width=200, markup=markup, emoji=markup, color_system=None).print(renderable)
            assert stream.getvalue().count(HOSTILE) == count, count
    assert describe_values(values).endswith(HOSTILE)


def test_line_breaks_and_terminal_sequences_of_users_do_not_leave_their_line():
    values = {"model.name": "a\nb\x1b[2J\x1b]0;title\x07c\r"}
    assert describe_values(values) == "name a bc"
    with screen() as tty:
        Terminal(stdout=tty.stream).print(render_trial(replace(TRIAL, values=values), "loss", None, 1, None))
        assert "\x1b[2J" not in (received := tty.read()) and received.count("\n") == 1


def test_a_live_view_is_redrawn_below_the_lines_and_leaves_only_them(tmp_path):
    log = tmp_path / "train.log"
    numbers = iter(range(1, 1000))
    with screen() as tty, closing(Terminal(tty.stream, StringIO())) as terminal:
        terminal.attach_log(log)
        with terminal.live_view(lambda: Text(f"view {next(numbers)}")):
            assert "view" in tty.read(), "drawn at once"
            terminal.print("a line")
            assert re.search(r"\x1b\[2Ka line\r?\nview \d", tty.read())
            time.sleep(1.3)
            assert tty.read().count("view") >= 2
        assert tty.read().endswith("\x1b[2K")
        terminal.print("after")
    assert log.read_text().splitlines() == ["a line", "after"]


def test_an_error_during_a_live_view_first_takes_it_away():
    with screen() as tty:
        terminal = Terminal(tty.stream, tty.stream)
        with terminal.live_view(lambda: render_search_status(STATUS, "val_accuracy")):
            terminal.error("it failed")
            before, _, after = tty.read().rpartition("it failed")
            terminal.print("still shown")
    assert before.endswith("\x1b[2K") and "trial 12" in before and "trial" not in after


def test_a_live_view_ends_with_what_ends_its_block():
    with screen() as tty, pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with Terminal(tty.stream).live_view(lambda: Text("view")):
            raise KeyboardInterrupt
    with screen() as tty:
        with Terminal(tty.stream).live_view(lambda: Text("view")):
            pass
        assert tty.read().count("\x1b[?25h") == 1, "the cursor is back"


@pytest.mark.parametrize("kind", ["pipe", "dumb terminal"])
def test_there_is_no_live_view_off_a_terminal(monkeypatch, kind):
    monkeypatch.setenv("TERM", "dumb")
    calls = []
    with screen() as tty:
        stream = StringIO() if kind == "pipe" else tty.stream
        terminal = Terminal(stream)
        with terminal.live_view(lambda: calls.append(1) or Text("view")):
            terminal.print("a line")
        received = stream.getvalue() if kind == "pipe" else tty.read()
    assert received.split() == ["a", "line"] and not calls


def test_everything_shown_off_a_terminal_is_plain_and_100_wide():
    summary = replace(SUMMARY, candidates=[replace(WINNER, values=MANY_VALUES)])
    text = shown(
        plan(search(LENGTH, UNITS, RATE), FIXED), render_search_status(STATUS, "val_accuracy"),
        render_search_summary(summary, "runs/x", []),
    )  # fmt: skip
    assert not control_characters(text) and max(map(len, text.splitlines())) <= 100
    assert re.search("layer 39[. ]rate 0.39", words(text)), "the report crops nothing"
