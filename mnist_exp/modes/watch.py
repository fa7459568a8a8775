"""`mode=watch`: another process' work as it goes on, from its files alone; TensorFlow is not loaded."""

import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.text import Text

from mnist_exp.config.commands import command, setting, sweep_place
from mnist_exp.config.parsing import read_request, refuse_unused
from mnist_exp.config.schema import Text as NonEmpty
from mnist_exp.config.schema import TunerConfig
from mnist_exp.report.console import render_parts
from mnist_exp.report.result import result_parts
from mnist_exp.report.terminal import Terminal
from mnist_exp.report.tuning import search_result
from mnist_exp.runs.finding import choose_work, how_to_resume
from mnist_exp.runs.folder import METRICS, TRIALS
from mnist_exp.runs.records import SearchSummary, TrialRecord
from mnist_exp.runs.run import Run, parse_config, refused
from mnist_exp.sweeps.directory import SweepDirectory, read_sweep
from mnist_exp.sweeps.launching import Watch
from mnist_exp.sweeps.rounds import needed_jobs
from mnist_exp.sweeps.screen import render_header, render_status
from mnist_exp.sweeps.sweep import sum_up
from mnist_exp.sweeps.task import launched_s
from mnist_exp.tuning.screen import (
    SearchStatus,
    render_confirmation,
    render_search_status,
    render_trial,
    render_trial_header,
)
from mnist_exp.tuning.search_files import CONFIRMED, SearchFiles
from mnist_exp.words import direction_of

_LOOK_S = 0.5


class WatchRequest(Struct, frozen=True, kw_only=True):
    """What `mode=watch` reads.

    Attributes:
        run: `latest` (what was begun last), or the directory or name of a run, a search or a sweep.
    """

    run: str
    runs_dir: NonEmpty


def accept(tree: dict[str, Any], typed: Sequence[str]) -> WatchRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, or of no use here."""
    refuse_unused(typed, "watch", "shows what another command does", "run, runs_dir")
    return read_request(tree, WatchRequest)


def run(request: WatchRequest, terminal: Terminal, _given: Path | None) -> int:
    """Shows a run, a search or a sweep until it has ended.

    Returns:
        How it ended: 0 completed, 1 failed or lost, 130 interrupted.

    Raises:
        ConfigError: There is no such run, or its files are damaged.
        KeyboardInterrupt: The watching was ended; the work goes on.
    """
    path = choose_work(request.run, Path(request.runs_dir))
    try:
        with refused("run: "):
            record = read_sweep(path)
            if record is not None:
                return _watch_sweep(SweepDirectory(path, record), terminal)
            return _watch_run(path, terminal)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"no longer watching {path}; its work goes on") from None


def _watch_run(path: Path, terminal: Terminal) -> int:
    mode = Run(path).manifest.mode
    terminal.print(Text.assemble(f"mode={mode} in ", (str(path), "cyan")))
    follow = _follow_search if mode == "tune" else _follow_training
    follow(path, terminal)
    return _tell_end(Run(path), terminal)


def _pause(terminal: Terminal) -> None:
    if terminal.has_lost_reader:
        raise KeyboardInterrupt
    time.sleep(_LOOK_S)


def _looks(path: Path, terminal: Terminal) -> Iterator[Run]:
    """Yields a run whenever its lines have changed, and for the last time when nobody is at work on it."""
    before: object = None
    while True:
        run = Run(path)
        is_over = run.status != "running"
        lines = [_changed_at(path / name) for name in (METRICS, TRIALS, CONFIRMED)]
        if lines != before or is_over:
            yield run
        if is_over:
            return
        before = lines
        _pause(terminal)


def _changed_at(path: Path) -> int:
    """Gives a file's time in nanoseconds; 0 without one."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _follow_training(path: Path, terminal: Terminal) -> None:
    training = parse_config(Run(path), "run: ").training
    sign, best, num_shown = 1.0 if training.direction == "max" else -1.0, -math.inf, 0
    with terminal.training_progress(training.epochs) as progress:
        for run in _looks(path, terminal):
            for row in run.read_metrics()[num_shown:] if run.has(METRICS) else ():
                value = getattr(row, training.monitor)
                is_best = value is None or num_shown == 0 or sign * value > best
                best = sign * value if is_best and value is not None else best
                progress.epoch(row, is_best)
                num_shown += 1


