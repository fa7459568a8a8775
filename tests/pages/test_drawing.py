"""A network's own page in a real browser: its arithmetic is Keras', and what is drawn on it is read."""

import os
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.framing import CLOTHES, Frame, frame
from mnist_exp.evaluation.framing import DIGITS as DIGITS_FRAME
from mnist_exp.exports import page
from mnist_exp.exports.formats import Subject
from mnist_exp.runs.run import Run, class_names
from mnist_exp.training.networks import build_network, predict_probabilities
from mnist_exp.training.preprocessing import Preprocessing, layers_behind, prepare_images
from mnist_exp.words import accuracy_interval_text, percent
from tests.conftest import FinishedRun
from tests.conftest import Run as RunCommand
from tests.digits import CONF_DIR, sample_digits
from tests.evaluation.drawings import bundled_digits
from tests.pages.page_makers import HOSTILE
from tests.pages.strokes import DIGITS, draw, read
from tests.pages.test_browser import CHROMIUM, CONTRASTS, open_page
from tests.trainings import accepted

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is part of the test extra")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
MODELS = sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml"))
L = keras.layers
LAYERS = {
    "mlp with gelu": [L.Flatten(), L.Dense(32, "gelu"), L.BatchNormalization(), L.Dropout(0.2)],
    "dense on rows": [L.Dense(8, "tanh"), L.BatchNormalization(center=False), L.Flatten()],
    "separable": [
        L.Rescaling(2.0, offset=-1.0), L.Reshape((28, 28, 1)), L.Conv2D(6, (3, 2), 2, "same", use_bias=False),
        L.ReLU(), L.SeparableConv2D(8, 3, depth_multiplier=2, activation="silu"), L.GlobalMaxPooling2D(),
    ],
    "pooling": [
        L.Reshape((28, 28, 1)), L.Conv2D(5, 4, activation="elu"), L.BatchNormalization(scale=False),
        L.MaxPooling2D(3, 2, "same"), L.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
        L.Activation("leaky_relu"), L.AveragePooling2D(3, 2, "same"), L.Activation("sigmoid"), L.Flatten(),
    ],
}  # fmt: skip
REFUSED = {
    "LayerNormalization": L.LayerNormalization(),
    r"Conv2D with dilation_rate=\(2, 2\)": L.Conv2D(2, 3, dilation_rate=2),
    "Conv2D with groups=2": L.Conv2D(2, 3, groups=2),
    "BatchNormalization with axis=1": L.BatchNormalization(axis=1),
    "Conv2D with activation=mish": L.Conv2D(2, 3, activation="mish"),
    "ReLU with max_value=6.0": L.ReLU(6.0),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def trained(run_command: RunCommand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a network that was trained on the bundled digits, made by the command."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = ("data.preprocessing=deskew", "augmentation=elastic", "training.epochs=40")
    export = ("mode=export", "run=run", "export.format=page", "hydra.run.dir=export")
    for words in (("model=cnn", "data=sample", *recipe, "hydra.run.dir=run"), export):
        done = run_command(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "export" / "draw.html"


def make_page(run: Run, network: keras.Sequential, folder: Path, names: list[str] | None = None) -> Path:
    behind = keras.Sequential([keras.Input(network.input_shape[1:]), *layers_behind(network)])
    preprocessing = "deskew" if len(behind.layers) < len(network.layers) else "none"
    names = names or class_names(run.config, network.output_shape[-1])
    images = np.zeros((1, 28, 28), np.uint8)
    page.write(
        Subject(run, network, behind, preprocessing, names, images, "", images[0]), folder / "draw.html"
    )
    return folder / "draw.html"


def stirred(network: keras.Sequential) -> keras.Sequential:
    """Gives every weight a value of its own, and those of digits to means and variances: answers differ."""
    generator = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(weight.numpy() + generator.normal(0, 0.05, weight.shape))
    for layer in network.layers:
        layer.momentum = 0.0  # of batch normalization: the moments of the one batch below
    network(sample_digits(500)[0].astype(np.float32) / 255, training=True)
    last = [layer for layer in network.layers if isinstance(layer, L.Dense)][-1]
    last.kernel.assign(10 * last.kernel.numpy())
    return network


def assert_same(browser: Any, path: Path, network: keras.Sequential) -> None:
    images, _ = bundled_digits(200)
    expected = predict_probabilities(network, images)
    opened = open_page(browser, path)
    ask = "(images) => images.map((image) => [...look(image).chances])"
    found = np.array(opened.tab.evaluate(ask, images.reshape(200, -1).tolist()))
    assert opened.messages == []
    assert expected.std(axis=0).max() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("preprocessing", ["none", "deskew"])
def test_every_shipped_network_has_keras_probabilities(
    browser: Any, finished_run: FinishedRun, tmp_path: Path, model: str, preprocessing: Preprocessing
) -> None:
    network = stirred(build_network(accepted(f"model={model}").model, (28, 28), 10, preprocessing))
    assert_same(browser, make_page(Run(finished_run.path), network, tmp_path), network)


@pytest.mark.parametrize("layers", list(LAYERS.values()), ids=LAYERS)
def test_other_layers_that_it_knows_have_them_too(
    browser: Any, finished_run: FinishedRun, tmp_path: Path, layers: list[keras.Layer]
) -> None:
    last = [L.BatchNormalization(), L.Dense(10), L.Softmax()]
    network = stirred(keras.Sequential([keras.Input((28, 28)), *layers, *last]))
    assert_same(browser, make_page(Run(finished_run.path), network, tmp_path), network)


@pytest.mark.parametrize(("problem", "layer"), list(REFUSED.items()), ids=REFUSED)
def test_another_layer_is_refused_by_name(
    finished_run: FinishedRun, tmp_path: Path, problem: str, layer: keras.Layer
) -> None:
    layers = [keras.Input((28, 28)), L.Reshape((14, 28, 2)), layer, L.Flatten(), L.Dense(10, "softmax")]
    with pytest.raises(ConfigError, match=rf"export.format: page has no code .*: {problem}\. It knows "):
        make_page(Run(finished_run.path), keras.Sequential(layers), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_slanted_digits_are_made_upright_bit_for_bit(browser: Any, trained: Path) -> None:
    images, _ = bundled_digits(200)
    tab = open_page(browser, trained).tab
    ask = "(images) => images.map((image) => [...deskew(image)])"
    found = np.array(tab.evaluate(ask, images.reshape(200, -1).tolist()), np.uint8)
    np.testing.assert_array_equal(found.reshape(images.shape), prepare_images("deskew", images))


def test_ten_digits_are_read_as_they_are_drawn(browser: Any, trained: Path) -> None:
    opened = open_page(browser, trained)
    for digit, strokes in DIGITS.items():
        draw(opened.tab, strokes)
        assert read(opened.tab) == digit
        assert opened.tab.locator(".best bdi").inner_text() == digit
        assert opened.tab.locator(".best .chance").inner_text().endswith("%")
        opened.tab.get_by_role("button", name="Clear").click()
        assert read(opened.tab) == ""
    assert opened.messages == []
    assert opened.requests[0] == trained.as_uri() and len(opened.requests) == 1


@pytest.mark.parametrize("place", [DIGITS_FRAME, CLOTHES])
def test_a_drawing_is_framed_as_a_picture_is(browser: Any, trained: Path, place: Frame) -> None:
    tab = open_page(browser, trained, device_scale_factor=1).tab
    tab.evaluate("(place) => Object.assign(network, place)", {"box": place.box, "by_mass": place.by_mass})
    likeness = []
    for strokes in DIGITS.values():
        draw(tab, strokes)
        read(tab)
        picture = Image.open(BytesIO(b64decode(tab.evaluate("paper.toDataURL()").partition(",")[2])))
        ink = np.asarray(picture.getchannel("A"), np.float32) / 255
        found = np.array(tab.evaluate("[...frame(strokes)]"), float).reshape(28, 28)
        likeness.append(np.corrcoef(found.ravel(), frame(1 - ink, 28, place).image.ravel())[0, 1])
        tab.keyboard.press("Escape")
    # Here and there a half pixel is rounded the other way.
    assert np.median(likeness) > 0.998 and min(likeness) > 0.94


def test_dark_on_light_is_drawn_for_a_network_that_knows_it_so(browser: Any, trained: Path) -> None:
    tab = open_page(browser, trained).tab
    draw(tab, DIGITS["4"])
    dark = tab.evaluate("[...frame(strokes)]")
    light = tab.evaluate("(network.is_light = true, [...frame(strokes)])")
    assert [255 - level for level in dark] == light and max(dark) == 255


def test_a_finger_draws_on_a_telephone_which_shows_everything(browser: Any, trained: Path) -> None:
    opened = open_page(browser, trained, width=390, has_touch=True, is_mobile=True)
    tab, paper = opened.tab, opened.tab.locator("#paper").bounding_box()
    swipe(tab, [(paper["x"] + 160, paper["y"] + down) for down in range(60, 260, 10)])
    assert read(tab) == "1"
    assert tab.evaluate("[scrollX, scrollY, document.documentElement.scrollWidth]") == [0, 0, 390]
    assert tab.locator("#clear").bounding_box()["height"] >= 44
    bars = tab.locator(".bars").bounding_box()
    assert bars["y"] + bars["height"] <= 844
    assert opened.messages == []


def swipe(tab: Any, points: list[tuple[float, float]]) -> None:
    """Moves a finger over the glass."""
    session = tab.context.new_cdp_session(tab)
    for number, (x, y) in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_keyboard_draws_clears_and_never_scrolls(browser: Any, trained: Path) -> None:
    tab = open_page(browser, trained).tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "paper"
    for key in (" ", *["ArrowDown"] * 14, " ", *["ArrowRight"] * 3):
        tab.keyboard.press(key)
    assert read(tab) == "1" and tab.evaluate("strokes.length") == 1
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert read(tab) == "" and tab.evaluate("scrollY") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_in_light_and_in_dark(browser: Any, trained: Path, scheme: str) -> None:
    tab = open_page(browser, trained, color_scheme=scheme).tab
    found = tab.evaluate(CONTRASTS)
    draw(tab, DIGITS["7"])
    assert read(tab) == "7"
    found += tab.evaluate(CONTRASTS)
    assert len(found) > 30
    assert [each for each in found if each[0] < 4.5] == []


def test_it_says_how_good_the_network_is_and_what_to_doubt(browser: Any, trained: Path) -> None:
    result = Run(trained.parents[1] / "run").result
    words = open_page(browser, trained).tab.locator("main").inner_text()
    assert percent(result.test_accuracy) in words
    assert f"95% interval {accuracy_interval_text(result.test_accuracy_interval)}" in words


def test_hostile_names_are_only_shown(browser: Any, finished_run: FinishedRun, tmp_path: Path) -> None:
    network = build_network(accepted("model=ann").model, (28, 28), 10)
    names = [f"{number} {HOSTILE}" for number in range(10)]
    opened = open_page(browser, make_page(Run(finished_run.path), network, tmp_path, names), width=390)
    draw(opened.tab, DIGITS["3"])
    assert "<script>alert(1)</script>" in read(opened.tab)
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.messages == [] and len(opened.requests) == 1
