"""The study's search, side by side: this project with two workers, and a plain Keras Tuner script.

Both sides train the same trials: the values that this project drew are handed to the script, so
that neither gains by drawing smaller networks. Nothing is confirmed on either side.
"""

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import mnist_file
from children import Child, run_child
from comparison import Bar, Pair, Row, markdown
from product_search import FinishedSearch, command, run_search

from mnist_exp.runs.records import TrialRecord

_SCRIPT = Path(__file__).resolve().parent / "stock_tuner.py"
_SPEEDUP = 6
_NUM_PIXELS, _NUM_CLASSES = 784, 10

Values = dict[str, Any]


class Side(NamedTuple):
    """One side of one turn.

    Attributes:
        name: Who searched.
        child: Its process, with a line of JSON that has `search_s`.
        num_params: Number of weights of each trial's network.
        best: The best trial's validation accuracy.
    """

    name: str
    child: Child
    num_params: list[int]
    best: float

    def as_json(self) -> dict[str, Any]:
        """Returns its figures."""
        return {
            "name": self.name,
            "process_s": self.child.elapsed_s,
            "search_s": self.child.printed("search_s"),
            "num_params": self.num_params,
            "best_val_accuracy": self.best,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the measurement's options."""
    mnist_file.add_data_argument(parser)
    parser.add_argument("--trials", type=int, default=8, help="of each search")
    parser.add_argument("--epochs", type=int, default=5, help="of each trial")
    parser.add_argument("--repeats", type=int, default=2, help="how often both sides take turns")
    parser.add_argument("--free", action="store_true", help="also let RandomSearch draw its own values")


def measure(arguments: argparse.Namespace, runs_dir: Path) -> tuple[str, dict[str, Any]]:
    """Runs all sides in turn; returns the tables and every figure."""
    if importlib.util.find_spec("tensorboard") is None:
        sys.exit("Keras Tuner's search needs tensorboard; it comes with `uv run --all-extras`")
    data = mnist_file.find_data(arguments.data)
    turns = [_take_turn(arguments, data, runs_dir, seed) for seed in range(arguments.repeats)]
    pairs = _pairs(arguments, data, turns)
    rows = [row.as_json() | {"against": pair.against} for pair in pairs for row in pair.rows]
    settings = {name: getattr(arguments, name) for name in ("trials", "epochs", "repeats")}
    sides = [[side.as_json() for side in sides] for sides in turns]
    text = "\n\n".join(filter(None, [markdown(pairs), _describe(turns), mnist_file.remark_on(data)]))
    return text, settings | {"data": data.name, "rows": rows, "turns": sides}


def product_changes(arguments: argparse.Namespace, data: Path, seed: int) -> list[str]:
    """Lists the overrides of the study's search."""
    return [
        "search_space=study",
        "experiment=study_tuning",
        "tuner=random",
        f"tuner.max_trials={arguments.trials}",
        f"tuner.epochs={arguments.epochs}",
        "tuner.workers=2",
        "tuner.confirm.seeds=0",
        f"data.path='{data}'",
        f"data.validation={_num_validation(data)}",
        f"seed={seed}",
    ]


def stock_command(arguments: argparse.Namespace, data: Path, seed: int, *more: str) -> tuple[str, ...]:
    """Makes the command of the plain script."""
    options = {
        "--data": data,
        "--epochs": arguments.epochs,
        "--trials": arguments.trials,
        "--seed": seed,
        "--validation": _num_validation(data),
    }
    words = [str(word) for option in options.items() for word in option]
    return (sys.executable, str(_SCRIPT), *words, *more)


def stock_values(trial: TrialRecord) -> Values:
    """Says a trial's values in the script's names."""
    values = trial.values
    said = {"num_layers": values["model.units.length"], "optimizer": values["optimizer"]}
    for number in range(values["model.units.length"]):
        for name in ("units", "activation", "dropout"):
            said[f"{name}_{number}"] = values[f"model.{name}.{number}"]
    return said


def count_params(values: Values) -> int:
    """Counts the weights of the network that the script builds from its values."""
    hidden = [values[f"units_{number}"] for number in range(values["num_layers"])]
    sizes = [_NUM_PIXELS, *hidden, _NUM_CLASSES]
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def _take_turn(arguments: argparse.Namespace, data: Path, runs_dir: Path, seed: int) -> list[Side]:
    """Runs this project, the script with the same values and, where asked for, the script alone."""
    ours = run_search(product_changes(arguments, data, seed), runs_dir / f"speed_{seed}")
    trials = sorted(ours.trials, key=lambda trial: trial.trial)
    given = [stock_values(trial) for trial in trials]
    path = runs_dir / f"values_{seed}.json"
    path.write_text(json.dumps(given))
    same = _stock_side(
        "Keras Tuner, same values", stock_command(arguments, data, seed, "--values", str(path))
    )
    sides = [_product_side(ours, trials), same]
    _check_same_trials(given, same.child, sides)
    if arguments.free:
        free = stock_command(arguments, data, seed)
        sides.append(_stock_side("Keras Tuner, values of its own", free))
    for side in sides:
        figures = f"search {side.child.printed('search_s'):.1f} s, command {side.child.elapsed_s:.1f} s"
        print(f"turn {seed + 1}: {side.name}: {figures}", file=sys.stderr, flush=True)
    return sides


def _product_side(search: FinishedSearch, trials: list[TrialRecord]) -> Side:
    # Both sides are then read alike.
    child = search.child._replace(output=json.dumps({"search_s": search.summary.search_s}))
    return Side("mnist-exp", child, [trial.num_params or 0 for trial in trials], search.best_score)


def _stock_side(name: str, words: tuple[str, ...]) -> Side:
    child = run_child(words)
    return Side(
        name, child, [count_params(values) for values in child.printed("values")], max(_scores(child))
    )


def _scores(child: Child) -> list[float]:
    return [score for score in child.printed("scores") if score is not None]


def _check_same_trials(given: list[Values], child: Child, sides: list[Side]) -> None:
    """Makes sure that both sides trained what they were meant to."""
    trained = child.printed("values")
    if len(trained) != len(given) or any(
        values | wanted != values for values, wanted in zip(trained, given, strict=True)
    ):
        sys.exit(f"the script trained other values than it was given: {trained}, not {given}")
    if sides[0].num_params != sides[1].num_params:
        sys.exit(f"the networks differ in size: {sides[0].num_params} and {sides[1].num_params}")


def _pairs(arguments: argparse.Namespace, data: Path, turns: list[list[Side]]) -> list[Pair]:
    """Sets each of the script's ways beside this project."""
    ours = command(product_changes(arguments, data, 0), Path("RUN"))
    theirs = stock_command(arguments, data, 0)
    names = {1: ("search", "command"), 2: ("search-free", "command-free")}
    return [
        Pair(ours, turns[0][place].name, theirs, _rows(arguments, names[place], turns, place))
        for place in range(1, len(turns[0]))
    ]


def _rows(
    arguments: argparse.Namespace, names: tuple[str, str], turns: list[list[Side]], place: int
) -> list[Row]:
    work = f"{arguments.trials} trials of {arguments.epochs} epochs"
    readers: list[tuple[str, Callable[[Child], float]]] = [
        (f"the search alone, {work}", lambda child: float(child.printed("search_s"))),
        (f"whole command, start to exit, {work}", lambda child: child.elapsed_s),
    ]
    rows = [
        Row(name, title, read, Bar("speedup", _SPEEDUP))
        for name, (title, read) in zip(names, readers, strict=True)
    ]
    for row in rows:
        row.ours = [row.read(sides[0].child) for sides in turns]
        row.theirs = [row.read(sides[place].child) for sides in turns]
    return rows


def _describe(turns: list[list[Side]]) -> str:
    """Sets out what was trained and how good it got."""
    lines = ["| turn | side | parameters of a trial, mean | best validation accuracy |", "|--:|---|--:|--:|"]
    for number, sides in enumerate(turns, start=1):
        for side in sides:
            mean = statistics.fmean(side.num_params)
            lines.append(f"| {number} | {side.name} | {mean:,.0f} | {100 * side.best:.2f}% |")
    return "\n".join(lines)


def _num_validation(data: Path) -> int:
    """Sets a sixth apart: 10,000 of MNIST's 60,000."""
    return len(mnist_file.load_arrays(data).train_labels) // 6
