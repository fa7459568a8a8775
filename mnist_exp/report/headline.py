"""The top of a run's page: how good, how sure, what was run, and what it must be read with."""

from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from mnist_exp.report.run_material import RunMaterial
from mnist_exp.report.settings_views import Fact
from mnist_exp.runs.records import Manifest, SearchSummary, Summary
from mnist_exp.statistics import mean_interval
from mnist_exp.words import (
    accuracy_interval_text,
    candidate_name,
    count_text,
    duration,
    loss_text,
    one_line,
    percent,
    plural,
    size,
    time_text,
    values_text,
    visible,
)

_LONGEST_NAME = 60
_LONGEST_REASON = 2000
_STATUS_WORDS = {
    "failed": "This run failed",
    "interrupted": "This run was interrupted",
    "running": "This run was still at work when the page was written",
    "lost": "This run was lost: its process ended without a message",
}


@dataclass(frozen=True)
class Banner:
    """What a reader must not miss: its kind (`bad`, `careful` or `note`), its title and its text."""

    kind: str
    title: str
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Score:
    """The number that a run is about.

    Attributes:
        value: As text: `98.41%`.
        name: What it is.
        interval: Its 95% interval as text; may be empty.
        bar: Start, place of the value and end on a line from 0 to 100; null without an interval.
        ends: Texts at the ends of that line.
    """

    value: str
    name: str
    interval: str
    bar: tuple[float, float, float] | None = None
    ends: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Headline:
    """The top of the page: a quiet line, a title, the score (null without one), sentences, facts."""

    kicker: str
    title: str
    score: Score | None
    sentences: list[str]
    facts: list[Fact] = field(default_factory=list)


def headline(material: RunMaterial) -> Headline:
    """Words a run's result, and what was run."""
    manifest, summary = material.run.manifest, material.summary
    kind = {"train": "training", "tune": "search"}.get(manifest.mode, manifest.mode)
    when = time_text(manifest.started_at)
    kicker = f"{visible(kind, _LONGEST_NAME)} · {material.status} · {when}"
    if summary is None:
        return Headline(kicker, _title(material), None, [_word_attempt(material)])
    if isinstance(summary, SearchSummary):
        return Headline(
            kicker, _title(material), _search_score(summary), _word_search(summary), _facts(summary)
        )
    score = _score(summary.test_accuracy, summary.test_accuracy_interval)
    return Headline(kicker, _title(material), score, _word_training(material, summary), _facts(summary))


def _title(material: RunMaterial) -> str:
    data = material.run.manifest.data
    name = data.name if data is not None else _name(material.config, "data")
    model = _name(material.config, "model")
    what = f"Search around {model}" if material.run.manifest.mode == "tune" else model
    return f"{what} on {visible(one_line(name), _LONGEST_NAME)}"


def _name(config: dict[str, Any], group: str) -> str:
    """Returns the name of a part of the configuration."""
    node = config.get(group)
    name = node.get("name") if isinstance(node, dict) else None
    return visible(one_line(name), _LONGEST_NAME) if isinstance(name, str) else f"unknown {group}"


def _score(value: float, interval: tuple[float, float]) -> Score:
    """Puts an accuracy on a line that shows its interval: with three of its widths to either side."""
    low, high = interval
    start = max(0.0, low - 3 * (high - low))
    end = min(1.0, high + 3 * (high - low))
    reach = (end - start) or 1.0
    bar = (
        round(100 * (low - start) / reach, 2),
        round(100 * (value - start) / reach, 2),
        round(100 * (high - start) / reach, 2),
    )
    ends = (percent(start, 1), percent(end, 1))
    return Score(percent(value), "test accuracy", accuracy_interval_text(interval), bar, ends)


def _search_score(summary: SearchSummary) -> Score:
    scores = summary.winner_test_accuracies
    interval = mean_interval(scores)
    if interval is None:
        value = scores[0] if scores else summary.test_accuracy
        return _score(value, summary.test_accuracy_interval)
    return _score(fmean(scores), (max(interval[0], 0.0), min(interval[1], 1.0)))


def _word_attempt(material: RunMaterial) -> str:
    """Words what a run without a result set out to do, and how far it came."""
    manifest = material.run.manifest
    if manifest.mode == "tune":
        done = f"Trials on record: {len(material.trials):,}."
    else:
        done = f"Epochs on record: {len(material.rows):,}."
    seed = count_text(manifest.seed, "")
    return f"Model {_name(material.config, 'model')} with seed {seed} has no result. {done}"


