"""`mode=predict`: the user's own pictures or images; of several runs, their mean probabilities decide."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.requests import PredictOptions
from mnist_exp.config.schema import Text
from mnist_exp.errors import ConfigError, RunError
from mnist_exp.evaluation.work import quietly
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.archives import FormatError
from mnist_exp.runs.folder import PLOTS
from mnist_exp.runs.members import Member, check_classes, read_members
from mnist_exp.runs.records import Background
from mnist_exp.runs.run import Run
from mnist_exp.runs.writer import claim_folder
from mnist_exp.words import name_some

_ACCEPTED = "run, images, runs_dir, predict.columns, predict.first_id, predict.probabilities"
_TABLE = "predictions.csv"
_MOST_DRAWN = 48
_MOST_NAMED = 5


class PredictRequest(Struct, frozen=True, kw_only=True):
    """What `mode=predict` reads; null stands for what was not given.

    Attributes:
        run: `latest`, `best` (by validation accuracy), a directory; a glob or a list: an ensemble of several.
        images: PNG or JPEG files, folders or globs.
    """

    run: str | list[Text] | None
    runs_dir: Text
    images: str | list[Text] | None
    predict: PredictOptions = PredictOptions()


def accept(tree: dict[str, Any], typed: Sequence[str]) -> PredictRequest:
    """Checks a request; raises ConfigError for a key that is not accepted, of no use here, or missing."""
    refuse_unused(typed, "predict", "uses a finished run's own network and classes", _ACCEPTED)
    request = read_request(tree, PredictRequest)
    for key, value in (("run", request.run), ("images", request.images)):
        if not value:
            raise none_given(key, request.runs_dir, "mode=predict", "run=latest", "images=7.png")
    return request


def run(request: PredictRequest, terminal: Terminal, given: Path | None) -> None:
    """Predicts, and writes everything down in the folder `given`; None makes one.

    Raises:
        ConfigError: There is no such run, there are no such files, or no folder can be made.
        RunError: An image could not be read; all others were predicted. Or a file could not be written.
    """
    patterns = [request.images] if isinstance(request.images, str) else request.images or []
    members = read_members(request.run or [], Path(request.runs_dir))
    check_classes(members)
    if (file := _find_file(patterns)) is not None:
        _predict_file(file, request, members, terminal, given)
    else:
        _predict_pictures(patterns, request, members, terminal, given)


def _claim(request: PredictRequest, members: Sequence[Member], given: Path | None) -> Path:
    name = members[0][1].model.name if len(members) == 1 else "ensemble"
    return claim_folder(Path(request.runs_dir), f"predict_{name}", given)


def _load_network(members: Sequence[Member]) -> Any:
    """Imports TensorFlow, and loads one network or several as one."""
    from mnist_exp.evaluation.evaluating import load_ensemble
    from mnist_exp.training import loading

    run, config = members[0]
    loading.start_as(run, config)
    return load_ensemble(members, None, config.data.class_names, config.data.name).average


def _find_file(patterns: Sequence[str]) -> Path | None:
    """Returns the file of images that is meant; None where pictures are."""
    from mnist_exp.data.image_files import is_called_image_file

    named = [pattern for pattern in patterns if is_called_image_file(pattern)]
    if not named:
        return None
    path = Path(named[0]).expanduser()
    if len(patterns) > 1:
        raise ConfigError(f"images: {path} holds many images and is predicted alone.", "Name one such file.")
    if not path.is_file():
        problem = "is no plain file" if path.exists() else "does not exist"
        raise ConfigError(f"images: {path} {problem}.", "Accepted: a CSV, .npz, .npy or IDX file.")
    return path


def _predict_file(
    path: Path, request: PredictRequest, members: Sequence[Member], terminal: Terminal, given: Path | None
) -> None:
    """Predicts images that are framed as the network's own; shows and writes."""
    runs, names = [run for run, _ in members], members[0][1].data.class_names
    images, labels, notes = _read_images(path, runs, names)
    with quietly():
        from mnist_exp.report.console import render_parts
        from mnist_exp.report.predictions import Predicted, file_parts, submission
        from mnist_exp.training import networks

        network = _load_network(members)
        if images.shape[1:] != network.input_shape[1:]:
            shapes = images.shape[1:], network.input_shape[1:]
            found, own = (" × ".join(map(str, shape)) for shape in shapes)
            raise ConfigError(f"images: {path} has images of {found} pixels; the run's network takes {own}.")
        probabilities = networks.predict_probabilities(network, images)
    first = request.predict.first_id
    predicted = Predicted(range(first, first + len(images)), images, probabilities, names, labels)
    output_dir = _claim(request, members, given)
    files.write_bytes(output_dir / _TABLE, submission(predicted, request.predict).encode())
    parts = file_parts(predicted, str(path), [str(each.path) for each in runs], str(output_dir), notes)
    terminal.print(render_parts(parts))


