"""Networks of finished runs in every format: bytes, latency, equality, as a Markdown table.

uv run --all-extras python tests/benchmarks/exports.py runs/best_ann/* runs/best_cnn/*
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from mnist_exp.config.commands import setting
from mnist_exp.exports.formats import FORMATS, Card, Exported
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


def export(run: Path) -> Card:
    """Exports a run to every format by the command."""
    command = Path(sys.executable).with_name("mnist-exp")
    with TemporaryDirectory() as place:
        folder = Path(place, "export")
        words = ["mode=export", setting("run", str(run)), "export.format=all", f"hydra.run.dir={folder}"]
        subprocess.run([command, *words], check=True, stdout=subprocess.DEVNULL)
        return msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)


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
        card = export(run)
        front = " deskewed" if card.preprocessing == "deskew" else ""
        name = f"{card.model}{front}, {card.num_params:,} parameters"
        for each in card.formats:
            print("|", " | ".join(cells(name, each)), "|", flush=True)


if __name__ == "__main__":
    main()
