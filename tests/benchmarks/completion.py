"""Completing a command line, measured: what a TAB takes, in turn with Python's own start.

    uv run python tests/benchmarks/completion.py

Prints medians and ranges in seconds, then CPU seconds, which a busy machine lengthens less; one start of each
is not counted.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

_COMMAND = Path(sys.executable).with_name("mnist-exp")
_LINES = ("mnist-exp model=", "mnist-exp training.ep", "mnist-exp mode=tune tuner.")
_NUM_STARTS = 5


def main() -> None:
    """Measures each line in turn with a bare start."""
    starts = {"python -c pass": [sys.executable, "-c", "pass"]}
    starts |= {line: [str(_COMMAND), "-sc", "query=bash"] for line in _LINES}
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    cpu: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(1 + _NUM_STARTS):
        for name, command in starts.items():
            began, used = time.perf_counter(), _cpu_s()
            environment = os.environ | {"COMP_LINE": name, "COMP_POINT": str(len(name))}
            subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(_cpu_s() - used)
    for name, (_, *counted) in seconds.items():
        span = f"{min(counted):.2f} to {max(counted):.2f}"
        used = statistics.median(cpu[name][1:])
        print(f"{name:<32} {statistics.median(counted):.2f} s  ({span}), CPU {used:.2f} s")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