def _follow_search(path: Path, terminal: Terminal) -> None:
    """Shows trials and confirmations that have ended; what workers are training is in no file."""
    tuner, began = parse_config(Run(path), "run: ").tuner, Run(path).manifest.started_at
    assert tuner is not None
    trials: list[TrialRecord] = []
    num_confirmed = 0
    terminal.print(render_trial_header())
    with terminal.live_view(lambda: render_search_status(_status(trials, tuner, began), tuner.objective)):
        for run in _looks(path, terminal):
            for trial in run.read_trials()[len(trials) :]:
                trials.append(trial)
                best = _best(trials, tuner.objective)
                number = None if best is None else best.trial
                line = render_trial(trial, tuner.objective, number, len(trials), tuner.max_trials)
                terminal.print(line)
            confirmations = SearchFiles(path).read_confirmations()
            for confirmation in confirmations[num_confirmed:]:
                terminal.print(render_confirmation(confirmation, tuner.objective))
            num_confirmed = len(confirmations)


def _status(trials: Sequence[TrialRecord], tuner: TunerConfig, began: str) -> SearchStatus:
    return SearchStatus(
        num_finished=len(trials),
        num_failed=sum(trial.status == "failed" for trial in trials),
        max_trials=tuner.max_trials,
        elapsed_s=(datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds(),
        left_s=None,
        best=_best(trials, tuner.objective),
        running=[],
    )


def _best(trials: Sequence[TrialRecord], objective: str) -> TrialRecord | None:
    sign = 1.0 if direction_of(objective) == "max" else -1.0
    scored = [trial for trial in trials if trial.score is not None]
    return max(scored, key=lambda trial: sign * (trial.score or 0.0), default=None)


def _tell_end(run: Run, terminal: Terminal) -> int:
    """Says how a run ended, and gives its exit status."""
    summary, error = run.summary, run.manifest.error
    if summary is not None:
        following = [command("mode=evaluate", setting("run", str(run.path)))]
        if isinstance(summary, SearchSummary):
            parts = search_result(summary, str(run.path), following)
        else:
            parts = result_parts(summary, str(run.path), following)
        terminal.print(render_parts(parts))
        return 0
    if run.status == "failed" and error is not None:
        terminal.error(f"mnist-exp: {error.message} {error.hint}")
        return 1
    was = "was interrupted" if run.status == "interrupted" else "says running, but its process is gone"
    terminal.error(f"mnist-exp: {run.path} {was}.{how_to_resume(run)}")
    return 130 if run.status == "interrupted" else 1


def _watch_sweep(sweep: SweepDirectory, terminal: Terminal) -> int:
    question = "seeds until it is decided" if sweep.record.until else ""
    terminal.print(Text.assemble("sweep in ", (str(sweep.path), "cyan")), render_header())
    watch = Watch(sweep, 1, terminal, launched_s(sweep.path))
    watch.expect(sweep.record.jobs, question, is_new=False)
    with terminal.live_view(lambda: render_status(watch.status)):
        watch.look()
        while sweep.is_at_work() or watch.status.running:
            _pause(terminal)
            watch.look()
    watch.look()  # at what ended between the last two looks
    states = [sweep.state(job) for job in needed_jobs(sweep)]
    is_over = all(state.status in ("completed", "failed") for state in states)
    again = command("-m", *sweep_place(sweep.path, sweep.record.name))
    status = sum_up(sweep, "" if is_over else "nobody is at work on it", again, terminal, is_ours=False)
    stopped = [state for state in states if state.manifest and state.manifest.status == "interrupted"]
    return 130 if stopped else status
