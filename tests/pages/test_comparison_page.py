"""A comparison's page says the verdict first, and everything that it rests on."""

import json
from pathlib import Path

import pytest

from mnist_exp.comparison.comparison import Examined, examine
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import write_comparison_page
from tests.comparison.run_makers import BN_DNN, data_record, make_run, make_unfinished
from tests.pages.page_makers import HOSTILE, make_hostile_run, make_sample_run, make_search
from tests.pages.page_reading import Page, read_page


def study(folder: Path, models: int = 2, seeds: int = 3) -> Path:
    for number in range(models):
        config = BN_DNN if number == 1 else {"model.units": [128 + number]}
        for seed in range(seeds):
            make_sample_run(
                folder, f"m{number}_{seed}", seed=seed, config=config, skill=0.8 + 0.05 * number,
                val_accuracy=0.97 + number / 1000,
                summary={"num_params": 10 ** (4 + number % 3), "train_s": 5.0 + 20 * number},
            )  # fmt: skip
    return folder


def page_of(folder: Path, output_dir: Path) -> tuple[Examined, Page]:
    examined = examine([folder], CompareOptions())
    output_dir.mkdir()
    write_comparison_page(examined, output_dir)
    return examined, read_page(output_dir)


@pytest.mark.parametrize(("models", "seeds"), [(2, 3), (2, 1), (5, 2), (1, 2), (30, 1)])
def test_the_verdict_comes_first_and_every_group_has_a_row(tmp_path: Path, models: int, seeds: int) -> None:
    examined, page = page_of(study(tmp_path / "runs", models, seeds), tmp_path / "out")
    (report,) = examined.comparison.sets
    (heading,) = page.named("h1")
    if report.verdict:
        assert heading.text.lower() == f"{report.verdict}.".lower()
    for row in report.groups:
        low, high = row.test_interval
        assert row.label in page.text and f"{100 * low:.2f} to {100 * high:.2f}" in page.text
    for line in (*report.notes, *examined.comparison.ledger):
        assert line in page.text


def test_it_draws_intervals_curves_costs_classes_and_digits(tmp_path: Path) -> None:
    _, page = page_of(study(tmp_path / "runs"), tmp_path / "out")
    for words in (
        "Test accuracy, 95% intervals", "Validation accuracy", "Validation loss", "Parameters",
        "Training (seconds)", "Class by class", "Digits that tell them apart", "Missed by every run",
    ):  # fmt: skip
        assert words in page.text, words
    assert any(each.attributes.get("class") == "digit" for each in page.named("button"))


@pytest.mark.parametrize(
    ("models", "seeds", "words"),
    [
        (2, 1, ("McNemar's test", "Interval of one network", "p value")),
        (2, 3, ("Paired t test", "Interval of a mean", "Over seeds and images")),
        (3, 3, ("Holm's correction", "Paired t test")),
    ],
)
def test_each_test_is_explained_where_it_was_made(
    tmp_path: Path, models: int, seeds: int, words: tuple[str, ...]
) -> None:
    _, page = page_of(study(tmp_path / "runs", models, seeds), tmp_path / "out")
    assert [word for word in words if word not in page.text] == []
    assert ("Holm's correction" in page.text) == (models > 2)


def test_what_differs_between_groups_is_a_table(tmp_path: Path) -> None:
    _, page = page_of(study(tmp_path / "runs"), tmp_path / "out")
    headings = [each.text for each in page.named("button")]
    for words in ("model.batch_norm", "model.name", "model.units"):
        assert words in headings
    assert "[128,128,64,64]" in page.text and "All other settings are the same, except the seed." in page.text


@pytest.mark.parametrize(
    ("seeds", "there", "missing"),
    [
        (1, "Dot: the network’s accuracy, with its interval.", "Means over seeds"),
        (3, "Large dot: mean over seeds, with its interval. Small dots: single seeds.", "Dot: the network’s"),
    ],
)
def test_marks_are_explained_as_they_are(tmp_path: Path, seeds: int, there: str, missing: str) -> None:
    _, page = page_of(study(tmp_path / "runs", 2, seeds), tmp_path / "out")
    assert f"{there} Dashed line: bn_dnn, the best on validation images." in page.text
    assert missing not in page.text


def test_a_leader_chosen_on_test_images_is_not_called_best_on_validation(tmp_path: Path) -> None:
    for number, skill in enumerate((0.7, 0.8, 0.9)):
        config = {"model.units": [128 + number]}
        make_sample_run(tmp_path / "runs", f"m{number}", config=config, skill=skill, val_accuracy=None)
    _, page = page_of(tmp_path / "runs", tmp_path / "out")
    assert "the best on test images." in page.text and "the best on validation" not in page.text
    assert "Test images chose the leader" in page.text


def test_runs_on_other_images_stand_apart_and_what_is_not_compared_is_named(tmp_path: Path) -> None:
    folder = study(tmp_path / "runs")
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
    folder = study(tmp_path / "runs", 2, 1)
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
    for number in range(300):
        make_run(folder, f"{number}", config={"model.units": [number + 1]}, num_test=50)
    _, page = page_of(folder, tmp_path / "out")
    assert len(page.source) < 800_000
    assert "The first 200 of 300; results.csv has them all." in page.text
