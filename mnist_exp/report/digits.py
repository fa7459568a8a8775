"""Images drawn with characters."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from mnist_exp.words import confidence

_SIDE = 14
_GAP = 3
_HALF_BLOCKS = " ▀▄█"
# Above this share of the brightest pixel black and white shows ink; thin strokes stay whole.
_INK = 0.3
_RAMP = " .:-=+*#%@"


class DigitStrip:
    """Images side by side with prediction, confidence and mark, as many as fit the width.

    Colour terminals get two shades a character (half blocks), others blocks in black and white,
    and output that cannot encode blocks a ramp of ASCII characters.

    Args:
        images: uint8 (N, height, width), 0 background.
        labels: True classes (N,).
        probabilities: Class probabilities (N, C).
        class_names: The C names.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.integer],
        probabilities: NDArray[np.floating],
        class_names: Sequence[str],
    ) -> None:
        self._tiles = _shrink(images)
        self._captions = [
            _caption(class_names[label], class_names[row.argmax()], float(row.max()))
            for label, row in zip(labels, probabilities, strict=True)
        ]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Says how narrow and how wide the strip can be."""
        return Measurement(_SIDE, max(1, len(self._tiles)) * (_SIDE + _GAP) - _GAP)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the picture's lines, then the captions'."""
        count = max(1, (options.max_width + _GAP) // (_SIDE + _GAP))
        tiles, captions = self._tiles[:count], self._captions[:count]
        colour = console.color_system in ("256", "truecolor") and not console.no_color
        for pair in range(0, _SIDE, 2):
            for index, tile in enumerate(tiles):
                if index:
                    yield Segment(" " * _GAP)
                yield from _draw(tile[pair], tile[pair + 1], colour, options.ascii_only)
            yield Segment.line()
        for line in range(max((len(caption) for caption in captions), default=0)):
            cells = [caption[line] if line < len(caption) else "" for caption in captions]
            yield Segment((" " * _GAP).join(f"{cell:<{_SIDE}}" for cell in cells).rstrip())
            yield Segment.line()


def _caption(true: str, predicted: str, probability: float) -> tuple[str, ...]:
    """Words the lines beneath an image; a wrong one has a line more, with the truth."""
    if predicted == true:
        return _fit(f"✓ {predicted}"), confidence(probability)
    return _fit(f"✗ {predicted}"), confidence(probability), _fit(f"is {true}")


def _fit(text: str) -> str:
    """Cuts text to an image's width."""
    return text if len(text) <= _SIDE else f"{text[: _SIDE - 1]}…"


def _shrink(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns images as (N, 14, 14) in [0, 1], averaged, without the margin if all have an empty one."""
    height, width = images.shape[1:3]
    rows, columns = height // 7, width // 7
    inner = images[:, rows : height - rows, columns : width - columns]
    pixels = inner if inner.sum() == images.sum() else images
    for axis in (1, 2):
        length = pixels.shape[axis]
        fine = np.repeat(pixels, _SIDE, axis=axis)
        shape = (*fine.shape[:axis], _SIDE, length, *fine.shape[axis + 1 :])
        pixels = fine.reshape(shape).mean(axis=axis + 1)
    brightest = np.maximum(pixels.max(axis=(1, 2), keepdims=True), 1)
    return pixels / brightest


def _draw(
    upper: NDArray[np.float64], lower: NDArray[np.float64], colour: bool, ascii_only: bool
) -> Iterator[Segment]:
    """Yields two rows (14,) of shades in [0, 1] as one line of characters."""
    if colour:
        for top, bottom in zip(upper, lower, strict=True):
            yield Segment("▀", Style(color=_shade(top), bgcolor=_shade(bottom)))
    elif ascii_only:
        levels = np.rint((upper + lower) / 2 * (len(_RAMP) - 1)).astype(int)
        yield Segment("".join(_RAMP[level] for level in levels))
    else:
        choices = (upper > _INK).astype(int) + 2 * (lower > _INK).astype(int)
        yield Segment("".join(_HALF_BLOCKS[choice] for choice in choices))


def _shade(value: float) -> Color:
    """Returns a shade of grey, 0 nearly black to 1 nearly white."""
    level = round(28 + 222 * float(value))
    return Color.from_rgb(level, level, level)
