"""A script with several measurements to choose from: its options, its report, the machine that it ran on."""

import argparse
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import machine


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


def measure_one(title: str, measurements: Mapping[str, Measurement], packages: Sequence[str]) -> None:
    """Measures what the command line names, prints what came of it and writes the figures down.

    Args:
        title: Of the script.
        measurements: By name.
        packages: Whose versions the report says beside those of every report; the first in its last line too.
    """
    arguments, facts = _parse_arguments(title, measurements), _all_facts(packages)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.runs_dir:
        arguments.runs_dir.mkdir(parents=True)
    kept = nullcontext(arguments.runs_dir) if arguments.runs_dir else tempfile.TemporaryDirectory()
    with kept as runs_dir:
        text, figures = measurements[arguments.measurement].measure(arguments, Path(runs_dir).resolve())
    print(f"{text}\n\n{_describe(facts, packages[0])}")
    if arguments.out:
        report = {"measurement": arguments.measurement, "machine": facts} | figures
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


def _parse_arguments(title: str, measurements: Mapping[str, Measurement]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=title)
    names = parser.add_subparsers(dest="measurement", required=True)
    for name, measurement in measurements.items():
        own = names.add_parser(name, help=measurement.title, description=measurement.title)
        own.add_argument("--out", type=Path, help="where to write every figure, as JSON")
        own.add_argument("--runs-dir", type=Path, help="a new folder to keep the run directories in")
        measurement.add_arguments(own)
    arguments = parser.parse_args()
    if arguments.runs_dir and arguments.runs_dir.exists():
        parser.error(f"--runs-dir: {arguments.runs_dir} exists already; name a new folder")
    return arguments


def _all_facts(packages: Sequence[str]) -> dict[str, Any]:
    """Describes the machine and the code, packages included where they are installed."""
    facts = machine.facts()
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            facts["versions"][name] = importlib.metadata.version(name)
    return facts


def _describe(facts: dict[str, Any], package: str) -> str:
    """Says the same in a line."""
    git = facts["git"]
    commit = f"commit {git['commit'][:7]}{' with changes' if git['dirty'] else ''}" if git else "no commit"
    return f"{machine.describe(facts)}; {package} {facts['versions'].get(package, 'missing')}, {commit}"
