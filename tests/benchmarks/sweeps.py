"""Sweeps, measured: their speed, their memory, their plans, and many runs started at once.

    uv run --all-extras python tests/benchmarks/sweeps.py speed [--out speed.json]
    uv run --all-extras python tests/benchmarks/sweeps.py memory
    uv run --all-extras python tests/benchmarks/sweeps.py planning
    uv run --all-extras python tests/benchmarks/sweeps.py starts

Every command that is measured is a fresh process of its own; but for `starts`, one at a time.
"""

import argparse
import importlib.metadata
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import machine
import sweep_memory
import sweep_planning
import sweep_speed
import sweep_starts


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
        "a sweep over seeds against the stock script run again and again",
        sweep_speed.add_arguments,
        sweep_speed.measure,
    ),
    "memory": Measurement("resident memory over 100 jobs", sweep_memory.add_arguments, sweep_memory.measure),
    "planning": Measurement("seconds to plan 300 jobs", sweep_planning.add_arguments, sweep_planning.measure),
    "starts": Measurement(
        "32 runs started at the same instant", sweep_starts.add_arguments, sweep_starts.measure
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
    """Describes the machine and the code, Hydra's joblib launcher included where it is installed."""
    facts = machine.facts()
    for name in ("joblib", "hydra-joblib-launcher"):
        with suppress(importlib.metadata.PackageNotFoundError):
            facts["versions"][name] = importlib.metadata.version(name)
    return facts


def describe(facts: dict[str, Any]) -> str:
    """Says the same in a line."""
    git = facts["git"]
    commit = f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}" if git else "no commit"
    return f"{machine.describe(facts)}; joblib {facts['versions'].get('joblib', 'missing')}, {commit}"


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
