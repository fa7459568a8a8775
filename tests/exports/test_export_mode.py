"""`mode=export` as a whole, with the real converters and runtimes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata, util
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from packaging.requirements import Requirement

from mnist_exp.data.dataset import SAMPLE_PATH, LabelledImages
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.exports import proof, writing
from mnist_exp.exports.formats import FORMATS, Card, Subject, choose_formats
from mnist_exp.modes import export
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.run import Run
from mnist_exp.training.preprocessing import build_front
from tests.conftest import FinishedRun
from tests.evaluation.modes import data_node, newest

# Keras looks whether NumPy still has what tf2onnx misses.
pytestmark = pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
ROWS = {row.name: row for row in FORMATS}
HERE = MappingProxyType({name: all(map(util.find_spec, row.packages)) for name, row in ROWS.items()})


def required(name: str) -> Any:
    """Skips where a format's extra is not installed."""
    reason = f"the extra {ROWS[name].extra} is not installed"
    return pytest.param(name, marks=pytest.mark.skipif(not HERE[name], reason=reason))


def export_tree(run: Path | None, runs_dir: Path, name: str | None) -> dict[str, Any]:
    run_text = None if run is None else str(run)
    tree = {"mode": "export", "run": run_text, "runs_dir": str(runs_dir), "data": data_node("mnist")}
    return tree | {"export": {"format": name}}


def run_export(run: Path, runs_dir: Path, name: str) -> tuple[str, Path, Card]:
    stdout = StringIO()
    export.run(export.accept(export_tree(run, runs_dir, name), []), Terminal(stdout), None)
    folder = newest(runs_dir, "export")
    return stdout.getvalue(), folder, msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)


@pytest.fixture(scope="session")
def exported(
    finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[str, Path, Card]]:
    """Exports the finished run to a format, once."""
    found: dict[str, tuple[str, Path, Card]] = {}

    def get(name: str) -> tuple[str, Path, Card]:
        if name not in found:
            found[name] = run_export(finished_run.path, tmp_path_factory.mktemp(name), name)
        return found[name]

    return get


def link_only(names: list[str], folder: Path) -> None:
    """Makes a folder of packages that has these distributions, what they need, and nothing else."""
    waiting, seen = list(names), set()
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        if distribution.name in seen:
            continue
        seen.add(distribution.name)
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        for top in {Path(file).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))


@pytest.mark.slow
@pytest.mark.parametrize("name", [required(name) for name in ("onnx", "litert", "saved_model")])
def test_a_float_format_gives_every_answer(
    name: str, exported: Callable[[str], tuple[str, Path, Card]], finished_run: FinishedRun
) -> None:
    text, folder, card = exported(name)
    own, found = card.formats
    summary = json.loads((finished_run.path / "summary.json").read_text())
    assert (own.format, found.format) == ("keras", name) and found.proof is not None
    assert (found.proof.num_equal, found.proof.num_images) == (1000, 1000)
    assert found.proof.accuracy == summary["test_accuracy"]
    assert 0 < found.proof.largest_difference < 1e-5
    assert [each.batch_size for each in found.proof.latency] == [1, 256]
    assert {path.name for path in folder.iterdir()} == {
        "best.keras", "use_keras.py", found.file, f"use_{name}.py", "card.json", "report.html", "example.npy",
    }  # fmt: skip
    assert "_export_ann_" in folder.name and card.run_id == finished_run.path.name
    assert (card.input_shape, card.output_shape) == ([None, 28, 28], [None, 10])
    assert found.bytes == sum((folder / path).stat().st_size for path in found.sha256)
    page = (folder / "report.html").read_text()
    assert ROWS[name].title in page and "Keras" in page and "all" in text
    assert all(len(line) <= 100 for line in text.splitlines() if str(folder) not in line)


@pytest.mark.slow
@pytest.mark.skipif(not HERE["litert_int8"], reason="the extra litert is not installed")
def test_eight_bits_are_told_with_intervals(exported: Callable[[str], tuple[str, Path, Card]]) -> None:
    text, _, card = exported("litert_int8")
    own, found = card.formats
    assert found.proof is not None and own.proof is not None
    low, high = found.proof.agreement_interval
    assert 0.97 < low < found.proof.num_equal / 1000 <= high <= 1
    assert found.proof.accuracy_interval[0] < found.proof.accuracy
    assert found.bytes < own.bytes / 3
    assert card.calibration == "500 validation images" and found.details["calibration_images"] == 500
    assert "calibrated on 500 validation images" in " ".join(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", [required(name) for name, row in ROWS.items() if row.template])
def test_the_script_runs_where_only_the_runtime_is(
    name: str, exported: Callable[[str], tuple[str, Path, Card]], tmp_path: Path
) -> None:
    _, folder, card = exported("saved_model" if name == "keras" else name)
    packages, moved = tmp_path / "packages", tmp_path / "moved"
    packages.mkdir()
    link_only([*ROWS[name].runtime.split(", "), "numpy"], packages)
    assert not (packages / "mnist_exp").exists() and (packages / "keras").exists() == (
        name in ("keras", "saved_model")  # TensorFlow requires Keras
    )
    shutil.copytree(folder, moved)
    script = str(moved / f"use_{name}.py")
    run_it = f"runpy.run_path({script!r}, None, '__main__')"
    program = f"import sys, runpy; sys.path.append({str(packages)!r}); {run_it}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    answer, share = done.stdout.split()
    network = keras.models.load_model(folder / "best.keras")
    pixels = np.load(folder / "example.npy")[None] * np.float32(1 / 255)
    (probabilities,) = network.predict_on_batch(pixels)
    assert answer == card.class_names[probabilities.argmax()]
    assert float(share.rstrip("%")) == pytest.approx(100 * probabilities.max(), abs=3)


def test_preprocessing_in_a_script_gives_the_same_bits() -> None:
    text = (Path(writing.__file__).parent / "templates" / "deskew.py.jinja").read_text()
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    with np.load(SAMPLE_PATH) as arrays:
        digits = np.concatenate([arrays["x_train"], arrays["x_test"]])
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (200, 28, 28), dtype=np.uint8)
    slanted = np.stack([np.eye(28, k=shift, dtype=np.uint8) * 255 for shift in range(-27, 28)])
    flat = np.zeros((3, 28, 28), np.uint8)
    flat[1, 5, 3:20], flat[2] = 200, 255
    images = np.concatenate([digits, noise, slanted, slanted[:, ::-1], flat])
    pixels = images * np.float32(1 / 255)
    expected = build_front("deskew", (28, 28))[0].predict(pixels, batch_size=1000, verbose=0)
    np.testing.assert_array_equal(names["deskew"](pixels), expected)


