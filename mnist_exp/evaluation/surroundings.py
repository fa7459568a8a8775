"""What lies around a digit and is none of it, told by the shape and place of a mask's connected parts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Flags = NDArray[np.bool_]
Parts = NDArray[np.int32]

# Shares: of the picture's side, of a part's longer side, of the largest part's pixels.
_LINE, _THICKEST_LINE = 0.85, 0.06
_SLOPES = np.arange(-5, 6) / 50
_INNER, _INNER_OF_OUTER = 0.1, 0.3
_OFF_THE_EDGE = 0.2
_SMALLEST_PART = 0.02
_COVERED = 0.6
_SOLID = 0.62
_EVERYWHERE = np.ones((3, 3))


class Part(NamedTuple):
    """A connected dark part, numbered from 1, of `size` pixels; `bottom` and `right` of its box lie outside.

    `covers_side` tells that it fills most of one of the picture's sides.
    """

    number: int
    size: int
    top: int
    left: int
    bottom: int
    right: int
    touches_border: bool
    covers_side: bool

    @property
    def length(self) -> int:
        """Its longer side, pixels."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def area(self) -> int:
        """Pixels of its box."""
        return (self.bottom - self.top) * (self.right - self.left)


def without_surroundings(is_ink: Flags) -> tuple[Flags, bool]:
    """Leaves out what is none of the thing shown, and specks; says whether it was more than specks."""
    unruled = _without_lines(is_ink)
    kept, has_left_out = _without_parts(unruled)
    if unruled is is_ink:
        return kept, has_left_out
    longest = max((part.length for part in find_parts(kept)[1]), default=0)
    if longest < _INNER * max(is_ink.shape):
        return _without_parts(is_ink)[0], True
    return kept, True


def is_solid(is_ink: Flags) -> bool:
    """Says whether the largest part is a whole sheet or screen rather than something written."""
    _, found = find_parts(is_ink)
    largest = max(found, key=lambda part: part.size)
    shorter = min(largest.bottom - largest.top, largest.right - largest.left)
    is_wide = shorter > 0.35 * max(is_ink.shape)
    return is_wide and largest.size > _SOLID * largest.area and not largest.touches_border


def find_parts(is_ink: Flags) -> tuple[Parts, list[Part]]:
    """Finds connected parts, corners included, and their places."""
    numbers, _ = ndimage.label(is_ink, _EVERYWHERE)
    sizes = np.bincount(numbers.ravel())
    sides = (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1])
    along = [np.bincount(side, minlength=len(sizes)) for side in sides]
    covered = [counts >= _COVERED * len(side) for counts, side in zip(along, sides, strict=True)]
    touches, covers = np.sum(along, axis=0) > 0, np.any(covered, axis=0)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), 1):
        box = (rows.start, columns.start, rows.stop, columns.stop)
        found.append(Part(number, int(sizes[number]), *box, bool(touches[number]), bool(covers[number])))
    return numbers, found


def _without_parts(is_ink: Flags) -> tuple[Flags, bool]:
    numbers, found = find_parts(is_ink)
    largest = max((part.size for part in found), default=0)
    sizeable = [part for part in found if part.size >= _SMALLEST_PART * largest]
    kept = [part for part in sizeable if not _surrounds_any(part, sizeable, numbers)]
    kept = _without_border_parts(kept, max(is_ink.shape))
    # Beside a large frame or thumb, all of a digit may have been a speck.
    own = max((part.size for part in kept), default=0)
    kept = [part for part in kept if part.size >= _SMALLEST_PART * own]
    return np.isin(numbers, [part.number for part in kept]), len(kept) < len(sizeable)


def _surrounds_any(outer: Part, parts: list[Part], numbers: Parts) -> bool:
    """Says whether a part is a box, a circle or an angle around another one that is no speck."""
    for inner in parts:
        if inner.length < _INNER_OF_OUTER * outer.length or inner.number == outer.number:
            continue
        is_inside = outer.top < inner.top and outer.left < inner.left
        is_inside = is_inside and inner.bottom < outer.bottom and inner.right < outer.right
        within = numbers[inner.top : inner.bottom, inner.left : inner.right]
        if is_inside and np.mean(within == outer.number) < 0.02:
            return True
    return False


def _without_border_parts(parts: list[Part], side: int) -> list[Part]:
    """Leaves out what comes in from the edge, where something else lies inside."""
    inside = [part for part in parts if not part.touches_border]
    longest = max((part.length for part in inside), default=0)
    kept = list(inside)
    for part in parts:
        if not part.touches_border or part.length < _OFF_THE_EDGE * side:
            continue
        is_part_of_it = longest < max(_INNER * side, _INNER_OF_OUTER * part.length)
        if is_part_of_it and not (part.covers_side and longest >= _INNER * side):
            kept.append(part)
    return kept


def _without_lines(is_ink: Flags) -> Flags:
    """Takes long thin lines, ruled or of a box, off the ink that crosses them; the same array without any."""
    _, found = find_parts(is_ink)
    height, width = is_ink.shape
    is_long = any(
        part.right - part.left > _LINE * width or part.bottom - part.top > _LINE * height for part in found
    )
    if not is_long or min(is_ink.shape) < 40:
        return is_ink
    lines = _lines_across(is_ink) | _lines_across(is_ink.T).T
    return is_ink & ~lines if lines.any() else is_ink


def _lines_across(is_ink: Flags) -> Flags:
    """Marks the pixels of lines that run from side to side, or nearly, and are thin."""
    height, width = is_ink.shape
    length = round(_LINE * width)
    slack = max(1, round(height / 200))
    thick = ndimage.maximum_filter1d(is_ink, 2 * slack + 1, axis=0, mode="constant")
    rows, columns = np.ogrid[:height, :width]
    on_line = np.zeros(is_ink.shape, bool)
    for slope in _SLOPES:
        shift = np.rint(slope * (columns - width / 2)).astype(int)
        sheared = thick[(rows + shift) % height, columns].astype(np.float32)
        covered = ndimage.uniform_filter1d(sheared, length, axis=1, mode="constant") > 0.97
        if covered.any():
            reached = ndimage.maximum_filter1d(covered, length, axis=1, mode="constant")
            on_line |= reached[(rows - shift) % height, columns]
    on_line &= is_ink
    runs, _ = ndimage.label(is_ink, np.array([[0, 1, 0]] * 3))
    heights = np.bincount(runs.ravel())[runs]
    if not on_line.any():
        return on_line
    usual = float(np.median(heights[on_line]))
    return on_line & (heights <= 1.5 * usual + 1) & (heights <= max(2, _THICKEST_LINE * height))
