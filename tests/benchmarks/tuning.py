"""Searches, measured: their speed, their memory, what they find, and which strategy finds it.

    uv run --all-extras python tests/benchmarks/tuning.py speed [--out speed.json]
    uv run --all-extras python tests/benchmarks/tuning.py memory
    uv run --all-extras python tests/benchmarks/tuning.py quality [OVERRIDE …]
    uv run --all-extras python tests/benchmarks/tuning.py strategies [--picture strategies.png]

Every search is a fresh process of its own, one at a time.
"""

import argparse
import importlib.metadata
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import machine
import search_memory
import search_quality
import search_speed
import search_strategies


class Measurement(NamedTuple):
    """One thing to measure.

    Attributes:
        title: In a line.
        add_arguments: Adds its options.
        measure: From the options and a folder for run directories to a text and the figures.
    """

    title: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace, Path], tuple[str, dict[str, Any]]]


MEASUREMENTS = {
    "speed": Measurement(
        "the study's search against plain Keras Tuner", search_speed.add_arguments, search_speed.measure
    ),
    "memory": Measurement(
        "resident memory over 200 trials", search_memory.add_arguments, search_memory.measure
    ),
    "quality": Measurement(
        "what a few minutes find on MNIST", search_quality.add_arguments, search_quality.measure
    ),
    "strategies": Measurement(
        "random, Hyperband and Bayesian search on one budget",
        search_strategies.add_arguments,
        search_strategies.measure,
    ),
}


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = parser.add_subparsers(dest="measurement", required=True)
    for name, measurement in MEASUREMENTS.items():
        own = names.add_parser(name, help=measurement.title, description=measurement.title)
        own.add_argument("--out", type=Path, help="where to write every figure, as JSON")
        own.add_argument("--runs-dir", type=Path, help="a new folder to keep the run directories in")
        measurement.add_arguments(own)
    arguments = parser.parse_args()
    if arguments.runs_dir and arguments.runs_dir.exists():
        parser.error(f"--runs-dir: {arguments.runs_dir} exists already; name a new folder")
    return arguments


def all_facts() -> dict[str, Any]:
    """Describes the machine and the code, Keras Tuner included."""
    facts = machine.facts()
    facts["versions"]["keras-tuner"] = importlib.metadata.version("keras-tuner")
    return facts


def describe(facts: dict[str, Any]) -> str:
    """Says the same in a line."""
    git = facts["git"]
    commit = f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}" if git else "no commit"
    return f"{machine.describe(facts)}; keras-tuner {facts['versions']['keras-tuner']}, {commit}"


def main() -> None:
    """Measures, prints what came of it and writes the figures down."""
    arguments, facts = parse_arguments(), all_facts()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.runs_dir:
        arguments.runs_dir.mkdir(parents=True)
    kept = nullcontext(arguments.runs_dir) if arguments.runs_dir else tempfile.TemporaryDirectory()
    with kept as runs_dir:
        text, figures = MEASUREMENTS[arguments.measurement].measure(arguments, Path(runs_dir).resolve())
    print(f"{text}\n\n{describe(facts)}")
    if arguments.out:
        report = {"measurement": arguments.measurement, "machine": facts} | figures
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
