"""What cross-validations say of labels: their probabilities, and a page of those that look wrong."""

import re
from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_exp.comparison.grouping import ComparableSet, SeedGroup, describe_data
from mnist_exp.comparison.label_errors import SuspectLabel, count_errors, out_of_fold, rank_labels
from mnist_exp.data.fingerprints import load_whole_images
from mnist_exp.report.document import (
    Cell,
    Column,
    Digit,
    Digits,
    Document,
    Folded,
    Heading,
    Row,
    Table,
    Words,
)
from mnist_exp.report.html import render_page
from mnist_exp.report.tables import to_csv
from mnist_exp.runs import files
from mnist_exp.runs.folder import LABEL_ERRORS, LABEL_ERRORS_PAGE, OUT_OF_FOLD
from mnist_exp.runs.run import DamagedRun, Predictions, class_names
from mnist_exp.words import confidence, visible

_MOST_DIGITS, _MOST_ROWS = 150, 500
_LONGEST_NAME = 40
_COLUMNS = ("index", "given", "suggested", "probability_of_suggested", "self_confidence")
_WORDS, _NUMBERS = ("label", "taken for"), ("probability", "of the label")
_METHOD = (
    "Labels are ranked by the probability that networks give them, the lowest first. How many are wrong is "
    "estimated by confident learning (Northcutt, Jiang and Chuang 2021): an image counts as one of a class "
    "whose probability reaches the mean of the images labelled so; an error is one of another class."
)


def write_label_errors(sets: Sequence[ComparableSet], output_dir: Path) -> list[str]:
    """Writes three files for each complete cross-validation, several in folders of their own.

    Returns:
        How many labels look wrong, and where they are, in a sentence each.

    Raises:
        RunError: A file could not be written.
    """
    groups = [group for found in sets for group in found.groups if group.folds]
    groups.sort(key=attrgetter("label"))  # not by rank, so that a resumed sweep finds its folders again
    sentences = []
    for number, group in enumerate(groups, 1):
        own = f"{number}_{re.sub(r'[^A-Za-z0-9_.-]+', '_', group.label)[:_LONGEST_NAME]}"
        folder = output_dir if len(groups) == 1 else output_dir / own
        try:
            found = out_of_fold(group)
        except DamagedRun:
            continue
        if found is not None:
            sentences.append(_write(group, found, folder))
    return sentences


def _write(group: SeedGroup, found: Predictions, folder: Path) -> str:
    files.make_folder(folder)
    indices = np.arange(len(found.labels))
    write = partial(np.savez, probabilities=found.probabilities, labels=found.labels, indices=indices)
    files.write_with(folder / OUT_OF_FOLD, write)
    names = class_names(group.runs[0].config, found.num_classes)
    suspects = rank_labels(found.probabilities, found.labels)
    rows = [[each.place, names[each.given], names[each.suggested], *each[3:]] for each in suspects]
    files.write_bytes(folder / LABEL_ERRORS, to_csv(_COLUMNS, rows).encode())
    page = _document(group, found, suspects, [visible(name, _LONGEST_NAME) for name in names])
    files.write_bytes(folder / LABEL_ERRORS_PAGE, render_page(page).encode())
    return f"{page.heading.removesuffix('.')}, according to {group.label}: {folder / LABEL_ERRORS_PAGE}"


def _document(
    group: SeedGroup, found: Predictions, suspects: Sequence[SuspectLabel], names: Sequence[str]
) -> Document:
    """Shows suspicious labels, their images where these are at hand."""
    num_wrong = min(count_errors(found.probabilities, found.labels), len(suspects))
    document = Document(
        title="Labels that look wrong",
        kicker=describe_data(group.runs[0].data),
        heading=f"About {num_wrong:,} of {len(found.labels):,} labels look wrong.",
        is_sentence=True,
    )
    lead = (
        f"{len(suspects):,} labels are not what the networks of {group.label} say of images that they were "
        "not trained on. The most suspicious come first; farther down, it is rather the networks that err."
    )
    document.parts += [Words(lead, "lead"), Heading("The most suspicious")]
    images = load_whole_images(group.runs[0])
    if images is None:
        document.parts.append(Words("Not shown: the images are not available.", "quiet"))
    else:
        hint = "Below each: its label, then (→) what it is taken for. A click enlarges."
        digits = [_digit(images[each.place], each, names) for each in suspects[:_MOST_DIGITS]]
        document.parts += [Words(hint, "quiet"), Digits(digits)]
    columns = [Column("image"), *(Column(name, "words") for name in _WORDS), *map(Column, _NUMBERS)]
    rows = [_row(each, names) for each in suspects[:_MOST_ROWS]]
    document.parts.append(Table("Labels", columns, rows, len(suspects), LABEL_ERRORS, style="tall"))
    document.parts.append(Folded("How they were found", [Words(_METHOD)]))
    return document


def _digit(image: NDArray[np.uint8], each: SuspectLabel, names: Sequence[str]) -> Digit:
    given = f"{names[each.given]} {confidence(each.self_confidence)}"
    suggested = f"{names[each.suggested]} {confidence(each.probability)}"
    words = f"Training image {each.place:,}. Label: {given}. Predicted: {suggested}."
    return Digit(image, [f"label {names[each.given]}", f"→ {suggested}"], words)


def _row(each: SuspectLabel, names: Sequence[str]) -> Row:
    shares = [Cell(confidence(share), repr(share)) for share in (each.probability, each.self_confidence)]
    return Row([Cell(f"{each.place}"), Cell(names[each.given]), Cell(names[each.suggested]), *shares])
