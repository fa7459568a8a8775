"""Anybody's digit made into an image as MNIST's were made.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition",
section III.A: the digits were scaled to fit a box of 20 by 20 pixels keeping their ratio, grey from
anti-aliasing, and moved so that their centre of mass lies at the centre of 28 by 28. In the files,
that centre is pixel 14, counted from 0, to the nearest whole pixel.

Those digits had been cut out and made black and white beforehand. Here that comes first: light
paper or a dark screen is told from ink, uneven light is evened out, and what is not ink is removed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnist_exp.evaluation.background import without_background

Grey = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Shares of the picture's side, of the way from black to white, and of the largest part's size.
_FAINTEST_INK = 0.06
_SMALLEST_PART = 0.02
_COVERED = 0.6
_FAINT = 0.12
_THIN = 2.0


class BlankImage(Exception):  # noqa: N818 - says what the picture is
    """A picture that shows nothing but background."""


class Frame(NamedTuple):
    """How things lie in a data set's images.

    Attributes:
        box: The longer side of a thing, as a share of the image's side.
        by_mass: Whether its centre of mass, rather than the middle of its box, is at the centre.
    """

    box: float
    by_mass: bool


DIGITS = Frame(20 / 28, by_mass=True)
"""As MNIST's digits lie (LeCun et al. 1998)."""

CLOTHES = Frame(1.0, by_mass=False)
"""As Fashion-MNIST's clothes lie (Xiao, Rasul and Vollgraf 2017, section 2): scaled to the whole image."""


class Framed(NamedTuple):
    """What the network is shown of a picture.

    Attributes:
        image: uint8 (side, side), 0 background.
        is_inverted: Whether the picture was dark on light.
    """

    image: NDArray[np.uint8]
    is_inverted: bool


def frame_for(data_name: str) -> Frame:
    """Says how things lie in a data set's images; as digits do where that is not known."""
    return CLOTHES if data_name == "fashion_mnist" else DIGITS


def frame(grey: Grey, side: int = 28, place: Frame = DIGITS) -> Framed:
    """Makes a picture into an image such as the network was trained on.

    Args:
        grey: float32 (H, W), 0 black to 1 white.
        side: Height and width of the result.
        place: Where the thing lies in it.

    Raises:
        BlankImage: There is nothing to be seen.
    """
    light, noise = without_background(grey)
    is_inverted = _is_dark_on_light(light)
    ink = np.maximum(-light if is_inverted else light, 0)
    kept, strength = _separate(ink, noise)
    ink = np.where(kept, np.clip(ink / strength, 0, 1), 0).astype(np.float32)
    part = ink[_bounds(ink > max(_FAINT, 3 * noise / strength))]
    if not part.size:
        raise BlankImage
    scaled = _scale(_thicken(part, place.box * side), place.box * side)
    return Framed(_centre(scaled, side, place.by_mass), is_inverted)


def _is_dark_on_light(light: Grey) -> bool:
    """Says whether what differs from the background, which the border shows, is darker than it."""
    return float((np.minimum(light, 0) ** 2).sum()) > float((np.maximum(light, 0) ** 2).sum())


def _separate(ink: Grey, noise: float) -> tuple[Flags, float]:
    """Finds what is ink, specks left out, and how dark it is.

    Returns:
        Which pixels are ink or its grey edge (H, W), and the strength of full ink.

    Raises:
        BlankImage: Nothing stands out.
    """
    smooth = ndimage.gaussian_filter(ink, 0.004 * max(ink.shape))
    if float(smooth.max()) < max(_FAINTEST_INK, 3 * noise):
        raise BlankImage
    threshold = otsu_threshold(smooth)
    is_ink = smooth > threshold
    parts, num_parts = ndimage.label(is_ink, np.ones((3, 3)))
    sizes = ndimage.sum_labels(is_ink, parts, np.arange(1, num_parts + 1))
    sizes = _without_surroundings(parts, sizes)
    is_ink = np.isin(parts, 1 + np.flatnonzero(sizes >= _SMALLEST_PART * sizes.max()))
    edge = max(1, round(0.012 * max(ink.shape)))
    strength = max(float(np.quantile(ink[is_ink], 0.8)), threshold)
    return ndimage.binary_dilation(is_ink, np.ones((3, 3)), edge), strength


def _without_surroundings(parts: NDArray[np.int32], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Makes nothing of parts that cover a side of the picture, such as a table beside the paper.

    Args:
        parts: Number of the part that each pixel is of, 0 for none (H, W).
        sizes: Of the parts.

    Returns:
        The sizes, 0 for what is no ink; as they are where nothing else would be left.
    """
    sides = (parts[0], parts[-1], parts[:, 0], parts[:, -1])
    covered = [np.bincount(side, minlength=len(sizes) + 1)[1:] >= _COVERED * len(side) for side in sides]
    kept = np.where(np.any(covered, axis=0), 0.0, sizes)
    return kept if kept.max() >= _SMALLEST_PART * sizes.max() else sizes


def otsu_threshold(values: Grey) -> float:
    """Finds the value that best parts two kinds of pixels.

    Otsu 1979, "A threshold selection method from gray-level histograms": the largest variance between
    the two.

    Args:
        values: 0 or more, of any shape.

    Returns:
        A threshold; what lies above it is of the brighter kind.
    """
    counts, edges = np.histogram(values, 256, (0.0, float(values.max()) or 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * middles)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(between.argmax())])


def _bounds(is_seen: Flags) -> tuple[slice, slice]:
    """Returns the smallest box that holds all marked pixels."""
    rows, columns = (np.flatnonzero(is_seen.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _thicken(part: Grey, box: float) -> Grey:
    """Makes a line that would vanish when scaled down about as wide as a pen's in MNIST.

    Not part of how MNIST was made, whose forms were filled in with pens of one kind.
    """
    scale = box / max(part.shape)
    is_ink = part > 0.5
    if scale >= 1 or not is_ink.any():
        return part
    # Averaged over a line of width w, the distance to its edge is w / 4.
    width = 4 * float(ndimage.distance_transform_edt(is_ink)[is_ink].mean()) - 1
    radius = round((_THIN / scale - width) / 2)
    if radius < 1:
        return part
    down, across = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    padded = np.pad(part, radius)
    return np.asarray(ndimage.grey_dilation(padded, footprint=down**2 + across**2 <= radius**2))


def _scale(part: Grey, box: float) -> Grey:
    """Scales what was cut out so that its longer side fills a box, its brightest pixels full ink."""
    factor = box / max(part.shape)
    size = tuple(max(1, round(length * factor)) for length in reversed(part.shape))
    scaled = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC))
    return np.clip(scaled / max(float(np.quantile(scaled, 0.98)), 0.3), 0, 1)


def _centre(part: Grey, side: int, by_mass: bool) -> NDArray[np.uint8]:
    """Lays a small image into a larger one, its centre at the centre."""
    canvas = np.zeros((side, side), np.float32)
    corner = []
    for axis, length in enumerate(part.shape):
        middle = (length - 1) / 2
        if by_mass:
            mass = part.sum(axis=1 - axis)
            middle = float((mass * np.arange(length)).sum() / mass.sum())
        start = round(side / 2 - middle) if by_mass else (side - length) // 2
        corner.append(min(max(start, 0), side - length))
    canvas[corner[0] : corner[0] + part.shape[0], corner[1] : corner[1] + part.shape[1]] = part
    return np.rint(255 * canvas).astype(np.uint8)
