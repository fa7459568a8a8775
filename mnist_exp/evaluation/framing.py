"""A picture of a digit made into an image as MNIST's were made.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition",
section III.A: the digits were scaled to fit a box of 20 by 20 pixels keeping their ratio, grey from
anti-aliasing, and moved so that their centre of mass lies at the centre of 28 by 28. In the files,
that centre is pixel 14, counted from 0, to the nearest whole pixel.

Those digits had been cut out and made black and white beforehand. Here that comes first: light
paper or a dark screen is distinguished from ink, uneven light is evened out, and what is not ink is removed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnist_exp.evaluation.background import shrunk, without_background
from mnist_exp.evaluation.surroundings import Part, find_parts, is_solid, without_surroundings

Grey = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Shares of the picture's side, of the way from black to white, and of the largest part's size.
_NARROW = 0.25
_FAINTEST_INK = 0.06
_WIDEST_STROKE = 0.3
_CLEAREST_NOISE = 5.0
_MOST_PARTS = 40
_CUT = 0.93
_FAINT = 0.12
_THIN = 2.0


class BlankImage(Exception):  # noqa: N818 - says what the picture is
    """A picture that shows nothing but background."""


class Frame(NamedTuple):
    """How things lie in images: their longer side as a share of the image's, centred by mass or by box."""

    box: float
    by_mass: bool


DIGITS = Frame(20 / 28, by_mass=True)
"""As MNIST's digits lie (LeCun et al. 1998)."""

CLOTHES = Frame(1.0, by_mass=False)
"""As Fashion-MNIST's clothes lie (Xiao, Rasul and Vollgraf 2017, section 2): scaled to the whole image."""


class Framed(NamedTuple):
    """What the network is shown of a picture: uint8 (side, side), 0 background.

    `is_inverted` if it was dark on light; `has_surroundings` if something else, or a shadow, was left out.
    """

    image: NDArray[np.uint8]
    is_inverted: bool
    has_surroundings: bool


def frame_for(data_name: str) -> Frame:
    """Says how things lie in a data set's images; as digits do where that is not known."""
    return CLOTHES if data_name == "fashion_mnist" else DIGITS


def frame(grey: Grey, side: int = 28, place: Frame = DIGITS) -> Framed:
    """Makes a picture, float32 (H, W), 0 black to 1 white, into an image such as the network was trained on.

    Raises:
        BlankImage: There is nothing to be seen.
    """
    grey = _with_margin(_stretched(grey))
    light, noise = without_background(grey)
    is_inverted = _is_dark_on_light(light)
    ink = np.maximum(-light if is_inverted else light, 0)
    is_ink, threshold = _separate(ink)
    is_sheet = is_solid(is_ink)
    is_uneven = place.by_mass and (is_sheet or _reaches_edge(light, threshold))
    if is_uneven:
        is_inverted = not is_inverted if is_sheet else _is_dark_locally(grey)
        ink, noise = without_light(grey, is_inverted), 0.0
        is_ink, threshold = _separate(ink)
    everything = is_ink
    is_ink, has_surroundings = without_surroundings(everything)
    if _is_blank(ink, is_ink, everything) or _drowns(ink[is_ink], grey):
        raise BlankImage
    edge = max(1, round(0.012 * max(ink.shape)))
    strength = max(float(np.quantile(ink[is_ink], 0.8)), threshold)
    kept = ndimage.binary_dilation(is_ink, np.ones((3, 3)), edge)
    ink = np.where(kept, np.clip(ink / strength, 0, 1), 0).astype(np.float32)
    part = ink[_bounds(ink > max(_FAINT, 3 * noise / strength))]
    if not part.size:
        raise BlankImage
    scaled = _scale(_thicken(part, place.box * side), place.box * side)
    return Framed(_centre(scaled, side, place.by_mass), is_inverted, has_surroundings or is_uneven)


def _stretched(grey: Grey) -> Grey:
    """Spreads few levels of grey over the whole range."""
    low, high = float(grey.min()), float(grey.max())
    if high - low >= _NARROW or high == low:
        return grey
    return (grey - np.float32(low)) / np.float32(high - low)


