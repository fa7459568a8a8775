"""`mode=evaluate`: finished runs scored again; of several runs, the mean of their probabilities."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from mnist_exp.config.commands import (
    SEARCH_PATH,
    command,
    kept,
    portable,
    relative_paths,
    setting,
    with_runs_dir,
)
from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.requests import EvaluateOptions
from mnist_exp.config.schema import SplitName, Text
from mnist_exp.errors import ConfigError
from mnist_exp.evaluation.results import EnsembleEvaluation
from mnist_exp.evaluation.splits import choose_data, load_split
from mnist_exp.evaluation.work import quietly
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.folder import PLOTS, PREDICTIONS
from mnist_exp.runs.members import check_members, read_members
from mnist_exp.runs.run import Run
from mnist_exp.runs.writer import claim_folder

if TYPE_CHECKING:
    from mnist_exp.evaluation.evaluating import Evaluated
    from mnist_exp.evaluation.splits import ScoredSplit

_ACCEPTED = "run, runs_dir, data, split, evaluate.robustness_images"
_PREPROCESSING = "data.preprocessing"
_EVALUATION, _CLASSES, _MEMBERS = "evaluation.json", "per_class.csv", "members.csv"


class EvaluateRequest(Struct, frozen=True, kw_only=True):
    """What `mode=evaluate` reads; `typed` are the command line's overrides, which say whether `data` counts.

    Attributes:
        run: `latest`, `best` (by validation accuracy), a directory; a glob or a list: an ensemble of several.
            Null when not given.
        split: Which of the images.
    """

    run: str | list[Text] | None
    runs_dir: Text
    split: SplitName
    evaluate: EvaluateOptions
    data: dict[str, Any]
    typed: list[str] = []


def accept(tree: dict[str, Any], typed: Sequence[str]) -> EvaluateRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    only = "Only data= can be another one."
    refuse_unused(typed, "evaluate", "reads a finished run", _ACCEPTED, also=["data"], only=only)
    if _PREPROCESSING in map(plain_key, typed):
        raise ConfigError(f"{_PREPROCESSING}: the run's network has its own in front.", "Leave it out.")
    request = read_request({**tree, "typed": list(typed)}, EvaluateRequest)
    if not request.run:
        raise none_given("run", request.runs_dir, "mode=evaluate", "run=latest")
    choose_data({}, request.data, ["data="])
    return request


def run(request: EvaluateRequest, terminal: Terminal, given: Path | None) -> None:
    """Scores a finished run, and writes everything down in the folder `given`; None makes one.

    Raises:
        ConfigError: There is no such run, it cannot be scored on such data, or no folder can be made.
        RunError: A file could not be written.
    """
    members = read_members(request.run or [], Path(request.runs_dir))
    (run, config), is_alone = members[0], len(members) == 1
    scored = load_split(
        choose_data(run.config["data"], request.data, request.typed),
        request.split,
        terminal.download_progress,
    )
    if not is_alone:
        check_members(members, request.split, _names_data(request.typed))
    with quietly():
        # Imported here, as the network needs TensorFlow: a wrong request is refused before.
        from mnist_exp.evaluation import evaluating
        from mnist_exp.evaluation.evaluating import evaluate
        from mnist_exp.training import loading

        threads = loading.start_as(run, config)
        if is_alone:
            network = loading.load_network(run)
            names = scored.source.class_names
            loading.check_fit(network, scored.seen.images.shape[1:], names, scored.source.name)
            output_dir = claim_folder(Path(request.runs_dir), f"evaluate_{config.model.name}", given)
            evaluated = evaluate(run, config.model.name, network, scored, request.evaluate, threads)
        else:
            shape, source = scored.seen.images.shape[1:], scored.source
            ensemble = evaluating.load_ensemble(members, shape, source.class_names, source.name)
            output_dir = claim_folder(Path(request.runs_dir), "evaluate_ensemble", given)
            evaluated = evaluating.evaluate_ensemble(members, ensemble, scored, request.evaluate, threads)
        not_drawn = _write(evaluated, scored, output_dir)
    for sentence in not_drawn:
        terminal.print(sentence)
    commands = _next_commands(request, run, not is_alone, sys.argv[1:])
    _show(evaluated, scored, terminal, output_dir, commands)


def _names_data(typed: Sequence[str]) -> bool:
    return any(override.partition("=")[0].lstrip("+~").partition(".")[0] == "data" for override in typed)


def _next_commands(request: EvaluateRequest, run: Run, is_ensemble: bool, argv: Sequence[str]) -> list[str]:
    here = Path.cwd()
    repeated = [SEARCH_PATH, "runs_dir"]
    if is_ensemble:
        repeated.append("run")
    words = with_runs_dir(portable(kept(argv, repeated), here), {"runs_dir": request.runs_dir}, here)
    if not is_ensemble:
        words = [*words, setting("run", str(run.path.absolute()))]
    data = portable(kept(request.typed, ["data"]), here)
    if not _names_data(request.typed):
        moved = relative_paths(run.config, run.manifest.folder or here)
        data = [setting(key, path) for key, path in moved.items() if key == "data.path"]
    commands = []
    if request.split == "test":
        commands.append(command("mode=evaluate", *words, *data, "split=validation"))
    if not is_ensemble:
        commands.append(command("mode=predict", *words, "images=digit.png"))
    return commands


def _write(evaluated: "Evaluated", scored: "ScoredSplit", output_dir: Path) -> list[str]:
    """Writes numbers, predictions and pictures; says which pictures could not be drawn."""
    from mnist_exp.evaluation.scores import class_table
    from mnist_exp.report.evaluation import evaluation_plots, member_table
    from mnist_exp.report.figures.style import draw_plots

    files.write_json(output_dir / _EVALUATION, evaluated.record)
    files.write_bytes(output_dir / _CLASSES, class_table(evaluated.record.classes).encode())
    if isinstance(evaluated.record, EnsembleEvaluation):
        files.write_bytes(output_dir / _MEMBERS, member_table(evaluated.record).encode())
    probabilities, labels = evaluated.probabilities, scored.seen.labels
    files.write_with(
        output_dir / PREDICTIONS, lambda draft: np.savez(draft, probabilities=probabilities, labels=labels)
    )
    (output_dir / PLOTS).mkdir()
    return draw_plots(evaluation_plots(evaluated, scored), output_dir / PLOTS)


def _show(
    evaluated: "Evaluated",
    scored: "ScoredSplit",
    terminal: Terminal,
    output_dir: Path,
    commands: Sequence[str],
) -> None:
    from mnist_exp.report.console import render_notice, render_parts
    from mnist_exp.report.evaluation import evaluation_parts
    from mnist_exp.report.figures.fonts import describe_numbered
    from mnist_exp.report.result import first_digits

    seen, names = scored.seen, scored.source.class_names
    terminal.print(render_parts([first_digits(seen.images, seen.labels, evaluated.probabilities, names)]))
    for notice in filter(None, (scored.notice, describe_numbered(names))):
        terminal.print(render_notice(notice))
    terminal.print(render_parts(evaluation_parts(evaluated.record, str(output_dir), commands)))
