"""A run's page says what was run and how good it is, whatever its files hold."""

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.errors import RunError
from mnist_exp.report.document import Document, Table, Words
from mnist_exp.report.html import TEMPLATES_DIR, render_page
from mnist_exp.report.run import run_document, write_run_page
from mnist_exp.report.run_material import read_material
from mnist_exp.runs.folder import DamagedRun
from mnist_exp.runs.records import SweepPlace
from tests.comparison.run_makers import edited, make_run, make_unfinished
from tests.pages.page_makers import HOSTILE, make_hostile_run, make_sample_run, make_search
from tests.pages.page_reading import Page, figures_of, read_page

ROOT = Path(__file__).parents[2]
UNSEEN = "\u202e\u2066\u200b\x07"


def page_of(path: Path) -> Page:
    write_run_page(path)
    return read_page(path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """A completed training on the bundled digits, and its page; read them only."""
    path = make_sample_run(tmp_path_factory.mktemp("sample"))
    return path, page_of(path)


def test_the_answer_comes_first_with_its_interval_and_what_was_run(sample: tuple[Path, Page]) -> None:
    path, page = sample
    text = page.text
    summary = json.loads((path / "summary.json").read_text())
    low, high = (f"{100 * bound:.2f}" for bound in summary["test_accuracy_interval"])
    before_curves = text[: text.index("Learning curves")]
    for words in (
        f"{100 * summary['test_accuracy']:.2f}%", f"95% interval {low} to {high}%", "ann",
        "101,770 parameters",
        "5 epochs", "55,000 images of sample", "seed 0", "1,000 test images", "98.00%", "0.0157 ms",
    ):  # fmt: skip
        assert words in before_curves, words


def test_it_holds_curves_confusions_classes_mistakes_configuration_and_provenance(
    sample: tuple[Path, Page],
) -> None:
    path, page = sample
    predictions = np.load(path / "predictions.npz")
    labels, predicted = predictions["labels"], predictions["probabilities"].argmax(axis=1)
    wrong = int((labels != predicted).sum())
    digits = [each for each in page.named("button") if each.attributes.get("class") == "digit"]
    assert len(digits) == min(wrong, 36)
    cells = [each for each in page.named("td") if "taken for" in each.attributes.get("title", "")]
    assert sum(int(cell.text.replace(",", "") or 0) for cell in cells) == len(labels)
    manifest = json.loads((path / "manifest.json").read_text())
    for words in (
        "Accuracy", "Loss", "optimizer.learning_rate", "0.003", "training.epochs", manifest["run_id"],
        manifest["data"]["train_sha256"], manifest["data"]["test_sha256"], "mnist-exp 0.1.0",
        "CPU, 2 threads",
        "mnist-exp model=ann", "22 Nov 2026, 10:00 UTC",
    ):  # fmt: skip
        assert words in page.text, words


def test_curves_say_in_words_what_they_show(sample: tuple[Path, Page]) -> None:
    path, page = sample
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    best = max(rows, key=lambda row: row["val_accuracy"])
    accuracy, loss = figures_of(page)
    first, last, highest = (f"{100 * row['val_accuracy']:.2f}%" for row in (rows[0], rows[-1], best))
    assert accuracy.startswith(f"Accuracy: validation from {first} to {last} in 5 epochs, best in epoch ")
    assert highest in accuracy and "training from" in accuracy and loss.startswith("Loss: validation from")


def failed_run(folder: Path) -> Path:
    error = {"type": "RunError", "message": "The loss is no number.", "hint": "Lower the learning rate."}
    path = make_unfinished(folder, "failed", "failed")
    return edited(path, folder, "manifest.json", lambda tree: tree.update(error=error))


JOB = {
    "argv": ["--config-dir", "my conf", "-m", "model=ann,bn_dnn", "sweep=x"],
    "sweep": SweepPlace(name="x", job=1, jobs_at_once=2),
}
# A run, and what its page says.
SAID = [
    (make_sample_run, "validation images were not trained on; the epoch that is best on them is ringed"),
    (partial(make_sample_run, config={"training.monitor": "loss"}), "best by loss is ringed"),
    (partial(make_sample_run, config={"data.validation": "test"}), "images are the test images here"),
    (partial(make_sample_run, val_accuracy=None), "for validation. The ringed epoch’s weights"),
    (partial(make_run, name="elsewhere"), "The test images are not available"),
    (partial(make_sample_run, manifest=JOB), "mnist-exp --config-dir 'my conf' model=ann training.epochs=5",
     "x, job 1, up to 2 jobs at once"),
    (failed_run, "This run failed", "The loss is no number.", "Lower the learning rate.", "ann on mnist",
     "Epochs recorded: 0", "mnist-exp model=ann", "training.batch_size"),
    (partial(make_search, status="interrupted"), "This run was interrupted", "Trials recorded: 3", "95.00%",
     "failed: plain"),
    (make_search, "94.00%", "Of 3 trials", "trial 2 won", "2 fresh seeds", "untuned default", "Best so far",
     "highest validation accuracy", "failed: plain"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [(case[0], case[1:]) for case in SAID])
def test_a_page_says_what_its_reader_asks(
    tmp_path: Path, make: Callable[[Path], Path], words: tuple[str, ...]
) -> None:
    text = page_of(make(tmp_path)).text
    assert [each for each in words if each not in text] == []


def test_a_run_that_did_not_end_has_no_kept_epoch(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "stopped", "interrupted")
    rows = make_sample_run(tmp_path, "whole") / "metrics.jsonl"
    (path / "metrics.jsonl").write_bytes(rows.read_bytes())
    text = page_of(path).text
    assert "The validation images were not trained on." in text and "ringed" not in text


def test_the_same_files_make_the_same_page_in_less_than_a_third_of_a_second(
    sample: tuple[Path, Page],
) -> None:
    path, page = sample
    durations = []
    for _ in range(3):
        started = time.perf_counter()
        write_run_page(path)
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.3
    assert read_page(path).source == page.source
    assert list(path.glob(".draft-*")) == []


@pytest.mark.parametrize("make", [make_hostile_run, partial(make_search, text=HOSTILE)])
def test_hostile_texts_stay_texts(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    page = page_of(make(tmp_path))
    assert not set(UNSEEN) & set(page.source)
    assert "{{ 7 * 7 }}" in page.text and "<script>alert(1)</script>" in page.text
    assert "\\u202egnp.exe" in page.text
    for image in page.named("img"):
        assert image.attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")


def test_a_hostile_failure_stays_text(tmp_path: Path) -> None:
    path = make_unfinished(tmp_path, "failed", "failed")
    hostile = {"mode": HOSTILE, "error": {"type": HOSTILE, "message": HOSTILE, "hint": HOSTILE}}
    page = page_of(edited(path, tmp_path, "manifest.json", lambda tree: tree.update(hostile)))
    assert "This run failed" in page.text and not set(UNSEEN) & set(page.source)


@pytest.mark.parametrize(
    ("objective", "best", "words"),
    [("val_loss", "0", "lowest validation loss"), ("val_accuracy", "2", "highest validation accuracy")],
)
def test_an_interrupted_search_is_drawn_by_its_own_objective(
    tmp_path: Path, objective: str, best: str, words: str
) -> None:
    path = make_search(tmp_path, status="interrupted", config={"tuner": {"objective": objective}})
    parts = run_document(read_material(path)).parts
    (trials,) = [part for part in parts if isinstance(part, Table) and part.name == "Trials"]
    assert [row.cells[0].text for row in trials.rows if row.tone == "good"] == [best]
    page = page_of(path)
    (figure,) = [each for each in figures_of(page) if each.startswith("Best so far: ")]
    assert figure.endswith(f"in trial {best}")
    assert f"Objective: {words}." in page.text and f"resume={path}" in page.text


def test_what_makes_a_number_optimistic_or_its_data_doubtful_stands_beside_it(tmp_path: Path) -> None:
    summary = {"selected_on_test": True, "data_notice": "Bundled digits stand in."}
    text = page_of(make_sample_run(tmp_path, summary=summary)).text
    before_curves = text[: text.index("Learning curves")]
    assert "Optimistic" in before_curves and "Bundled digits stand in." in before_curves
    assert "that it had never seen" not in before_curves


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", b"{"),
        ("summary.json", b"[[" * 40_000),
        ("metrics.jsonl", b"\xff\x00"),
        ("metrics.jsonl", b""),
        ("config.yaml", b"[[" * 40_000),
        ("config.yaml", b"- - - - a"),
        ("predictions.npz", b""),
        ("overrides.yaml", b"- [a]"),
        ("overrides.yaml", b"\xff\x00"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_shown(tmp_path: Path, name: str, content: bytes) -> None:
    path = make_sample_run(tmp_path)
    (path / name).write_bytes(content)
    text = page_of(path).text
    assert "Not everything could be read" in text and name in text
    assert "2026-11-22" in text or "22 Nov 2026" in text


@pytest.mark.parametrize("number", [-1, 10**18, 10**400])
def test_numbers_beyond_all_measure_do_no_harm(tmp_path: Path, number: int) -> None:
    path = make_search(tmp_path)
    for name, key in (("metrics.jsonl", "epoch"), ("trials.jsonl", "trial"), ("trials.jsonl", "num_params")):
        lines = [json.loads(line) | {key: number} for line in (path / name).read_text().splitlines()]
        (path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        write_run_page(path)
    manifest = json.loads((path / "manifest.json").read_text())
    sizes = {"num_train": number, "num_validation": number, "num_test": number}
    manifest |= {"seed": number, "threads": number, "duration_s": 1e300, "data": manifest["data"] | sizes}
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert "Not everything could be read" in page_of(path).text


def test_a_missing_file_leaves_a_page(tmp_path: Path) -> None:
    path = make_sample_run(tmp_path)
    assert "the overrides are unknown" not in page_of(path).text
    for name in ("overrides.yaml", "predictions.npz"):
        (path / name).unlink()
    text = page_of(path).text
    assert "Not everything could be read" not in text and "the overrides are unknown" in text


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = make_sample_run(tmp_path)
    secret = tmp_path / "plots"
    secret.mkdir()
    (secret / "first_layer_weights.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (path / "plots").symlink_to(secret)
    (path / "overrides.yaml").unlink()
    (path / "overrides.yaml").symlink_to("/etc/hostname")
    page = page_of(path)
    assert "First layer" not in page.text and "overrides.yaml: a link" in page.text


def test_a_page_without_a_manifest_or_in_a_folders_place_is_not_written(tmp_path: Path) -> None:
    path = make_sample_run(tmp_path)
    (path / "report.html").mkdir()
    with pytest.raises(RunError, match=r"report\.html"):
        write_run_page(path)
    (path / "manifest.json").write_text("{}")
    with pytest.raises(DamagedRun, match=r"manifest\.json"):
        write_run_page(path)


def test_endless_texts_and_tables_are_cut(tmp_path: Path) -> None:
    config = {"model.units": ["x" * 1_000_000], "data.path": "y" * 1_000_000}
    manifest = {"argv": ["z" * 300_000], "device": "d" * 300_000}
    path = make_sample_run(tmp_path, config=config, manifest=manifest)
    row = json.loads((path / "metrics.jsonl").read_text().splitlines()[0])
    rows = [row | {"epoch": epoch, "loss": 1e300 if epoch == 7 else 0.5} for epoch in range(1, 20_001)]
    (path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_run_page(path)
    page = read_page(path)
    assert len(page.source) < 700_000
    assert "The first 300 of 20,000; metrics.csv has them all." in page.text


def test_a_page_that_would_write_none_is_refused() -> None:
    parts = [Words(None)]  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="None"):
        render_page(Document("title", "kicker", "heading", parts=parts))


def test_the_wheel_carries_the_templates(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the build back end is part of the test extra")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"mnist_exp/report/templates/{path.name}" for path in TEMPLATES_DIR.iterdir()} <= names
