"""The benchmarks of sweeps can be started, and their page says how."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).with_name("benchmarks")


@pytest.mark.parametrize(
    ("measurement", "option"),
    [
        ("speed", "--stock-runs"),
        ("speed", "--recipe"),
        ("memory", "--kinds"),
        ("planning", "--repeats"),
        ("starts", "--processes"),
    ],
)
def test_the_sweep_benchmarks_know_their_options(measurement: str, option: str) -> None:
    script = BENCHMARKS / "sweeps.py"
    done = subprocess.run(
        [sys.executable, str(script), measurement, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and option in done.stdout, done.stderr
    command = f"uv run --all-extras python tests/benchmarks/sweeps.py {measurement}"
    assert command in (BENCHMARKS / "README.md").read_text()
