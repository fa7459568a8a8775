"""Predictions of pictures, and of a file of images: a line an image as CSV, and as documents."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.config.requests import PredictOptions
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.report.digits import WIDTH
from mnist_exp.report.document import Column, Digit, Digits, Fact, Facts, Part, Score, Table, Words, row
from mnist_exp.report.tables import to_csv
from mnist_exp.statistics import accuracy, wilson_interval
from mnist_exp.words import confidence, one_line, percent, plural

if TYPE_CHECKING:
    from mnist_exp.evaluation.pictures import Picture, Unread

_NUM_CHOICES = 3
_HEADINGS = (
    "file", "prediction", "probability", "second", "second_probability", "third", "third_probability",
    "dark_on_light", "shows_several", "shows_something_else", "error",
)  # fmt: skip
LOOKED = "this is one more look at the test images; do not use this number to choose anything"
_MOST_DRAWN = 12
_MOST_LISTED, _MOST_UNREAD = 30, 10
_LONGEST_NAME = 50
_MOST_OF_FILE, _MOST_CLASSES = 6, 26


class Choice(NamedTuple):
    """A class that a picture may show, and its probability as the network has it."""

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Predicted:
    """Images, uint8 (N, H, W), as the network saw them, and probabilities, float32 (N, C).

    Attributes:
        labels: The true classes, (N,), 0 to C - 1; null where they are not known.
    """

    ids: Sequence[int | str]
    images: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    class_names: Sequence[str]
    labels: NDArray[np.uint8] | None


def submission(found: Predicted, options: PredictOptions, unread: Sequence[str] = ()) -> str:
    """Writes a line an image as CSV: its id, its predicted class, and what else is known or asked for.

    Those that could not be read stand at the end, by their ids alone.
    """
    names, choices = found.class_names, found.probabilities.argmax(axis=1)
    columns = [list(found.ids), [names[choice] for choice in choices]]
    headings = list(options.columns or ("id", "prediction"))
    if options.columns is None:
        headings.append("probability")
        columns.append([str(share) for share in found.probabilities.max(axis=1)])
        if found.labels is not None:
            headings.append("label")
            columns.append([names[label] for label in found.labels])
    if options.probabilities:
        headings += names
        columns += [[str(share) for share in shares] for shares in found.probabilities.T]
    blanks = [None] * (len(headings) - 1)
    return to_csv(headings, [*zip(*columns, strict=True), *([each, *blanks] for each in unread)])


def file_parts(
    found: Predicted, file: str, runs: Sequence[str], path: str, notes: Sequence[str]
) -> list[Part]:
    """Tells what the network saw first, how often it predicted each class, and how often it was right."""
    parts: list[Part] = [Digits(_digits(found), is_one_row=True, on="both"), _class_table(found)]
    if found.labels is not None:
        right = accuracy(found.probabilities, found.labels)
        interval = wilson_interval(round(right * len(found.labels)), len(found.labels))
        parts.append(Score("accuracy", right, interval, on="both"))
    height, width = found.images.shape[1:]
    facts = [Fact("note", one_line(note)) for note in notes]
    facts.append(
        Fact("images", f"{plural(len(found.ids), 'image')} of {height} × {width} pixels predicted: {file}")
    )
    facts += [Fact("run" if len(runs) == 1 else "the mean of", one_line(run), "path") for run in runs]
    facts.append(Fact("written", path, "path"))
    return [*parts, Facts(facts, on="both")]


def _digits(found: Predicted) -> list[Digit]:
    digits = []
    for each, image, shares in zip(
        found.ids[:_MOST_OF_FILE], found.images, found.probabilities, strict=False
    ):
        lines = [_word_choice(choice) for choice in top_choices(shares, found.class_names)]
        digits.append(Digit(image, [f"{each}"[:WIDTH], *lines]))
    return digits


def _class_table(found: Predicted) -> Table:
    choices, sure = found.probabilities.argmax(axis=1), found.probabilities.max(axis=1)
    counts = np.bincount(choices, minlength=len(found.class_names))
    rows = []
    for label, count in enumerate(counts):
        mean = confidence(float(sure[choices == label].mean())) if count else "–"
        rows.append(row(found.class_names[label], f"{count:,}", percent(count / len(choices), 1), mean))
    columns = [Column("predicted class", "words"), *map(Column, ("images", "share", "mean probability"))]
    return Table("Predicted classes", columns, rows, source="predictions.csv", most=_MOST_CLASSES, on="both")


def prediction_parts(
    pictures: Sequence["Picture"],
    choices: Sequence[Sequence[Choice]],
    unread: Sequence["Unread"],
    runs: Sequence[str],
    path: str,
    notes: Sequence[str] = (),
) -> list[Part]:
    """Tells what the network saw and what it took it for; `choices` are of each picture, likeliest first.

    Of several runs, the mean of their probabilities counts. `notes` are lines on what pictures were made
    into, and on files passed over.
    """
    parts: list[Part] = []
    if pictures:
        parts.append(Digits(list(map(_digit, pictures[:_MOST_DRAWN], choices[:_MOST_DRAWN])), on="both"))
    if len(pictures) > _MOST_DRAWN:
        parts.append(_prediction_table(pictures[_MOST_DRAWN:], choices[_MOST_DRAWN:]))
    parts += _doubtful(pictures)
    if unread:
        skipped = [
            Fact("skipped", f"{one_line(file_name(each.path))}: {one_line(each.reason)}") for each in unread
        ]
        parts.append(Facts(skipped, most=_MOST_UNREAD, on="both"))
    facts = [Fact("note", one_line(note)) for note in notes]
    counts = f"{plural(len(pictures), 'image')} predicted"
    if unread:
        counts += f", {len(unread):,} skipped (predictions.csv says why)"
    facts.append(Fact("images", counts))
    facts += [Fact("run" if len(runs) == 1 else "the mean of", one_line(run), "path") for run in runs]
    facts.append(Fact("written", path, "path"))
    return [*parts, Facts(facts, on="both")]


def _doubtful(pictures: Sequence["Picture"]) -> list[Part]:
    """Names pictures that a single prediction cannot be right about, and those with more than a digit."""
    parts: list[Part] = []
    if several := [picture for picture in pictures if shows_several(picture.image)]:
        verbs = ("seems", "is") if len(several) == 1 else ("seem", "are")
        words = f"{verbs[0]} to show several objects, and {verbs[1]} read as one digit"
        parts.append(_name(words, several, "shows_several"))
    if surrounded := [picture for picture in pictures if picture.has_surroundings]:
        verb = "shows" if len(surrounded) == 1 else "show"
        words = f"{verb} a shadow or another object, which was ignored"
        parts.append(_name(words, surrounded, "shows_something_else"))
    return parts


def _name(words: str, pictures: Sequence["Picture"], column: str) -> Words:
    names = ", ".join(one_line(file_name(each.path)) for each in pictures[:_MOST_UNREAD])
    hidden = len(pictures) - _MOST_UNREAD
    more = f" and {hidden:,} more ({column} in predictions.csv)" if hidden > 0 else ""
    return Words(f"{plural(len(pictures), 'image')} {words}: {names}{more}", "careful", on="both")


def _digit(picture: "Picture", choices: Sequence[Choice]) -> Digit:
    name = _fit(one_line(file_name(picture.path).rpartition("/")[2]), WIDTH)
    return Digit(picture.image, [name, *map(_word_choice, choices)])


def _word_choice(choice: Choice) -> str:
    """Words a class below an image, its name cut so that its probability fits."""
    share = confidence(choice.probability)
    room = WIDTH - len(share) - 1
    return f"{_fit(one_line(choice.name), room):<{min(room, 4)}} {share:>6}"[:WIDTH]


def _fit(text: str, room: int) -> str:
    """Cuts a text in its middle, so that a file's number stays."""
    if len(text) <= room:
        return text
    end = (room - 1) // 2
    return f"{text[: room - 1 - end]}…{text[len(text) - end :]}"


