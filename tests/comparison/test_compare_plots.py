"""Pictures of a comparison: readable, and right about who is on the Pareto front."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison_plots import comparison_plots
from mnist_exp.report.figures.costs import pareto_front
from mnist_exp.report.figures.style import figure_png
from tests.comparison.run_makers import BN_DNN, make_run
from tests.pages.page_makers import make_study_of_digits
from tests.test_plots import assert_readable, texts

ALL = {"learning_curves", "forest", "cost", "per_class", "atlas"}


def make_sample_study(folder: Path, models: int = 2, seeds: int = 3) -> Examined:
    return examine([make_study_of_digits(folder, models, seeds)], CompareOptions())


def draw(examined: Examined) -> dict[str, Figure]:
    plots, _ = comparison_plots(examined)
    return {name: plot() for name, plot in plots.items()}


@pytest.mark.parametrize(("models", "seeds"), [(2, 3), (2, 1), (1, 2), (30, 1)])
def test_every_picture_is_readable(tmp_path: Path, models: int, seeds: int) -> None:
    figures = draw(make_sample_study(tmp_path, models, seeds))
    assert set(figures) == (ALL if models > 1 else ALL - {"per_class", "atlas"})
    for name, figure in figures.items():
        # Numbers of points that lie on one another do so too.
        if name != "cost" or models < 5:
            assert_readable(figure)
        assert figure_png(figure).startswith(b"\x89PNG")


def test_the_forest_has_a_row_a_group_and_the_differences_beside(tmp_path: Path) -> None:
    examined = make_sample_study(tmp_path, 3)
    found = texts(draw(examined)["forest"])
    (report,) = examined.comparison.sets
    assert "best on validation" in found
    for pair in report.pairs:
        assert any(text.startswith(f"{100 * pair.difference:.2f}".replace("-", "−")) for text in found)


def test_the_atlas_counts_who_is_right_where(tmp_path: Path) -> None:
    examined = make_sample_study(tmp_path, 2, 1)
    (pair,) = examined.comparison.sets[0].pairs
    counts = pair.discordance
    assert counts is not None
    found = texts(draw(examined)["atlas"])
    assert f"bn_dnn right, ann wrong: {counts.only_first:,}" in found
    assert f"ann right, bn_dnn wrong: {counts.only_second:,}" in found
    assert f"Missed by every run, perhaps labelled wrongly: {counts.neither:,}" in found


def test_without_test_images_or_predictions_what_needs_them_is_left_out_with_a_word(tmp_path: Path) -> None:
    for number, config in enumerate(({}, BN_DNN)):
        make_run(tmp_path, f"m{number}", config=config)
    figures, notes = comparison_plots(examine([tmp_path], CompareOptions()))
    assert set(figures) == ALL - {"atlas"}
    assert notes == ["atlas: not drawn, the test images are not available (their fingerprint is known)"]
    for path in tmp_path.glob("*/predictions.npz"):
        path.unlink()
    figures, notes = comparison_plots(examine([tmp_path], CompareOptions()))
    assert set(figures) == {"learning_curves", "forest", "cost"} and len(notes) == 1


def test_a_configuration_of_unknown_origin_reaches_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("asked for a host")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    mirror = [{"url": "http://stranger.example/", "files": {"x.npz": "sha256:00"}}]
    for number, config in enumerate(({}, BN_DNN)):
        make_run(tmp_path, f"m{number}", config=config | {"data.mirrors": mirror, "data.path": "/dev/zero"})
    assert "atlas" not in draw(examine([tmp_path], CompareOptions()))


def test_the_pareto_front_is_all_that_nothing_beats() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        costs, accuracies = generator.integers(0, 8, 12).astype(float), generator.integers(0, 8, 12) / 10
        front = set(pareto_front(costs, accuracies).tolist())
        for place in range(12):
            beaten = [
                other for other in range(12)
                if costs[other] <= costs[place] and accuracies[other] >= accuracies[place]
                and (costs[other], accuracies[other]) != (costs[place], accuracies[place])
            ]  # fmt: skip
            twin = any(
                (costs[other], accuracies[other]) == (costs[place], accuracies[place]) for other in front
            )
            assert (place in front or twin) == (not beaten)
