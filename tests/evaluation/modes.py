"""The two modes as the command line calls them, in this process."""

from io import StringIO
from pathlib import Path
from typing import Any

from mnist_exp.modes import evaluate, predict
from mnist_exp.report.terminal import Terminal
from tests.trees import composed


def data_node(name: str) -> dict[str, Any]:
    """Gives a data set's configuration as it is shipped."""
    return composed(f"data={name}")["data"] | {"num_classes": None}


def evaluate_tree(run: Path | str | list[str] | None, runs_dir: Path, **changes: Any) -> dict[str, Any]:
    named = run if run is None or isinstance(run, list) else str(run)
    tree = {"mode": "evaluate", "run": named, "runs_dir": str(runs_dir)}
    return (
        tree | {"split": "test", "evaluate": {"robustness_images": 50}, "data": data_node("mnist")} | changes
    )


def run_evaluate(
    run: Path | str | list[str], runs_dir: Path, *typed: str, **changes: Any
) -> tuple[str, Path]:
    """Evaluates; gives what was shown and the folder that was written."""
    stdout = StringIO()
    request = evaluate.accept(evaluate_tree(run, runs_dir, **changes), list(typed))
    evaluate.run(request, Terminal(stdout), None)
    return stdout.getvalue(), newest(runs_dir, "evaluate")


def run_predict(
    run: Path | str | list[str], runs_dir: Path, images: Any, options: dict[str, Any] | None = None
) -> tuple[str, Path]:
    """Predicts; gives what was shown and the folder that was written."""
    stdout = StringIO()
    named = run if isinstance(run, list) else str(run)
    tree = {"mode": "predict", "run": named, "runs_dir": str(runs_dir), "images": images}
    tree |= {"predict": options or {}}
    predict.run(predict.accept(tree, []), Terminal(stdout), None)
    return stdout.getvalue(), newest(runs_dir, "predict")


def newest(runs_dir: Path, mode: str) -> Path:
    return max(runs_dir.glob(f"*_{mode}_*"), key=lambda path: path.stat().st_mtime_ns)
