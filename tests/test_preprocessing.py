"""Deskewed images: what is done to them, that it is exact, and that everyone sees the same."""

from fractions import Fraction
from math import floor
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_exp.comparison.labels import recipe
from mnist_exp.config.parsing import parse_tree
from mnist_exp.errors import ConfigError
from mnist_exp.modes import evaluate
from mnist_exp.runs.run import read_config
from mnist_exp.training.networks import predict_probabilities
from mnist_exp.training.preprocessing import build_front, is_front, layers_behind, prepare_images
from mnist_exp.training.reuse import ImageStore
from tests.conftest import FinishedRun, Run, Start
from tests.digits import sample_digits
from tests.evaluation.modes import evaluate_tree, run_evaluate, run_predict
from tests.sweeps.sweeping import num_epochs, read_json, status_of, wait_for
from tests.trainings import composed

DESKEWED = ("data=sample", "data.preprocessing=deskew", "training.engine=graph")
DIGITS, _ = sample_digits(400)
HALF = Fraction(1, 2)


def as_pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.astype(np.float32) * np.float32(1 / 255)


def deskewed_exactly(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The definition, one image at a time, in whole numbers and fractions."""
    ink = {place: int(value) for place, value in np.ndenumerate(image) if value}
    mass = sum(ink.values())
    if not mass:
        return image
    row, column = (
        Fraction(sum(place[axis] * value for place, value in ink.items()), mass) for axis in (0, 1)
    )
    variance = sum(value * (place[0] - row) ** 2 for place, value in ink.items())
    if not variance:
        return image
    covariance = sum(value * (place[0] - row) * (place[1] - column) for place, value in ink.items())
    slant = max(Fraction(-1), min(Fraction(1), covariance / variance))
    moved = np.zeros_like(image)
    for line in range(image.shape[0]):
        move = slant * (line - row) + column - Fraction(image.shape[1] - 1, 2)
        move = Fraction(floor(move * 64 + HALF), 64)
        for place in range(image.shape[1]):
            left = floor(place + move)
            share = place + move - left
            value = (1 - share) * ink.get((line, left), 0) + share * ink.get((line, left + 1), 0)
            moved[line, place] = floor(value + HALF)
    return moved


def slant_of(image: NDArray[np.uint8]) -> float:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    rows, columns = (place - (place * image).sum() / image.sum() for place in (rows, columns))
    return float((image * rows * columns).sum() / (image * rows**2).sum())


def test_a_slanting_line_is_made_upright_and_put_in_the_middle() -> None:
    image = np.zeros((1, 9, 9), np.uint8)
    for row in range(1, 8):
        image[0, row, row] = 200
    upright = np.zeros((9, 9), np.uint8)
    upright[1:8, 4] = 200
    np.testing.assert_array_equal(prepare_images("deskew", image)[0], upright)
    np.testing.assert_array_equal(prepare_images("deskew", np.roll(image, 1, axis=2))[0], upright)


def test_a_line_that_leans_too_far_is_straightened_in_part() -> None:
    image = np.zeros((1, 9, 31), np.uint8)
    for row in range(9):
        image[0, row, 3 + 3 * row] = 255
    assert slant_of(image[0]) == pytest.approx(3)
    assert slant_of(prepare_images("deskew", image)[0]) == pytest.approx(2)


def test_digits_come_out_as_the_definition_says() -> None:
    prepared = prepare_images("deskew", DIGITS[:60])
    for image, found in zip(DIGITS, prepared, strict=False):
        np.testing.assert_array_equal(found, deskewed_exactly(image))
    assert np.median([abs(slant_of(image)) for image in DIGITS[:60]]) > 0.1
    assert max(abs(slant_of(image)) for image in prepared) < 0.05


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (5, 1), (1, 5), (28, 64)])
def test_images_of_any_size_come_out_as_the_definition_says(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    expected = np.stack([deskewed_exactly(image) for image in images])
    np.testing.assert_array_equal(prepare_images("deskew", images), expected)


def test_images_without_a_slant_to_speak_of_stay_as_they_are() -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    images[1, 3, 5:9] = 77
    images[2, 20, 2] = 255
    np.testing.assert_array_equal(prepare_images("deskew", images), images)
    assert prepare_images("none", images) is images


@pytest.mark.parametrize("batch_size", [1, 399])
@pytest.mark.parametrize("way", ["eager", "graph", "xla"])
def test_neither_the_batch_nor_the_engine_changes_a_bit(batch_size: int, way: str) -> None:
    (model,) = build_front("deskew", (28, 28))
    call = {"eager": model, "graph": tf.function(model), "xla": tf.function(model, jit_compile=True)}[way]
    expected = as_pixels(prepare_images("deskew", DIGITS))
    chosen = DIGITS[: 3 * batch_size]
    parts = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]
    found = np.concatenate([np.asarray(call(as_pixels(part))) for part in parts])
    np.testing.assert_array_equal(found, expected[: len(chosen)])
    np.testing.assert_array_equal(call(chosen[:1] / np.float32(255)), expected[:1])


@pytest.fixture(scope="module")
def deskewed(start: Start, run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on deskewed digits that was killed and resumed; read it only."""
    folder = tmp_path_factory.mktemp("deskewed")
    process = start(*DESKEWED, "model.dropout=0.2", "training.epochs=20", cwd=folder)
    run = wait_for(lambda: next(folder.glob("runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 2, process)
    process.kill()
    stdout, _ = process.communicate()
    assert ["deskew", "preprocessing", "28", "×", "28"] in [line.split()[:5] for line in stdout.splitlines()]
    assert status_of(run) == "running"
    resumed = run_command(f"resume={run}", cwd=folder)
    assert (resumed.returncode, resumed.stderr, status_of(run)) == (0, "", "completed")
    return run


def images_of(run: Path) -> NDArray[np.uint8]:
    """Gives a run's test images as they are in the file."""
    return ImageStore().get(read_config(run).data, lambda *_: None).test.images


def probabilities_of(run: Path) -> NDArray[np.float32]:
    with np.load(run / "predictions.npz") as arrays:
        return arrays["probabilities"]


@pytest.mark.slow
def test_the_fingerprints_are_the_files_and_all_is_drawn(deskewed: Path, finished_run: FinishedRun) -> None:
    seen, usual = (read_json(run / "manifest.json")["data"] for run in (deskewed, finished_run.path))
    assert seen == usual
    drawn, expected = (
        {path.stem for path in (run / "plots").iterdir()} for run in (deskewed, finished_run.path)
    )
    assert drawn == expected


@pytest.mark.slow
def test_a_killed_training_is_gone_on_with_to_the_bit(
    deskewed: Path, run_command: Run, tmp_path: Path
) -> None:
    verified = run_command("mode=verify", f"run={deskewed}", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
def test_saved_networks_take_images_as_they_are_and_are_keras_own(deskewed: Path) -> None:
    best, last = (
        keras.models.load_model(deskewed / f"checkpoints/{name}.keras", safe_mode=True)
        for name in ("best", "last")
    )
    images, expected = images_of(deskewed), probabilities_of(deskewed)
    np.testing.assert_array_equal(predict_probabilities(best, images), expected)
    bare = keras.Sequential([keras.layers.Input((28, 28)), *layers_behind(best)])
    np.testing.assert_array_equal(predict_probabilities(bare, prepare_images("deskew", images)), expected)
    assert (predict_probabilities(bare, images) != expected).any()
    assert [is_front(layer) for layer in last.layers] == [True, False, False, False, False]
    with ZipFile(deskewed / "checkpoints/best.keras") as archive:
        assert b"mnist_exp" not in archive.read("config.json")


@pytest.mark.slow
def test_an_evaluation_finds_the_same_bits(deskewed: Path, tmp_path: Path) -> None:
    _, folder = run_evaluate(deskewed, tmp_path, evaluate={"robustness_images": 20})
    found = read_json(folder / "evaluation.json")
    assert found["same_as_run"]["is_identical"] is True
    clean = {level["accuracy"] for each in found["robustness"] for level in each["levels"][:1]}
    assert len(clean) == 1 and clean.pop() > 0.6
    with pytest.raises(ConfigError, match=r"^data\.preprocessing: the run's network has its own in front"):
        evaluate.accept(evaluate_tree(deskewed, tmp_path), ["data.preprocessing=none"])


@pytest.mark.slow
def test_pictures_of_ones_own_go_through_it_too(deskewed: Path, tmp_path: Path) -> None:
    keras.utils.save_img(tmp_path / "digit.png", images_of(deskewed)[0][..., None], scale=False)
    text, _ = run_predict(deskewed, tmp_path, str(tmp_path / "digit.png"))
    assert "digit.png" in text


@pytest.mark.slow
def test_a_search_tries_its_trials_on_deskewed_images(run_command: Run, tmp_path: Path) -> None:
    budget = ("tuner.max_trials=1", "tuner.workers=1", "tuner.confirm.seeds=1", "tuner.confirm.top=1")
    result = run_command("mode=tune", *DESKEWED, "training.epochs=2", *budget, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    best = keras.models.load_model(run / "checkpoints" / "best.keras")
    assert is_front(best.layers[0])
    np.testing.assert_array_equal(predict_probabilities(best, images_of(run)), probabilities_of(run))


def test_runs_from_before_are_read_as_without() -> None:
    now, deskewing = composed("data=sample"), composed("data=sample", "data.preprocessing=deskew")
    before = now | {"data": {key: value for key, value in now["data"].items() if key != "preprocessing"}}
    assert parse_tree(before) == parse_tree(now)
    assert recipe(before) == recipe(now) != recipe(deskewing)
