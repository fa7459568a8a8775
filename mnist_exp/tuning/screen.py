"""A search as rich renderables: its plan, a line for each trial and each confirmation that ended.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from mnist_exp.report.console import columns, cropped, plural, render_facts
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.trial_records import ConfirmationRecord, TrialRecord
from mnist_exp.trial_words import (
    candidate_name,
    describe_values,
    failure_text,
    objective_words,
    one_line,
    score_text,
)
from mnist_exp.words import duration

_HEADINGS = ("done", "trial", "score", "", "parameters", "epochs", "seconds")
_WIDTHS = (8, 6, 8, 6, 11, 7, 8)


@dataclass(frozen=True, slots=True)
class DimensionRow:
    """One searched value as a reader sees it.

    Attributes:
        name: Its path in the configuration.
        kind_and_range: What it may be, such as `32 to 512 by 32`.
        when: What must hold for it to matter, in words; empty where it always does.
    """

    name: str
    kind_and_range: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What is about to be searched.

    Attributes:
        tuner_name: How trials are proposed, such as `random`.
        objective: The metric that is searched for.
        dimensions: What is searched.
        fixed: Sentences on what was taken out of the search.
        budget: When the search ends, in words.
        epochs: Number of epochs of a trial.
        executions: Number of trainings of a trial.
        workers: Number of trials at once.
        threads: Number of threads of each worker.
        data: The images.
        model_name: The untuned model's name.
        seed: The run's seed.
        run_path: The run's directory as the user would type it.
        preprocessing: What is done to the images first; "none" for nothing.
        teacher: Who is learnt from; empty for nobody.
    """

    tuner_name: str
    objective: str
    dimensions: Sequence[DimensionRow]
    fixed: Sequence[str]
    budget: str
    epochs: int
    executions: int
    workers: int
    threads: int
    data: DataRecord
    model_name: str
    seed: int
    run_path: str
    preprocessing: str = "none"
    teacher: str = ""


def render_search_plan(plan: SearchPlan) -> RenderableType:
    """Shows what is about to be searched, for how long, on what, and where it goes."""
    data = plan.data
    counts = f"{data.num_train:,} train, {data.num_validation:,} validation"
    test = f"the {data.num_test:,} test images" if data.num_test else "the test images"
    fixed = [("fixed" if number == 0 else "", one_line(text)) for number, text in enumerate(plan.fixed)]
    facts = render_facts(
        *fixed,
        ("looking for", f"the {objective_words(plan.objective)}; a trial's score is that of its best epoch"),
        ("trial", _describe_trial(plan)),
        ("budget", one_line(plan.budget)),
        ("at once", f"{plural(plan.workers, 'trial')}, {plural(plan.threads, 'thread')} each"),
        ("data", f"{one_line(data.name)}: {counts}; {test} are not looked at before the search is over"),
        ("", Text(one_line(data.source), style="bright_black")),
        *([("preprocessing", plan.preprocessing)] if plan.preprocessing != "none" else []),
        *([("teacher", one_line(plan.teacher))] if plan.teacher else []),
        ("seed", str(plan.seed)),
        ("run", Text(plan.run_path, style="cyan")),
    )
    return Group(_render_dimensions(plan), facts, Text())


def _describe_trial(plan: SearchPlan) -> str:
    """Words what a trial is."""
    epochs = ("up to " if plan.tuner_name == "hyperband" else "") + plural(plan.epochs, "epoch")
    if plan.executions == 1:
        return f"one training of {epochs}"
    return f"the mean of {plan.executions} trainings of {epochs}, each on its own seed"


def _render_dimensions(plan: SearchPlan) -> RenderableType:
    """Shows what is searched, a line each; conditions only where there are any."""
    rows = [(row.name, row.kind_and_range, row.when) for row in plan.dimensions]
    shown = 3 if any(row.when for row in plan.dimensions) else 2
    table = columns(*("searched", "range", "only when")[:shown])
    for cells in rows:
        table.add_row(*(Text(one_line(cell)) for cell in cells[:shown]))
    count = plural(len(plan.dimensions), "value")
    title = (f"{one_line(plan.tuner_name)} search", "bold"), f"  {count} of model {one_line(plan.model_name)}"
    return Group(Text.assemble(*title), table)


def render_trial_header() -> RenderableType:
    """Names the columns of `render_trial`."""
    return _line(_HEADINGS, "what was tried", style="bright_black")


def render_trial(
    record: TrialRecord, objective: str, best_trial: int | None, num_finished: int, max_trials: int | None
) -> RenderableType:
    """Shows a trial that ended as one line, cropped where the screen is narrower.

    Args:
        record: The trial.
        objective: The metric that is searched for.
        best_trial: Number of the best trial so far, this one included; null before the first score.
        num_finished: Number of trials that ended, this one included.
        max_trials: How many there may be; null for no limit.
    """
    is_best = record.trial == best_trial
    cells = (
        f"{num_finished}" if max_trials is None else f"{num_finished}/{max_trials}",
        str(record.trial),
        score_text(record.score, objective),
        "best" if is_best else "",
        "–" if record.num_params is None else f"{record.num_params:,}",
        f"{len(record.executions)}×{record.epochs}" if len(record.executions) > 1 else str(record.epochs),
        f"{record.duration_s:.1f}" if record.duration_s < 1000 else f"{record.duration_s:,.0f}",
    )
    values = describe_values(record.values)
    if record.status == "completed":
        return _line(cells, values, style="green" if is_best else "")
    return _line(cells, f"{failure_text(record)}  ({values})", "yellow" if record.status == "failed" else "")


def _line(cells: tuple[str, ...], words: str, style: str) -> RenderableType:
    """Sets cells right-aligned in columns of fixed width, and words behind them as far as there is room."""
    row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return cropped(f"{row}  {words}".rstrip(), style)


def render_confirmation(record: ConfirmationRecord, objective: str) -> RenderableType:
    """Shows a confirmation training that ended as one line.

    Args:
        record: The training.
        objective: The metric that was searched for.
    """
    name = f"confirming {candidate_name(record.candidate)} on seed {record.seed}"
    execution = record.execution
    if execution is None:
        return cropped(f"{name}: {failure_text(record)}", "yellow")
    score = score_text(execution.score, objective)
    epoch = f"epoch {execution.best_epoch} of {len(execution.metrics)}"
    return cropped(f"{name}: {score} at {epoch}, {duration(execution.train_s)}")