def _prediction_table(pictures: Sequence["Picture"], choices: Sequence[Sequence[Choice]]) -> Table:
    """Lists the pictures that were not drawn, one a line."""
    rows = []
    for picture, found in zip(pictures, choices, strict=True):
        cells = [f"{one_line(choice.name)} {confidence(choice.probability)}" for choice in found]
        name = _fit(one_line(file_name(picture.path)), _LONGEST_NAME)
        rows.append(row(*[name, *cells, "", ""][:4]))
    columns = [Column(text, "words") for text in ("file", "prediction", "second", "third")]
    return Table("Predictions", columns, rows, source="predictions.csv", most=_MOST_LISTED, on="both")


def top_choices(probabilities: NDArray[np.float32], class_names: Sequence[str]) -> list[Choice]:
    """Lists the most probable classes of one picture, at most three, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")[:_NUM_CHOICES]
    return [Choice(class_names[label], float(probabilities[label])) for label in order]


def file_name(path: Path) -> str:
    """Says a file's name in letters that can be written anywhere."""
    return os.fsencode(path).decode("utf-8", "replace")


def prediction_table(
    pictures: Sequence["Picture"], choices: Sequence[Sequence[Choice]], unread: Sequence["Unread"]
) -> str:
    """Writes a line a picture as CSV: those that were read, then those that were not."""
    rows = [_predicted(*each) for each in zip(pictures, choices, strict=True)]
    blanks = [None] * (len(_HEADINGS) - 2)
    rows += [[file_name(each.path), *blanks, each.reason] for each in unread]
    return to_csv(_HEADINGS, rows)


def _predicted(picture: "Picture", choices: Sequence[Choice]) -> list[Any]:
    values: list[Any] = [part for choice in choices for part in choice]
    values += [None] * (2 * _NUM_CHOICES - len(values))
    flags = (picture.is_inverted, shows_several(picture.image), picture.has_surroundings)
    return [file_name(picture.path), *values, *map(bool, flags), None]
