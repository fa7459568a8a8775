"""What a finished run's pictures and its page cost in a process that has drawn before, as a sweep's jobs do.

uv run mnist-exp data=sample model=ann training.epochs=10 hydra.run.dir=drawn
uv run python tests/benchmarks/drawing.py drawn
"""

import argparse
import gc
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import machine

from mnist_exp.data.dataset import find_source
from mnist_exp.report.figures.style import Plot, draw_plots
from mnist_exp.report.figures.training import training_plots
from mnist_exp.report.run import write_run_page
from mnist_exp.runs.run import Run, parse_config, read_run
from mnist_exp.training.loading import load_network
from mnist_exp.training.scoring import Scored


def main() -> None:
    """Draws again and again, and prints the medians as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished training whose images are at hand")
    parser.add_argument("--repeats", type=int, default=10, help="after one that does not count")
    arguments = parser.parse_args()
    print("| drawn and written | s | CPU s |\n|---|--:|--:|")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(arguments.run, copy)
        pictures = plots_of(read_run(copy))
        gc.freeze()  # as a job's process does with what TensorFlow's import left
        for name, plot in pictures.items():
            measure(name, partial(draw_plots, {name: plot}, copy / "plots"), arguments.repeats)
        measure("report.html", lambda: write_run_page(copy), arguments.repeats)
        measure("all", lambda: draw_everything(pictures, copy), arguments.repeats)
    print(f"\n{machine.describe(machine.facts())}")


def plots_of(run: Run) -> dict[str, Plot]:
    """Names a run's pictures, from its files."""
    config, summary, predictions = parse_config(run), run.summary, run.read_predictions()
    assert summary is not None and predictions is not None
    source = find_source(config.data)
    network = load_network(run)
    scored = Scored(network, run.read_metrics(), summary.best_epoch, predictions.probabilities, 0.0)
    return training_plots(config, scored, source.load("test"), source.class_names)


def draw_everything(pictures: dict[str, Plot], run_path: Path) -> None:
    """Draws and writes what a run ends with."""
    draw_plots(pictures, run_path / "plots")
    write_run_page(run_path)


def measure(name: str, draw: Callable[[], object], repeats: int) -> None:
    """Prints a row: the medians of wall and CPU seconds."""
    draw()
    wall, cpu = [], []
    for _ in range(repeats):
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        draw()
        wall.append(time.perf_counter() - wall_before)
        cpu.append(time.process_time() - cpu_before)
    print(f"| {name} | {statistics.median(wall):.3f} | {statistics.median(cpu):.3f} |", flush=True)


if __name__ == "__main__":
    main()
