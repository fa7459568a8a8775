"""`Runs.frame`, where pandas is: `.ci/run` has an environment with it."""

from pathlib import Path

import mnist_exp
from tests.test_api import run_examples, study
from tests.trackers.test_servers import needs

__all__ = ["study"]

pytestmark = needs("pandas")


def test_a_frame_has_a_line_a_run(study: Path) -> None:
    import pandas

    assert run_examples("api.Runs.frame") == 1
    runs = mnist_exp.load_runs("runs/study")
    frame = runs.frame()
    assert list(frame["name"]) == [run.path.name for run in runs]
    assert frame["test_accuracy"].idxmax() == 1 and frame["seed"].dtype.kind == "i"
    curves = pandas.DataFrame(runs[0].metrics)
    assert curves["val_accuracy"].tolist() == [0.554, 0.598] and len(curves) == 2
