"""A sweep over seeds, side by side: two jobs at a time, one after another, and a stock script run again.

Every figure is a whole command, from its start to its exit; but beside the bare epochs of the same jobs it
is counted from the first job's start to the last one's end.
"""

import argparse
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import mnist_file
import protocol
from children import Child, run_child
from comparison import Bar, Pair, Row, markdown
from sweep_command import LAUNCHERS, FinishedSweep, command, run_sweep

_SCRIPT = Path(__file__).resolve().parent / "stock_keras.py"
_BARE = _SCRIPT.with_name("bare_epoch.py")
_STOCK_SPEEDUP, _BASIC_SPEEDUP, _BARE_COST = 13.5, 1.6, 1.15
_AT_ONCE = 2
_BAR_JOBS, _BAR_EPOCHS = 20, 10


class Turn(NamedTuple):
    """All sides, once each.

    Attributes:
        sweeps: (Recipe, launcher) to what it did.
        stock: Each run of the stock script.
        bare_s: Seconds of all jobs' bare epochs, by two processes of one thread at once, compiled before.
    """

    sweeps: dict[tuple[str, str], FinishedSweep]
    stock: list[Child]
    bare_s: float

    def as_json(self) -> dict[str, Any]:
        """Returns every figure."""
        sweeps = [
            {"recipe": recipe, "launcher": launcher} | _figures(sweep)
            for (recipe, launcher), sweep in self.sweeps.items()
        ]
        stock = {
            "process_s": [child.elapsed_s for child in self.stock],
            "last_epoch_accuracies": _stock_accuracies(self.stock),
        }
        return {"sweeps": sweeps, "stock": stock, "bare_s": self.bare_s}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    mnist_file.add_data_argument(parser)
    parser.add_argument("--jobs", type=int, default=_BAR_JOBS, help="number of seeds")
    parser.add_argument("--epochs", type=int, default=_BAR_EPOCHS, help="of each job")
    parser.add_argument(
        "--stock-runs",
        type=int,
        help="of the stock script in a turn, by default one a job; "
        "with another number the median times the number of jobs is counted",
    )
    parser.add_argument("--repeats", type=int, default=1, help="how often all sides take turns")
    parser.add_argument("--recipe", action="store_true", help="also sweep with the shipped recipe")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Runs all sides in turn; returns the tables and every figure."""
    if min(arguments.jobs, arguments.repeats) < 1 or (arguments.stock_runs or 1) < 1:
        sys.exit("--jobs, --repeats and --stock-runs: at least 1")
    data = mnist_file.find_data(arguments.data)
    turns = [_take_turn(arguments, data, runs_dir, number) for number in range(arguments.repeats)]
    pairs = _pairs(arguments, data, turns)
    rows = [row.as_json() | {"against": pair.against} for pair in pairs for row in pair.rows]
    settings = {name: getattr(arguments, name) for name in ("jobs", "epochs", "repeats")}
    settings |= {"stock_runs": _num_stock(arguments), "data": data.name}
    text = "\n\n".join(filter(None, [markdown(pairs), _describe(turns), *_remarks(arguments, data)]))
    return text, settings | {"rows": rows, "turns": [turn.as_json() for turn in turns]}


def product_changes(arguments: argparse.Namespace, data: Path, recipe: str) -> list[str]:
    """Lists the overrides of a sweep over seeds.

    Args:
        arguments: The measurement's options.
        data: Which images.
        recipe: `protocol` does the work of the stock script; `shipped` has the defaults, with batches of 128.
    """
    seeds = ",".join(str(seed) for seed in range(arguments.jobs))
    # 5,000 of MNIST's, as by default; a smaller file has fewer to set apart.
    num_validation = len(mnist_file.load_arrays(data).train_labels) // 12
    shipped = [
        f"data.path='{data}'",
        f"data.validation={num_validation}",
        f"training.epochs={arguments.epochs}",
    ]
    work = protocol.overrides(data, arguments.epochs) if recipe == "protocol" else shipped
    return ["model=ann", *work, f"seed={seeds}"]


def stock_command(arguments: argparse.Namespace, data: Path) -> tuple[str, ...]:
    """Makes the command of the stock script."""
    options = ("--epochs", str(arguments.epochs), "--data", str(data))
    return (sys.executable, str(_SCRIPT), "ann", *options)


def _take_turn(arguments: argparse.Namespace, data: Path, runs_dir: Path, number: int) -> Turn:
    """Runs each sweep, and after each its share of the stock runs."""
    recipes = ["protocol", "shipped"] if arguments.recipe else ["protocol"]
    kinds = [(recipe, launcher) for recipe in recipes for launcher in LAUNCHERS]
    turn = Turn({}, [], _run_bare(arguments, data))
    print(f"turn {number + 1}: bare epochs: {turn.bare_s:.1f} s", file=sys.stderr, flush=True)
    for place, (recipe, launcher) in enumerate(kinds, start=1):
        path = runs_dir / f"{recipe}_{launcher}_{number}"
        sweep = run_sweep(launcher, product_changes(arguments, data, recipe), path)
        turn.sweeps[recipe, launcher] = sweep
        _tell(number, f"{recipe}, {launcher}", sweep.child)
        while len(turn.stock) < _num_stock(arguments) * place // len(kinds):
            turn.stock.append(run_child(stock_command(arguments, data)))
            _tell(number, f"stock script, run {len(turn.stock)}", turn.stock[-1])
    return turn


def bare_command(arguments: argparse.Namespace, data: Path) -> tuple[str, ...]:
    """Makes the command of one process's share of the bare epochs."""
    epochs = str(arguments.jobs * arguments.epochs // _AT_ONCE)
    options = ("--epochs", epochs, "--threads", "1", "--data", str(data))
    return (sys.executable, str(_BARE), "ann", *options)


def _run_bare(arguments: argparse.Namespace, data: Path) -> float:
    """Trains the jobs' epochs with nothing around them; gives the seconds of the slower process."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        children = pool.map(run_child, [bare_command(arguments, data)] * _AT_ONCE)
        return max(float(child.printed("train_s")) for child in children)


def _tell(number: int, name: str, child: Child) -> None:
    print(f"turn {number + 1}: {name}: {child.elapsed_s:.1f} s", file=sys.stderr, flush=True)


def _num_stock(arguments: argparse.Namespace) -> int:
    return arguments.stock_runs or arguments.jobs


def _stock_total(arguments: argparse.Namespace, stock: list[Child]) -> float:
    """Gives the seconds of as many runs of the script as there are jobs."""
    seconds = [child.elapsed_s for child in stock]
    return sum(seconds) if len(stock) == arguments.jobs else statistics.median(seconds) * arguments.jobs


def _pairs(arguments: argparse.Namespace, data: Path, turns: list[Turn]) -> list[Pair]:
    """Sets two jobs at a time beside the stock script and beside one job after another."""
    pairs, jobs = [], arguments.jobs
    stock = [_stock_total(arguments, turn.stock) for turn in turns]
    for recipe in dict.fromkeys(recipe for recipe, _ in turns[0].sweeps):
        ours, basic = (
            [turn.sweeps[recipe, launcher].child.elapsed_s for turn in turns] for launcher in LAUNCHERS
        )
        changes = product_changes(arguments, data, recipe)
        mine, theirs = (command(launcher, changes, Path("SWEEP")) for launcher in LAUNCHERS)
        title = f"{jobs} jobs of {arguments.epochs} epochs of ann, two at a time, {recipe} recipe"
        against = {
            "stock": (f"stock script {jobs} times", stock_command(arguments, data), stock, _STOCK_SPEEDUP),
            "basic": ("one after another in one process", theirs, basic, _BASIC_SPEEDUP),
        }
        for name, (words, other, seconds, speedup) in against.items():
            row = Row(f"{name}-{recipe}", title, lambda child: child.elapsed_s, Bar("speedup", speedup))
            row.ours, row.theirs = ours, seconds
            pairs.append(Pair(mine, words, other, [row]))
        if recipe == "protocol":
            between = "the same, first job's start to last job's end"
            row = Row("bare-protocol", between, lambda child: child.elapsed_s, Bar("cost", _BARE_COST))
            sweeps = [turn.sweeps[recipe, "joblib"] for turn in turns]
            row.ours = [sweep.last_job_s - sweep.first_job_s for sweep in sweeps]
            row.theirs = [turn.bare_s for turn in turns]
            pairs.append(Pair(mine, "its bare epochs", bare_command(arguments, data), [row]))
    return pairs


def _figures(sweep: FinishedSweep) -> dict[str, Any]:
    """Sets out what is known of a sweep."""
    jobs = sweep.jobs
    on_test = [job.last_epoch.val_accuracy for job in jobs if job.summary.selected_on_test]
    return {
        "process_s": sweep.child.elapsed_s,
        "first_job_s": sweep.first_job_s,
        "last_job_s": sweep.last_job_s,
        "engines": sorted({job.manifest.engine.name for job in jobs if job.manifest.engine}),
        "threads": sorted({job.manifest.threads or 0 for job in jobs}),
        "job_s": [job.manifest.duration_s for job in jobs],
        "train_s": [job.summary.train_s for job in jobs],
        "compile_s": [job.summary.compile_s for job in jobs],
        "test_accuracies": [job.summary.test_accuracy for job in jobs],
        "last_epoch_accuracies": on_test or None,
    }


def _stock_accuracies(stock: list[Child]) -> list[float]:
    return [float(child.printed("val_accuracy")) for child in stock]


def _describe(turns: list[Turn]) -> str:
    """Sets out where the seconds went and how good the networks got."""
    lines = [
        "| turn | side | command | first job began after | exit after the last job | "
        "test accuracy, best epoch | test accuracy, last epoch |",
        "|--:|---|--:|--:|--:|---|---|",
    ]
    for number, turn in enumerate(turns, start=1):
        for (recipe, launcher), sweep in turn.sweeps.items():
            figures = _figures(sweep)
            times = f"{sweep.first_job_s:.1f} s | {sweep.child.elapsed_s - sweep.last_job_s:.1f} s"
            best, last = (_spread(figures[name]) for name in ("test_accuracies", "last_epoch_accuracies"))
            name = f"{recipe} recipe, {launcher}, engine {'/'.join(figures['engines'])}"
            lines.append(f"| {number} | {name} | {sweep.child.elapsed_s:.1f} s | {times} | {best} | {last} |")
        seconds = [child.elapsed_s for child in turn.stock]
        each = f"{len(seconds)} of {statistics.median(seconds):.1f} s"
        last = _spread(_stock_accuracies(turn.stock))
        lines.append(f"| {number} | stock script | {each} | – | – | – | {last} |")
    return "\n".join(lines)


def _spread(accuracies: list[float] | None) -> str:
    """Words mean, standard deviation and range in percent."""
    if not accuracies:
        return "–"
    deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    mean, lowest, highest = (100 * each(accuracies) for each in (statistics.fmean, min, max))
    return f"{mean:.2f}% ± {100 * deviation:.2f} ({lowest:.2f} to {highest:.2f})"


def _remarks(arguments: argparse.Namespace, data: Path) -> list[str | None]:
    """Says what a reader must know before holding the figures against the bars."""
    jobs, num_stock = arguments.jobs, _num_stock(arguments)
    estimated = f"REMARK: stock script: {jobs} × the median of the {num_stock} runs that were made in a turn."
    other = f"REMARK: {jobs} jobs of {arguments.epochs} epochs: the bars are for 20 jobs of 10 epochs."
    return [
        estimated if num_stock != jobs else None,
        other if (jobs, arguments.epochs) != (_BAR_JOBS, _BAR_EPOCHS) else None,
        mnist_file.remark_on(data),
    ]
