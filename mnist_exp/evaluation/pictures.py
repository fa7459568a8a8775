"""Pictures made ready for a network, and what it took them for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_exp.evaluation.background import shrunk
from mnist_exp.evaluation.framing import BlankImage, Frame, frame
from mnist_exp.evaluation.image_files import Grey, UnreadableImage, read_grey

_THUMBNAIL_SIDE = 240


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that could be read.

    Attributes:
        path: Its file.
        thumbnail: As a person sees it, float32 (H, W), 0 black to 1 white, at most 240 pixels wide or
            high; null where nobody will look at it.
        image: What the network is shown, uint8 (side, side), 0 background.
        is_inverted: Whether it was dark on light.
        has_surroundings: Whether something besides the digit, or a shadow, was left out.
    """

    path: Path
    thumbnail: Grey | None
    image: NDArray[np.uint8]
    is_inverted: bool
    has_surroundings: bool


@dataclass(frozen=True)
class Unread:
    """A picture that was skipped, and why."""

    path: Path
    reason: str


def read_pictures(
    paths: Sequence[Path], side: int, place: Frame, num_shown: int
) -> tuple[list[Picture], list[Unread]]:
    """Reads pictures and makes them into what a network was trained on.

    Args:
        paths: Their files.
        side: Height and width of the network's images.
        place: How things lie in these.
        num_shown: Of so many, from the first, the picture itself is kept.

    Returns:
        Those that could be read, and those that could not, both in order.
    """
    read: list[Picture] = []
    unread: list[Unread] = []
    for path in paths:
        try:
            grey = read_grey(path)
            framed = frame(grey, side, place)
        except UnreadableImage as error:
            unread.append(Unread(path, str(error)))
        except BlankImage:
            unread.append(Unread(path, "blank: nothing stands out from the background"))
        else:
            thumbnail = shrunk(grey, _THUMBNAIL_SIDE) if len(read) < num_shown else None
            read.append(Picture(path, thumbnail, *framed))
    return read, unread
