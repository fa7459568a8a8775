"""What a network saw in pictures and what it took them for, as a rich renderable.

Nothing here prints; `mnist_exp.report.terminal.Terminal` does.
"""

from collections.abc import Sequence

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from mnist_exp.evaluation.pictures import Picture, Unread
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.report.console import columns, plural, render_facts
from mnist_exp.report.digits import DigitStrip
from mnist_exp.report.prediction_table import Choice, file_name
from mnist_exp.trial_words import one_line
from mnist_exp.words import confidence

_TILE, _GAP = 14, 3
_MOST_DRAWN = 12
_MOST_LISTED, _MOST_UNREAD = 30, 10


class _Row(DigitStrip):
    """Images side by side with their files' names and the likeliest classes of each."""

    def __init__(self, pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> None:
        count = len(pictures)
        super().__init__(
            np.stack([picture.image for picture in pictures]),
            np.zeros(count, np.uint8),
            np.ones((count, 1), np.float32),
            [""],
        )
        self._captions = [_caption(*each) for each in zip(pictures, choices, strict=True)]


class PredictedStrips:
    """What a network saw, as many side by side as fit, in as many rows as that takes.

    Args:
        pictures: One or more.
        choices: The likeliest classes of each.
    """

    def __init__(self, pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> None:
        self._pictures, self._choices = pictures, choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields rows, a blank line between two of them."""
        count = max(1, (options.max_width + _GAP) // (_TILE + _GAP))
        for start in range(0, len(self._pictures), count):
            if start:
                yield Text()
            part = slice(start, start + count)
            yield _Row(self._pictures[part], self._choices[part])


def render_predictions(
    pictures: Sequence[Picture],
    choices: Sequence[Sequence[Choice]],
    unread: Sequence[Unread],
    runs: Sequence[str],
    path: str,
    notes: Sequence[str] = (),
) -> RenderableType:
    """Shows what the network saw and what it took it for.

    Args:
        pictures: Those that could be read.
        choices: The likeliest classes of each, the likeliest first.
        unread: Those that could not.
        runs: Whose network answered; of several, the mean of theirs.
        path: Where everything was written to, as the user would type it.
        notes: Lines on what pictures were made into, and on files passed over.
    """
    parts: list[RenderableType] = []
    if pictures:
        parts.append(PredictedStrips(pictures[:_MOST_DRAWN], choices[:_MOST_DRAWN]))
    if len(pictures) > _MOST_DRAWN:
        parts.append(_render_list(pictures, choices))
    if several := [picture for picture in pictures if shows_several(picture.image)]:
        parts += [Text(), _word_several(several)]
    if surrounded := [picture for picture in pictures if picture.has_surroundings]:
        parts += [Text(), _word_surrounded(surrounded)]
    if unread:
        parts += [Text(), Text(f"{plural(len(unread), 'image')} skipped", style="bold yellow")]
        parts.append(render_facts(*_skipped(unread)))
    counts = f"{plural(len(pictures), 'image')} predicted"
    word = "run" if len(runs) == 1 else "the mean of"
    asked = Text("\n".join(map(one_line, runs)), style="cyan")
    facts = render_facts(("images", counts), (word, asked), ("written", Text(path, style="cyan")))
    return Group(*parts, Text(), *(Text(one_line(note)) for note in notes), facts)


def _word_several(several: Sequence[Picture]) -> Text:
    """Warns of pictures that a single answer cannot be right about."""
    verb = (
        "seems to show several things, and is"
        if len(several) == 1
        else "seem to show several things, and are"
    )
    return _named(f"{plural(len(several), 'image')} {verb} read as one: ", several, "shows_several")


def _word_surrounded(surrounded: Sequence[Picture]) -> Text:
    """Names the pictures whose digit had to be told from something else."""
    verb = "shows" if len(surrounded) == 1 else "show"
    words = f"{plural(len(surrounded), 'image')} {verb} a shadow or something else, which was left out: "
    return _named(words, surrounded, "shows_something_else")


def _named(words: str, pictures: Sequence[Picture], column: str) -> Text:
    """Says something of pictures, the first of them by name."""
    names = ", ".join(one_line(file_name(each.path)) for each in pictures[:_MOST_UNREAD])
    hidden = len(pictures) - _MOST_UNREAD
    more = f" and {hidden:,} more ({column} in predictions.csv)" if hidden > 0 else ""
    return Text.assemble((words, "bold yellow"), (f"{names}{more}", "cyan"))


def _caption(picture: Picture, choices: Sequence[Choice]) -> tuple[str, ...]:
    """Words the lines beneath an image."""
    return (_fit(one_line(file_name(picture.path).rpartition("/")[2]), _TILE), *map(_word, choices))


def _word(choice: Choice) -> str:
    """Words a class, its name cut so that its probability fits."""
    share = confidence(choice.probability)
    room = _TILE - len(share) - 1
    return f"{_fit(one_line(choice.name), room):<{min(room, 4)}} {share:>6}"[:_TILE]


def _fit(text: str, room: int) -> str:
    """Cuts a text in its middle, so that a file's number stays."""
    if len(text) <= room:
        return text
    end = (room - 1) // 2
    return f"{text[: room - 1 - end]}…{text[len(text) - end :]}"


def _render_list(pictures: Sequence[Picture], choices: Sequence[Sequence[Choice]]) -> RenderableType:
    """Lists the pictures that were not drawn, one a line."""
    table = columns("file", "prediction", "second", "third")
    rows = list(zip(pictures, choices, strict=True))[_MOST_DRAWN : _MOST_DRAWN + _MOST_LISTED]
    for picture, found in rows:
        cells = [f"{one_line(choice.name)} {confidence(choice.probability)}" for choice in found]
        name = _fit(one_line(file_name(picture.path)), 50)
        table.add_row(*map(Text, [name, *cells, "", ""][:4]))
    hidden = len(pictures) - _MOST_DRAWN - len(rows)
    more = [Text(f"{hidden:,} more in predictions.csv", style="bright_black")] if hidden > 0 else []
    return Group(table, *more)


def _skipped(unread: Sequence[Unread]) -> list[tuple[str, Text]]:
    """Names the files that were skipped, and why."""
    rows = [
        ("", Text.assemble((one_line(file_name(each.path)), "cyan"), f": {one_line(each.reason)}"))
        for each in unread[:_MOST_UNREAD]
    ]
    hidden = len(unread) - _MOST_UNREAD
    return rows + ([("", Text(f"and {hidden:,} more in predictions.csv"))] if hidden > 0 else [])
