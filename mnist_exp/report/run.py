"""A run as one document: how good it is, how sure that is, what was run, and how to run it again."""

from pathlib import Path

from mnist_exp.report import origin, tuning
from mnist_exp.report.document import (
    Cell,
    Column,
    Document,
    Figures,
    Folded,
    Heading,
    Notice,
    Part,
    Row,
    Table,
    Words,
)
from mnist_exp.report.html import notes_picture, png_picture, write_page
from mnist_exp.report.result import numbers, score, warnings
from mnist_exp.report.run_figures import run_figures, search_figures
from mnist_exp.report.run_material import RunMaterial, read_material
from mnist_exp.report.run_predictions import prediction_sections
from mnist_exp.runs.records import EpochMetrics, SearchSummary, Summary
from mnist_exp.words import (
    count_text,
    duration,
    loss_text,
    percent,
    plural,
    rate,
    time_text,
    visible,
)

_MOST_EPOCHS = 300
_MOST_SENTENCES = 10
_LONGEST_NAME = 60
_STATUS_WORDS = {
    "failed": "This run failed",
    "interrupted": "This run was interrupted",
    "running": "This run was still running when this page was written",
    "lost": "This run was lost: its process ended without a message",
}


def write_run_page(run_path: Path) -> None:
    """Writes a run's `report.html` from its own files, however it ended; TensorFlow is not loaded.

    Raises:
        DamagedRun: It has no readable manifest, so that there is nothing to say.
        RunError: The file could not be written.
    """
    write_page(run_path, run_document(read_material(run_path)))


def run_document(material: RunMaterial) -> Document:
    """Tells a run."""
    manifest, summary = material.run.manifest, material.summary
    kind = {"train": "training", "tune": "search"}.get(manifest.mode, visible(manifest.mode, _LONGEST_NAME))
    heading = _heading(material)
    title = heading if summary is None else f"{heading}: {percent(score(summary).value)}"
    kicker = f"{kind} · {material.status} · {time_text(manifest.started_at)}"
    document = Document(title, kicker, heading)
    parts = document.parts
    parts.append(notes_picture(material.notes))
    if material.status != "completed":
        parts.append(_status(material))
    if summary is None:
        parts += [*_unread(material), Words(_word_attempt(material), "lead")]
    else:
        parts += [score(summary), *warnings(summary), *_unread(material)]
        sentences = (
            tuning.sentences(summary) if isinstance(summary, SearchSummary) else _sentences(material, summary)
        )
        parts += [Words(sentence, "lead") for sentence in sentences]
        parts.append(numbers(summary))
    if manifest.mode == "tune":
        parts += tuning.search_parts(material, search_figures(material))
    parts += _curves(material)
    parts += prediction_sections(material)
    if weights := material.pictures.get("first_layer_weights"):
        picture = png_picture("Weights of the first layer, one tile per unit", weights)
        parts += [Heading("First layer"), Folded("Weights of the first layer", [picture])]
    parts += origin.again(material)
    parts += origin.provenance(material)
    return document


def _heading(material: RunMaterial) -> str:
    data = material.run.manifest.data
    name = visible(data.name, _LONGEST_NAME) if data is not None else _name(material, "data")
    model = _name(material, "model")
    what = f"Search around {model}" if material.run.manifest.mode == "tune" else model
    return f"{what} on {name}"


def _name(material: RunMaterial, group: str) -> str:
    node = material.config.get(group)
    name = node.get("name") if isinstance(node, dict) else None
    return visible(name, _LONGEST_NAME) if isinstance(name, str) else f"unknown {group}"


def _status(material: RunMaterial) -> Notice:
    error, status = material.run.manifest.error, material.status
    return Notice(
        _STATUS_WORDS.get(status, status),
        (error.message or error.type) if error is not None else "",
        "bad" if status in ("failed", "lost") else "careful",
        error.hint if error is not None else "",
    )


