"""Writes a network in formats, each with its script, and has each proved."""

import hashlib
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from mnist_exp.config.schema import Config
from mnist_exp.data.dataset import LabelledImages, TrainingData
from mnist_exp.errors import ConfigError, ExperimentError, words_of
from mnist_exp.evaluation.distortions import choose_images
from mnist_exp.exports.formats import EXAMPLE, INPUT, OUTPUT, Card, Exported, Format, Subject
from mnist_exp.exports.proof import HOW, prove
from mnist_exp.runs import files, provenance
from mnist_exp.runs.run import Run
from mnist_exp.training.loading import load_network
from mnist_exp.training.networks import predict_probabilities
from mnist_exp.training.preprocessing import Preprocessing, is_front, layers_behind, prepare_images
from mnist_exp.words import shortened

_CALIBRATION_IMAGES = 500
_POLICY = "float32"


def export(
    run: Run,
    config: Config,
    formats: Sequence[Format],
    images: tuple[TrainingData, LabelledImages],
    folder: Path,
    say: Callable[[str], None],
) -> Card:
    """Writes a run's network in formats into a folder, and proves them, one after another.

    Args:
        images: That the run was trained on, and its test images.
        say: Called with a sentence on each format.

    Raises:
        ConfigError: The network does not compute in float32 alone, or a format cannot express it.
        RunError: A format is not equal, or a file could not be written.
    """
    seen, test = images
    subject = _load_subject(run, list(config.data.class_names), seen)
    files.write_with(folder / EXAMPLE, lambda draft: np.save(draft, subject.example))
    reference = predict_probabilities(subject.network, test.images)
    exported = []
    for row in formats:
        exported.append(_export_one(row, subject, folder, test, reference))
        say(f"{row.title}: {row.file} written{' and measured' if row.template else ''}")
    return Card(
        run=str(run.path),
        run_id=run.manifest.run_id,
        model=config.model.name,
        exported_at=provenance.utc_now(),
        num_params=subject.network.count_params(),
        preprocessing=subject.preprocessing,
        data=run.data,
        class_names=subject.class_names,
        input_shape=list(subject.network.input_shape),
        output_shape=list(subject.network.output_shape),
        dtype=_POLICY,
        calibration=subject.calibrated_on,
        proved=HOW,
        formats=exported,
        versions=provenance.versions(),
    )


def _load_subject(run: Run, names: list[str], seen: TrainingData) -> Subject:
    network = load_network(run)
    _refuse_other_policies(network, run)
    # The network's own: a search's winner may have another one than its configuration says.
    front = [layer for layer in network.layers if is_front(layer)]
    preprocessing: Preprocessing = front[0].name if front else "none"
    behind = network
    if front:
        behind = keras.Sequential([keras.Input(network.input_shape[1:]), *layers_behind(network)])
    # Never the test images, which `data.validation=test` makes those to validate on.
    split, kept = "validation", seen.validation
    if kept is None or seen.selected_on_test:
        split, kept = "training", seen.training
    chosen = choose_images(kept, _CALIBRATION_IMAGES).images
    return Subject(
        run=run,
        network=network,
        behind=behind,
        preprocessing=preprocessing,
        class_names=names,
        calibration=prepare_images(preprocessing, chosen),
        calibrated_on=f"{len(chosen)} {split} images",
        example=chosen[0],
    )


def _refuse_other_policies(network: keras.Model, run: Run) -> None:
    # The model in front casts to float64 by itself.
    policies = {layer.dtype_policy.name for layer in layers_behind(network)}
    if policies != {_POLICY}:
        words = f"its network computes in {', '.join(sorted(policies))}"
        raise ConfigError(f"run: {run.path}: {words}; only {_POLICY} can be exported.")


def _export_one(
    row: Format, subject: Subject, folder: Path, test: LabelledImages, reference: NDArray[np.float32]
) -> Exported:
    """Writes a format and its script, and has it proved against probabilities (N, C)."""
    path = folder / row.file
    try:
        details = import_module(f"mnist_exp.exports.{row.name}").write(subject, path)
    except ExperimentError:
        raise
    except Exception as error:  # what a converter raises at what it lacks is not known beforehand
        message = f"export.format: {row.name} cannot express this network: {shortened(words_of(error), 200)}"
        raise ConfigError(message) from error
    script = _write_script(row, subject, folder) if row.template else None
    written = [each for each in (path, *sorted(path.rglob("*"))) if each.is_file()]
    return Exported(
        format=row.name,
        file=row.file,
        script=script.name if script else None,
        bytes=sum(each.stat().st_size for each in written),
        sha256={
            str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest() for each in written
        },
        has_front=row.has_front,
        input=details.pop("input", INPUT),
        output=details.pop("output", OUTPUT),
        details=details,
        proof=prove(row, script, path, test, reference) if script else None,
    )


def _write_script(row: Format, subject: Subject, folder: Path) -> Path:
    """Writes the script that loads a format, with the preprocessing in it where the file lacks it."""
    environment = Environment(
        loader=PackageLoader("mnist_exp.exports"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    path = folder / f"use_{row.name}.py"
    deskews = subject.preprocessing == "deskew" and not row.has_front
    template = environment.get_template(f"{row.template}.py.jinja")
    text = template.render(file=row.file, script=path.name, runtime=row.runtime, deskews=deskews)
    files.write_bytes(path, text.encode())
    return path
