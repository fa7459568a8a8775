"""Searches, measured: their speed, their memory, and what they find.

    uv run --all-extras python tests/benchmarks/tuning.py speed [--out speed.json]
    uv run --all-extras python tests/benchmarks/tuning.py memory
    uv run --all-extras python tests/benchmarks/tuning.py quality [OVERRIDE …]

Every search is a fresh process of its own, one at a time.
"""

import search_memory
import search_quality
import search_speed
from measuring import Measurement, measure_one

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
}


if __name__ == "__main__":
    measure_one(__doc__.splitlines()[0], MEASUREMENTS, ("keras-tuner",))
