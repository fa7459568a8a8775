"""Comparing, measured: seconds and memory of `mode=compare` over a hundred and a thousand runs; `load_runs`.

    uv run --all-extras python tests/benchmarks/comparing.py [--out comparing.json]

Two networks are trained by `mnist-exp`. Their run directories are then copied as if they had been
trained with other learning rates and seeds: each copy gets a few other test images wrong, so that no
two are alike. What is measured is the whole command, a fresh process of its own each time.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import machine
import mnist_file
import msgspec
import numpy as np
from children import Child, run_child

from mnist_exp.runs.files import write_bytes
from mnist_exp.runs.records import Manifest, Summary
from mnist_exp.statistics import accuracy, cross_entropy, wilson_interval

_MODELS = ("ann", "bn_dnn")
_SEEDS = 5
_MOST_SPOILT = 30
# The same in every copy, and far larger than all the rest.
_SHARED = ("metrics.jsonl", "metrics.csv", "checkpoints/best.keras")


class Case(NamedTuple):
    """A command to measure.

    Attributes:
        name: What is asked for, in words.
        num_runs: How many runs are compared.
        options: What the command asks for besides.
        code: What Python runs instead of the command, `FOLDER` in the place of that of the runs.
        most_s: Bar, in seconds; none for None.
        most_mb: Bar, in megabytes; none for None.
    """

    name: str
    num_runs: int
    options: tuple[str, ...] = ()
    most_s: float | None = None
    most_mb: float | None = None
    code: str = ""


def cases(few: int, many: int) -> list[Case]:
    """Lists what is measured: all that a comparison writes, and the table alone."""
    table = ("compare.format=csv",)
    code = "import mnist_exp; runs = mnist_exp.load_runs('FOLDER'); print(len(runs.rows()))"
    return [
        Case("table, page and figures", few, most_s=2),
        Case("table alone", few, table),
        Case("table, page and figures", many, most_mb=500),
        Case("table alone", many, table, most_s=10, most_mb=500),
        Case("load_runs and rows() in Python", few, code=code),
        Case("load_runs and rows() in Python", many, code=code),
    ]


def train(data: Path, runs_dir: Path, epochs: int) -> list[Path]:
    """Trains the networks that all runs are copies of."""
    validation = min(5000, len(mnist_file.load_arrays(data).train_labels) // 10)
    for model in _MODELS:
        words = (
            f"model={model}",
            f"training.epochs={epochs}",
            f"data.validation={validation}",
            f"data.path='{data}'",
            f"runs_dir='{runs_dir}'",
        )
        run_child((sys.executable, "-m", "mnist_exp", *words))
    return [next(runs_dir.glob(f"*_train_{model}_*")) for model in _MODELS]


def copy_runs(trained: list[Path], folder: Path, count: int) -> None:
    """Makes so many runs of a few: groups of five seeds that differ in learning rate."""
    for number in range(count):
        group, seed = divmod(number, _SEEDS)
        _copy(trained[group % len(trained)], folder / f"run_{number:04}", group, seed)


def _copy(source: Path, path: Path, group: int, seed: int) -> None:
    """Copies a run as if it had had another learning rate and seed."""
    (path / "checkpoints").mkdir(parents=True)
    for name in _SHARED:
        os.link(source / name, path / name)
    config = msgspec.yaml.decode((source / "config.yaml").read_bytes())
    config["seed"], config["optimizer"]["learning_rate"] = seed, round(0.0001 * (group + 1), 6)
    write_bytes(path / "config.yaml", msgspec.yaml.encode(config))
    manifest = msgspec.json.decode((source / "manifest.json").read_bytes(), type=Manifest)
    manifest = msgspec.structs.replace(manifest, run_id=path.name, seed=seed)
    write_bytes(path / "manifest.json", msgspec.json.encode(manifest))
    summary = msgspec.json.decode((source / "summary.json").read_bytes(), type=Summary)
    said, labels = _spoilt(source, group, seed)
    np.savez(path / "predictions.npz", probabilities=said, labels=labels)
    share = accuracy(said, labels)
    summary = msgspec.structs.replace(
        summary,
        test_accuracy=share,
        test_accuracy_interval=wilson_interval(round(share * len(labels)), len(labels)),
        test_loss=cross_entropy(said, labels),
        val_accuracy=(summary.val_accuracy or 0.0) - 0.0001 * group,
    )
    write_bytes(path / "summary.json", msgspec.json.encode(summary))


def _spoilt(source: Path, group: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns a run's probabilities and labels, a few images taken for the class after the right one."""
    with np.load(source / "predictions.npz") as arrays:
        said, labels = arrays["probabilities"], arrays["labels"]
    generator = np.random.default_rng([group, seed])
    count = min(_MOST_SPOILT + group // 4, len(labels) // 4)
    chosen = generator.choice(len(labels), generator.integers(1, count), replace=False)
    said[chosen] = np.eye(said.shape[1], dtype=np.float32)[(labels[chosen].astype(int) + 1) % said.shape[1]]
    return said, labels


def compare(case: Case, folder: Path, runs_dir: Path) -> Child:
    """Compares once, or runs the code, and makes sure that no run was left out."""
    if case.code:
        child = run_child((sys.executable, "-c", case.code.replace("FOLDER", str(folder))))
        if child.output.split() != [str(case.num_runs)]:
            sys.exit(f"{case.name}: not {case.num_runs:,} runs:\n{child.output[:2000]}")
        return child
    words = ("mode=compare", f"runs='{folder}/*'", f"runs_dir='{runs_dir}'", *case.options)
    child = run_child((sys.executable, "-m", "mnist_exp", *words))
    num_lines = len(child.output.splitlines())
    if case.options and num_lines != case.num_runs + 1:
        sys.exit(f"{case.name}: {num_lines:,} lines, not one a run:\n{child.output[:2000]}")
    if not case.options:
        _check_folder(case, child, runs_dir)
    return child


def _check_folder(case: Case, child: Child, runs_dir: Path) -> None:
    """Makes sure that a comparison is of all runs, and that every figure is there."""
    expected = f"{case.num_runs:,} runs in {case.num_runs // _SEEDS:,} groups"
    if expected not in child.output:
        sys.exit(f"{case.name}: not {expected}:\n{child.output[:2000]}")
    if not next(runs_dir.glob("*_compare_*/plots/atlas.png"), None):
        sys.exit(f"{case.name}: there is no atlas")


def measure(arguments: argparse.Namespace, work_dir: Path) -> list[dict[str, Any]]:
    """Measures every case in turn; returns every figure."""
    trained = train(mnist_file.find_data(arguments.data), work_dir / "trained", arguments.epochs)
    counts = sorted({arguments.few, arguments.many})
    for count in counts:
        copy_runs(trained, work_dir / str(count), count)
    found = [(case, list[Child]()) for case in cases(arguments.few, arguments.many)]
    for _ in range(arguments.repeats):
        for case, children in found:
            output_dir = work_dir / "compared"
            children.append(compare(case, work_dir / str(case.num_runs), output_dir))
            shutil.rmtree(output_dir, ignore_errors=True)
            print(f"{case.num_runs:,} runs, {case.name}: {children[-1].elapsed_s:.2f} s", file=sys.stderr)
    return [_figures(case, children) for case, children in found]


def _figures(case: Case, children: list[Child]) -> dict[str, Any]:
    """Puts a case's figures together; medians are what is held against the bars."""
    seconds = [child.elapsed_s for child in children]
    megabytes = [child.peak_memory_bytes / 1e6 for child in children]
    return {
        **case._asdict(),
        "seconds": seconds,
        "megabytes": megabytes,
        "seconds_median": statistics.median(seconds),
        "megabytes_median": statistics.median(megabytes),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Sets out the table."""
    lines = ["| runs | what | seconds (range) | bar | peak memory | bar |", "|--:|---|--:|--:|--:|--:|"]
    return "\n".join([*lines, *map(_line, rows)])


def _line(row: dict[str, Any]) -> str:
    seconds = f"{row['seconds_median']:.2f} ({min(row['seconds']):.2f} to {max(row['seconds']):.2f})"
    second_bar = _bar(row["seconds_median"], row["most_s"], "s")
    memory_bar = _bar(row["megabytes_median"], row["most_mb"], "MB")
    memory = f"{row['megabytes_median']:,.0f} MB"
    return f"| {row['num_runs']:,} | {row['name']} | {seconds} | {second_bar} | {memory} | {memory_bar} |"


def _bar(value: float, most: float | None, unit: str) -> str:
    """Says what is asked for, and whether it is met."""
    if most is None:
        return "–"
    return f"{most:g} {unit}: {'met' if value <= most else '**not met**'}"


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mnist_file.add_data_argument(parser)
    parser.add_argument("--few", type=int, default=100, help="runs of the smaller comparison")
    parser.add_argument("--many", type=int, default=1000, help="runs of the larger comparison")
    parser.add_argument("--epochs", type=int, default=35, help="of the two trainings, and so of every curve")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where to write every figure, as JSON")
    parser.add_argument("--runs-dir", type=Path, help="a new folder to keep the run directories in")
    arguments = parser.parse_args()
    if arguments.few % (2 * _SEEDS) or arguments.many % (2 * _SEEDS):
        parser.error("--few, --many: multiples of 10, as five seeds make a group and two networks take turns")
    if arguments.runs_dir and arguments.runs_dir.exists():
        parser.error(f"--runs-dir: {arguments.runs_dir} exists already; name a new folder")
    return arguments


def main() -> None:
    """Measures, prints what came of it and writes the figures down."""
    arguments, facts = parse_arguments(), machine.facts()
    kept = nullcontext(arguments.runs_dir) if arguments.runs_dir else tempfile.TemporaryDirectory()
    with kept as folder:
        rows = measure(arguments, Path(folder).resolve())
    print(f"{markdown(rows)}\n\n{machine.describe(facts)}")
    if arguments.out:
        arguments.out.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
