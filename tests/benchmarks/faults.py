"""The full round of faults: each provoked for real, many times, and what was lost.

    uv run --all-extras python tests/benchmarks/faults.py [--short] [--only disk] [--results DIR]

Runs `tests/faults`, file by file, as often as the full round asks for, which takes about an hour on two
cores; `--short` takes CI's numbers instead. Prints the table of `tests/faults/README.md`. With
`--results` what pytest found out is kept there, and a file that has been run is not run again.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import machine

_FAULTS = Path(__file__).parents[1] / "faults"
_STATISTICS = "hypothesis-statistics-"
_EXAMPLES = re.compile(r"(\d+) passing, \d+ failing")


class Fault(NamedTuple):
    """A row of the table.

    Attributes:
        name: What goes wrong.
        file: Where it is provoked.
        tests: Parts of the names of the tests that provoke it; all of the file's for none.
        lost: What is lost by it, as the tests assert.
    """

    name: str
    file: str
    tests: tuple[str, ...]
    lost: str


ROUNDS: dict[str, dict[str, str]] = {
    "test_resume": {"MNIST_EXP_KILLS": "30"},
    "test_search_faults": {"MNIST_EXP_KILLS": "20"},
    "test_sweep_faults": {"MNIST_EXP_KILLS": "10", "MNIST_EXP_STARTS": "32"},
    "test_signal_faults": {"MNIST_EXP_SIGNALS": "10"},
    "test_disk_faults": {"MNIST_EXP_DISKS": "39"},
    "test_faults": {},
    "test_clock_faults": {},
    "test_hostile_configuration": {"MNIST_EXP_FUZZ_CASES": "20"},
    "test_hostile_command": {},
    "test_hostile_data": {"MNIST_EXP_FUZZ_CASES": "20"},
    "test_hostile_checkpoints": {"MNIST_EXP_FUZZ_CASES": "20"},
    "test_hostile_runs": {"MNIST_EXP_FUZZ_CASES": "20"},
    "test_hostile_environment": {"MNIST_EXP_ENVIRONMENTS": "1"},
}
"""What the full round of a file asks for."""

NOTHING = "nothing"
IDENTICAL = "nothing: resumed, bit-identical"
REFUSED = "nothing: read whole, or refused in a line"

FAULTS = (
    Fault(
        "SIGKILL of a training, in checkpoint writes too",
        "test_resume",
        ("killed_and_gone_on_with",),
        IDENTICAL,
    ),
    Fault(
        "SIGKILL of a search and its workers",
        "test_search_faults",
        ("killed_at_random", "killed_worker"),
        "the trial under way",
    ),
    Fault(
        "SIGKILL of a sweep",
        "test_sweep_faults",
        ("killed_at_random",),
        "nothing: the same command resumes it, bit-identical",
    ),
    Fault(
        "SIGINT, SIGTERM, SIGHUP",
        "test_signal_faults",
        ("saves_within_two_seconds",),
        "nothing: saved within 2 s",
    ),
    Fault("a second signal within a long epoch", "test_faults", ("second_signal",), "the epoch under way"),
    Fault(
        "signals to a sweep, and SIGKILL to its command alone",
        "test_sweep_faults",
        ("ctrl_c",),
        "nothing; by a second signal, the epochs under way",
    ),
    Fault(
        "the terminal is closed, with and without nohup",
        "test_signal_faults",
        ("closed_terminal",),
        NOTHING,
    ),
    Fault("full disk, at each file in turn and at many sizes", "test_disk_faults", ("full_disk",), IDENTICAL),
    Fault(
        "read-only folder, file that cannot be replaced",
        "test_disk_faults",
        ("cannot_be_written",),
        IDENTICAL,
    ),
    Fault("run directory deleted while training", "test_faults", ("vanishes",), "what was deleted"),
    Fault(
        "loss NaN, accuracy that collapses",
        "test_faults",
        ("no_number", "collapses"),
        "nothing: earlier checkpoints stay",
    ),
    Fault("memory that runs out", "test_faults", ("out_of_memory",), "the run, which says why"),
    Fault("reader of the output goes away", "test_faults", ("reader_that_goes_away",), NOTHING),
    Fault("clock jumps, or stands still", "test_clock_faults", ("clock_that_jumps",), NOTHING),
    Fault(
        "two machines in one runs folder",
        "test_clock_faults",
        ("two_machines",),
        "nothing mixed",
    ),
    Fault("starts at the same instant", "test_sweep_faults", ("same_instant",), "nothing mixed"),
    Fault("hostile configuration", "test_hostile_configuration", (), REFUSED),
    Fault("hostile command line", "test_hostile_command", (), REFUSED),
    Fault("hostile data files and pictures", "test_hostile_data", (), REFUSED),
    Fault("hostile checkpoints", "test_hostile_checkpoints", (), REFUSED),
    Fault("hostile run directories", "test_hostile_runs", (), REFUSED),
    Fault("hostile environments", "test_hostile_environment", (), "nothing: the same output, the same bits"),
)


class Test(NamedTuple):
    """What became of a test.

    Attributes:
        name: Its function's, with its parameters.
        outcome: `passed`, `failed` or `skipped`.
        provoked: How often it provoked its fault; 1 where it does not say.
    """

    name: str
    outcome: str
    provoked: int


def command_of(fault: Fault, variables: Mapping[str, str]) -> str:
    """Gives the command that provokes a fault again."""
    words = [f"{name}={value}" for name, value in variables.items()]
    words += ['uv run --all-extras pytest -m ""', f"tests/faults/{fault.file}.py"]
    if fault.tests:
        words.append(f"-k '{' or '.join(fault.tests)}'")
    return " ".join(words)


def run_file(name: str, variables: Mapping[str, str], results: Path) -> list[Test]:
    """Runs the tests of a file, unless their results are there."""
    found = results / f"{name}.xml"
    if not found.exists():
        print(f"{name} …", file=sys.stderr, flush=True)
        # Hypothesis tells nothing through pytest-xdist; the tests start two processes at a time themselves.
        options = [
            "-p",
            "no:xdist",
            "-o",
            "addopts=-q --strict-markers",
            "-o",
            "junit_family=xunit1",
            "-m",
            "",
        ]
        command = [
            sys.executable,
            "-m",
            "pytest",
            *options,
            "--junit-xml",
            str(found),
            str(_FAULTS / f"{name}.py"),
        ]
        subprocess.run(
            command, cwd=_FAULTS.parents[1], env=os.environ | variables, stdout=sys.stderr, check=False
        )
    return read_tests(found)


def read_tests(path: Path) -> list[Test]:
    """Reads what pytest found out."""
    root = ElementTree.parse(path).getroot()
    generated = {
        str(element.get("name")).partition("::")[2]: _num_examples(str(element.get("value")))
        for element in root.iter("property")
        if str(element.get("name")).startswith(_STATISTICS)
    }
    return [_test(case, generated) for case in root.iter("testcase")]


def _num_examples(encoded: str) -> int:
    return sum(map(int, _EXAMPLES.findall(b64decode(encoded).decode())))


def _test(case: ElementTree.Element, generated: Mapping[str, int]) -> Test:
    name = str(case.get("name"))
    said = {str(element.get("name")): str(element.get("value")) for element in case.iter("property")}
    outcome = "passed"
    if case.find("skipped") is not None:
        outcome = "skipped"
    elif case.find("failure") is not None or case.find("error") is not None:
        outcome = "failed"
    return Test(name, outcome, int(said.get("provoked", generated.get(name, 1))))


def row(fault: Fault, tests: list[Test], variables: Mapping[str, str]) -> tuple[str, bool]:
    """Writes a fault's line of the table; says whether all went as it should."""
    own = [test for test in tests if not fault.tests or any(part in test.name for part in fault.tests)]
    failed = [test.name for test in own if test.outcome == "failed"]
    count = sum(test.provoked for test in own if test.outcome == "passed")
    num_skipped = sum(test.outcome == "skipped" for test in own)
    lost = f"**FAILED: {', '.join(failed)}**" if failed or not own else fault.lost
    provoked = f"{count:,}" + (f" ({num_skipped} skipped)" if num_skipped else "")
    return f"| {fault.name} | {provoked} | {lost} | `{command_of(fault, variables)}` |", bool(own) > bool(
        failed
    )


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="as often as CI does")
    parser.add_argument("--only", default="", help="files whose name holds this, such as disk")
    parser.add_argument(
        "--results", type=Path, help="a folder to keep what pytest found out, and to go on from"
    )
    return parser.parse_args()


def main() -> None:
    """Runs the round and prints the table; exits with 1 where a test failed."""
    arguments, facts = parse_arguments(), machine.facts()
    files = {name: {} if arguments.short else ROUNDS[name] for name in ROUNDS if arguments.only in name}
    if arguments.results:
        arguments.results.mkdir(parents=True, exist_ok=True)
    kept = nullcontext(arguments.results) if arguments.results else tempfile.TemporaryDirectory()
    with kept as results:
        tests = {name: run_file(name, files[name], Path(results)) for name in files}
    rows = [row(fault, tests[fault.file], files[fault.file]) for fault in FAULTS if fault.file in files]
    print("| fault | provoked | lost | provoke it again |\n|---|---|---|---|")
    print("\n".join(line for line, _ in rows))
    print(f"\n{machine.describe(facts)}")
    sys.exit(not all(is_well for _, is_well in rows))


if __name__ == "__main__":
    main()
