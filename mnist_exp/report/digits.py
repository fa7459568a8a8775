"""Images drawn with characters."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from mnist_exp.report.document import Digit
from mnist_exp.words import confidence, without_control

WIDTH = 14
_GAP = 3
_HALF_BLOCKS = " ▀▄█"
# Above this share of the brightest pixel black and white shows ink; thin strokes stay whole.
_INK = 0.3
_RAMP = " .:-=+*#%@"


class DigitRows:
    """Images side by side with lines below them, as many as fit the width.

    Colour terminals get two shades a character (half blocks), others blocks in black and white,
    and output that cannot encode blocks a ramp of ASCII characters.

    Args:
        digits: One or more, all of one size.
        is_one_row: Whether those that do not fit are left out, or else stand below.
    """

    def __init__(self, digits: Sequence[Digit], is_one_row: bool) -> None:
        self._tiles = _shrink(np.stack([digit.image for digit in digits]))
        self._captions = [[_fit(without_control(line)) for line in digit.lines] for digit in digits]
        self._is_one_row = is_one_row

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(WIDTH, len(self._tiles) * (WIDTH + _GAP) - _GAP)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        count = max(1, (options.max_width + _GAP) // (WIDTH + _GAP))
        colour = console.color_system in ("256", "truecolor") and not console.no_color
        end = count if self._is_one_row else len(self._tiles)
        for start in range(0, end, count):
            if start:
                yield Segment.line()
            tiles, captions = self._tiles[start : start + count], self._captions[start : start + count]
            yield from _draw_row(tiles, colour, options.ascii_only)
            yield from _write_captions(captions)


def _draw_row(tiles: NDArray[np.float64], colour: bool, ascii_only: bool) -> Iterator[Segment]:
    for pair in range(0, WIDTH, 2):
        for index, tile in enumerate(tiles):
            if index:
                yield Segment(" " * _GAP)
            yield from _draw(tile[pair], tile[pair + 1], colour, ascii_only)
        yield Segment.line()


def _write_captions(captions: Sequence[Sequence[str]]) -> Iterator[Segment]:
    for line in range(max(map(len, captions))):
        cells = [caption[line] if line < len(caption) else "" for caption in captions]
        yield Segment((" " * _GAP).join(f"{cell:<{WIDTH}}" for cell in cells).rstrip())
        yield Segment.line()


def prediction_lines(true: str, predicted: str, probability: float) -> tuple[str, ...]:
    """Words a prediction with a tick or a cross; a wrong one has a line more, with the truth."""
    if predicted == true:
        return f"✓ {predicted}", confidence(probability)
    return f"✗ {predicted}", confidence(probability), f"is {true}"


def _fit(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _shrink(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns images as (N, 14, 14) in [0, 1], averaged, without the margin if all have an empty one."""
    height, width = images.shape[1:3]
    rows, columns = height // 7, width // 7
    inner = images[:, rows : height - rows, columns : width - columns]
    pixels = inner if inner.sum() == images.sum() else images
    for axis in (1, 2):
        length = pixels.shape[axis]
        fine = np.repeat(pixels, WIDTH, axis=axis)
        shape = (*fine.shape[:axis], WIDTH, length, *fine.shape[axis + 1 :])
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