@pytest.mark.slow
def test_another_answer_is_refused_with_its_place(exported: Callable[[str], tuple[str, Path, Card]]) -> None:
    _, folder, _ = exported("saved_model")
    with np.load(SAMPLE_PATH) as arrays:
        test = LabelledImages(arrays["x_test"][:300], arrays["y_test"][:300])
    pixels = test.images * np.float32(1 / 255)
    reference = np.asarray(keras.models.load_model(folder / "best.keras").predict_on_batch(pixels))
    row, paths = ROWS["saved_model"], (folder / "use_saved_model.py", folder / "saved_model")
    assert proof.prove(row, *paths, test, reference).num_equal == 300
    wrong = reference.copy()
    wrong[7] = np.roll(wrong[7], 1)
    expected = rf"1 of 300 answers .* test image 7 in batches of 1, is class {reference[7].argmax()} instead"
    with pytest.raises(RunError, match=expected):
        proof.prove(row, *paths, test, wrong)
    with pytest.raises(RunError, match="probabilities differ from Keras' by up to"):
        proof.prove(row, *paths, test, reference * np.float32(0.9))
    with pytest.raises(RunError, match="saved_model was written, but cannot be run: .*nowhere"):
        proof.prove(row, paths[0], folder / "nowhere", test, reference)


def test_another_policy_is_refused_and_leaves_nothing(finished_run: FinishedRun, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_run.path, tmp_path / "half"))
    layers = [keras.Input((28, 28)), keras.layers.Flatten()]
    layers.append(keras.layers.Dense(10, activation="softmax", dtype="mixed_float16"))
    keras.Sequential(layers).save(run / "checkpoints" / "best.keras")
    with pytest.raises(ConfigError, match="computes in float32, mixed_float16; only float32"):
        run_export(run, tmp_path / "runs", "saved_model")
    assert list((tmp_path / "runs").glob("*")) == []


def test_other_images_are_refused(finished_run: FinishedRun, tmp_path: Path) -> None:
    with np.load(SAMPLE_PATH) as arrays:
        content = dict(arrays)
    content["x_test"] = content["x_test"][::-1]
    np.savez(tmp_path / "other.npz", **content)
    tree = export_tree(finished_run.path, tmp_path / "runs", "saved_model")
    tree["data"]["path"] = str(tmp_path / "other.npz")
    request = export.accept(tree, [f"data.path={tmp_path / 'other.npz'}"])
    with pytest.raises(ConfigError, match="test images have the SHA-256"):
        export.run(request, Terminal(StringIO()), None)
    assert not (tmp_path / "runs").exists()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ROWS["onnx"].packages:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match="onnx needs tf2onnx, onnx, onnxruntime") as refused:
        choose_formats("all")
    assert "mnist-exp[onnx]" in refused.value.hint


@pytest.mark.skipif(not HERE["litert"], reason="the extra litert is not installed")
def test_what_a_converter_lacks_is_one_line(finished_run: FinishedRun, tmp_path: Path) -> None:
    """The preprocessing computes in float64, which LiteRT lacks."""
    layers = [*build_front("deskew", (28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)]
    network = keras.Sequential([keras.Input((28, 28)), *layers])
    images = np.zeros((1, 28, 28), np.uint8)
    names = list("0123456789")
    subject = Subject(Run(finished_run.path), network, network, "deskew", names, images, "", images[0])
    test, reference = LabelledImages(images, np.zeros(1, np.uint8)), np.zeros((1, 10), np.float32)
    with pytest.raises(ConfigError, match="litert cannot express this network: .") as refused:
        writing._export_one(ROWS["litert"], subject, tmp_path, test, reference)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.skipif(not all(HERE.values()), reason="the extras onnx and litert are not installed")
@pytest.mark.parametrize(
    "words", [("data.preprocessing=deskew", "model=bn_dnn", "model.activation=gelu"), ("model=cnn",)]
)
def test_the_command_exports_everything(
    run_command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path, words: tuple[str, ...]
) -> None:
    trained = run_command("data=sample", "training.epochs=2", *words, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    done = run_command(
        "mode=export", "run=latest", "export.format=all", "hydra.run.dir=taken/along", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    card = msgspec.json.decode((tmp_path / "taken" / "along" / "card.json").read_bytes(), type=Card)
    assert [each.format for each in card.formats] == list(ROWS)
    deskews = card.preprocessing == "deskew"
    for each in card.formats:
        if each.format == "page":
            continue  # Python does not run it
        script = (tmp_path / "taken" / "along" / str(each.script)).read_text()
        assert each.proof is not None and ("def deskew" in script) == (deskews and not each.has_front)
        assert each.proof.num_equal == 1000 or each.format == "litert_int8"
    assert ("use_litert.py does deskew first" in " ".join(done.stdout.split())) == deskews
