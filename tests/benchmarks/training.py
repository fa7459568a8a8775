"""Training, side by side: this project, stock Keras and the bare XLA loop, in turn.

    uv run python tests/benchmarks/training.py [--data PATH] [--repeats 5] [--only NAME …] [--json PATH]

Each figure comes from a fresh process; both sides take turns (A B A B …), one at a time. The
table shows the medians and the median of the ratios of each turn, with their range.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import machine
import mnist_file
from children import Child, run_child
from comparison import Bar, Pair, Row, markdown
from protocol import overrides

HERE = Path(__file__).resolve().parent
COMMAND = shutil.which("mnist-exp", path=Path(sys.executable).parent) or "mnist-exp"
STOCK_EPOCHS, FAST_EPOCHS, COMMAND_EPOCHS = 4, 15, 10


def seconds_per_epoch(child: Child) -> float:
    """Takes the median seconds of an epoch's training part from what a script printed."""
    return float(child.printed("train_s_per_epoch"))


def script(name: str, data: Path, epochs: int, *arguments: str) -> tuple[str, ...]:
    """Makes the command of one of the scripts beside this one."""
    options = ("--epochs", str(epochs), "--data", str(data))
    return (sys.executable, str(HERE / f"{name}.py"), *arguments, *options)


def product(data: Path, *changes: str) -> tuple[str, ...]:
    """Makes the command of this project's epochs."""
    return script("product_epoch", data, FAST_EPOCHS, *changes)


def epoch_pairs(data: Path, model: str, speedup: float) -> list[Pair]:
    """Compares a network's training epoch with stock `fit` and with the bare loop."""

    def row(name: str, bar: Bar) -> list[Row]:
        return [Row(f"{name}-{model}", f"training epoch of {model}", seconds_per_epoch, bar)]

    ours = product(data, f"model={model}")
    stock = script("stock_keras", data, STOCK_EPOCHS, model)
    bare = script("bare_epoch", data, FAST_EPOCHS, model)
    return [
        Pair(ours, "stock Keras", stock, row("epoch", Bar("speedup", speedup))),
        Pair(ours, "bare XLA loop", bare, row("overhead", Bar("cost", 1.25))),
    ]


def extras_pairs(data: Path) -> list[Pair]:
    """Compares an epoch of `ann` with dropout, or with shifts, with the epoch without."""
    plain = product(data, "model=ann")
    dropout = product(data, "model=ann", "model.input_dropout=0.2", "model.dropout=0.2")
    shift = product(data, "model=ann", "augmentation=shift")
    titles = {
        "dropout": ("dropout 0.2 on inputs and hidden layer", dropout),
        "shift": ("one-pixel shifts", shift),
    }
    return [
        Pair(ours, "without", plain, [Row(name, title, seconds_per_epoch, Bar("cost", 1.6))])
        for name, (title, ours) in titles.items()
    ]


def command_pair(data: Path, runs_dir: str) -> Pair:
    """Compares a whole command, checkpoints and plots included, with the stock script, which makes none."""
    changes = ("model=ann", f"runs_dir={runs_dir}", *overrides(data, COMMAND_EPOCHS))
    title = f"of {COMMAND_EPOCHS} epochs of ann, start to exit"
    rows = [
        Row("command", f"whole command {title}", lambda child: child.elapsed_s, Bar("speedup", 3)),
        Row("memory", f"peak memory {title}", _peak_memory, Bar("cost", 1.15), unit="MB"),
    ]
    return Pair((COMMAND, *changes), "stock script", script("stock_keras", data, COMMAND_EPOCHS, "ann"), rows)


def startup_pairs() -> list[Pair]:
    """Times what must answer at once."""
    commands = {"--help": 0, "--cfg job": 0, "optimizer.learning_rte=1": 2}
    return [
        Pair((COMMAND, *words.split()), "", (), [_startup_row(words)], status)
        for words, status in commands.items()
    ]


def _startup_row(words: str) -> Row:
    return Row("startup", f"`mnist-exp {words}`", lambda child: child.elapsed_s, Bar("limit", 1))


def _peak_memory(child: Child) -> float:
    return child.peak_memory_bytes / 1e6


def all_pairs(data: Path, runs_dir: str) -> list[Pair]:
    """Lists everything that is measured, in the table's order."""
    return [
        *epoch_pairs(data, "ann", speedup=10),
        *epoch_pairs(data, "bn_dnn", speedup=9),
        *extras_pairs(data),
        command_pair(data, runs_dir),
        *startup_pairs(),
    ]


def choose(pairs: list[Pair], names: list[str]) -> list[Pair]:
    """Keeps the pairs that give a row of one of these names; all of them for no names."""
    known = sorted({row.name for pair in pairs for row in pair.rows})
    if unknown := set(names) - set(known):
        sys.exit(f"--only: no {', '.join(sorted(unknown))}; accepted: {', '.join(known)}")
    return [pair for pair in pairs if not names or any(row.name in names for row in pair.rows)]


def measure(pair: Pair) -> None:
    """Runs both sides once and adds a figure to each row."""
    ours = run_child(pair.ours, pair.expected_status)
    theirs = run_child(pair.theirs) if pair.theirs else None
    for row in pair.rows:
        row.ours.append(row.read(ours))
        figures = f"{row.ours[-1]:.4g} {row.unit}"
        if theirs:
            row.theirs.append(row.read(theirs))
            figures += f", {pair.against} {row.theirs[-1]:.4g} {row.unit}"
        print(f"{row.name} {len(row.ours)}: {row.title}: {figures}", file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mnist_file.add_data_argument(parser)
    parser.add_argument("--repeats", type=int, default=5, help="how often each pair is run")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names of rows")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints the table."""
    arguments, facts = parse_arguments(), machine.facts()
    data = mnist_file.find_data(arguments.data)
    with tempfile.TemporaryDirectory() as runs_dir:
        pairs = choose(all_pairs(data, runs_dir), arguments.only)
        for pair in pairs:
            for _ in range(arguments.repeats):
                measure(pair)
    print(markdown(pairs))
    remarks = [machine.describe(facts), f"repeats: {arguments.repeats}", mnist_file.remark_on(data)]
    print("\n" + "; ".join(remark for remark in remarks if remark))
    if arguments.json:
        rows = [row.as_json() | {"against": pair.against or None} for pair in pairs for row in pair.rows]
        report = {"machine": facts, "data": data.name, "repeats": arguments.repeats, "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
