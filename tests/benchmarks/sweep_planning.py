"""Planning: seconds until the plan of hundreds of jobs is on the screen."""

import argparse
import sys
from pathlib import Path
from typing import Any

import mnist_file
from children import run_child
from comparison import Bar, Pair, Row, markdown
from sweep_command import command

_LIMIT_S = 10
_RATES = ("3e-4", "1e-3", "3e-3", "1e-2", "3e-2")
_FIRST_UNITS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    mnist_file.add_data_argument(parser)
    parser.add_argument("--jobs", type=int, default=300, help="of each plan, a multiple of 10")
    parser.add_argument("--repeats", type=int, default=3)


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Plans; returns the table and every figure."""
    if arguments.jobs < 10 or arguments.jobs % 10:
        sys.exit("--jobs: a multiple of 10, as two models and five learning rates are part of it")
    data, jobs = mnist_file.find_data(arguments.data), arguments.jobs
    pairs = [_pair(name, changes, data, runs_dir, jobs) for name, changes in sweeps(jobs).items()]
    for _ in range(arguments.repeats):
        for pair in pairs:
            _plan(pair, runs_dir, jobs)
    rows = [row.as_json() for pair in pairs for row in pair.rows]
    settings = {"jobs": jobs, "repeats": arguments.repeats, "data": data.name}
    remark = f"REMARK: {jobs} jobs: the bar is for 300." if jobs != 300 else None
    return "\n\n".join(filter(None, [markdown(pairs), remark])), settings | {"rows": rows}


def sweeps(jobs: int) -> dict[str, list[str]]:
    """Names what is swept over: few networks many times, and as many networks as jobs."""
    seeds = ",".join(str(seed) for seed in range(jobs // (2 * len(_RATES))))
    grid = ["model=ann,bn_dnn", f"optimizer.learning_rate={','.join(_RATES)}", f"seed={seeds}"]
    units = ",".join(f"[{_FIRST_UNITS + number}]" for number in range(jobs))
    return {"grid": grid, "networks": [f"model.units={units}"]}


def _pair(name: str, changes: list[str], data: Path, runs_dir: Path, jobs: int) -> Pair:
    titles = {
        "grid": f"plan of {jobs} jobs: 2 models × 5 learning rates × {jobs // 10} seeds",
        "networks": f"plan of {jobs} different networks",
    }
    words = command("basic", [*changes, f"data.path='{data}'", "plan=true"], runs_dir / name)
    row = Row(f"planning-{name}", titles[name], lambda child: child.elapsed_s, Bar("limit", _LIMIT_S))
    return Pair(words, "", (), [row])


def _plan(pair: Pair, runs_dir: Path, jobs: int) -> None:
    """Plans once, and makes sure that all jobs are in the plan and nothing is left of it."""
    (row,) = pair.rows
    child = run_child(pair.ours)
    if f"{jobs:,} jobs" not in child.output:
        sys.exit(f"{row.name}: the plan is not one of {jobs} jobs:\n{child.output[:2000]}")
    if left := list(runs_dir.iterdir()):
        sys.exit(f"{row.name}: planning left {left[0]}")
    row.ours.append(row.read(child))
    print(f"{row.name} {len(row.ours)}: {row.ours[-1]:.2f} s", file=sys.stderr, flush=True)
