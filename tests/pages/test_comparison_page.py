"""A comparison's page says the verdict first, and everything that it rests on."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import write_comparison_page
from tests.comparison.run_makers import data_record, make_run, make_unfinished
from tests.pages.page_makers import (
    HOSTILE,
    make_hostile_run,
    make_sample_run,
    make_search,
    make_study_of_digits,
)
from tests.pages.page_reading import Page, read_page


def page_of(folder: Path, output_dir: Path) -> tuple[Examined, Page]:
    examined = examine([folder], CompareOptions())
    output_dir.mkdir()
    write_comparison_page(examined, output_dir)
    return examined, read_page(output_dir)


@pytest.fixture(scope="module")
def page_of_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], tuple[Examined, Page]]:
    """Gives the page of a study of so many networks and seeds, made once."""

    @cache
    def make(models: int, seeds: int) -> tuple[Examined, Page]:
        folder = tmp_path_factory.mktemp("study")
        return page_of(make_study_of_digits(folder / "runs", models, seeds), folder / "out")

    return make


@pytest.mark.parametrize(("models", "seeds"), [(2, 3), (2, 1), (1, 2), (30, 1)])
def test_the_verdict_comes_first_and_every_group_has_a_row(
    page_of_study: Callable[[int, int], tuple[Examined, Page]], models: int, seeds: int
) -> None:
    examined, page = page_of_study(models, seeds)
    (report,) = examined.comparison.sets
    (heading,) = page.named("h1")
    if report.verdict:
        assert heading.text.lower() == f"{report.verdict}.".lower()
    for row in report.groups:
        low, high = row.test_interval
        assert row.label in page.text and f"{100 * low:.2f} to {100 * high:.2f}" in page.text
    for line in (*report.notes, *examined.comparison.ledger):
        assert line in page.text


# How many networks and seeds, what the page says, and what it does not.
EXPLAINED = [
    (
        (2, 1),
        ("McNemar's test", "Interval of one network", "p value",
         "Dot: the network’s accuracy, with its interval. "
         "Dashed line: bn_dnn, the best on validation images."),
        ("Holm's correction", "Means over seeds"),
    ),
    (
        (2, 3),
        ("Paired t test", "Interval of a mean", "Over seeds and images",
         "Test accuracy, 95% intervals", "Validation accuracy", "Validation loss", "Parameters",
         "Training (seconds)", "Class by class", "Digits that tell them apart", "Missed by every run",
         "model.batch_norm", "model.name", "model.units", "[128,128,64,64]",
         "All other settings are the same, except the seed.",
         "Large dot: mean over seeds, with its interval. Small dots: single runs. "
         "Dashed line: bn_dnn, the best on validation images."),
        ("Holm's correction", "Dot: the network’s"),
    ),
    ((3, 3), ("Holm's correction", "Paired t test"), ()),
]  # fmt: skip


@pytest.mark.parametrize(("study", "there", "missing"), EXPLAINED)
def test_figures_tests_and_settings_are_there_and_explained(
    page_of_study: Callable[[int, int], tuple[Examined, Page]],
    study: tuple[int, int],
    there: tuple[str, ...],
    missing: tuple[str, ...],
) -> None:
    _, page = page_of_study(*study)
    assert [words for words in there if words not in page.text] == []
    assert [words for words in missing if words in page.text] == []
    assert any(each.attributes.get("class") == "digit" for each in page.named("button"))


def test_a_leader_chosen_on_test_images_is_not_called_best_on_validation(tmp_path: Path) -> None:
    for number, skill in enumerate((0.7, 0.8, 0.9)):
        config = {"model.units": [128 + number]}
        make_sample_run(tmp_path / "runs", f"m{number}", config=config, skill=skill, val_accuracy=None)
    _, page = page_of(tmp_path / "runs", tmp_path / "out")
    assert "the best on test images." in page.text and "the best on validation" not in page.text
    assert "Test images chose the leader" in page.text


def test_runs_on_other_images_stand_apart_and_what_is_not_compared_is_named(tmp_path: Path) -> None:
    folder = make_study_of_digits(tmp_path / "runs")
    make_run(folder, "other", manifest={"data": data_record(test="other")})
    make_unfinished(folder, "broken", "failed", "The loss is no number.")
    make_search(folder)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "manifest.json").write_text("{")
    examined, page = page_of(folder, tmp_path / "out")
    for words in (
        "Not to be ranked with the first", examined.comparison.sets[1].reason, "The loss is no number.",
        "damaged", "Searches, listed apart", "trial 2 of 3 trials", f"mode=compare 'runs={folder}/*'",
    ):  # fmt: skip
        assert words in page.text, words


def test_without_a_completed_training_the_page_says_so(tmp_path: Path) -> None:
    make_unfinished(tmp_path / "runs", "broken", "failed", "Out of memory.")
    _, page = page_of(tmp_path / "runs", tmp_path / "out")
    assert "nothing is compared" in page.text and "Out of memory." in page.text


def test_the_command_names_the_runs_where_a_folder_holds_others_too(tmp_path: Path) -> None:
    folder = make_study_of_digits(tmp_path / "runs", 2, 1)
    examined = examine([folder / "m0_0", folder / "m1_0"], CompareOptions())
    write_comparison_page(examined, tmp_path)
    assert f"'runs={folder}/*'" in read_page(tmp_path).text
    make_unfinished(folder, "another", "failed")
    write_comparison_page(examined, tmp_path)
    assert f"'runs=[{folder}/m0_0,{folder}/m1_0]'" in read_page(tmp_path).text


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for number in range(3):
        config = {"model.units": [number], "optimizer.momentum": f"{number}{HOSTILE}"}
        make_hostile_run(folder, f"<b>&{number}", seed=number, skill=0.8 + 0.05 * number, config=config)
    make_unfinished(folder, "broken", "failed", HOSTILE)
    make_search(folder, text=HOSTILE)
    damaged = folder / "\u202edamaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text(json.dumps({"run_id": HOSTILE, "status": HOSTILE}))
    _, page = page_of(folder, tmp_path / "out")
    assert not set("\u202e\u2066\u200b\x07") & set(page.source)
    assert "<script>alert(1)</script>" in page.text and "\\u202edamaged" in page.text


def test_many_runs_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for number in range(201):
        make_run(folder, f"{number}", config={"model.units": [number + 1]}, num_test=50)
    _, page = page_of(folder, tmp_path / "out")
    assert len(page.source) < 800_000
    assert "The first 200 of 201; results.csv has them all." in page.text
