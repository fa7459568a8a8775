"""Networks from strangers: loaded as data, or refused in one line; nothing of them is ever run."""

import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given

from mnist_exp.errors import ConfigError
from mnist_exp.runs.run import Run, read_run
from mnist_exp.training.loading import load_network
from tests.comparison.run_makers import make_run
from tests.fuzzing import bounded, cases, changed, changes

pytestmark = pytest.mark.slow

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small network's file."""
    path = tmp_path_factory.mktemp("whole") / "best.keras"
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.layers.Input((8, 8)), *layers]).save(path)
    return path.read_bytes()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return read_run(make_run(tmp_path, "run"))


def give(run: Run, content: bytes) -> None:
    (run.path / "checkpoints" / "best.keras").write_bytes(content)


def expect_refusal(run: Run) -> str:
    with pytest.raises(ConfigError) as refused:
        load_network(run)
    line = str(refused.value)
    assert line.startswith("run: ") and "best.keras" in line and "\n" not in line and len(line) < 1500
    return line


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def edited(content: bytes, edit: Edit) -> bytes:
    """Changes the network's description."""
    files = members(content)
    tree = json.loads(files["config.json"])
    edit(tree)
    return packed(files | {"config.json": json.dumps(tree).encode()})


def dense(tree: dict[str, Any]) -> dict[str, Any]:
    return tree["config"]["layers"][-1]


def foreign_layer(**names: Any) -> Edit:
    return lambda tree: dense(tree).update(names)


def foreign_activation(value: Any) -> Edit:
    return lambda tree: dense(tree)["config"].update(activation=value)


def test_an_honest_network_is_loaded(run: Run, whole: bytes) -> None:
    give(run, whole)
    assert load_network(run).count_params() == 650
    give(run, edited(whole, lambda tree: None))
    assert load_network(run).count_params() == 650