def _word_training(material: RunMaterial, summary: Summary) -> list[str]:
    """Words what was run, what came of it, and how sure that is."""
    data = material.run.data
    num_right = round(summary.test_accuracy * data.num_test)
    low, high = (percent(bound) for bound in summary.test_accuracy_interval)
    unseen = "" if summary.selected_on_test else " that it had never seen"
    return [
        f"The network {_name(material.config, 'model')} ({plural(summary.num_params, 'parameter')}) was "
        f"trained for {plural(summary.epochs, 'epoch')} on {data.num_train:,} images of "
        f"{visible(one_line(data.name), _LONGEST_NAME)} with seed "
        f"{count_text(material.run.manifest.seed, '')}. It is right on {num_right:,} of "
        f"{plural(data.num_test, 'test image')}{unseen}.",
        f"How sure is that? On other images of this kind this network's accuracy most likely lies between "
        f"{low} and {high} (95%, Wilson). Another seed would train another network, with another accuracy; "
        "only runs with several seeds say how much that matters.",
    ]


def _word_search(summary: SearchSummary) -> list[str]:
    """Words what a search found, and how sure that is."""
    scores = summary.winner_test_accuracies
    values = next((row.values for row in summary.candidates if row.candidate == summary.winner), {})
    winner = candidate_name(summary.winner)
    what = f" ({values_text(values)})" if values else ""
    spread = f" ± {100 * stdev(scores):.2f} (mean ± sd)" if len(scores) > 1 else ""
    found = [
        f"Of {plural(summary.num_trials, 'trial')}, chosen on validation images alone, {winner} won{what}. "
        f"Trained anew on {plural(max(len(scores), 1), 'fresh seed')}, it is "
        f"{percent(fmean(scores or [summary.test_accuracy]))}{spread} accurate on the test images.",
    ]
    return [*found, one_line(summary.verdict)] if summary.verdict else found


def _facts(summary: Summary) -> list[Fact]:
    """Lists the numbers of second interest."""
    best = f"{summary.best_epoch} of {summary.epochs:,}"
    validation = "none" if summary.val_accuracy is None else percent(summary.val_accuracy)
    return [
        Fact("validation accuracy", validation),
        Fact("best epoch", best),
        Fact("test loss", loss_text(summary.test_loss)),
        Fact("parameters", f"{summary.num_params:,}"),
        Fact("training", duration(summary.train_s)),
        Fact("an epoch", duration(summary.seconds_per_epoch)),
        Fact("predicting an image", f"{summary.ms_per_image:.3g} ms"),
        Fact("memory at peak", _size_text(summary.peak_memory_bytes)),
    ]


def _size_text(num_bytes: int) -> str:
    return size(num_bytes) if abs(num_bytes) < 10**15 else "beyond all measure"


def banners(material: RunMaterial) -> list[Banner]:
    """Lists what a reader must not miss, the worst first."""
    found = [*_status_banner(material.run.manifest, material.status)]
    summary, data = material.summary, material.run.manifest.data
    if summary is not None and summary.selected_on_test:
        words = (
            "The test images themselves had a part in choosing its epoch: on other images "
            "expect less than this."
        )
        found.append(Banner("careful", "Optimistic", words))
    notice = data.notice if data is not None else None
    if summary is not None:
        notice = summary.data_notice
    if notice:
        found.append(Banner("careful", "About the data", visible(notice, _LONGEST_REASON)))
    if not_drawn := material.run.manifest.not_drawn:
        words = "; ".join(visible(one_line(sentence), _LONGEST_REASON) for sentence in not_drawn[:10])
        found.append(Banner("careful", "Pictures are missing", words))
    if material.problems:
        words = "; ".join(visible(one_line(problem), 300) for problem in material.problems[:10])
        found.append(Banner("careful", "Not everything could be read", words))
    return found


def _status_banner(manifest: Manifest, status: str) -> list[Banner]:
    if status == "completed":
        return []
    error = manifest.error
    reason = (error.message or error.type) if error is not None else ""
    hint = error.hint if error is not None else ""
    return [
        Banner(
            "bad" if status in ("failed", "lost") else "careful",
            _STATUS_WORDS.get(status, status),
            visible(reason, _LONGEST_REASON),
            visible(hint, _LONGEST_REASON),
        )
    ]