def _with_margin(grey: Grey) -> Grey:
    light = grey - np.median(_ring(grey))
    is_inverted = _is_dark_on_light(light)
    ink = np.maximum(-light if is_inverted else light, 0)
    if not ink.any():
        return grey
    is_ink = ink > otsu_threshold(ink)
    if is_solid(is_ink):
        return grey
    _, parts = find_parts(is_ink)
    largest = max(parts, key=lambda part: part.size)
    own = [(largest.bottom - largest.top) / grey.shape[0], (largest.right - largest.left) / grey.shape[1]]
    is_cut = largest.touches_border and max(own) >= _CUT and not largest.covers_side
    is_cut = is_cut or min(_extent(parts, grey.shape)) >= _CUT and min(own) >= 0.6
    if not is_cut or len(parts) > _MOST_PARTS or without_surroundings(is_ink)[1]:
        return grey
    paper = np.median(grey[~is_ink]) if not is_ink.all() else grey.min()
    return np.pad(grey, max(2, max(grey.shape) // 4), constant_values=paper)


def _extent(parts: Sequence[Part], shape: tuple[int, ...]) -> tuple[float, float]:
    """Returns the height and width that parts but specks take up together, as shares of the picture's."""
    largest = max(part.size for part in parts)
    boxes = np.array([part[2:6] for part in parts if part.size >= 0.02 * largest])
    (top, left), (bottom, right) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return float(bottom - top) / shape[0], float(right - left) / shape[1]


def _ring(grey: Grey) -> Grey:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _reaches_edge(light: Grey, threshold: float) -> bool:
    """Says whether the light is uneven, or something other than paper lies, along the picture's edge."""
    smooth = ndimage.gaussian_filter(light, 0.004 * max(light.shape))
    return float(np.mean(np.abs(_ring(smooth)) > 0.5 * threshold)) > 0.04


def _is_dark_locally(grey: Grey) -> bool:
    small = shrunk(grey, 64)
    usual = ndimage.median_filter(small, round(0.5 * max(small.shape)), mode="nearest")
    difference = small - usual
    top, left = (round(0.15 * length) for length in small.shape)
    return _is_dark_on_light(difference[top : len(small) - top, left : small.shape[1] - left])


def without_light(grey: Grey, is_inverted: bool) -> Grey:
    """Takes off what is wider than any stroke, however sharp its edges: shadows, thumbs, a table.

    The top-hat transform (Meyer 1979, "Iterative image transformations for an automatic screening of cervical
    smears"): a morphological closing fills what is dark and narrower than a square. Ink is 0 or more.
    """
    smooth = ndimage.gaussian_filter(grey, 0.004 * max(grey.shape))
    smooth = -smooth if is_inverted else smooth
    size = round(_WIDEST_STROKE * max(grey.shape))
    light = -ndimage.grey_closing(-smooth, size, mode="nearest")
    ink = smooth - light
    return np.maximum(ink - np.median(ink), 0)


def _is_dark_on_light(light: Grey) -> bool:
    """Says whether what differs from the background, which the border shows, is darker than it."""
    return float((np.minimum(light, 0) ** 2).sum()) > float((np.maximum(light, 0) ** 2).sum())


def _separate(ink: Grey) -> tuple[Flags, float]:
    """Finds which pixels (H, W) stand out, and the least ink that they have; else raises BlankImage."""
    smooth = ndimage.gaussian_filter(ink, 0.004 * max(ink.shape))
    if float(smooth.max()) < _FAINTEST_INK:
        raise BlankImage
    threshold = otsu_threshold(smooth)
    return smooth > threshold, threshold


def _is_blank(ink: Grey, is_ink: Flags, everything: Flags) -> bool:
    if not is_ink.any() or len(find_parts(is_ink)[1]) > _MOST_PARTS:
        return True
    smooth = ndimage.gaussian_filter(ink, 0.004 * max(ink.shape))
    near = ndimage.binary_dilation(everything, np.ones((3, 3)), max(1, round(0.012 * max(ink.shape))))
    noise = float(smooth[~near].std()) if not near.all() else 0.0
    return float(np.median(smooth[is_ink])) < max(_FAINTEST_INK, _CLEAREST_NOISE * noise)


def _drowns(ink: Grey, grey: Grey) -> bool:
    """Says whether ink is no darker than the noise between neighbouring pixels, which edges do not move."""
    differences = np.abs(np.diff(grey, axis=1))
    return differences.size > 0 and float(np.median(ink)) < 2.1 * float(np.median(differences))


def otsu_threshold(values: Grey) -> float:
    """Finds the value above which pixels, 0 or more, are of the brighter of two kinds.

    Otsu 1979, "A threshold selection method from gray-level histograms": the largest variance between
    the two.
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
    rows, columns = (np.flatnonzero(is_seen.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _thicken(part: Grey, box: float) -> Grey:
    """Widens a line that scaling would let vanish to about a pen's; no part of how MNIST was made."""
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
