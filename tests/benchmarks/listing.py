"""Listing, measured: seconds of `mode=list` over ten thousand runs, without an index and with one.

    uv run --all-extras python tests/benchmarks/listing.py [--out listing.json]

One network is trained by `mnist-exp` on the bundled digits. Its directory is copied as if it had been trained
on other seeds and with other learning rates: every file but the three that say so is a link to the same one.
What is read is a fresh process each time: the whole command, and in it the reading alone.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine
import msgspec
from children import run_child

from mnist_exp.runs.index import INDEX

_OWN = ("manifest.json", "config.yaml", "summary.json")
_READ = """
import sys, time
from pathlib import Path
from mnist_exp.runs.finding import runs_in
from mnist_exp.runs.index import parse_where, read_rows, select_rows, sort_rows
began, folder = time.perf_counter(), Path(sys.argv[1])
before = time.process_time()
rows = read_rows(runs_in(folder), folder)
found = sort_rows(select_rows(rows, parse_where(sys.argv[2])), "-val_accuracy")
print(time.perf_counter() - began, time.process_time() - before, len(rows), len(found))
"""
_WHERE = "test_accuracy>0.1 and optimizer.learning_rate<0.5 and model=ann"


def train(folder: Path) -> Path:
    """Trains the network that all runs are copies of."""
    words = ("data=sample", "training.epochs=1", f"hydra.run.dir='{folder}'")
    run_child((sys.executable, "-m", "mnist_exp", *words))
    return folder


def copy_runs(source: Path, folder: Path, count: int) -> None:
    """Makes so many runs of one, a tenth of as many learning rates on ten seeds each."""
    config = msgspec.yaml.decode((source / "config.yaml").read_bytes())
    manifest = msgspec.json.decode((source / "manifest.json").read_bytes())
    summary = msgspec.json.decode((source / "summary.json").read_bytes())
    shared = [
        path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.name not in _OWN
    ]
    for number in range(count):
        path = folder / f"2026-11-{number % 28 + 1:02}_10-00-00_train_ann_{number:06x}"
        for name in shared:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(source / name, path / name)
        group, config["seed"] = divmod(number, 10)
        config["optimizer"]["learning_rate"] = round(0.0001 * (group + 1), 6)
        started = f"2026-11-{number % 28 + 1:02}T10:{number % 60:02}:00.000Z"
        manifest |= {"run_id": path.name, "seed": config["seed"], "started_at": started}
        summary["val_accuracy"] = round(0.5 + number / count / 3, 4)
        (path / "config.yaml").write_bytes(msgspec.yaml.encode(config))
        (path / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        (path / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2))


def measure(folder: Path, count: int, repeats: int) -> list[dict[str, Any]]:
    """Measures in turn; returns every figure."""
    words = (sys.executable, "-m", "mnist_exp", "mode=list", f"where={_WHERE}", f"runs_dir='{folder}'")
    figures: dict[str, dict[str, list[float]]] = {}
    for _ in range(repeats):
        for is_cold in (True, False):
            found = figures.setdefault(
                "no index" if is_cold else "again", {"reading": [], "processor": [], "command": []}
            )
            if is_cold:
                (folder / INDEX).unlink(missing_ok=True)
            printed = run_child((sys.executable, "-c", _READ, str(folder), _WHERE)).output
            seconds, processor, *counts = printed.split()
            if counts != [str(count)] * 2:
                sys.exit(f"{counts} runs, and not all {count:,}")
            found["reading"].append(float(seconds))
            found["processor"].append(float(processor))
            if is_cold:
                (folder / INDEX).unlink()
            found["command"].append(run_child(words).elapsed_s)
    return [{"what": what, **seconds} for what, seconds in figures.items()]


def markdown(rows: list[dict[str, Any]], count: int) -> str:
    """Sets out the table."""
    lines = ["| runs | index | reading, seconds (range) | of the processor | the whole command |"]
    lines.append("|--:|---|--:|--:|--:|")
    for row in rows:
        spreads = " | ".join(_spread(row[name]) for name in ("reading", "processor", "command"))
        lines.append(f"| {count:,} | {row['what']} | {spreads} |")
    return "\n".join(lines)


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    """Measures, prints what came of it and writes the figures down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="number of runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where to write every figure, as JSON")
    arguments, facts = parser.parse_args(), machine.facts()
    work_dir = Path(tempfile.mkdtemp())
    try:
        copy_runs(train(work_dir / "trained"), work_dir / "runs", arguments.count)
        rows = measure(work_dir / "runs", arguments.count, arguments.repeats)
    finally:
        shutil.rmtree(work_dir)
    print(f"{markdown(rows, arguments.count)}\n\n{machine.describe(facts)}")
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
