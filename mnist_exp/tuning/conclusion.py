"""The result of a search: candidates side by side, the winner, its test accuracy, its file, its pictures."""

import statistics
from functools import partial

import keras
from msgspec.structs import asdict

from mnist_exp.data.dataset import Images, Source, TrainingData
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.report.console import render_notice, render_parts
from mnist_exp.report.figures.fonts import describe_numbered
from mnist_exp.report.figures.hyperparameters import (
    plot_hyperparameters,
    plot_importance,
    plot_parallel_coordinates,
)
from mnist_exp.report.figures.importance import importances
from mnist_exp.report.figures.intervals import plot_confirmation
from mnist_exp.report.figures.scales import Objective
from mnist_exp.report.figures.style import Plot, draw_plots
from mnist_exp.report.figures.training import draw_training
from mnist_exp.report.figures.trials import plot_best_so_far, plot_search_curves
from mnist_exp.report.result import first_digits
from mnist_exp.report.terminal import Terminal
from mnist_exp.report.tuning import search_result
from mnist_exp.runs.records import ExecutionRecord, SearchSummary
from mnist_exp.runs.writer import RunDirectory
from mnist_exp.statistics import accuracy
from mnist_exp.training import scoring
from mnist_exp.tuning.candidates import Candidates
from mnist_exp.tuning.definition import DEFAULT, experiment_yaml, tuner_name
from mnist_exp.tuning.search_files import SearchFiles
from mnist_exp.words import candidate_name, percent, score_text


def conclude(
    found: Candidates,
    source: Source,
    data: TrainingData,
    files: SearchFiles,
    run: RunDirectory,
    terminal: Terminal,
    resume: str,
    next_command: str,
) -> SearchSummary:
    """Scores the winner on the test images, read from `source` now, once, and writes everything down."""
    try:
        test = source.load("test")
    except ConfigError as error:
        raise RunError(error.message, f"{error.hint} Then: {resume}") from error
    run.update_manifest(data=scoring.data_record(source, data, test))
    scored, accuracies, execution = _score_winner(found, files, run, test)
    run.write_predictions(scored.probabilities, test.labels, test.indices)
    config = found.search.trial_config(found.winner.values, execution.seed, 0)
    summary = _summarise(found, scored, accuracies, execution, test, run)
    files.write_experiment(_write_experiment(found, summary))
    not_drawn = [*draw_training(run, config, scored, test, source.class_names), *_draw(found, run)]
    run.update_manifest(not_drawn=not_drawn)
    run.write_summary(summary)
    for notice in filter(None, [*not_drawn, describe_numbered(source.class_names)]):
        terminal.print(render_notice(notice))
    digits = first_digits(test.images, test.labels, scored.probabilities, source.class_names)
    terminal.print(render_parts([digits, *search_result(summary, str(run.path), [next_command])]))
    return summary


def _score_winner(
    found: Candidates, files: SearchFiles, run: RunDirectory, test: Images
) -> tuple[scoring.Scored, list[float], ExecutionRecord]:
    """Scores the winner's network of every fresh seed; keeps the one that is best on validation."""
    winner = found.winner.candidate
    executions = found.executions(winner)
    scored = []
    for execution in executions:
        network = keras.models.load_model(files.weights_path(found.weights_name(winner, execution)))
        scored.append(scoring.score(network, execution.metrics, execution.best_epoch, test.images))
    accuracies = [accuracy(one.probabilities, test.labels) for one in scored]
    best = max(range(len(executions)), key=lambda place: found.sign * executions[place].score)
    run.keep_best_checkpoint(files.weights_path(found.weights_name(winner, executions[best])))
    run.write_metrics(executions[best].metrics)
    return scored[best], accuracies, executions[best]


def _summarise(
    found: Candidates,
    scored: scoring.Scored,
    accuracies: list[float],
    execution: ExecutionRecord,
    test: Images,
    run: RunDirectory,
) -> SearchSummary:
    difference, interval = found.difference()
    assert run.manifest.data is not None
    trials = found.stage.trials
    summary = scoring.summarise(
        scored,
        test.labels,
        seconds_per_epoch=execution.seconds_per_epoch,
        compile_s=execution.compile_s,
        selected_on_test=False,
        data_notice=run.manifest.data.notice,
    )
    return SearchSummary(
        **asdict(summary),
        objective=found.objective,
        num_trials=len(trials),
        num_completed=sum(trial.status == "completed" for trial in trials),
        search_s=round(found.stage.searched_s, 3),
        ended_by=found.stage.ended_by or "",
        winner=found.winner.candidate,
        candidates=found.candidates,
        winner_test_accuracies=accuracies,
        difference=difference,
        difference_interval=interval,
        verdict=found.verdict(),
    )


def _write_experiment(found: Candidates, summary: SearchSummary) -> str:
    tuner, winner = found.search.tuner, found.winner
    lines = [
        f"{candidate_name(winner.candidate)} of a {tuner_name(tuner)} search over {summary.num_trials} "
        f"trials (seed {found.search.config.seed}).",
        f"{found.objective} in the search: {score_text(winner.search_score, found.objective)}.",
    ]
    if winner.confirmed_scores:
        confirmed = score_text(winner.confirmed_score, found.objective)
        lines.append(f"Confirmed on {len(winner.confirmed_scores)} fresh seeds: {confirmed}.")
    mean = percent(statistics.fmean(summary.winner_test_accuracies))
    lines.append(f"Test accuracy, looked at once: {mean} ({len(summary.winner_test_accuracies)} seeds).")
    own = {"training.monitor": found.objective, "training.direction": found.search.direction}
    return experiment_yaml(found.search.blueprint, winner.values | own, lines)


def _draw(found: Candidates, run: RunDirectory) -> list[str]:
    trials = found.stage.trials
    objective = Objective(found.objective, found.search.direction)
    default = next((other for other in found.candidates if other.candidate == DEFAULT), None)
    default_score = default.confirmed_score if default else None
    mattered = importances(trials)
    best = found.stage.best
    assert best is not None
    figures: dict[str, Plot] = {
        "search_progress": partial(plot_best_so_far, trials, objective, default_score),
        "hyperparameters": partial(plot_hyperparameters, trials, objective, mattered),
        "parallel_coordinates": partial(plot_parallel_coordinates, trials, objective),
        "importance": partial(plot_importance, mattered),
        "trial_curves": partial(plot_search_curves, trials, objective, best.trial),
    }
    if found.confirmations:
        figures["confirmation"] = partial(plot_confirmation, found.candidates, objective)
    return draw_plots(figures, run.plots_dir)
