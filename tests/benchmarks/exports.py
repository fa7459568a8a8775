"""Networks of finished runs in every format: bytes, latency, equality, as a Markdown table.

The page is asked in Chromium for all test images, one at a time; its time is the mean of an image.

uv run --all-extras python tests/benchmarks/exports.py runs/best_ann/* runs/best_cnn/*
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from playwright.sync_api import sync_playwright

from mnist_exp.config.commands import setting
from mnist_exp.data.fingerprints import load_test_images
from mnist_exp.exports.formats import FORMATS, Card, Exported
from mnist_exp.runs.run import Run
from mnist_exp.words import accuracy_interval_text, percent

HEADINGS = (
    "network",
    "format",
    "kB",
    "answers equal",
    "largest difference",
    "accuracy",
    "ms at 1",
    "ms at 256",
)


def export(run: Path, folder: Path) -> Card:
    """Exports a run to every format by the command."""
    command = Path(sys.executable).with_name("mnist-exp")
    words = ["mode=export", setting("run", str(run)), "export.format=all", f"hydra.run.dir={folder}"]
    subprocess.run([command, *words], check=True, stdout=subprocess.DEVNULL)
    return msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)


def page_cells(run: Run, page: Path) -> Iterator[str]:
    """Yields what `cells` does behind a format's bytes, of the page, beside Keras' test predictions."""
    images, expected = load_test_images([run]), run.read_predictions()
    assert images is not None and expected is not None
    ask, found = "(images) => images.map((image) => [...look(image).chances])", []
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = browser.new_page()
        tab.goto(page.resolve().as_uri())
        began = time.perf_counter()
        for batch in np.array_split(images.reshape(len(images), -1), len(images) // 100):
            found += tab.evaluate(ask, batch.tolist())
        ms_per_image = 1000 * (time.perf_counter() - began) / len(images)
        browser.close()
    probabilities = np.array(found)
    num_equal = int((probabilities.argmax(axis=1) == expected.predicted).sum())
    yield f"{num_equal:,} of {len(images):,}"
    yield f"{abs(probabilities - expected.probabilities).max():.1e}"
    yield percent(float((probabilities.argmax(axis=1) == expected.labels).mean()))
    yield f"{ms_per_image:.3g}"
    yield ""


def cells(name: str, each: Exported) -> Iterator[str]:
    """Yields a line of the table, milliseconds a call on one thread."""
    yield name
    yield {row.name: row.title for row in FORMATS}[each.format]
    yield f"{each.bytes / 1000:,.1f}"
    if (proof := each.proof) is None:
        return
    equal = f"{proof.num_equal:,} of {proof.num_images:,}"
    yield (
        equal
        if proof.num_equal == proof.num_images
        else (f"{equal}, {accuracy_interval_text(proof.agreement_interval)}")
    )
    yield f"{proof.largest_difference:.1e}"
    yield f"{percent(proof.accuracy)}, {accuracy_interval_text(proof.accuracy_interval)}"
    for call in proof.latency:
        yield f"{call.ms_per_image * call.batch_size:.3g}"


def main() -> None:
    """Writes the table, a network after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    print("|", " | ".join(HEADINGS), "|")
    print("|---|---|--:|--:|--:|--:|--:|--:|", flush=True)
    for run in parser.parse_args().runs:
        with TemporaryDirectory() as place:
            folder = Path(place, "export")
            card = export(run, folder)
            front = " deskewed" if card.preprocessing == "deskew" else ""
            name = f"{card.model}{front}, {card.num_params:,} parameters"
            for each in card.formats:
                row = list(cells(name, each))
                row += page_cells(Run(run), folder / each.file) if each.proof is None else []
                print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
