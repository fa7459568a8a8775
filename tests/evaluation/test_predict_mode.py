"""`mode=predict` as a whole: pictures of digits, shown to a real run's network."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_exp.data.backgrounds import find_background
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.evaluation.framing import DIGITS
from mnist_exp.evaluation.pictures import read_pictures
from mnist_exp.modes import predict
from mnist_exp.runs.run import read_run
from mnist_exp.statistics import accuracy
from mnist_exp.training.loading import load_network
from mnist_exp.training.networks import predict_probabilities
from tests.comparison.run_makers import edited
from tests.conftest import FinishedRun
from tests.evaluation.drawings import WAYS, bundled_digits, enlarged, save
from tests.evaluation.modes import newest, run_evaluate, run_predict

COUNT = 140
UNKNOWN = "\U000f1234"
"""For private use: no font that anyone has installed gives it a shape."""
# Two or three digits of a hundred lie at the edge between two classes, and may fall to either side.
MOST_LOST = 0.03


def read_rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "predictions.csv").read_text().splitlines()))


@pytest.mark.slow
def test_pictures_of_digits_are_read_as_well_as_mnists(finished_run: FinishedRun, tmp_path: Path) -> None:
    network = load_network(read_run(finished_run.path))
    images, labels = bundled_digits(COUNT)
    generator = np.random.default_rng(7)
    ways = list(WAYS.values())
    paths = []
    for number, image in enumerate(images):
        grey = ways[number % len(ways)](image, generator)
        # Small pictures would suffer from JPEG more than from anything tested here.
        ending = "jpg" if number % 2 and len(grey) > 60 else "png"
        paths.append(save(grey, tmp_path / f"{number:03}.{ending}", 1 + number % 8))
    read, unread = read_pictures(paths, 28, DIGITS, 0)
    assert unread == [] and [picture.path for picture in read] == paths
    seen = predict_probabilities(network, np.stack([picture.image for picture in read]))
    assert accuracy(seen, labels) >= accuracy(predict_probabilities(network, images), labels) - MOST_LOST


def save_digits(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number, (image, label) in enumerate(zip(*bundled_digits(count), strict=True)):
        save(1 - image.astype(np.float32) / 255, folder / f"{number:03}_{label}.png")
    return folder


def test_what_the_network_saw_is_shown_and_written(finished_run: FinishedRun, tmp_path: Path) -> None:
    text, folder = run_predict(finished_run.path, tmp_path, str(save_digits(tmp_path / "in", 8)))
    assert "_predict_ann_" in folder.name and (folder / "plots" / "predictions.png").is_file()
    rows = read_rows(folder)
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert [Path(row["file"]).name for row in rows] == names
    for row in rows:
        shares = [float(row[name]) for name in ("probability", "second_probability", "third_probability")]
        assert shares == sorted(shares, reverse=True) and sum(shares) <= 1.0001
        assert row["dark_on_light"] == "true" and row["error"] == ""
    assert all(Path(row["file"]).name in text for row in rows) and text.count("█") > 100
    assert all(len(line) <= 100 for line in text.splitlines() if str(tmp_path) not in line)


def test_several_digits_on_a_picture_are_called_so(finished_run: FinishedRun, tmp_path: Path) -> None:
    images, _ = bundled_digits(4)
    folder = save_digits(tmp_path / "in", 2)
    save(1 - np.concatenate([enlarged(image, 4) for image in images], axis=1), folder / "row.png")
    text, output_dir = run_predict(finished_run.path, tmp_path, str(folder))
    flags = {Path(row["file"]).name: row["shows_several"] for row in read_rows(output_dir)}
    assert flags.pop("row.png") == "true" and set(flags.values()) == {"false"}
    assert "1 image seems to show several objects, and is read as one digit:" in " ".join(text.split())


def test_many_pictures_are_listed_and_drawn_on_several_figures(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    text, folder = run_predict(finished_run.path, tmp_path, [str(save_digits(tmp_path / "in", 50))])
    assert len(read_rows(folder)) == 50 and "The first 30 of 38; predictions.csv has them all." in text
    figures = {path.stem for path in (folder / "plots").iterdir()}
    assert figures == {"predictions", "predictions_2", "predictions_3", "predictions_4"}


def test_what_cannot_be_read_is_named_and_skipped(finished_run: FinishedRun, tmp_path: Path) -> None:
    digits = save_digits(tmp_path / "in", 3)
    (digits / "empty.png").write_bytes(b"")
    Image.new("L", (50, 50), 200).save(digits / "blank.png")
    Image.new("1", (9000, 9000)).save(digits / "huge.png")
    with pytest.raises(RunError, match=r"3 of 6 could not be read: .*blank\.png") as failed:
        run_predict(finished_run.path, tmp_path, str(digits))
    assert failed.value.exit_status == 1
    rows = read_rows(newest(tmp_path, "predict"))
    reasons = {Path(row["file"]).name: row["error"] for row in rows if row["error"]}
    assert set(reasons) == {"empty.png", "blank.png", "huge.png"} and len(rows) == 6
    assert "empty" in reasons["empty.png"] and "pixels" in reasons["huge.png"]


def test_where_nothing_can_be_read_the_run_failed(finished_run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        run_predict(finished_run.path, tmp_path, "nowhere.png")
    assert not list(tmp_path.iterdir())
    (tmp_path / "=cmd\x1b[31m.png").write_text("hello")
    with pytest.raises(RunError, match="1 of 1 could not be read"):
        run_predict(finished_run.path, tmp_path, str(tmp_path / "*.png"))
    folder = newest(tmp_path, "predict")
    assert "\x1b" not in (folder / "predictions.csv").read_text() and not list((folder / "plots").iterdir())


def test_a_run_on_clothes_answers_with_their_names(finished_run: FinishedRun, tmp_path: Path) -> None:
    names = ["T-shirt", *[f"kind {number}" for number in range(8)], "Ankle boot"]
    data = {"name": "fashion_mnist", "on_missing": "error", "class_names": names}
    run = edited(finished_run.path, tmp_path, "config.yaml", lambda tree: tree["data"].update(data))
    text, folder = run_predict(run, tmp_path, str(save_digits(tmp_path / "in", 6)))
    for row in read_rows(folder):
        assert {row["prediction"], row["second"], row["third"]} <= set(names)
    assert "kind" in text


def test_classes_that_pictures_call_by_number_are_named(finished_run: FinishedRun, tmp_path: Path) -> None:
    names = [UNKNOWN, *map(str, range(1, 10))]
    run = edited(
        finished_run.path, tmp_path, "config.yaml", lambda tree: tree["data"].update(class_names=names)
    )
    told = f"Figures call classes by number where no font here can write their names: 0 {UNKNOWN}."
    for text, _ in (
        run_evaluate(run, tmp_path, evaluate={"robustness_images": 0}),
        run_predict(run, tmp_path, str(save_digits(tmp_path / "digits", 1))),
    ):
        assert re.sub(r"[│\s]+", " ", text).count(told) == 1


@pytest.mark.parametrize(
    ("typed", "changes", "words"),
    [
        (["data=sample"], {}, "has no use for it"),
        (["model=cnn"], {}, "has no use for it"),
        ([], {"run": None}, "run: got none"),
        ([], {"images": None}, "images: got none"),
        ([], {"images": [3]}, "images[0]: got 3; expected text"),
    ],
)
def test_what_predict_has_no_use_for_is_refused(
    tmp_path: Path, typed: list[str], changes: dict[str, Any], words: str
) -> None:
    tree = {"mode": "predict", "run": "latest", "runs_dir": str(tmp_path), "images": "a.png"}
    with pytest.raises(ConfigError) as refused:
        predict.accept(tree | changes, typed)
    assert words in str(refused.value)


@pytest.mark.slow
def test_the_command_exits_with_1_after_an_unreadable_picture(
    finished_run: FinishedRun, run_command: Any, tmp_path: Path
) -> None:
    save_digits(tmp_path / "in", 2)
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    arguments = ["mode=predict", f"run={finished_run.path}", "images=in"]
    failed = run_command(*arguments, cwd=tmp_path)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1 and "in/bad.png" in failed.stderr
    assert "2 images predicted" in failed.stdout


def test_pictures_are_made_what_the_runs_own_images_are(finished_run: FinishedRun, tmp_path: Path) -> None:
    digits = str(save_digits(tmp_path / "in", 4))
    (tmp_path / "in" / "notes.heic").write_bytes(b"x")
    run = Path(shutil.copytree(finished_run.path, tmp_path / "dark"))
    record = json.loads((run / "manifest.json").read_text())
    assert record["data"]["background"] == "dark"
    seen = []
    for background, words in (("dark", "light on dark"), ("light", "dark on light"), (None, "light on dark")):
        record["data"]["background"] = background
        (run / "manifest.json").write_text(json.dumps(record))
        text, folder = run_predict(run, tmp_path / f"{background}", digits)
        plain = " ".join(text.split())
        assert f"pictures are converted to {words}, like the run's own images" in plain
        assert "1 other file was skipped" in plain and "notes.heic" in plain
        seen.append([row["probability"] for row in read_rows(folder)])
    assert seen[0] == seen[2] != seen[1]


def test_which_background_a_data_set_has_is_measured() -> None:
    digits, _ = bundled_digits(50)
    clothes = np.kron(digits[:, 4:24, 4:24], np.ones((1, 2, 2), np.uint8))[:, 6:34, 6:34]
    assert find_background(digits) == find_background(clothes) == "dark"
    assert find_background(255 - digits) == find_background(255 - clothes) == "light"
    assert find_background(digits // 2 + 100) == "dark"
    assert find_background(np.concatenate([digits, 255 - digits])) is None
