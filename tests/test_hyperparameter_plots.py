"""Hyperparameters and their importance as pictures, on made-up trials."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from mnist_exp.report.figures.hyperparameters import (
    plot_hyperparameters,
    plot_importance,
    plot_parallel_coordinates,
)
from mnist_exp.report.figures.importance import importances
from mnist_exp.report.figures.scales import Objective
from tests.test_plots import assert_readable, texts
from tests.trials import factors, make_trial, study

ACCURACY = Objective("val_accuracy", "max")
LOSS = Objective("val_loss", "min")


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
