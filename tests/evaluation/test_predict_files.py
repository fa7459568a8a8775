"""`mode=predict` on a whole file of images: every prediction in a file, as competitions want it."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from mnist_exp.data.dataset import SAMPLE_PATH
from mnist_exp.errors import ConfigError
from mnist_exp.report.console import render_parts
from mnist_exp.report.predictions import Predicted, file_parts
from tests.conftest import FinishedRun, Run
from tests.digits import sample_digits
from tests.evaluation.modes import run_predict
from tests.support.data_files import idx_bytes

IMAGES, LABELS = sample_digits(60)


def write_table(path: Path, *, labelled: bool, images: NDArray[np.uint8] = IMAGES) -> Path:
    columns = [images.reshape(len(images), -1)]
    if labelled:
        columns.insert(0, LABELS[: len(images), np.newaxis])
    np.savetxt(path, np.concatenate(columns, axis=1), fmt="%d", delimiter=",")
    return path


def read_lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_submission_is_as_kaggle_wants_it(
    finished_run: FinishedRun, run_command: Run, tmp_path: Path
) -> None:
    write_table(tmp_path / "test.csv", labelled=False)
    words = ["mode=predict", f"run={finished_run.path}", "images=test.csv", "predict.columns=[ImageId,Label]"]
    done = run_command(*words, "predict.first_id=1", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    (folder,) = (tmp_path / "runs").iterdir()
    lines = (folder / "predictions.csv").read_text().splitlines()
    assert lines[0] == "ImageId,Label" and [line.split(",")[0] for line in lines[1:]] == [
        *map(str, range(1, 61))
    ]
    right = np.mean([int(line.split(",")[1]) for line in lines[1:]] == LABELS)
    assert right > 0.8 and "accuracy" not in done.stdout
    assert (
        "60 images of 28 × 28 pixels predicted: test.csv" in done.stdout and str(folder.name) in done.stdout
    )


def test_every_form_gives_the_same_predictions(finished_run: FinishedRun, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", labelled=True)
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    np.savez(tmp_path / "one.npz", IMAGES)
    other = {"x_train": IMAGES[:9], "y_train": LABELS[:9]}
    np.savez(tmp_path / "parts.npz", x_test=IMAGES, y_test=LABELS[:, np.newaxis].astype(np.int64), **other)
    found: dict[str, Any] = {}
    for name in ("a.csv", "a.npy", "t10k-images-idx3-ubyte", "one.npz", "parts.npz"):
        text, folder = run_predict(finished_run.path, tmp_path / f"runs of {name}", str(tmp_path / name))
        rows = read_lines(folder)
        right = sum(row["prediction"] == str(label) for row, label in zip(rows, LABELS, strict=True))
        is_labelled = name in ("a.csv", "parts.npz")
        assert (f"{right / 60:.2%}" in text) == is_labelled == ("label" in rows[0])
        assert (" of these images were trained on: on others expect less" in text) == is_labelled
        assert ("Of its 2 parts, these are the test images" in text) == (name == "parts.npz")
        found[name] = [(row["id"], row["prediction"], row["probability"]) for row in rows]
    assert all(rows == found["a.csv"] for rows in found.values())
    assert [each[0] for each in found["a.csv"]] == [*map(str, range(60))]


def test_the_runs_own_test_images_are_called_so(finished_run: FinishedRun, tmp_path: Path) -> None:
    text, folder = run_predict(finished_run.path, tmp_path, str(SAMPLE_PATH))
    right = sum(row["prediction"] == row["label"] for row in read_lines(folder))
    summary = json.loads((finished_run.path / "summary.json").read_text())
    assert right / 1000 == summary["test_accuracy"] and f"{right / 1000:.2%}" in text
    assert "one more look at the test images" in " ".join(text.split()) and "trained on" not in text


def test_probabilities_are_written_on_request(finished_run: FinishedRun, tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", labelled=False)
    options = {"columns": ["image", "digit"], "probabilities": True}
    rows = read_lines(run_predict(finished_run.path, tmp_path, str(path), options)[1])
    assert list(rows[0]) == ["image", "digit", *map(str, range(10))]
    for row in rows:
        shares = [float(row[str(digit)]) for digit in range(10)]
        assert sum(shares) == pytest.approx(1, abs=1e-5) and row["digit"] == str(int(np.argmax(shares)))


def test_more_classes_than_a_console_lists_are_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    names = [*map(str, range(49))]
    found = Predicted(range(60), IMAGES, np.full((60, 49), 1 / 49, np.float32), names, None)
    Console().print(render_parts(file_parts(found, "a.csv", ["a"], "b", [])))
    assert "The first 26 of 49; predictions.csv has them all." in capsys.readouterr().out


def test_pictures_may_have_such_columns_too(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, image in enumerate(IMAGES[:3]):
        Image.fromarray(image).save(folder / f"{number}.png")
    rows = read_lines(
        run_predict(finished_run.path, tmp_path, str(folder), {"columns": ["file", "label"]})[1]
    )
    assert [sorted(row) for row in rows] == [["file", "label"]] * 3
    assert [Path(row["file"]).name for row in rows] == ["0.png", "1.png", "2.png"]
    with pytest.raises(ConfigError, match="first_id: pictures go by the names of their files"):
        run_predict(finished_run.path, tmp_path, str(folder), {"first_id": 1})


def test_images_of_the_other_polarity_are_inverted(finished_run: FinishedRun, tmp_path: Path) -> None:
    found = []
    for images, is_told in ((IMAGES, False), (255 - IMAGES, True)):
        path = write_table(tmp_path / "a.csv", labelled=True, images=images)
        text, folder = run_predict(finished_run.path, tmp_path / f"{is_told}", str(path))
        assert ("the images are dark on light, and were inverted to be like the run's own" in text) == is_told
        found.append(read_lines(folder))
    assert found[0] == found[1]


def test_several_runs_predict_a_file_together(finished_run: FinishedRun, tmp_path: Path) -> None:
    other = Path(shutil.copytree(finished_run.path, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"run_id": "another"}))
    path = write_table(tmp_path / "a.csv", labelled=False)
    text, together = run_predict([str(finished_run.path), str(other)], tmp_path / "both", str(path))
    _, alone = run_predict(finished_run.path, tmp_path / "one", str(path))
    assert read_lines(together) == read_lines(alone) and "the mean of" in text


def test_other_files_are_refused_and_leave_nothing_behind(finished_run: FinishedRun, tmp_path: Path) -> None:
    small = write_table(
        tmp_path / "small.csv", labelled=True, images=np.ascontiguousarray(IMAGES[:, ::2, ::2])
    )
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "text.csv").write_text("a,b\nc,d\n")
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    np.savez(tmp_path / "two.npz", a=IMAGES, b=IMAGES)
    for images, words in (
        (str(small), "has images of 14 × 14 pixels; the run's network takes 28 × 28"),
        ([str(small), "7.png"], "holds many images and is predicted alone"),
        (str(tmp_path / "text.csv"), 'has "c" in line 2, column a'),
        (str(tmp_path / "a.npy"), "has no readable .npy header"),
        (str(tmp_path / "none.npz"), "does not exist"),
        (str(tmp_path / "pipe.csv"), "is no plain file"),
        (str(tmp_path / "two.npz"), "it holds a, b; accepted: a single array, or x_test"),
        (str(tmp_path / "t10k-labels-idx1-ubyte"), "starts with the bytes [00 00 08 01]; accepted"),
        (str(tmp_path / "a.parquet"), "the .npz file that this command makes of it: uv run"),
    ):
        with pytest.raises(ConfigError) as refused:
            run_predict(finished_run.path, tmp_path / "runs", images)
        assert words in str(refused.value) and not (tmp_path / "runs").exists()