EDITS = {
    "function": foreign_layer(module="os", class_name="system", registered_name=None),
    "stranger's layer": foreign_layer(
        module="strangers_module", class_name="Layer", registered_name="s>Layer"
    ),
    "reader": foreign_layer(module="keras.layers", class_name="TFSMLayer", config={"filepath": "x"}),
    "download": foreign_layer(
        module="keras.utils", class_name="get_file", registered_name=None, config={"origin": "file:///etc/x"}
    ),
    "Keras' own function": foreign_layer(
        module="keras.src.utils.file_utils", class_name="makedirs", config={"path": "mark"}
    ),
    "activation": foreign_activation(
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}
    ),
    "lambda": foreign_activation({"class_name": "__lambda__", "config": {"value": "4wAAAAA="}}),
    "stranger's function": foreign_activation("strangers>function"),
    "process": lambda tree: tree.update(
        module="subprocess", class_name="Popen", config={"args": ["mkdir", "mark"]}
    ),
    "nothing": lambda tree: tree.clear(),
    "no layers": lambda tree: tree["config"].update(layers=[]),
    "too many layers": lambda tree: tree["config"].update(layers=tree["config"]["layers"] * 1000),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_description_of_something_else_than_a_network_is_refused(
    run: Run, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    (tmp_path / "strangers_module.py").write_text("import os\nos.mkdir('mark')\nclass Layer: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    give(run, edited(whole, edit))
    expect_refusal(run)
    assert not (tmp_path / "mark").exists() and "strangers_module" not in sys.modules


def test_a_layer_with_code_in_it_is_refused_and_not_run(run: Run, tmp_path: Path) -> None:
    def leave_a_mark(pixels: Any) -> Any:
        os.makedirs("mark", exist_ok=True)  # noqa: PTH103
        return pixels[:, :10]

    # The second one holds all that it needs: without the safe mode it would be run.
    self_contained = lambda pixels: __import__("os").makedirs("mark", exist_ok=True) or pixels[:, :10]  # noqa: E731
    for code in (leave_a_mark, self_contained):
        layers = [keras.layers.Flatten(), keras.layers.Lambda(code, output_shape=(10,))]
        keras.Sequential([keras.layers.Input((8, 8)), *layers, keras.layers.Softmax()]).save("lambda.keras")
        shutil.rmtree("mark", ignore_errors=True)
        give(run, (tmp_path / "lambda.keras").read_bytes())
        expect_refusal(run)
        assert not (tmp_path / "mark").exists()


class Bomb:
    """Makes a folder where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("mark",)


def test_a_pickle_is_never_loaded(run: Run, whole: bytes, tmp_path: Path) -> None:
    pickled = pickle.dumps(Bomb())
    weights = io.BytesIO()
    np.savez(weights, weights=np.array([Bomb()], object))
    for content in (
        pickled,
        packed({"data.pkl": pickled}),
        packed({"config.json": pickled, "metadata.json": b"{}", "model.weights.h5": b""}),
        packed(members(whole) | {"model.weights.h5": pickled}),
        packed(members(whole) | {"model.weights.npz": weights.getvalue()}),
    ):
        give(run, content)
        expect_refusal(run)
    assert not (tmp_path / "mark").exists()


def rewritten(content: bytes, edit: Callable[[h5py.Group], None]) -> bytes:
    """Changes the weights' file: `edit` is given the last layer's variables without the first of them."""
    files = members(content)
    stream = io.BytesIO(files["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        del file["layers/dense/vars/0"]
        edit(file["layers/dense/vars"])
    return packed(files | {"model.weights.h5": stream.getvalue()})


def external(group: h5py.Group) -> None:
    group.create_dataset("0", (64, 10), "f4", external=[("/etc/passwd", 0, 2560)])


def linked(group: h5py.Group) -> None:
    group["0"] = h5py.ExternalLink("/etc/passwd", "/x")


def vast(group: h5py.Group) -> None:
    group.create_dataset("0", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def other_shape(group: h5py.Group) -> None:
    group.create_dataset("0", data=np.zeros((3, 3), np.float32))


@pytest.mark.parametrize("edit", [external, linked, vast, other_shape])
def test_weights_from_elsewhere_or_of_another_size_are_refused(
    run: Run, whole: bytes, edit: Callable[[h5py.Group], None]
) -> None:
    give(run, rewritten(whole, edit))
    with bounded(megabytes=100, seconds=5):
        expect_refusal(run)


def test_archives_that_are_none_of_keras_are_refused(run: Run, whole: bytes) -> None:
    files = members(whole)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(25_000):
            archive.writestr(f"{number:05}", b"")
    for content in (
        b"",
        whole[: len(whole) // 2],
        packed(files | {"assets/x": b"1"}),
        packed(files | {"../x": b"1"}),
        packed(files | {"/etc/x": b"1"}),
        packed({name: files[name] for name in ("config.json",)}),
        packed(files | {"config.json": b"[" * 100_000}),
        packed(files | {"config.json": b'{"config": NaN}'}),
        many.getvalue(),
    ):
        give(run, content)
        with bounded(megabytes=100, seconds=5):
            expect_refusal(run)


def test_links_out_of_the_run_are_refused(run: Run, whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "best.keras").write_bytes(whole)
    path = run.path / "checkpoints" / "best.keras"
    for target in ("../../elsewhere/best.keras", str(tmp_path / "elsewhere" / "best.keras")):
        path.unlink()
        path.symlink_to(target)
        assert "link" in expect_refusal(run)
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert "link" in expect_refusal(run)


@cases(60)
@given(changes())
def test_a_changed_network_is_loaded_or_refused(
    run: Run, whole: bytes, made: list[tuple[int, int, bytes]]
) -> None:
    give(run, changed(whole, made))
    try:
        assert load_network(run).output_shape == (None, 10)
    except ConfigError as error:
        assert "best.keras" in str(error) and len(str(error)) < 1500
