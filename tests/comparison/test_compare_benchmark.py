"""The benchmark of comparisons measures whole commands, and says whether the bars are met."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_exp.data.dataset import SAMPLE_PATH

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "comparing.py"


@pytest.mark.slow
def test_it_compares_copies_of_trained_runs_and_holds_them_against_the_bars(tmp_path: Path) -> None:
    words = ["--data", str(SAMPLE_PATH), "--few", "10", "--many", "20", "--epochs", "1", "--repeats", "1"]
    out, runs_dir = tmp_path / "out.json", tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--out", str(out), "--runs-dir", str(runs_dir)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((runs_dir / "20").glob("*/manifest.json"))) == 20
    found = json.loads(out.read_text())["rows"]
    assert [(row["num_runs"], row["most_s"], row["most_mb"]) for row in found] == [
        (10, 2, None), (10, None, None), (20, None, 500), (20, 10, 500), (10, None, None),
        (20, None, None),
    ]  # fmt: skip
    assert all(row["seconds_median"] > 0 and row["megabytes_median"] > 20 for row in found)
    assert done.stdout.count("met") == 4