def _unread(material: RunMaterial) -> list[Part]:
    """Says what the data of an unfinished run is, and what could neither be drawn nor read."""
    manifest = material.run.manifest
    found: list[Part] = []
    if material.summary is None and manifest.data is not None and manifest.data.notice:
        found.append(Notice("About the data", manifest.data.notice))
    if manifest.not_drawn:
        found.append(Notice("Pictures are missing", "; ".join(manifest.not_drawn[:_MOST_SENTENCES])))
    if material.problems:
        found.append(Notice("Not everything could be read", "; ".join(material.problems[:_MOST_SENTENCES])))
    return found


def _word_attempt(material: RunMaterial) -> str:
    manifest = material.run.manifest
    done = f"Epochs recorded: {len(material.rows):,}."
    if manifest.mode == "tune":
        done = f"Trials recorded: {len(material.trials):,}."
    seed = count_text(manifest.seed, "")
    return f"Model {_name(material, 'model')} with seed {seed} has no result. {done}"


def _sentences(material: RunMaterial, summary: Summary) -> list[str]:
    data = material.run.data
    num_right = round(summary.test_accuracy * data.num_test)
    low, high = (percent(bound) for bound in summary.test_accuracy_interval)
    unseen = "" if summary.selected_on_test else " that it had never seen"
    return [
        f"The network {_name(material, 'model')} ({plural(summary.num_params, 'parameter')}) was "
        f"trained for {plural(summary.epochs, 'epoch')} on {data.num_train:,} images of "
        f"{visible(data.name, _LONGEST_NAME)} with seed {count_text(material.run.manifest.seed, '')}. It is "
        f"right on {num_right:,} of {plural(data.num_test, 'test image')}{unseen}.",
        f"How certain is that? On other images of this kind this network's accuracy most likely lies between "
        f"{low} and {high} (95%, Wilson). Another seed would train another network, with another accuracy; "
        "only runs with several seeds say how much that matters.",
    ]


def _curves(material: RunMaterial) -> list[Part]:
    if not material.rows:
        return []
    is_search = material.run.manifest.mode == "tune"
    return [
        Heading("The kept network’s learning curves" if is_search else "Learning curves"),
        Words(_word_curves(material), "quiet"),
        Figures(run_figures(material)),
        Folded("Every epoch as a table", [_epochs(material)]),
    ]


def _word_curves(material: RunMaterial) -> str:
    data, training = (material.config.get(name) for name in ("data", "training"))
    monitor = training.get("monitor") if isinstance(training, dict) else None
    is_finished = material.summary is not None
    if all(row.val_accuracy is None for row in material.rows):
        kept = " The ringed epoch’s weights were kept." if is_finished else ""
        return f"No images were held out for validation.{kept}"
    record = material.run.manifest.data
    count = f"{record.num_validation:,} " if record is not None and record.num_validation > 0 else ""
    what = f"The {count}validation images were not trained on"
    if isinstance(data, dict) and data.get("validation") == "test":
        what = "The validation images are the test images here"
    if not is_finished:
        return f"{what}."
    if isinstance(monitor, str) and not monitor.startswith("val_"):
        return f"{what}. The epoch that is best by {monitor} is ringed, and its weights were kept."
    return f"{what}; the epoch that is best on them is ringed, and its weights were kept."


def _epochs(material: RunMaterial) -> Table:
    headings = ("epoch", "loss", "accuracy", "val. loss", "val. accuracy", "rate", "seconds")
    rows = [_epoch_row(each, material.best_epoch) for each in material.rows[:_MOST_EPOCHS]]
    return Table("Epochs", [Column(text) for text in headings], rows, len(material.rows), "metrics.csv")


def _epoch_row(epoch: EpochMetrics, best_epoch: int | None) -> Row:
    is_best = epoch.epoch == best_epoch
    return Row([
        Cell(f"{epoch.epoch} (best)" if is_best else f"{epoch.epoch}"),
        Cell(loss_text(epoch.loss)),
        Cell(percent(epoch.accuracy)),
        Cell("–" if epoch.val_loss is None else loss_text(epoch.val_loss)),
        Cell("–" if epoch.val_accuracy is None else percent(epoch.val_accuracy)),
        Cell(rate(epoch.learning_rate)),
        Cell(duration(epoch.duration_s), repr(epoch.duration_s)),
    ])  # fmt: skip
