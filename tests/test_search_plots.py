"""A search's pictures, on made-up trials."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
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
from tests.trials import factors, make_candidate, make_trial, study

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
    trials = [make_trial(number, 0.9 + 0.01 * number, {"rate": 10.0**-number}) for number in range(4)]
    for one, two in zip(every_plot(trials), every_plot(trials), strict=True):
        FigureCanvasAgg(one).draw()
        assert figure_png(one) == figure_png(two)


def test_hyperparameters_come_most_important_first_and_say_how_important():
    generator = np.random.default_rng(0)
    trials = []
    for number in range(40):
        values = {"noise": str(generator.choice(["a", "b"])), "rate": float(10 ** generator.uniform(-4, -1))}
        trials.append(make_trial(number, 0.9 - 0.1 * values["rate"], values))
    first, second = plot_hyperparameters(trials, ACCURACY, importances(trials)).axes
    assert [text.get_text() for text in first.texts][0] == "rate"
    assert [text.get_text() for text in first.texts][1].startswith("explains 9")
    assert first.get_xscale() == "log" and second.get_xscale() == "linear"
    assert [label.get_text() for label in second.get_xticklabels()] == ["a", "b"]


@pytest.mark.parametrize(("values", "scale"), [([1, 49], "linear"), ([1, 50], "log"), ([0, 50], "linear")])
def test_numbers_that_span_much_have_a_logarithmic_axis(values, scale):
    trials = [make_trial(number, 0.9, {"units": value}) for number, value in enumerate(values)]
    assert plot_hyperparameters(trials, ACCURACY, []).axes[0].get_xscale() == scale


def test_no_more_than_sixteen_hyperparameters_are_drawn():
    trials = [make_trial(n, 0.9 + 0.001 * n, {f"name{i}": n * i for i in range(1, 23)}) for n in range(10)]
    figure = plot_hyperparameters(trials, ACCURACY, importances(trials))
    assert len(figure.axes) == 16 and any("16 of 22" in text for text in texts(figure))
    parallel = plot_parallel_coordinates(trials, ACCURACY)
    assert any(text.startswith("16 of 22 hyperparameters") for text in texts(parallel))
    assert_readable(figure)


def test_a_panel_says_in_how_many_trials_its_hyperparameter_was():
    trials = [make_trial(n, 0.9, {"depth": n % 2, **({"second": n} if n % 2 else {})}) for n in range(20)]
    words = texts(plot_hyperparameters(trials, ACCURACY, importances(trials)))
    assert "explains 0%" in words and "explains 0%; 10 trials" in words


def test_importance_bars_say_share_and_chance():
    found = importances(factors(60))
    figure = plot_importance(found)
    assert {"decides", "p < 0.001"} <= {word for text in texts(figure) for word in text.split("  ")}
    assert [bar.get_width() for bar in figure.axes[0].patches] == [one.share for one in found]
    assert_readable(figure)


def parallel_heights(figure):
    (lines,) = [found for found in figure.axes[0].collections if len(found.get_linewidths()) > 1]
    assert isinstance(lines, LineCollection)
    return np.array([path.vertices[:, 1] for path in lines.get_paths()]), lines


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_parallel_lines_end_at_their_score_and_the_best_is_on_top(objective):
    scores = [0.91, 0.95, 0.93]
    trials = [make_trial(n, score, {"width": n + 1}) for n, score in enumerate(scores)]
    heights, lines = parallel_heights(plot_parallel_coordinates(trials, objective))
    assert heights[:, -1] == pytest.approx([0, 0.5, 1])
    assert heights[-1, 0] == pytest.approx(0.5 if objective is ACCURACY else 0)
    opacity = lines.get_colors()[:, 3]
    assert opacity[-1] == 1 and opacity[:-1].max() < 0.9


def test_a_missing_value_lies_below_its_axis():
    trials = [make_trial(n, 0.9 + 0.01 * n, {"a": n, **({"b": n} if n else {})}) for n in range(4)]
    figure = plot_parallel_coordinates(trials, ACCURACY)
    heights, _ = parallel_heights(figure)
    assert heights[0, 1] < -0.1 and heights[1:, 1].min() >= 0
    assert "none" in texts(figure)
    assert "none" not in texts(plot_parallel_coordinates(trials[1:], ACCURACY))


def test_categories_and_list_entries_are_labelled_in_the_space_order():
    figure = plot_parallel_coordinates(study(30), ACCURACY)
    words = texts(figure)
    units = [word for word in words if word.startswith("model.units")]
    assert units == ["model.units.length", *(f"model.units.{place}" for place in range(4))]
    assert {"relu", "tanh", "sigmoid", "adam", "sgd", "optimizer.learning_rate"} <= set(words)
