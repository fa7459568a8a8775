"""Accuracy of shipped configurations over several seeds, as a Hydra sweep makes them.

    uv run python tests/benchmarks/accuracy.py [--seeds N] [--runs-dir DIR] OVERRIDE…

Each argument is one configuration, such as `model=ann` or `"model=cnn augmentation=shift"`. Prints a
markdown table: test accuracy (mean ± standard deviation over seeds), validation accuracy of the best epoch,
parameters, seconds of training.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mnist_file import add_data_argument, find_data

HEADER = """\
| configuration | test accuracy | validation, best epoch | parameters | training |
|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configurations", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs-dir", type=Path)
    add_data_argument(parser)
    options = parser.parse_args()
    data = find_data(options.data)
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for number, configuration in enumerate(options.configurations):
            runs_dir = (options.runs_dir or Path(temporary)) / f"accuracy_{number}"
            sweep(configuration.split(), options.seeds, runs_dir, data)
            print(table_row(configuration, runs_dir), flush=True)


def sweep(overrides: list[str], num_seeds: int, runs_dir: Path, data: Path) -> None:
    """Trains one run for each seed, one after another in one process."""
    seeds = ",".join(str(seed) for seed in range(num_seeds))
    command = [sys.executable, "-m", "mnist_exp", "-m", *overrides, f"seed={seeds}", f"runs_dir={runs_dir}"]
    subprocess.run([*command, f"data.path={data}"], check=True, stdout=subprocess.DEVNULL)


def table_row(configuration: str, runs_dir: Path) -> str:
    """Sums up a sweep as a row of the table."""
    paths = sorted(runs_dir.glob("**/summary.json"))
    summaries: list[dict[str, Any]] = [json.loads(path.read_text()) for path in paths]
    test, validation = (
        spread([summary[name] for summary in summaries]) for name in ("test_accuracy", "val_accuracy")
    )
    seconds = statistics.median(summary["train_s"] for summary in summaries)
    return f"| `{configuration}` | {test} | {validation} | {summaries[0]['num_params']:,} | {seconds:.1f} s |"


def spread(accuracies: list[float]) -> str:
    """Words mean and standard deviation in percent."""
    deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return f"{100 * statistics.mean(accuracies):.2f}% ± {100 * deviation:.2f} ({len(accuracies)} seeds)"


if __name__ == "__main__":
    main()
