"""Sweeps, measured: their speed, their memory, their plans, and many runs started at once.

    uv run --all-extras python tests/benchmarks/sweeps.py speed [--out speed.json]
    uv run --all-extras python tests/benchmarks/sweeps.py memory
    uv run --all-extras python tests/benchmarks/sweeps.py planning
    uv run --all-extras python tests/benchmarks/sweeps.py starts

Every command that is measured is a fresh process of its own; but for `starts`, one at a time.
"""

import sweep_memory
import sweep_planning
import sweep_speed
import sweep_starts
from measuring import Measurement, measure_one

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


if __name__ == "__main__":
    measure_one(__doc__.splitlines()[0], MEASUREMENTS, ("joblib", "hydra-joblib-launcher"))
