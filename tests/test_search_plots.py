"""A search's pictures, on made-up trials."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from msgspec.structs import replace

from mnist_exp.report.figures.hyperparameters import (
    plot_hyperparameters,
    plot_importance,
    plot_parallel_coordinates,
)
from mnist_exp.report.figures.importance import importances
from mnist_exp.report.figures.intervals import plot_confirmation
from mnist_exp.report.figures.scales import Objective
from mnist_exp.report.figures.style import figure_png
from mnist_exp.report.figures.trials import plot_best_so_far, plot_search_curves
from tests.test_plots import assert_readable, texts
from tests.trials import make_candidate, make_trial, study

ACCURACY = Objective("val_accuracy", "max")
LOSS = Objective("val_loss", "min")


def every_plot(trials, objective=ACCURACY):
    found = importances(trials)
    return [
        plot_best_so_far(trials, objective, 0.968),
        plot_hyperparameters(trials, objective, found),
        plot_parallel_coordinates(trials, objective),
        plot_importance(found),
        plot_search_curves(trials, objective, 0),
    ]


@pytest.mark.parametrize(("count", "objective"), [(1, ACCURACY), (2, LOSS), (30, ACCURACY), (30, LOSS)])
def test_every_picture_takes_any_number_of_trials(count, objective):
    for figure in every_plot(study(count), objective):
        assert_readable(figure)


@pytest.mark.parametrize("trials", [[], [make_trial(0, 0.9, {"optimizer": "sgd"}, "failed")]])
def test_a_search_without_a_completed_trial_is_said_in_words(trials):
    for figure in every_plot(trials):
        assert any(text.startswith(("No trial", "Too few trials")) for text in texts(figure))
        assert_readable(figure)


def test_trials_without_values_or_with_odd_ones_can_be_drawn():
    odd = [None, True, [256, 128], "$\\frac$", {"name": "x"}, "a very long choice indeed", 3, 0.5]
    trials = [make_trial(number, 0.9 + 0.001 * number, {"odd": value}) for number, value in enumerate(odd)]
    for figure in [*every_plot([*trials, make_trial(9, 0.95, {})]), *every_plot([make_trial(0, 0.9, {})])]:
        assert figure_png(figure)


def test_equal_scores_of_zero_can_be_drawn():
    for figure in every_plot([make_trial(number, 0.0, {"width": number}) for number in range(12)]):
        assert_readable(figure)


def line_data(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))


@pytest.mark.parametrize(("objective", "expected"), [(ACCURACY, [0.9, 0.95, 0.95]), (LOSS, [0.9, 0.9, 0.8])])
def test_the_best_so_far_never_gets_worse_and_holds_to_the_end(objective, expected):
    trials = [make_trial(number, score, {}) for number, score in enumerate([0.9, 0.95, 0.8])]
    trials.append(make_trial(3, 0.9, {}, "stopped"))
    over_trials, over_time = plot_best_so_far(trials, objective).axes
    assert line_data(over_trials, "best so far") == ([0, 1, 2, 3], [*expected, expected[-1]])
    assert line_data(over_time, "best so far")[0] == [0.5, 1.5, 2.5, 3.5]
    assert line_data(over_trials, "stopped")[0] == [3]


def test_time_runs_in_the_order_in_which_trials_ended():
    slow = replace(make_trial(0, 0.95, {}), finished_at="2026-11-22T10:20:00.000Z")
    axes = plot_best_so_far([slow, make_trial(1, 0.9, {})], ACCURACY).axes[1]
    x, best = line_data(axes, "best so far")
    assert x == pytest.approx([1.5 / 60, 20, 20]) and best == [0.9, 0.95, 0.95]
    assert axes.get_xlabel() == "Minutes since the search began"


def test_the_default_is_dashed_and_in_view():
    figure = plot_best_so_far([make_trial(0, 0.97, {}), make_trial(1, 0.972, {})], ACCURACY, 0.981)
    assert "default, confirmed: 98.10%" in texts(figure)
    assert all(axes.get_ylim()[0] < 0.981 < axes.get_ylim()[1] for axes in figure.axes)
    without = plot_best_so_far([make_trial(0, 0.97, {})], ACCURACY)
    assert not any("default" in text for text in texts(without))


def test_a_few_awful_trials_do_not_flatten_the_rest():
    trials = study(30)
    for figure in (plot_best_so_far(trials, ACCURACY), plot_hyperparameters(trials, ACCURACY, [])):
        assert figure.axes[0].get_ylim()[0] > 0.8
        assert any("cut: falls to 11.00%" in text for text in texts(figure))
    low = plot_best_so_far(trials, ACCURACY).axes[0].get_ylim()[0]
    x, cut = line_data(plot_best_so_far(trials, ACCURACY).axes[0], "cut: falls to 11.00%")
    assert x == [9, 19] and cut == [low, low]


def test_scores_that_spread_evenly_are_all_in_view():
    trials = [make_trial(number, 0.1 * number, {"width": number}) for number in range(10)]
    low, high = plot_best_so_far(trials, ACCURACY).axes[0].get_ylim()
    assert low < 0 < 0.9 < high


def test_only_the_best_trial_stands_out_of_the_curves():
    trials = study(30)
    axes = plot_search_curves(trials, ACCURACY, 1).axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 3]
    strong = [line for line in drawn if line.get_linewidth() > 2]
    assert len(strong) == 1 and len(drawn) - 1 == sum(bool(trial.executions) for trial in trials)
    assert strong[0].get_ydata()[-1] == pytest.approx(trials[1].score)
    assert "trial 1: " in " ".join(texts(axes.figure))


def test_curves_of_one_epoch_and_without_validation_can_be_drawn():
    one = make_trial(0, 0.9, {}, num_epochs=1)
    assert plot_search_curves([one], ACCURACY, 0).axes[0].lines[0].get_marker() == "o"
    rows = [replace(row, val_accuracy=None) for row in one.executions[0].metrics]
    blind = replace(one, executions=[replace(one.executions[0], metrics=rows)])
    assert "No trial finished an epoch." in texts(plot_search_curves([blind], ACCURACY, 0))


CANDIDATES = [
    make_candidate("trial_17", 0.9862, [0.9851, 0.9856, 0.9848]),
    make_candidate("default", None, [0.9840, 0.9846, 0.9838]),
    make_candidate("trial_4", 0.9859, [0.9839]),
    make_candidate("trial_9", 0.9855, []),
]


def test_the_confirmation_shows_search_score_seeds_and_mean_of_each_candidate():
    figure = plot_confirmation(CANDIDATES, ACCURACY)
    expected = {"98.52%  (98.42 to 98.62)", "98.39%  (one seed)", "every training failed", "trial 17"}
    assert expected | {"default"} <= set(texts(figure))
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    assert any(list(x) == [0.9851, 0.9856, 0.9848] for x in drawn)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in hollow if len(line.get_xdata())] == [0.9862, 0.9859, 0.9855]
    assert len(figure.axes[0].patches) == 1, "the default's row is shaded"
    assert_readable(figure)


def test_a_huge_interval_does_not_press_the_scores_together():
    wide = make_candidate("trial_1", 0.99, [0.95, 0.98])
    axes = plot_confirmation([wide, *CANDIDATES], ACCURACY).axes[0]
    assert wide.confirmed_interval[1] > 1.1 > axes.get_xlim()[1]
    assert {"<", ">"} <= {line.get_marker() for line in axes.lines}
    assert_readable(axes.figure)


@pytest.mark.parametrize("candidates", [[], [make_candidate("default", None, [])]])
def test_a_confirmation_without_scores_is_said_in_words(candidates):
    assert "No candidate was trained again." in texts(plot_confirmation(candidates, ACCURACY))


def test_one_candidate_can_be_drawn_for_a_loss():
    figure = plot_confirmation([make_candidate("default", None, [0.05, 0.05])], LOSS)
    assert "0.0500  (0.0500 to 0.0500)" in texts(figure)
    assert_readable(figure)


def test_pictures_are_reproducible():
    for one, two in zip(every_plot(study(4)), every_plot(study(4)), strict=True):
        FigureCanvasAgg(one).draw()
        assert figure_png(one) == figure_png(two)