def _read_images(
    path: Path, runs: Sequence[Run], class_names: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, list[str]]:
    """Reads a file's images as the runs' own are, their labels where each is a class, and notes on both."""
    from mnist_exp.data.backgrounds import as_the_runs
    from mnist_exp.data.fingerprints import TrainedOn
    from mnist_exp.data.image_files import as_classes, read_image_file
    from mnist_exp.report.predictions import LOOKED

    try:
        file = read_image_file(path)
    except FormatError as error:
        raise ConfigError(f"images: {path}: {error}.") from error
    images, note = as_the_runs(file.images, runs)
    notes = file.notes + ([] if note is None else [note])
    labels = as_classes(file.labels, class_names)
    if labels is not None and (known := TrainedOn(file.images).count_any(runs)):
        notes.append(f"{known:,} of these images were trained on: on others expect less")
    if file.sha256 in [run.data.test_sha256 for run in runs]:
        notes.append(LOOKED)
    return images, labels, notes


def _predict_pictures(
    patterns: Sequence[str],
    request: PredictRequest,
    members: Sequence[Member],
    terminal: Terminal,
    given: Path | None,
) -> None:
    # Imported here: pictures need Pillow and scipy, which a refused request need not wait for.
    from mnist_exp.evaluation.pictures import find_images, find_passed_over
    from mnist_exp.report.predictions import file_name

    if request.predict.first_id:
        raise ConfigError("predict.first_id: pictures go by the names of their files.", "Leave it out.")
    paths = find_images(patterns)
    unread = _predict(paths, _passed_over(find_passed_over(patterns)), request, members, terminal, given)
    if unread:
        names = name_some([file_name(each) for each in unread], _MOST_NAMED)
        raise RunError(f"images: {len(unread):,} of {len(paths):,} could not be read: {names}.")


def _predict(
    paths: Sequence[Path],
    notes: Sequence[str],
    request: PredictRequest,
    members: Sequence[Member],
    terminal: Terminal,
    given: Path | None,
) -> list[Path]:
    """Predicts, shows and writes; returns the files that were skipped."""
    from mnist_exp.data.backgrounds import choose_background

    background, note = choose_background([run for run, _ in members])
    with quietly():
        from mnist_exp.evaluation.framing import frame_for
        from mnist_exp.evaluation.pictures import read_pictures
        from mnist_exp.report.console import render_parts
        from mnist_exp.report.figures.fonts import describe_numbered, drawable_names
        from mnist_exp.report.predictions import (
            Predicted,
            file_name,
            prediction_parts,
            prediction_table,
            submission,
            top_choices,
        )
        from mnist_exp.training import loading

        config, options = members[0][1], request.predict
        names, network = config.data.class_names, _load_network(members)
        shape = network.input_shape[1:]
        if shape[0] != shape[1]:
            raise ConfigError(
                f"run: its network takes images of {shape[0]} × {shape[1]} pixels; square ones are needed."
            )
        read, unread = read_pictures(paths, shape[0], frame_for(config.data.name), _MOST_DRAWN)
        shown = [255 - each.image if background == "light" else each.image for each in read]
        probabilities = loading.predict(network, shown)
        choices = [top_choices(row, names) for row in probabilities]
        output_dir = _claim(request, members, given)
        table = prediction_table(read, choices, unread)
        if options.columns is not None or options.probabilities:
            ids = [file_name(each.path) for each in read]
            predicted = Predicted(ids, np.array(shown), probabilities, names, None)
            table = submission(predicted, options, [file_name(each.path) for each in unread])
        files.write_bytes(output_dir / _TABLE, table.encode())
        drawable = drawable_names(names)
        drawn = [top_choices(row, drawable) for row in probabilities]
        not_drawn = _draw(read, drawn, output_dir / PLOTS, background)
    for sentence in not_drawn:
        terminal.print(sentence)
    paths_of_runs = [str(member.path) for member, _ in members]
    sentences = list(filter(None, [note, *notes, describe_numbered(names)]))
    parts = prediction_parts(read, choices, unread, paths_of_runs, str(output_dir), sentences)
    terminal.print(render_parts(parts))
    return [each.path for each in unread]


def _passed_over(paths: Sequence[Path]) -> list[str]:
    from mnist_exp.report.predictions import file_name

    if not paths:
        return []
    names = name_some([file_name(path) for path in paths], _MOST_NAMED)
    verb = "file was" if len(paths) == 1 else "files were"
    return [f"{len(paths):,} other {verb} skipped: {names}"]


def _draw(read: Sequence[Any], choices: Sequence[Any], plots_dir: Path, background: Background) -> list[str]:
    """Draws the first pictures, so many a figure; says which figures could not be drawn."""
    from mnist_exp.report.figures.images import PICTURES_A_FIGURE, plot_predictions
    from mnist_exp.report.figures.style import Plot, draw_plots

    plots_dir.mkdir()
    shown = min(len(read), _MOST_DRAWN)
    plots: dict[str, Plot] = {}
    for number, start in enumerate(range(0, shown, PICTURES_A_FIGURE), 1):
        part = slice(start, min(start + PICTURES_A_FIGURE, shown))
        remark = "dark on light, like the run's images" if background == "light" else ""
        if len(read) > PICTURES_A_FIGURE:
            pictures = f"{part.start + 1:,} to {part.stop:,} of {len(read):,}"
            remark = f"{pictures}; {remark}" if remark else pictures
        name = "predictions" if number == 1 else f"predictions_{number}"
        plots[name] = partial(plot_predictions, read[part], choices[part], remark)
    return draw_plots(plots, plots_dir)
